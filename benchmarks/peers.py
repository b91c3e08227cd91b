"""What the peers are trained by: torchvision's detectors and segmentation_models_pytorch's networks on one backbone.

They begin with the file of ImageNet weights, under `timm`'s names, that ours begin with. The loop is the one that their
users write: pictures and their mirror images, SGD or AdamW, a warm-up and a cosine over the minutes.
"""

import math
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import timm
import torch
from safetensors.torch import load_file
from timm.layers import freeze_batch_norm_2d
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.models.detection import FasterRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteHead, _extra_block
from torchvision.ops import clip_boxes_to_image
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from torchvision.transforms.v2 import functional as transforms

from delineate.data.dataset import Dataset
from delineate.ops.masks import encode_rle
from delineate.values import Detections, LabelMap, Sample

BACKBONE = "tf_efficientnet_lite0"
MEAN = STD = (0.5, 0.5, 0.5)
"""Of the pictures that its published weights are made for."""
STAGES = ("blocks_1", "blocks_2", "blocks_4", "blocks_6")
"""They end at strides 4, 8, 16 and 32."""
WIDTHS = (24, 40, 112, 320)
FROZEN = 4
"""Stem, its norm and the blocks up to stride 4 stay as they are: `trainable_layers=3`, torchvision's own default."""
Infer = Callable[[Sample], Detections | LabelMap]


def body(weights: Path) -> nn.Sequential:
    """The feature extractor as a row of children, as torchvision cuts a backbone into levels; its norms are frozen."""
    features: Any = timm.create_model(BACKBONE, features_only=True)
    missing = features.load_state_dict(load_file(weights), strict=False).missing_keys
    assert not missing, f"{weights}: {len(missing)} weights of {BACKBONE} are missing"
    features = freeze_batch_norm_2d(features)
    blocks = {f"blocks_{number}": block for number, block in enumerate(features.blocks)}
    row = nn.Sequential(OrderedDict(conv_stem=features.conv_stem, bn1=features.bn1, **blocks))
    row[:FROZEN].requires_grad_(False)
    return row


def pyramid(weights: Path, first: int = 0, extra: Any = None) -> BackboneWithFPN:
    levels = {name: str(number) for number, name in enumerate(STAGES[first:])}
    return BackboneWithFPN(body(weights), levels, list(WIDTHS[first:]), 256, extra_blocks=extra)


def two_stage(kind: Any, weights: Path, num_classes: int, anchor_size: int = 32, **options: Any) -> nn.Module:
    """Faster or Mask R-CNN; all but `anchor_size` are torchvision's own options."""
    sizes = tuple((anchor_size * 2**level,) for level in range(5))
    anchors = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 5)
    detector: nn.Module = kind(
        pyramid(weights), num_classes + 1, rpn_anchor_generator=anchors, image_mean=MEAN, image_std=STD, **options
    )
    return detector


def retinanet(weights: Path, num_classes: int, **options: Any) -> nn.Module:
    backbone = pyramid(weights, first=1, extra=LastLevelP6P7(256, 256))
    return RetinaNet(backbone, num_classes + 1, image_mean=MEAN, image_std=STD, **options)


class Levels(nn.Module):
    """The maps of strides 16 and 32 and four smaller ones, as in torchvision's SSDLite."""

    out_channels = (112, 320, 512, 256, 256, 128)

    def __init__(self, weights: Path, norm: Callable[..., nn.Module]) -> None:
        super().__init__()
        row = body(weights)
        self.first, self.second = row[:7], row[7:]
        widths = self.out_channels[1:]
        self.extra = nn.ModuleList(_extra_block(*pair, norm) for pair in pairwise(widths))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        levels = [self.first(images)]
        for block in (self.second, *self.extra):
            levels.append(block(levels[-1]))
        return OrderedDict((str(number), level) for number, level in enumerate(levels))


def ssd(weights: Path, num_classes: int, *, side: int) -> nn.Module:
    """SSD with the head, scales and thresholds of torchvision's SSDLite."""
    norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
    backbone, anchors = Levels(weights, norm), DefaultBoxGenerator([[2, 3]] * 6, min_ratio=0.2, max_ratio=0.95)
    head = SSDLiteHead(list(backbone.out_channels), anchors.num_anchors_per_location(), num_classes + 1, norm)
    return SSD(
        *(backbone, anchors, (side, side), num_classes + 1),
        image_mean=MEAN,
        image_std=STD,
        head=head,
        score_thresh=0.001,
        nms_thresh=0.55,
        detections_per_img=300,
        topk_candidates=300,
    )


def dense(kind: Any, weights: Path, num_classes: int) -> nn.Module:
    """segmentation_models_pytorch's network of that kind, with all else by its defaults."""
    model: nn.Module = kind(f"tu-{BACKBONE}", encoder_weights=None, classes=num_classes)
    encoder: Any = model.encoder
    missing = encoder.model.load_state_dict(load_file(weights), strict=False).missing_keys
    assert not missing, f"{weights}: {len(missing)} weights of {BACKBONE} are missing"
    return model


KINDS: dict[str, Callable[..., nn.Module]] = {
    "torchvision_faster_rcnn": partial(two_stage, FasterRCNN),
    "torchvision_mask_rcnn": partial(two_stage, MaskRCNN),
    "torchvision_retinanet": retinanet,
    "torchvision_ssd": ssd,
    "smp_unet": partial(dense, smp.Unet),
    "smp_deeplabv3plus": partial(dense, smp.DeepLabV3Plus),
}


