"""DeepLab: Chen, Papandreou, Schroff, Adam 2017, "Rethinking atrous convolution for semantic image segmentation" (v3).

    backbone whose last stages are dilated ─► ASPP ─► 3x3 ─► 1x1 ─► logits, enlarged                            v3
    stride 4 ─► 1x1 ──────────────────────────────┐
    ASPP ─► 3x3 ─► enlarged ──────────────────────┴─► 3x3 ─► 1x1 ─► logits, enlarged                            v3+
    stride 8 ─► 1x1 ─► scores ────────────────────┐
    last map ─► 1x1, times what the mean says ─► scores, enlarged ─► + ─► logits, enlarged                  LR-ASPP

    ASPP:  1x1, three 3x3 that look 12, 24 and 36 cells apart (half as far at stride 16), and the mean ─► 1x1

Chen, Zhu, Papandreou, Schroff, Adam 2018, "Encoder-decoder with atrous separable convolution" (v3+); Howard et al.
2019, "Searching for MobileNetV3", section 6.4 (LR-ASPP).

Where it deviates: v3 has torchvision's dropout and, with `--auxiliary`, its second head in training (PSPNet's); v3+ has
the rates of segmentation_models_pytorch, 12, 24 and 36 at any stride, and one norm in each of its separable
convolutions, where the authors have two; LR-ASPP gates by the mean of the whole map, as in torchvision, where the paper
averages over large windows, and a MobileNetV3 is dilated as `timm` does it, but for `--torchvision-form`. Maps are
enlarged by whole factors and cropped, where torchvision stretches them to the picture, so that what a picture shows
stays in its place; where its sides are multiples of the stride both are the same. v3+ alone puts the corners of maps
upon each other, as segmentation_models_pytorch, which moves things by up to a quarter of a cell as sizes differ. The
default backbone is ResNet-18.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import Doc

from delineate.models.contract import Inputs
from delineate.models.naming import Named
from delineate.models.segmentation.losses import cross_entropy
from delineate.models.segmentation.options import Dice
from delineate.models.segmentation.segmenter import Segmenter
from delineate.models.segmentation.upsamplers import enlarged
from delineate.nn.backbones import Backbone, timm_backbone
from delineate.nn.blocks import conv_bn_relu
from delineate.values import InputError, Truth

RATES = (12, 24, 36)
"""So many cells apart ASPP looks; v3's are for a map of stride 8, and half of them for one of 16 (section 3.3)."""
WIDTH, LOW_WIDTH, LRASPP_WIDTH = 256, 48, 128
AUXILIARY_WEIGHT = 0.5
DilatedName = Annotated[
    str, Doc("A timm model whose last stages can be dilated: a ResNet, ConvNeXt, EfficientNet, MobileNet or RegNet.")
]
OutputStride = Annotated[Literal[8, 16], Doc("Stride of the map that is looked at; 8 is finer, and slower.")]


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling looks at a map from several distances at once (section 3.3)."""

    def __init__(self, channels: int, width: int, *, rates: Sequence[int], separable: bool) -> None:
        super().__init__()
        look = _separable if separable else _dilated
        dilated = [look(channels, width, rate) for rate in rates]
        self.branches = nn.ModuleList([conv_bn_relu(channels, width, 1), *dilated])
        self.mean = conv_bn_relu(channels, width, 1)
        self.project = nn.Sequential(*conv_bn_relu(5 * width, width, 1), nn.Dropout(0.5))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        mean = self.mean(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[-2:])
        projected: Tensor = self.project(torch.cat([*(branch(x) for branch in self.branches), mean], 1))
        return projected


class DeepLabV3(nn.Module):
    """Pictures `(B, 3, H, W)` become logits `(B, num_classes, H, W)`, of any size."""

    def __init__(self, *, backbone: Backbone, num_classes: int, auxiliary: bool) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Sequential(
            ASPP(
                backbone.channels[-1],
                WIDTH,
                rates=[rate * 8 // backbone.strides[-1] for rate in RATES],
                separable=False,
            ),
            conv_bn_relu(WIDTH, WIDTH),
            nn.Conv2d(WIDTH, num_classes, 1),
        )
        before = backbone.channels[-2]
        self.auxiliary = (
            nn.Sequential(conv_bn_relu(before, before // 4), nn.Dropout(0.1), nn.Conv2d(before // 4, num_classes, 1))
            if auxiliary
            else None
        )

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h w"]:
        stride = self.backbone.strides[-1]
        return enlarged(self.head(self.backbone(images).levels[-1]), stride, images.shape[-2:])

    def with_auxiliary(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, Tensor]:
        """Compute the logits, and those of the auxiliary head on the map before the last."""
        *_, before, x = self.backbone(images).levels
        *_, stride_before, stride = self.backbone.strides
        assert self.auxiliary is not None
        size = images.shape[-2:]
        return enlarged(self.head(x), stride, size), enlarged(self.auxiliary(before), stride_before, size)


class DeepLabV3Plus(nn.Module):
    """Pictures `(B, 3, H, W)` become logits `(B, num_classes, H, W)`, of any size."""

    def __init__(self, *, backbone: Backbone, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.low = _level(backbone, 4)
        self.aspp = nn.Sequential(
            ASPP(backbone.channels[-1], WIDTH, rates=RATES, separable=True), _separable(WIDTH, WIDTH, 1)
        )
        self.squeeze = conv_bn_relu(backbone.channels[self.low], LOW_WIDTH, 1)
        self.fuse = _separable(WIDTH + LOW_WIDTH, WIDTH, 1)
        self.classify = nn.Conv2d(WIDTH, num_classes, 1)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h w"]:
        levels = self.backbone(images).levels
        low = self.squeeze(levels[self.low])
        factor = self.backbone.strides[-1] // 4
        x = enlarged(self.aspp(levels[-1]), factor, low.shape[-2:], align_corners=True)
        logits = self.classify(self.fuse(torch.cat([x, low], 1)))
        return enlarged(logits, 4, images.shape[-2:], align_corners=True)


class LRASPP(nn.Module):
    """Pictures `(B, 3, H, W)` become logits `(B, num_classes, H, W)`, of any size."""

    def __init__(self, *, backbone: Backbone, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.low = _level(backbone, 8)
        channels = backbone.channels[-1]
        self.look = conv_bn_relu(channels, LRASPP_WIDTH, 1)
        self.gate = nn.Sequential(nn.Conv2d(channels, LRASPP_WIDTH, 1, bias=False), nn.Sigmoid())
        self.classify_low = nn.Conv2d(backbone.channels[self.low], num_classes, 1)
        self.classify = nn.Conv2d(LRASPP_WIDTH, num_classes, 1)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h w"]:
        levels = self.backbone(images).levels
        low, x = levels[self.low], levels[-1]
        x = self.look(x) * self.gate(x.mean((2, 3), keepdim=True))
        x = enlarged(x, self.backbone.strides[-1] // 8, low.shape[-2:])
        return enlarged(self.classify_low(low) + self.classify(x), 8, images.shape[-2:])


class AuxiliarySegmenter(Segmenter):
    """A segmenter whose network has a second head, for training alone."""

    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        """Compute the losses of a `Segmenter`, and half the cross-entropy of the auxiliary head."""
        network: DeepLabV3 = self.network  # type: ignore[assignment]
        logits, auxiliary = network.with_auxiliary(inputs.images)
        label_maps = torch.stack([truth.label_map for truth in truths if truth.label_map is not None])
        helping = AUXILIARY_WEIGHT * cross_entropy(auxiliary.float(), label_maps, self.class_weights)
        return {**self.losses(logits.float(), label_maps), "auxiliary": helping}


def deeplabv3(
    *,
    num_classes: int,
    backbone: DilatedName = "resnet18",
    output_stride: OutputStride = 16,
    auxiliary: Annotated[bool, Doc("Train with a second head, on the map before the last.")] = False,
    dice: Dice = 0.0,
) -> Segmenter:
    """Build DeepLabV3; torchvision's is `--backbone resnet50 --output-stride 8 --auxiliary`."""
    body = timm_backbone(backbone, output_stride=output_stride)
    network = DeepLabV3(backbone=body, num_classes=num_classes, auxiliary=auxiliary)
    classes = Named(range(num_classes))
    named = {"head.2": classes} | ({"auxiliary.2": classes} if auxiliary else {})
    made = AuxiliarySegmenter if auxiliary else Segmenter
    return made(network=network, num_classes=num_classes, dice_weight=dice, named=named)


