"""The hybrid encoder: attention among the places of the coarsest level alone, then convolutions across levels.

    stride 32 ─► 1x1 ─► attention ─► 1x1 ─┬────────────────────────► fuse ─► level
    stride 16 ─► 1x1 ───────► fuse ◄── x2 ┘──► 1x1 ─┬──► fuse ─► level ─► :2 ─┘
    stride  8 ─► 1x1 ──────────────► fuse ◄───── x2 ┘─► level ─► :2 ─┘

Zhao et al. 2024, "DETRs beat YOLOs on real-time object detection", section 4.2: AIFI, then CCFM.
B  pictures    D  width
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.models.queries.positions import sine_grid
from delineate.models.queries.transformer import EncoderLayer

Fusion = Literal["csp", "elan"]


class Fusing(NamedTuple):
    """A way of fusing levels makes a layer before a level grows, one that fuses two levels, and one that shrinks."""

    before: Callable[[], nn.Module]
    fuse: Callable[[], nn.Module]
    shrink: Callable[[], nn.Module]


class HybridEncoder(nn.Module):
    """Levels of a backbone, fine to coarse, become as many levels of one width.

    `project` has a layer for each level, `attend` looks at the coarsest. Of the layers from level to level, `before`
    and `fuse_down` begin at the coarsest, `shrink` and `fuse_up` at the finest.
    """

    def __init__(self, *, project: Sequence[nn.Module], attend: EncoderLayer, fusing: Fusing) -> None:
        super().__init__()
        steps = range(len(project) - 1)
        self.project, self.attend = nn.ModuleList(project), attend
        self.before, self.fuse_down, self.shrink, self.fuse_up = (
            nn.ModuleList(make() for _ in steps) for make in (fusing.before, fusing.fuse, fusing.shrink, fusing.fuse)
        )

    def forward(self, levels: Sequence[Float[Tensor, "b _c _h _w"]]) -> list[Float[Tensor, "b d _h _w"]]:
        *finer, coarsest = (layer(level) for layer, level in zip(self.project, levels, strict=True))
        down = [self._attended(coarsest)]
        for before, fuse, level in zip(self.before, self.fuse_down, reversed(finer), strict=True):
            down[0] = before(down[0])
            grown = F.interpolate(down[0], size=level.shape[-2:], mode="nearest")
            down.insert(0, fuse(torch.cat([grown, level], 1)))
        up = [down[0]]
        for shrink, fuse, level in zip(self.shrink, self.fuse_up, down[1:], strict=True):
            up.append(fuse(torch.cat([shrink(up[-1]), level], 1)))
        return up

    def _attended(self, level: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        places = sine_grid((level.shape[-2], level.shape[-1]), level.shape[1]).to(level)
        attended: Tensor = self.attend(level.flatten(2).transpose(1, 2), places[None])
        return attended.transpose(1, 2).view_as(level)


def hybrid_encoder(
    channels: Sequence[int], width: int, attend: EncoderLayer, *, fusion: Fusion, inner_width: int, depth: int
) -> HybridEncoder:
    """Build the encoder over levels of these channels; a fusion has `depth` blocks of `inner_width` in a row."""
    if fusion == "csp":
        fusing = Fusing(
            before=lambda: conv_norm(width, width, activation=nn.SiLU),
            fuse=lambda: CSP(2 * width, width, inner_width, depth),
            shrink=lambda: conv_norm(width, width, 3, stride=2, activation=nn.SiLU),
        )
    else:
        fusing = Fusing(
            before=lambda: conv_norm(width, width),
            fuse=lambda: ELAN(width, inner_width, depth),
            shrink=lambda: nn.Sequential(conv_norm(width, width), conv_norm(width, width, 3, stride=2, groups=width)),
        )
    return HybridEncoder(project=[conv_norm(count, width) for count in channels], attend=attend, fusing=fusing)


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 1,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: Callable[[], nn.Module] | None = None,
) -> nn.Sequential:
    """Build a padded convolution and batch normalisation, and what is to follow them."""
    conv = nn.Conv2d(
        in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, groups=groups, bias=False
    )
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), *([] if activation is None else [activation()]))


class RepBlock(nn.Module):
    """A 3x3 and a 1x1 convolution are added up (Ding et al. 2021, RepVGG)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.wide, self.narrow = conv_norm(channels, channels, 3), conv_norm(channels, channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return F.silu(self.wide(x) + self.narrow(x))


class CSP(nn.Module):
    """One of two branches passes `depth` blocks; both are added up (RT-DETR, section 4.2)."""

    def __init__(self, in_channels: int, out_channels: int, inner: int, depth: int) -> None:
        super().__init__()
        self.long, self.short = (conv_norm(in_channels, inner, activation=nn.SiLU) for _ in range(2))
        self.blocks = nn.Sequential(*(RepBlock(inner) for _ in range(depth)))
        same = inner == out_channels
        self.out: nn.Module = nn.Identity() if same else conv_norm(inner, out_channels, activation=nn.SiLU)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        out: Tensor = self.out(self.blocks(self.long(x)) + self.short(x))
        return out


class ELAN(nn.Module):
    """Two CSPs follow each other, and what is before and behind each is joined (Wang et al. 2024, YOLOv9, GELAN)."""

    def __init__(self, width: int, inner: int, depth: int) -> None:
        super().__init__()
        self.split = conv_norm(2 * width, 2 * width, activation=nn.SiLU)
        self.steps = nn.ModuleList(
            nn.Sequential(CSP(channels, inner, inner, depth), conv_norm(inner, inner, 3, activation=nn.SiLU))
            for channels in (width, inner)
        )
        self.join = conv_norm(2 * width + 2 * inner, width, activation=nn.SiLU)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        parts = list(self.split(x).chunk(2, 1))
        for step in self.steps:
            parts.append(step(parts[-1]))
        joined: Tensor = self.join(torch.cat(parts, 1))
        return joined
