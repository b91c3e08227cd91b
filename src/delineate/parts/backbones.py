"""Backbones: pictures in, feature maps at declared channels and strides out.

B        pictures in a batch
levels   the feature maps, fine to coarse; level i is (B, channels[i], ceil(H / strides[i]), ceil(W / strides[i]))
indices  stride after a max pooling -> for each pooled value, where in the map before it came from
"""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import safetensors.torch
import timm
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.structures import InputError

Tap = Literal["conv", "pool"]
"""Where a pooling encoder's levels are taken: before each stage's pooling (U-Net) or after it (FCN, SegNet)."""


class Features(NamedTuple):
    """What a backbone makes of a batch."""

    levels: tuple[Tensor, ...]
    indices: dict[int, Tensor]


class Backbone(nn.Module, ABC):
    """Pictures `(B, 3, H, W)` to feature maps, whose channels and strides it declares.

    `index_channels` names, for every stride that is reached by a max pooling with indices, the channels of those
    indices; it is empty for a backbone that keeps none.
    """

    name: str
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    index_channels: dict[int, int]
    frozen: tuple[nn.Module, ...] = ()

    @abstractmethod
    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Features: ...

    @abstractmethod
    def stages(self) -> list[nn.Module]:
        """The modules in order, grouped by the level that they end in."""

    @abstractmethod
    def imagenet_weights(self) -> dict[str, Tensor]:
        """The state dict of the same backbone trained on ImageNet; this downloads.

        Raises `InputError` when there are none or they cannot be fetched.
        """

    def imagenet_statistics(self) -> dict[str, Any]:
        """The `mean` and `std` that pictures were normalised by for those weights, as `Preprocess` takes them."""
        published = timm.get_pretrained_cfg(self.name)
        return {"mean": published.mean, "std": published.std} if published else {}

    def freeze_until(self, stage: int) -> None:
        """Stop the training of stages `0..stage`, their batch statistics included.

        Raises `InputError` when there is no such stage.
        """
        stages = self.stages()
        if len(stages) != len(self.strides):
            raise InputError(f"freeze_until: the stages of {self.name} cannot be told apart; leave it out")
        if not 0 <= stage < len(stages):
            raise InputError(f"freeze_until: {stage} is no stage of this backbone; choose 0..{len(stages) - 1}")
        self.frozen = (*self.frozen, *stages[: stage + 1])
        for module in self.frozen:
            module.requires_grad_(False)
        self.train(self.training)

    def freeze_norms(self) -> None:
        """Stop the training of all batch norms, their statistics included."""
        norms = [module for module in self.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        for norm in norms:
            norm.requires_grad_(False)
        self.frozen = (*self.frozen, *norms)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Backbone":
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self


class TimmBackbone(Backbone):
    """Any `timm` model that gives feature maps of pictures of any size.

    One that rounds sizes down would lose the last pixels: its pictures are padded to a multiple of the coarsest stride.
    With `deepest_stride` the model ends at the last level of at most that stride. Raises `InputError` for an unknown
    name (with the nearest ones), and for a model without such feature maps.
    """

    def __init__(self, name: str, *, deepest_stride: int | None = None) -> None:
        super().__init__()
        self.name = name
        self.body: Any = _create(name, features_only=True)
        if deepest_stride is not None:
            info = self.body.feature_info
            levels = zip(info.out_indices, info.reduction(), strict=True)
            kept = [index for index, stride in levels if stride <= deepest_stride]
            if not kept:
                raise InputError(f"backbone: timm's {name} has no map of stride {deepest_stride} or finer")
            self.body = _create(name, features_only=True, out_indices=kept)
            _end_at(self.body, self.body.feature_info.module_name()[-1])
        self.channels = tuple(self.body.feature_info.channels())
        self.strides = tuple(self.body.feature_info.reduction())
        self.index_channels = {}
        if any(stride & (stride - 1) for stride in self.strides):
            raise InputError(f"backbone: timm's {name} has strides {self.strides}, not powers of 2; choose another")
        self.rounds_up = self._find_rounding()

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Features:
        height, width = images.shape[-2:]
        if not self.rounds_up:
            coarsest = self.strides[-1]
            images = F.pad(images, (0, -width % coarsest, 0, -height % coarsest))
        sizes = [(-(-height // stride), -(-width // stride)) for stride in self.strides]
        return Features(tuple(level[..., :h, :w] for level, (h, w) in zip(self.body(images), sizes, strict=True)), {})

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
        weights = _download(self.name, features_only=True, out_indices=self.body.feature_info.out_indices)
        return {f"body.{key}": value for key, value in weights.items()}

    def _find_rounding(self) -> bool:
        """Whether a picture one pixel too large gets maps one pixel larger; one that cannot take it is padded, too."""
        coarsest = self.strides[-1]
        try:
            sizes = self._sizes(coarsest + 1)
            return sizes == [-(-(coarsest + 1) // stride) for stride in self.strides]
        except (RuntimeError, AssertionError):
            pass
        try:
            fits = self._sizes(2 * coarsest) == [2 * coarsest // stride for stride in self.strides]
        except (RuntimeError, AssertionError):
            fits = False
        if not fits:
            raise InputError(f"backbone: timm's {self.name} cannot take every picture size; choose another")
        return False

    @torch.no_grad()
    def _sizes(self, side: int) -> list[int]:
        """The sides of the maps of a square picture."""
        levels = self.body.eval()(torch.zeros(1, 3, side, side))
        self.body.train()
        if any(level.shape[1] != width for level, width in zip(levels, self.channels, strict=True)):
            raise InputError(f"backbone: timm's {self.name} gives no (B, C, H, W) maps; choose another")
        return [level.shape[-1] for level in levels]


class VGGBackbone(Backbone):
    """A VGG of `timm` (vgg11 .. vgg19, with or without _bn) that keeps the indices of its max poolings.

    Poolings round up, so that every pixel has its place on the way back. With `classifier`, the coarsest level passes
    through fc6 and fc7 as convolutions (Long et al. 2015, FCN, section 3.1), padded to keep its size.
    """

    def __init__(self, name: str, *, tap: Tap, classifier: bool = False) -> None:
        super().__init__()
        if not name.startswith("vgg") or name not in timm.list_models("vgg*"):
            raise InputError(f"backbone: {name} is no VGG; choose one of {', '.join(timm.list_models('vgg*'))}")
        self.name, self.tap = name, tap
        vgg = _create(name)
        self.blocks = nn.ModuleList(_split_at_poolings(vgg.features))
        widths = [block[-3 if name.endswith("_bn") else -2].out_channels for block in self.blocks]  # type: ignore[index]
        self.depths = tuple(sum(isinstance(module, nn.Conv2d) for module in block.modules()) for block in self.blocks)
        self.classifier: Any = vgg.pre_logits if classifier else None
        if self.classifier is not None:
            self.classifier.fc1.padding = (3, 3)
            self.classifier.input_kernel_size = 1  # else timm enlarges maps that are smaller than the kernel
            self.classifier.drop.p = 0.5  # section 4.3: dropout as in the classifiers
        self.channels = (*widths[:-1], vgg.pre_logits.fc2.out_channels if classifier else widths[-1])
        self.strides = tuple(2 ** (i + (tap == "pool")) for i in range(len(widths)))
        self.index_channels = {2 ** (i + 1): width for i, width in enumerate(widths[: None if tap == "pool" else -1])}

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Features:
        levels, indices = pool_between(images, list(self.blocks), tap=self.tap)
        if self.classifier is not None:
            levels = (*levels[:-1], self.classifier(levels[-1]))
        return Features(levels, indices)

    def stages(self) -> list[nn.Module]:
        return list(self.blocks)

    def imagenet_weights(self) -> dict[str, Tensor]:
        return self.from_published(_download(self.name))

    def from_published(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """The published state dict, `features.N.*` and `pre_logits.*`, under the names of this module."""
        names, position = {}, 0
        for block_index, block in enumerate(self.blocks):
            for index in range(len(block)):  # type: ignore[arg-type]
                names[f"features.{position}."] = f"blocks.{block_index}.{index}."
                position += 1
            position += 1  # the pooling
        if self.classifier is not None:
            names["pre_logits."] = "classifier."
        renamed = {}
        for key, value in weights.items():
            for old, new in names.items():
                if key.startswith(old):
                    renamed[new + key.removeprefix(old)] = value
        return renamed


def pool_between(
    x: Tensor, blocks: Sequence[Callable[[Tensor], Tensor]], *, tap: Tap
) -> tuple[tuple[Tensor, ...], dict[int, Tensor]]:
    """Run blocks with a 2x2 max pooling after each (`tap="pool"`) or between them (`"conv"`); levels and indices."""
    levels, indices = [], {}
    for i, block in enumerate(blocks):
        x = block(x)
        if tap == "conv":
            levels.append(x)
            if i == len(blocks) - 1:
                break
        x, indices[2 ** (i + 1)] = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
        if tap == "pool":
            levels.append(x)
    return tuple(levels), indices


def timm_backbone(
    name: str, *, tap: Tap = "pool", classifier: bool = False, deepest_stride: int | None = None
) -> Backbone:
    """The backbone of that `timm` name; a VGG keeps its pooling indices, and with tap `conv` ends at stride 16."""
    if name.startswith("vgg"):
        return VGGBackbone(name, tap="conv" if deepest_stride == 16 else tap, classifier=classifier)
    return TimmBackbone(name, deepest_stride=deepest_stride)


def load_backbone_weights(backbone: Backbone, weights: dict[str, Tensor], source: str) -> None:
    """Put published weights into a backbone: its own names, `timm`'s or torchvision's; a classifier's are passed over.

    Raises `InputError` naming `source` when a weight of the backbone is missing or has another shape.
    """
    own = backbone.state_dict()
    if isinstance(backbone, VGGBackbone):
        weights = {**weights, **backbone.from_published(weights)}
    # timm's feature extractor writes a child `stages.0` as `stages_0`
    flat = {key.replace(".", "_"): value for key, value in weights.items()}
    found = {}
    for key, value in own.items():
        published = weights.get(key, flat.get(key.removeprefix("body.").replace(".", "_")))
        if published is None:
            if key.endswith("num_batches_tracked"):
                found[key] = value
                continue
            raise InputError(f"{source}: no weight '{key.removeprefix('body.')}'; is the file of this backbone?")
        if published.shape != value.shape:
            raise InputError(
                f"{source}: weight '{key}' is {tuple(published.shape)}, the backbone's {tuple(value.shape)}"
            )
        found[key] = published
    backbone.load_state_dict(found)


def read_weights(file: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or .pth file, without running code from it.

    Raises `InputError` naming the file when it is missing or no file of weights.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such file; give a .safetensors or .pth file of weights")
    try:
        if file.suffix == ".safetensors":
            return dict(safetensors.torch.load_file(file))
        weights = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{file}: not a file of weights that can be read without running code from it") from error
    if not isinstance(weights, dict):
        raise InputError(f"{file}: holds a {type(weights).__name__}, not a dictionary of weights")
    weights = weights.get("state_dict", weights)
    return {key: value for key, value in weights.items() if isinstance(value, Tensor)}


def _pieces(body: nn.Module, levels: Sequence[str]) -> Iterator[tuple[str, nn.Module]]:
    """The children of a body in order; one that holds several levels gives its own children in its place."""
    for name, module in body.named_children():
        inner = [level for level in levels if level.startswith(f"{name}.")]
        if inner and all(level.split(".")[1] in dict(module.named_children()) for level in inner):
            yield from ((f"{name}.{key}", child) for key, child in module.named_children())
        else:
            yield name, module


def _end_at(body: nn.Module, level: str) -> None:
    """Remove the blocks behind the last level, which timm's EfficientNets and MobileNets would run in vain."""
    container, _, index = level.partition(".")
    blocks = getattr(body, container, None)
    if isinstance(blocks, nn.Sequential) and index.isdigit():
        del blocks[int(index) + 1 :]


def _create(name: str, **options: Any) -> Any:
    if name not in timm.list_models():
        near = difflib.get_close_matches(name, timm.list_models(), n=4)
        hint = f"; near: {', '.join(near)}" if near else "; `timm.list_models()` lists them"
        raise InputError(f"backbone: '{name}' is no timm model{hint}")
    try:
        return timm.create_model(name, pretrained=False, **options)
    except (RuntimeError, AssertionError, AttributeError) as error:
        raise InputError(f"backbone: timm's {name} gives no feature maps ({error}); choose another") from error


def _download(name: str, **options: Any) -> dict[str, Tensor]:
    try:
        model = timm.create_model(name, pretrained=True, **options)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"pretrained: ImageNet weights of {name} could not be fetched ({reason}); "
            "connect, or give a downloaded file with --backbone-weights"
        ) from error
    weights: dict[str, Tensor] = model.state_dict()
    return weights


def _split_at_poolings(features: nn.Sequential) -> list[nn.Sequential]:
    blocks: list[list[nn.Module]] = [[]]
    for module in features:
        if isinstance(module, nn.MaxPool2d):
            blocks.append([])
        else:
            blocks[-1].append(module)
    return [nn.Sequential(*block) for block in blocks if block]
