"""DeepLabV3 equals torchvision's at the same weights: logits and losses, the second head's included."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.segmentation import deeplabv3_resnet50, lraspp_mobilenet_v3_large
from torchvision.models.segmentation.lraspp import LRASPPHead

from delineate.models.contract import Inputs
from delineate.models.segmentation.deeplab import LRASPP, LRASPP_WIDTH, DeepLabV3Plus, deeplabv3, lraspp
from delineate.nn.backbones import timm_backbone
from delineate.system.importers.torchvision import import_torchvision
from delineate.system.system import System
from delineate.values import IGNORE, InputError, LabelMap, Target, truths_of

NUM_CLASSES = 5
SIZE = (65, 90)
WHOLE = (64, 96)
"""Of whole cells: to other pictures torchvision stretches its maps, where ours are cropped."""


@pytest.fixture(scope="module", params=["auxiliary", "alone", "lraspp"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, System]:
    torch.manual_seed(0)
    options = {"weights": None, "weights_backbone": None, "num_classes": NUM_CLASSES}
    if request.param == "lraspp":
        name, theirs = "lraspp_mobilenet_v3_large", lraspp_mobilenet_v3_large(**options).eval()
    else:
        name, theirs = "deeplabv3_resnet50", deeplabv3_resnet50(**options, aux_loss=request.param == "auxiliary").eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    file = tmp_path_factory.mktemp("weights") / "theirs.pth"
    torch.save(theirs.state_dict(), file)
    return theirs, import_torchvision(name, file)


def test_logits_and_losses_equal(pair: tuple[Any, System]) -> None:
    theirs, system = pair
    images = torch.randn(2, 3, *WHOLE)
    label_maps = torch.randint(0, NUM_CLASSES, (2, *WHOLE))
    label_maps[:, :9] = IGNORE
    with torch.no_grad():
        expected = theirs(images)
        assert expected["out"].std() > 0.01, "what is equal says something"
        torch.testing.assert_close(system.model(images).logits, expected["out"], atol=1e-4, rtol=1e-4)
    targets = [Target(image_size=WHOLE, label_map=own, categories=system.categories) for own in label_maps]
    losses = system.model.loss(Inputs(images), truths_of(targets))
    wanted = [F.cross_entropy(logits, label_maps, ignore_index=IGNORE) for logits in expected.values()]
    torch.testing.assert_close(losses["cross_entropy"], wanted[0], atol=1e-4, rtol=1e-4)
    assert ("auxiliary" in losses) == (len(wanted) == 2)
    if "auxiliary" in losses:
        torch.testing.assert_close(losses["auxiliary"], 0.5 * wanted[1], atol=1e-4, rtol=1e-4)


def test_pictures_of_other_sizes_have_their_maps_enlarged_by_whole_factors(pair: tuple[Any, System]) -> None:
    theirs, system = pair
    images = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        maps, head = theirs.backbone(images), theirs.classifier
        if isinstance(head, LRASPPHead):
            low, high = maps["low"], head.cbr(maps["high"]) * head.scale(maps["high"])
            high = F.interpolate(high, scale_factor=2, mode="bilinear")[..., : low.shape[-2], : low.shape[-1]]
            logits = head.low_classifier(low) + head.high_classifier(high)
        else:
            logits = head(maps["out"])
        expected = F.interpolate(logits, scale_factor=8, mode="bilinear")[..., : SIZE[0], : SIZE[1]]
        torch.testing.assert_close(system.model(images).logits, expected, atol=1e-4, rtol=1e-4)


def test_what_is_imported_names_the_values_of_label_maps(pair: tuple[Any, System], tmp_path: Path) -> None:
    _, system = pair
    assert system.categories.label_map_names == tuple(f"class_{number}" for number in range(1, NUM_CLASSES + 1))
    system.save(tmp_path / "best.safetensors")
    (result,) = System.load(tmp_path / "best.safetensors").infer([torch.zeros(3, *SIZE, dtype=torch.uint8)])
    assert isinstance(result, LabelMap)
    assert result.label_map.shape == SIZE


@pytest.mark.parametrize(
    ("make", "theirs", "ours"),
    [
        (deeplabv3_resnet50, "classifier.4", "head.2"),
        (lraspp_mobilenet_v3_large, "classifier.low_classifier", "classify_low"),
        (lraspp_mobilenet_v3_large, "classifier.high_classifier", "classify"),
    ],
)
def test_background_of_the_published_names_is_the_last(make: Any, theirs: str, ours: str, tmp_path: Path) -> None:
    weights = make(weights=None, weights_backbone=None, num_classes=21).state_dict()
    torch.save(weights, tmp_path / "voc.pth")
    system = import_torchvision(make.__name__, tmp_path / "voc.pth")
    names = system.categories.label_map_names
    assert (names[0], names[-1], len(names)) == ("aeroplane", "background", 21)
    assert torch.equal(system.model.state_dict()[f"network.{ours}.bias"], weights[f"{theirs}.bias"].roll(-1))


def test_weights_of_another_network_do_not_fit_lraspp(tmp_path: Path) -> None:
    weights = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3).state_dict()
    torch.save({key: value for key, value in weights.items() if not key.startswith("backbone.16.")}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"does not fit lraspp_mobilenet_v3_large .*backbone\.16\.0\.weight"):
        import_torchvision("lraspp_mobilenet_v3_large", tmp_path / "a.pth")


def test_torchvisions_form_is_one_of_mobilenets() -> None:
    bodies: list[Any] = [
        lraspp(num_classes=2, torchvision_form=form).network.get_submodule("backbone.body") for form in (False, True)
    ]
    depths = [[len(stage) for stage in body.blocks] for body in bodies]
    assert depths == [[1, 2, 3, 4, 2, 3, 1], [1, 2, 1, 6, 2, 3, 1]]
    assert [block.conv_dw.dilation for block in bodies[1].blocks[5]] == [(2, 2)] * 3
    with pytest.raises(InputError, match=r"^torchvision_form: it is one of MobileNets, and not of resnet10t"):
        lraspp(num_classes=2, backbone="resnet10t", torchvision_form=True)


@pytest.mark.parametrize(("output_stride", "rates"), [(8, [12, 24, 36]), (16, [6, 12, 18])])
def test_rates_follow_the_stride(output_stride: Any, rates: list[int]) -> None:
    model = deeplabv3(num_classes=2, backbone="resnet10t", output_stride=output_stride)
    assert [branch[0].dilation[0] for branch in model.network.head[0].branches[1:]] == rates  # type: ignore[index]


@pytest.mark.parametrize("network", [DeepLabV3Plus, LRASPP])
def test_a_backbone_without_the_finer_map_is_refused(network: Any) -> None:
    backbone = timm_backbone("resnet10t")
    backbone.strides = (2, 16, 16, 16, 16)
    with pytest.raises(InputError, match=r"^backbone: needs a map at stride [48]; resnet10t has \[2, 16, 16, 16, 16\]"):
        network(backbone=backbone, num_classes=2)


def test_lraspp_equals_torchvisions_head() -> None:
    torch.manual_seed(0)
    backbone = timm_backbone("mobilenetv3_small_050", output_stride=16)
    ours = LRASPP(backbone=backbone, num_classes=NUM_CLASSES).eval()
    theirs = LRASPPHead(backbone.channels[ours.low], backbone.channels[-1], NUM_CLASSES, LRASPP_WIDTH).eval()
    norm = theirs.cbr[1]
    nn.init.uniform_(norm.running_mean, -0.2, 0.2)
    nn.init.uniform_(norm.running_var, 0.5, 1.5)
    parts = [(theirs.cbr[0], ours.look[0]), (norm, ours.look[1]), (theirs.scale[1], ours.gate[0])]
    parts += [(theirs.low_classifier, ours.classify_low), (theirs.high_classifier, ours.classify)]
    for source, target in parts:
        target.load_state_dict(source.state_dict())
    images = torch.randn(2, 3, *WHOLE)
    with torch.no_grad():
        levels = backbone.eval()(images).levels
        logits = theirs({"low": levels[ours.low], "high": levels[-1]})
        expected = F.interpolate(logits, size=WHOLE, mode="bilinear", align_corners=False)
        torch.testing.assert_close(ours(images), expected, atol=1e-4, rtol=1e-4)
