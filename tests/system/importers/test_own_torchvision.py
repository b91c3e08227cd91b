"""A detector that a user built of torchvision's parts, trained and saved is measured here as it is measured there."""

import json
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, MaskRCNN, RetinaNet, ssd300_vgg16
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN, resnet_fpn_backbone
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import FeaturePyramidNetwork, clip_boxes_to_image
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7
from torchvision.transforms.v2.functional import pil_to_tensor

from delineate.data import read_dataset
from delineate.data.preprocess import Preprocess
from delineate.evaluation import evaluate
from delineate.metrics import CocoEvaluation
from delineate.models.two_stage import TwoStageDetector
from delineate.models.two_stage.proposers.rpn import Selection
from delineate.ops.masks import boxes_of_masks, encode_rle
from delineate.system.importers import import_torchvision
from delineate.values import Detections, InputError

NAMES = ("disk", "block")
SIZES = ((75, 101), (90, 67), (83, 83), (61, 119))
"""Heights and widths, some larger and some smaller than the network's, in no whole ratio to it."""
SMALL: dict[str, Any] = {"min_size": 72, "max_size": 100}
PREPROCESS = {"short_side": 72, "long_side": 100}
FEW = {f"rpn_{which}_nms_top_n_{when}": 100 for which in ("pre", "post") for when in ("train", "test")}
STEPS = 26


def draw(size: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, Tensor, list[int]]:
    """Draw some plain objects of one colour a class, which do not touch: a picture, masks and labels."""
    height, width = size
    image = torch.full((3, height, width), int(torch.randint(0, 60, (), generator=generator)), dtype=torch.uint8)
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    masks: list[Tensor] = []
    labels: list[int] = []
    for _ in range(14):
        radius, left, top = (float(value) for value in torch.rand(3, generator=generator) * torch.tensor([6, 1, 1]))
        radius += 6
        dx, dy = x - radius - left * (width - 2 * radius), y - radius - top * (height - 2 * radius)
        label = int(torch.randint(0, 2, (), generator=generator))
        mask = (dx.abs() < radius) & (dy.abs() < 0.8 * radius) if label else dx**2 + dy**2 < radius**2
        if any((mask & other).any() for other in masks):
            continue
        image[:, mask] = torch.tensor([[40, 120, 220] if label else [220, 120, 40]], dtype=torch.uint8).T
        masks.append(mask)
        labels.append(label)
    return image, torch.stack(masks), labels


def write(root: Path, split: str, count: int, seed: int) -> None:
    """Write a COCO data set of PNGs and JPEGs."""
    generator = torch.Generator().manual_seed(seed)
    (root / "images" / split).mkdir(parents=True)
    (root / "annotations").mkdir(exist_ok=True)
    images, objects = [], []
    for number in range(count):
        size, name = SIZES[number % len(SIZES)], f"{number}.{'jpg' if number % 2 else 'png'}"
        image, masks, labels = draw(size, generator)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(root / "images" / split / name, quality=95)
        images.append({"id": number + 1, "file_name": name, "height": size[0], "width": size[1]})
        shapes = zip(labels, boxes_of_masks(masks).tolist(), encode_rle(masks), masks, strict=True)
        for label, (x1, y1, x2, y2), rle, mask in shapes:
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": int(mask.sum()), "segmentation": rle, "iscrowd": 0}
            objects.append({"id": len(objects) + 1, "image_id": number + 1, "category_id": label + 1, **box})
    categories = [{"id": label + 1, "name": name} for label, name in enumerate(NAMES)]
    document = {"images": images, "annotations": objects, "categories": categories}
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(document))


def built(kind: Any) -> nn.Module:
    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5
    )
    anchors = AnchorGenerator(tuple((8 * 2**level,) for level in range(5)), ((0.5, 1.0, 2.0),) * 5)
    detector: nn.Module = kind(
        backbone, num_classes=3, rpn_anchor_generator=anchors, box_batch_size_per_image=32, **SMALL, **FEW
    )
    return detector


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    write(root, "train", 12, seed=0)
    return root


