import torch
from tests.models.systems import pictures, system_of
from torch import nn

from delineate.nn.backbones import timm_backbone
from delineate.nn.folding import fold_norms
from delineate.system.system import System


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


def test_a_folded_backbone_is_the_same_function_without_norms() -> None:
    backbone = shaken(timm_backbone("resnet10t"))
    images = torch.randn(2, 3, 64, 96)
    expected = backbone(images).levels
    fold_norms(backbone, lambda: backbone(torch.zeros(1, 3, 64, 64)))
    assert norms_of(backbone) == []
    for level, before in zip(backbone(images).levels, expected, strict=True):
        torch.testing.assert_close(level, before, atol=1e-4, rtol=1e-4)


class Twice(nn.Module):
    """One convolution before two norms, and a norm after what is no convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.first, self.second, self.third = nn.Conv2d(3, 3, 1), *(nn.BatchNorm2d(3) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.third(self.first(self.conv(x)) + self.second(self.conv(x)))


def test_what_runs_twice_or_follows_no_convolution_is_left_as_it_is() -> None:
    module = shaken(Twice())
    fold_norms(module, lambda: module(torch.zeros(1, 3, 4, 4)))
    assert len(norms_of(module)) == 3


def test_a_system_that_is_loaded_for_use_gives_what_the_saved_one_gives(tmp_path) -> None:
    saved = system_of("faster_rcnn")
    shaken(saved.model)
    saved.save(tmp_path / "best.safetensors")
    ready = System.load(tmp_path / "best.safetensors", torch.device("cpu"))
    assert norms_of(ready.model) == []
    image = pictures(1)[0][0]
    (expected,), (result,) = saved.infer([image]), ready.infer([image])
    assert len(expected) == len(result) > 0
    torch.testing.assert_close(result.scores, expected.scores, atol=1e-4, rtol=0)