class Pictures(TorchDataset[tuple[Tensor, Any]]):
    """A detector's user gives pictures of 0 to 1 and boxes, a segmenter's normalised crops; half of them mirrored."""

    def __init__(self, data: Dataset, crop: tuple[int, int] | None = None) -> None:
        self.data, self.crop = data, crop

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        sample = self.data[index]
        mirrored = bool(torch.rand(()) < 0.5)
        return self.cropped(sample, self.crop, mirrored) if self.crop else self.boxed(sample, mirrored)

    @staticmethod
    def boxed(sample: Sample, mirrored: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """Crowds and difficult objects are left out, as torchvision's references do."""
        kept = ~(sample.target.crowd | sample.target.difficult)
        image, boxes = sample.image / 255, sample.target.boxes[kept]
        target = {"boxes": boxes, "labels": sample.target.labels[kept] + 1}
        if sample.target.masks is not None:
            target["masks"] = sample.target.masks[kept].to(torch.uint8)
        if mirrored:
            image = image.flip(-1)
            x1, y1, x2, y2 = boxes.unbind(1)
            target["boxes"] = torch.stack([image.shape[-1] - x2, y1, image.shape[-1] - x1, y2], 1)
            target |= {name: value.flip(-1) for name, value in target.items() if name == "masks"}
        return image, target

    @staticmethod
    def cropped(sample: Sample, size: tuple[int, int], mirrored: bool) -> tuple[Tensor, Tensor]:
        label_map = sample.target.label_map
        assert label_map is not None, "a segmenter learns label maps"
        image = normalised(sample.image)
        top, left = (
            int(torch.randint(0, side - part + 1, ())) for side, part in zip(label_map.shape, size, strict=True)
        )
        image, label_map = (value[..., top : top + size[0], left : left + size[1]] for value in (image, label_map))
        return (image.flip(-1), label_map.flip(-1)) if mirrored else (image, label_map)


def normalised(image: Tensor) -> Tensor:
    scaled: Tensor = transforms.normalize(image / 255, list(MEAN), list(STD))
    return scaled


def batches(data: Dataset, size: int, crop: tuple[int, int] | None) -> DataLoader[Any]:
    collate = None if crop else lambda pairs: tuple(zip(*pairs, strict=True))
    return DataLoader(
        Pictures(data, crop), size, shuffle=True, num_workers=1, drop_last=len(data) >= size, collate_fn=collate
    )


def learn(
    loader: Iterable[Any],
    loss: Callable[..., Tensor],
    optimizer: torch.optim.Optimizer,
    minutes: float,
    *,
    warmup: int = 50,
    clip: float | None = None,
    precision: str = "fp32",
) -> int:
    """Take steps for so many minutes, and count them; the rate rises for `warmup` steps, and falls by a cosine."""
    groups = optimizer.param_groups
    highest = [group["lr"] for group in groups]
    begin, steps, progress = time.perf_counter(), 0, 0.0
    while progress < 1:
        for images, targets in loader:
            progress = (time.perf_counter() - begin) / (60 * minutes)
            if progress >= 1:
                break
            share = 0.5 * (1 + math.cos(math.pi * progress)) * min(1.0, (steps + 1) / max(1, warmup))
            for group, rate in zip(groups, highest, strict=True):
                group["lr"] = rate * share
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                value = loss(images, targets)
            optimizer.zero_grad()
            value.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_([weight for group in groups for weight in group["params"]], clip)
            optimizer.step()
            steps += 1
    return steps


def train_detector(
    model: nn.Module, data: Dataset, minutes: float, precision: str, *, rate: float = 0.01, batch_size: int = 4
) -> int:
    """Train by SGD with momentum, as torchvision's references do, and count the pictures."""
    weights = [weight for weight in model.train().parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=rate, momentum=0.9, weight_decay=1e-4)

    def loss(images: Sequence[Tensor], targets: Sequence[dict[str, Tensor]]) -> Tensor:
        return torch.stack([value.float() for value in model(list(images), list(targets)).values()]).sum()

    loader = batches(data, batch_size, None)
    return batch_size * learn(loader, loss, optimizer, minutes, clip=10.0, precision=precision)


def train_dense(
    model: nn.Module,
    data: Dataset,
    minutes: float,
    precision: str,
    *,
    crop: tuple[int, int],
    rate: float = 1e-3,
    batch_size: int = 8,
) -> int:
    """Train by AdamW on crops, and count the pictures."""
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=rate)

    def loss(images: Tensor, label_maps: Tensor) -> Tensor:
        return F.cross_entropy(model(images).float(), label_maps, ignore_index=255)

    return batch_size * learn(batches(data, batch_size, crop), loss, optimizer, minutes, precision=precision)


def detector(model: nn.Module) -> Infer:
    """Find objects in an original picture by torchvision's own transform, which resizes floats."""

    @torch.inference_mode()
    def infer(sample: Sample) -> Detections:
        (found,) = model.eval()([sample.image / 255])
        size = sample.target.image_size
        return Detections(
            image_size=size,
            boxes=clip_boxes_to_image(found["boxes"], size),
            labels=found["labels"] - 1,
            scores=found["scores"],
            rles=encode_rle(found["masks"][:, 0] > 0.5) if "masks" in found else None,
        )

    return infer


def segmenter(model: nn.Module) -> Infer:
    """Classify the pixels of an original picture, padded to a multiple of 32 for the network."""

    @torch.inference_mode()
    def infer(sample: Sample) -> LabelMap:
        height, width = sample.target.image_size
        padded = F.pad(normalised(sample.image)[None], (0, -width % 32, 0, -height % 32))
        return LabelMap(label_map=model.eval()(padded)[0, :, :height, :width].argmax(0))

    return infer


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
