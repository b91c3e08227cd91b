"""VGG (Simonyan & Zisserman 2015) that keeps the indices of its max poolings, and stacks of poolings in general."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import timm
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.nn.backbones.contract import Backbone, Features
from delineate.nn.backbones.timm import create
from delineate.nn.backbones.weights import download
from delineate.values import InputError

Tap = Literal["conv", "pool"]
"""A pooling encoder's levels are taken before each stage's pooling (U-Net) or after it (FCN, SegNet)."""


class VGGBackbone(Backbone):
    """A VGG of `timm` (vgg11 .. vgg19, with or without _bn) keeps the indices of its max poolings.

    Poolings round up, so that every pixel has its place on the way back. With `classifier`, the coarsest level passes
    through fc6 and fc7 as convolutions (Long et al. 2015, FCN, section 3.1), padded to keep its size.
    """

    def __init__(self, name: str, *, tap: Tap, classifier: bool = False) -> None:
        super().__init__()
        if not name.startswith("vgg") or name not in timm.list_models("vgg*"):
            raise InputError(f"backbone: {name} is no VGG; choose one of {', '.join(timm.list_models('vgg*'))}")
        self.name, self.tap = name, tap
        # fc6 and fc7 hold 120 million values: where nothing reads them, fc6 has one output in place of 4,096
        vgg = create(name) if classifier else create(name, num_classes=0, mlp_ratio=1 / 4096)
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
        return self.from_published(download(self.name))

    def from_published(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rename the published `features.N.*` and `pre_logits.*` as this module is named."""
        names = {} if self.classifier is None else {"pre_logits.": "classifier."}
        position = 0
        for block_index, block in enumerate(self.blocks):
            for index in range(len(block)):  # type: ignore[arg-type]
                names[f"features.{position}."] = f"blocks.{block_index}.{index}."
                position += 1
            position += 1  # the pooling
        return {
            new + key.removeprefix(old): value
            for key, value in weights.items()
            for old, new in names.items()
            if key.startswith(old)
        }


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


def _split_at_poolings(features: nn.Sequential) -> list[nn.Sequential]:
    blocks: list[list[nn.Module]] = [[]]
    for module in features:
        if isinstance(module, nn.MaxPool2d):
            blocks.append([])
        else:
            blocks[-1].append(module)
    return [nn.Sequential(*block) for block in blocks if block]