def deeplabv3plus(
    *, num_classes: int, backbone: DilatedName = "resnet18", output_stride: OutputStride = 16, dice: Dice = 0.0
) -> Segmenter:
    """Build DeepLabV3+, which adds to DeepLabV3 a decoder that sees the map of stride 4."""
    body = timm_backbone(backbone, output_stride=output_stride)
    network = DeepLabV3Plus(backbone=body, num_classes=num_classes)
    return Segmenter(network=network, num_classes=num_classes, dice_weight=dice)


def lraspp(
    *,
    num_classes: int,
    backbone: DilatedName = "mobilenetv3_large_100",
    torchvision_form: Annotated[
        bool,
        Doc(
            "The form of torchvision's weights: stride 8 is seen after the first block of its stage, and one more "
            "convolution is dilated. It takes no ImageNet weights."
        ),
    ] = False,
    dice: Dice = 0.0,
) -> Segmenter:
    """Build LR-ASPP, the lightest of them, for a MobileNetV3; torchvision's is `--torchvision-form`."""
    body = timm_backbone(backbone, output_stride=16)
    if torchvision_form:
        _as_torchvision(body, _level(body, 8))
    network = LRASPP(backbone=body, num_classes=num_classes)
    classes = Named(range(num_classes))
    named = {"classify_low": classes, "classify": classes}
    return Segmenter(network=network, num_classes=num_classes, dice_weight=dice, named=named)