@pytest.fixture(scope="module")
def state(pictures: Path) -> dict[str, Tensor]:
    """The weights of a Mask R-CNN that learns the pictures, as its user would have it."""
    model, dataset = built(MaskRCNN).train(), read_dataset(pictures, "train")
    samples = [dataset[number] for number in range(len(dataset))]
    optimizer = torch.optim.AdamW(model.parameters())
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = 7e-4 * min(1, (step + 1) / 6) * (1 - step / STEPS)
        batch = [samples[(2 * step + row) % len(samples)] for row in range(2)]
        targets = [
            {
                "boxes": sample.target.boxes,
                "labels": sample.target.labels + 1,
                "masks": sample.target.masks.to(torch.uint8),  # type: ignore[union-attr]
            }
            for sample in batch
        ]
        losses = model([sample.image / 255 for sample in batch], targets)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    return dict(model.state_dict())


@torch.inference_mode()
def measured_there(model: Any, pictures: Path) -> dict[str, float]:
    """Measure by torchvision's own pipeline, and COCO's metrics."""
    evaluation, dataset = CocoEvaluation(), read_dataset(pictures, "train")
    model.eval()
    for number, file in enumerate(dataset.files):
        target = dataset[number].target
        (found,) = model([pil_to_tensor(Image.open(file).convert("RGB")) / 255])
        detections = Detections(
            image_size=target.image_size,
            boxes=clip_boxes_to_image(found["boxes"], target.image_size),
            labels=found["labels"] - 1,
            scores=found["scores"],
            rles=encode_rle(found["masks"][:, 0] > 0.5) if "masks" in found else None,
        )
        evaluation.add(detections, target, number)
    return evaluation.metrics(NAMES)


def given_our_pixels(model: Any, preprocess: Preprocess) -> None:
    """Let torchvision's transform resize and normalise as ours does, and be as it is in all else."""
    transform = model.transform
    mean, std = (torch.tensor(values)[:, None, None] for values in (transform.image_mean, transform.image_std))

    def resize(image: Tensor, target: None) -> tuple[Tensor, None]:
        decoded = ((image * std + mean) * 255).round().to(torch.uint8)
        return preprocess.normalise(preprocess.resize(decoded)), target

    transform.resize = resize


@pytest.mark.parametrize(("kind", "name"), [(MaskRCNN, "maskrcnn"), (FasterRCNN, "fasterrcnn")])
def test_the_accuracy_is_theirs(kind: Any, name: str, state: dict[str, Tensor], pictures: Path, tmp_path: Path) -> None:
    """Of the same pixels they are equal; of its own, which differ in their last digits, as near as near ties let be."""
    theirs = built(kind)
    theirs.load_state_dict({key: state[key] for key in theirs.state_dict()})
    torch.save(theirs.state_dict(), tmp_path / "mine.pth")
    ours = import_torchvision(
        f"{name}_resnet18_fpn", tmp_path / "mine.pth", class_names=NAMES, anchor_size=8, preprocess=PREPROCESS
    )
    assert isinstance(ours.model, TwoStageDetector)
    assert ours.model.proposer is not None
    ours.model.proposer.when_testing = Selection(100, 100)
    found = evaluate(ours, read_dataset(pictures, "train")).metrics
    of_their_pixels = measured_there(theirs, pictures)
    given_our_pixels(theirs, ours.preprocess)
    of_our_pixels = measured_there(theirs, pictures)
    assert of_our_pixels["AP50"] > 0.3, "else this test tells nothing"
    for metric in ("AP", "mask_AP") if kind is MaskRCNN else ("AP",):
        assert found[metric] == pytest.approx(of_our_pixels[metric], abs=0.001)
        assert found[metric] == pytest.approx(of_their_pixels[metric], abs=0.003)


@pytest.mark.parametrize("size", SIZES)
def test_pictures_are_resized_as_there(size: tuple[int, int]) -> None:
    image, _, _ = draw(size, torch.Generator().manual_seed(0))
    transform = GeneralizedRCNNTransform(72, 100, [0.0] * 3, [1.0] * 3)
    known = 255 * transform.eval().resize(image / 255, None)[0]
    preprocess = Preprocess(**PREPROCESS, resizing="sampled")
    resized = preprocess.resize(image)
    assert resized.shape == known.shape
    assert (resized - known).abs().max() < 1e-3
    smooth = replace(preprocess, resizing="smooth").resize(image)
    if min(size) > 72:
        assert smooth.shape != known.shape or (smooth - known).abs().max() > 5, "else this test tells nothing"


