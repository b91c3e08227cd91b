from pathlib import Path

import pytest
import torch
from tests.models.systems import pictures, system_of
from torch import nn

from delineate.nn.backbones import timm_backbone
from delineate.nn.folding import fold_backbones
from delineate.system.system import System
from delineate.values import InputError


def norms_of(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]


def shaken(module: nn.Module) -> nn.Module:
    """The module with norms that do something."""
    for norm in norms_of(module):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.2)
        norm.running_mean.normal_(std=0.2)
        norm.running_var.uniform_(0.5, 2.0)
    return module.eval()


@pytest.mark.parametrize("name", ["resnet10t", "vgg11_bn"])
def test_a_folded_backbone_is_the_same_function_without_norms(name: str) -> None:
    model = nn.Sequential(shaken(timm_backbone(name)))
    images = torch.randn(2, 3, 64, 96)
    expected = model(images).levels
    fold_backbones(model)
    assert norms_of(model) == []
    for level, before in zip(model(images).levels, expected, strict=True):
        torch.testing.assert_close(level, before, atol=1e-4, rtol=1e-3)


def test_a_backbone_whose_convolutions_are_looked_at_elsewhere_stays_as_it_is() -> None:
    model = nn.Sequential(shaken(timm_backbone("ghostnet_100")))  # its first level is what its first convolution gives
    num_norms, images = len(norms_of(model)), torch.randn(1, 3, 64, 64)
    expected = model(images).levels
    fold_backbones(model)
    assert len(norms_of(model)) == num_norms > 0
    torch.testing.assert_close(model(images).levels, expected)


def test_a_system_that_is_loaded_for_use_gives_what_the_saved_one_gives(tmp_path: Path) -> None:
    saved = system_of("faster_rcnn")
    shaken(saved.model)
    saved.save(tmp_path / "best.safetensors")
    ready = System.load(tmp_path / "best.safetensors", torch.device("cpu"))
    assert norms_of(ready.model) == []
    image = pictures(1)[0][0]
    (expected,), (result,) = saved.infer([image]), ready.infer([image])
    assert len(expected) == len(result) > 0
    torch.testing.assert_close(result.scores, expected.scores, atol=1e-4, rtol=0)
    with pytest.raises(InputError, match=r"again.safetensors: a system that is loaded for use is not saved"):
        ready.save(tmp_path / "again.safetensors")