def _level(backbone: Backbone, stride: int) -> int:
    """Find the last map of a stride that is not dilated; raises `InputError` where there is none."""
    if stride not in backbone.strides[:-1]:
        raise InputError(f"backbone: needs a map at stride {stride}; {backbone.name} has {list(backbone.strides)}")
    return backbone.strides.index(stride)


def _as_torchvision(backbone: Backbone, level: int) -> None:
    """End a level with the first block of its stage, and dilate the convolution that lost its stride, too."""
    body: Any = backbone.body
    container, _, at = body.feature_info.module_name()[level].partition(".")
    if container != "blocks":
        raise InputError(f"torchvision_form: it is one of MobileNets, and not of {backbone.name}; leave it out")
    place = int(at)
    first, *others = body.blocks[place]
    body.blocks[place] = nn.Sequential(first)
    body.blocks[place + 1] = nn.Sequential(*others, *body.blocks[place + 1])
    convs = [module for module in body.modules() if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1)]
    dilated = next(number for number, conv in enumerate(convs) if conv.dilation != (1, 1))
    lost = convs[dilated - 1]
    lost.dilation = convs[dilated].dilation
    lost.padding = tuple(step * (side // 2) for step, side in zip(lost.dilation, lost.kernel_size, strict=True))


def _dilated(channels: int, width: int, rate: int) -> nn.Sequential:
    conv = nn.Conv2d(channels, width, 3, padding=rate, dilation=rate, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True))


def _separable(channels: int, width: int, rate: int) -> nn.Sequential:
    """Build a convolution of each channel by itself, and one across channels (v3+, section 3.1)."""
    each = nn.Conv2d(channels, channels, 3, padding=rate, dilation=rate, groups=channels, bias=False)
    return nn.Sequential(each, *conv_bn_relu(channels, width, 1))
