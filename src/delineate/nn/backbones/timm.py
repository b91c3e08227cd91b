"""Backbones of `timm` that give feature maps stand behind one interface."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

import timm
import torch
from jaxtyping import Float
from torch import Tensor, nn

from delineate.nn.backbones.contract import Backbone, Features
from delineate.nn.backbones.weights import download
from delineate.nn.blocks import cropped, num_cells, padded_to
from delineate.values import InputError

OUTPUT_STRIDES = (None, 8, 16, 32)
PROJECTED = {"resnet18vd": "resnet18d", "resnet34vd": "resnet34d"}
"""PaddlePaddle's ResNets, which RT-DETR is published with, have a 1x1 convolution in the very first shortcut, too."""


class TimmBackbone(Backbone):
    """A `timm` model gives feature maps of pictures of any size.

    Pictures are padded to a multiple of the coarsest stride for one that rounds sizes down, and would lose the last
    pixels, and for one whose padding follows the size (TensorFlow's "SAME"), so that the same thing would be at another
    place of the maps in a picture of another size.
    With `deepest_stride` the model ends at the last level of at most that stride; with `output_stride` all levels stay,
    and those that would be coarser are dilated instead (Chen et al. 2017, DeepLabv3, section 3.1). Raises `InputError`
    for an unknown name (with the nearest ones), and for a model without such feature maps.
    """

    def __init__(self, name: str, *, deepest_stride: int | None = None, output_stride: int | None = None) -> None:
        super().__init__()
        self.name = name
        options: dict[str, Any] = {"features_only": True}
        if output_stride is not None:
            options["output_stride"] = output_stride
        self.body: Any = create(name, **options)
        if deepest_stride is not None:
            info = self.body.feature_info
            levels = zip(info.out_indices, info.reduction(), strict=True)
            kept = [index for index, stride in levels if stride <= deepest_stride]
            if not kept:
                raise InputError(f"backbone: timm's {name} has no map of stride {deepest_stride} or finer")
            self.body = create(name, out_indices=kept, **options)
            _end_at(self.body, self.body.feature_info.module_name()[-1])
        self.channels = tuple(self.body.feature_info.channels())
        self.strides = tuple(self.body.feature_info.reduction())
        self.index_channels = {}
        if any(stride & (stride - 1) for stride in self.strides):
            raise InputError(f"backbone: timm's {name} has strides {self.strides}, not powers of 2; choose another")
        self.needs_padding = not self._rounds_up() or any(map(_pads_by_size, self.body.modules()))

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Features:
        if not self.needs_padding:
            return Features(tuple(self.body(images)), {})
        height, width = images.shape[-2:]
        levels = self.body(padded_to(images, self.strides[-1]))
        sizes = [(num_cells(height, stride), num_cells(width, stride)) for stride in self.strides]
        return Features(tuple(cropped(level, size) for level, size in zip(levels, sizes, strict=True)), {})

    def stages(self) -> list[nn.Module]:
        names = list(self.body.feature_info.module_name())
        ends = {*names, *(name.replace(".", "_") for name in names)}
        stages, stage = [], nn.ModuleList()
        for name, module in _pieces(self.body, names):
            stage.append(module)
            if name in ends:
                stages.append(stage)
                stage = nn.ModuleList()
        return list[nn.Module](stages)

    def imagenet_weights(self) -> dict[str, Tensor]:
        weights = download(self.name, features_only=True, out_indices=self.body.feature_info.out_indices)
        return {f"body.{key}": value for key, value in weights.items()}

    def _rounds_up(self) -> bool:
        """Tell whether a picture one pixel too large gets maps one pixel larger."""
        side = self.strides[-1] + 1
        sizes = self._sizes(side)
        if sizes is None and self._sizes(2 * (side - 1)) != [2 * (side - 1) // stride for stride in self.strides]:
            raise InputError(f"backbone: timm's {self.name} cannot take every picture size; choose another")
        return sizes == [num_cells(side, stride) for stride in self.strides]

    @torch.no_grad()
    def _sizes(self, side: int) -> list[int] | None:
        """Measure the sides of the maps of a square picture; `None` where the model cannot take it."""
        try:
            levels = self.body.eval()(torch.zeros(1, 3, side, side))
        except (RuntimeError, AssertionError):
            return None
        self.body.train()
        if any(level.shape[1] != width for level, width in zip(levels, self.channels, strict=True)):
            raise InputError(f"backbone: timm's {self.name} gives no (B, C, H, W) maps; choose another")
        return [level.shape[-1] for level in levels]


def project_first_shortcut(backbone: TimmBackbone, name: str) -> None:
    """Give the first block of a ResNet of basic blocks the shortcut that those of `PROJECTED` have."""
    channels = backbone.body.layer1[0].conv1.in_channels
    backbone.body.layer1[0].downsample = nn.Sequential(
        nn.Identity(), nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)
    )
    backbone.name = name


def _pieces(body: nn.Module, levels: Sequence[str]) -> Iterator[tuple[str, nn.Module]]:
    """List the children of a body; one that holds several levels gives its own children in its place."""
    for name, module in body.named_children():
        inner = [level for level in levels if level.startswith(f"{name}.")]
        if inner and all(level.split(".")[1] in dict(module.named_children()) for level in inner):
            yield from ((f"{name}.{key}", child) for key, child in module.named_children())
        else:
            yield name, module


def _pads_by_size(module: nn.Module) -> bool:
    """Tell whether a layer pads its input as the size of that asks, at stride 2 both sides alike only if it is odd."""
    return "Same" in type(module).__name__ and getattr(module, "stride", 1) not in (1, (1, 1), [1, 1])


def _end_at(body: nn.Module, level: str) -> None:
    """Remove the blocks behind the last level, which timm's EfficientNets and MobileNets would run in vain."""
    container, _, index = level.partition(".")
    blocks = getattr(body, container, None)
    if isinstance(blocks, nn.Sequential) and index.isdigit():
        del blocks[int(index) + 1 :]


def create(name: str, **options: Any) -> Any:
    """Make a `timm` model with these options, without published weights.

    Raises `InputError` for an unknown name (with the nearest ones), and for a model that lacks what the options ask.
    """
    if name not in timm.list_models():
        near = difflib.get_close_matches(name, timm.list_models(), n=4)
        hint = f"; near: {', '.join(near)}" if near else "; `timm.list_models()` lists them"
        raise InputError(f"backbone: '{name}' is no timm model{hint}")
    stride = options.get("output_stride")
    try:
        if stride not in OUTPUT_STRIDES:  # some models would take another one, and round it
            raise AttributeError(stride)
        return timm.create_model(name, pretrained=False, **options)
    except (RuntimeError, AssertionError, AttributeError, TypeError) as error:
        if stride is None:
            raise InputError(f"backbone: timm's {name} gives no feature maps ({error}); choose another") from error
        raise InputError(
            f"output_stride: timm's {name} cannot have {stride}; choose 8, 16 or 32 with a ResNet, ConvNeXt, "
            "EfficientNet or RegNet, or leave it out"
        ) from error
