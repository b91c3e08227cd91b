"""FCN: Long, Shelhamer, Darrell 2015, "Fully convolutional networks for semantic segmentation".

    stride 32   score ─► x2 ─┐
    stride 16          score + ─► x2 ─┐          FCN-32s enlarges the first sum 32 times, FCN-16s the second 16 times,
    stride  8                   score + ─► x8    FCN-8s the third 8 times

Where it deviates: convolutions are padded, where the paper pads the picture by 100 and crops (the same filters; grid
and borders differ). The final upsampling is learned, and all stages at once, not 32s, then 16s, then 8s: the field's
later practice. The loss is the mean over pixels, not their sum; the skips begin at zero, as in the paper, and the
coarsest scores at random. Any `timm` backbone can take VGG-16's place; ResNet-18, the default, trains from scratch in
minutes on a laptop. With a VGG, fc6 and fc7 come along as convolutions, as in the paper.
"""

from collections.abc import Mapping
from typing import Annotated, TypedDict, Unpack

from jaxtyping import Float
from torch import Tensor, nn

from delineate.models.naming import Named
from delineate.models.options import Default, filled
from delineate.models.segmentation.encoders import VGG16_DEPTHS, VGG16_WIDTHS, dense_encoder
from delineate.models.segmentation.options import BackboneName, Dice, Downsampling, Upsampling
from delineate.models.segmentation.segmenter import Segmenter
from delineate.models.segmentation.upsamplers import make_upsampler
from delineate.nn.backbones import Backbone
from delineate.nn.blocks import num_cells
from delineate.values import InputError


class FCN(nn.Module):
    """Pictures `(B, 3, H, W)` become logits `(B, num_classes, H, W)`, of any size.

    Raises `InputError` when the encoder has no level at one of the strides 32, 16 and 8 down to `finest_stride`.
    """

    def __init__(self, *, encoder: Backbone, finest_stride: int, upsampler: Upsampling, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.strides = [stride for stride in (32, 16, 8) if stride >= finest_stride]
        channels = dict(zip(encoder.strides, encoder.channels, strict=True))
        for stride in self.strides:
            if stride not in channels:
                raise InputError(f"backbone: FCN needs a map at stride {stride}; this one has {list(channels)}")
        self.scores = nn.ModuleList(nn.Conv2d(channels[stride], num_classes, 1) for stride in self.strides)
        factors = [2] * (len(self.strides) - 1) + [finest_stride]
        self.ups = nn.ModuleList(
            ScoreUpsampling(upsampler, num_classes, stride, factor, encoder.index_channels)
            for stride, factor in zip(self.strides, factors, strict=True)
        )
        for score in self.scores[1:]:
            # a skip starts at zero, so that FCN-16s begins as the FCN-32s it may be trained from (section 4.2)
            for parameter in score.parameters():
                nn.init.zeros_(parameter)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h w"]:
        features = self.encoder(images)
        levels = dict(zip(self.encoder.strides, features.levels, strict=True))
        scores = [score(levels[stride]) for score, stride in zip(self.scores, self.strides, strict=True)]
        x: Tensor = scores[0]
        for up, finer in zip(self.ups, [*scores[1:], images], strict=True):
            x = up(x, images.shape[-2:], features.indices)
            if finer is not images:
                x = x + finer
        return x

    def named_layers(self, num_classes: int) -> dict[str, Named]:
        """The scores are of classes, and so is what goes into the upsamplers' layers and comes out of them.

        Max unpooling alone has other channels, between the layer before it and the one after it.
        """
        classes = range(num_classes)
        layers = {f"scores.{number}": Named(classes) for number in range(len(self.scores))}
        for key, module in self.ups.named_modules(prefix="ups"):
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                outputs, inputs = not key.endswith(".before"), not key.endswith(".after")
                layers[key] = Named(classes if outputs else (), classes if inputs else ())
        return layers


class ScoreUpsampling(nn.Module):
    """Enlarges a map of scores by `factor`.

    `bed_of_nails` and `max_unpool` leave zeros between the values, and a score of zero says nothing: they double the
    size step by step, with a convolution after each that fills the gaps (as SegNet's decoder does).
    """

    def __init__(
        self, kind: Upsampling, num_classes: int, stride: int, factor: int, index_channels: Mapping[int, int]
    ) -> None:
        super().__init__()
        self.stride = stride
        self.sparse = kind in ("bed_of_nails", "max_unpool")
        self.factors = [2] * (factor.bit_length() - 1) if self.sparse else [factor]
        self.ups, self.fills = nn.ModuleList(), nn.ModuleList()
        for step in self.factors:
            self.ups.append(
                make_upsampler(
                    kind, num_classes, num_classes, stride, index_channels, factor=step, kernel_size=2 * step
                )
            )
            self.fills.append(nn.Conv2d(num_classes, num_classes, 3, padding=1) if self.sparse else nn.Identity())
            stride //= step

    def forward(self, x: Tensor, image_size: tuple[int, int], indices: Mapping[int, Tensor]) -> Tensor:
        stride = self.stride
        for factor, up, fill in zip(self.factors, self.ups, self.fills, strict=True):
            size = tuple(num_cells(side, stride // factor) for side in image_size)
            x = fill(up(x, size, indices.get(stride)))
            stride //= factor
        return x


class FCNOptions(TypedDict, total=False):
    """An FCN has these options."""

    backbone: Annotated[BackboneName, Default("resnet18")]
    upsampler: Annotated[Upsampling, Default("transposed")]
    downsampling: Annotated[Downsampling, Default("max_pool")]
    dice: Annotated[Dice, Default(0.0)]


def fcn32s(*, num_classes: int, **options: Unpack[FCNOptions]) -> Segmenter:
    """Build FCN-32s: scores at stride 32 are enlarged at once; the paper's backbone is `vgg16`."""
    return _fcn(32, num_classes, **filled(FCNOptions, options))


def fcn16s(*, num_classes: int, **options: Unpack[FCNOptions]) -> Segmenter:
    """Build FCN-16s: the scores of stride 16 are added; the paper's backbone is `vgg16`."""
    return _fcn(16, num_classes, **filled(FCNOptions, options))


def fcn8s(*, num_classes: int, **options: Unpack[FCNOptions]) -> Segmenter:
    """Build FCN-8s: the scores of strides 16 and 8 are added; the paper's backbone is `vgg16`."""
    return _fcn(8, num_classes, **filled(FCNOptions, options))


def _fcn(
    finest_stride: int, num_classes: int, backbone: str, upsampler: Upsampling, downsampling: Downsampling, dice: float
) -> Segmenter:
    encoder = dense_encoder(
        backbone, widths=VGG16_WIDTHS, depths=VGG16_DEPTHS, downsampling=downsampling, tap="pool", classifier=True
    )
    network = FCN(encoder=encoder, finest_stride=finest_stride, upsampler=upsampler, num_classes=num_classes)
    named = network.named_layers(num_classes)
    return Segmenter(network=network, num_classes=num_classes, dice_weight=dice, named=named)