def flat(features: Any) -> nn.Module:
    """Make timm's blocks children, of which torchvision's `BackboneWithFPN` takes its levels."""
    blocks = {f"blocks_{number}": block for number, block in enumerate(features.blocks)}
    row = nn.Sequential(OrderedDict(conv_stem=features.conv_stem, bn1=features.bn1, **blocks))
    levels = {f"blocks_{number}": str(level) for level, number in enumerate((1, 2, 4, 6))}
    return BackboneWithFPN(row, levels, [24, 40, 112, 320], 256)


class Wrapped(nn.Module):
    """timm's extractor and torchvision's pyramid in a module of the user's own."""

    out_channels = 256

    def __init__(self, features: Any) -> None:
        super().__init__()
        self.body = features
        self.fpn = FeaturePyramidNetwork([24, 40, 112, 320], 256, extra_blocks=LastLevelMaxPool())

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        levels = self.body(images)[1:]
        maps: dict[str, Tensor] = self.fpn(OrderedDict((str(number), level) for number, level in enumerate(levels)))
        return maps


@pytest.mark.parametrize("make", [flat, Wrapped])
def test_a_body_of_timm_is_read_however_it_was_cut(make: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    features = timm.create_model("tf_efficientnet_lite0", features_only=True)
    for module in features.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    theirs = FasterRCNN(make(features), num_classes=3).eval()
    torch.save(theirs.state_dict(), tmp_path / "mine.pth")
    half = (0.5, 0.5, 0.5)
    ours = import_torchvision(
        "fasterrcnn_tf_efficientnet_lite0_fpn", tmp_path / "mine.pth", preprocess={"mean": half, "std": half}
    )
    assert (ours.preprocess.mean, ours.preprocess.short_side) == (half, 800)
    assert isinstance(ours.model, TwoStageDetector)
    image = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        known = list(theirs.backbone(image).values())
        levels = ours.model.levels(image)
    for level, expected in zip(levels, known, strict=True):
        torch.testing.assert_close(level, expected, atol=1e-5, rtol=1e-4)
    assert known[0].std() > 0.01, "else this test tells nothing"


def test_detectors_on_every_place_of_a_pyramid_have_bodies_of_their_own(tmp_path: Path) -> None:
    for kind, name in ((RetinaNet, "retinanet"), (FCOS, "fcos")):
        backbone = resnet_fpn_backbone(
            backbone_name="resnet18", weights=None, returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(256, 256)
        )
        theirs = kind(backbone, num_classes=3).eval()
        torch.save(theirs.state_dict(), tmp_path / "mine.pth")
        ours = import_torchvision(f"{name}_resnet18_fpn", tmp_path / "mine.pth", class_names=NAMES)
        assert (ours.name, ours.arguments["backbone"], ours.categories.class_names) == (name, "resnet18", NAMES)


def test_what_cannot_be_read_is_said(state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(state, tmp_path / "mine.pth")
    with pytest.raises(InputError, match=r"'maskrcnn_resnet18_fpn' is not published.*with a file other backbones"):
        import_torchvision("maskrcnn_resnet18_fpn")
    with pytest.raises(InputError, match="'resnt18' is no timm model; near: resnet18"):
        import_torchvision("maskrcnn_resnt18_fpn", tmp_path / "mine.pth")
    with pytest.raises(InputError, match=r"does not fit maskrcnn_resnet50_fpn \(size mismatch for backbone.fpn"):
        import_torchvision("maskrcnn_resnet50_fpn", tmp_path / "mine.pth")
    with pytest.raises(InputError, match=r"does not fit maskrcnn_resnet34_fpn \(Missing key.*layer1\.2"):
        import_torchvision("maskrcnn_resnet34_fpn", tmp_path / "mine.pth")
    torch.save(ssd300_vgg16(weights=None, weights_backbone=None).state_dict(), tmp_path / "ssd.pth")
    with pytest.raises(InputError, match="short_side: ssd300_vgg16 takes pictures in one way; leave it out"):
        import_torchvision("ssd300_vgg16", tmp_path / "ssd.pth", preprocess={"short_side": 320})
