"""D-FINE: Peng et al. 2024, "Redefine regression task of DETRs as fine-grained distribution refinement".

    layer 1 ─► a box, with which all begins ─┐
    layer l ─► logits of steps of each edge, added to those of layer l - 1 ─► mean step ─► the box's edges moved by it

B  pictures    L  layers    Q  queries    N  steps of an edge, 33    M  pairs

Steps are fine near zero and coarse far from it (`W(n)`, section 4.1), in units of the box's sides. The last
layer teaches the others how sure each edge is (section 4.2, GO-LSD).

Where it deviates: as rtdetr.py says.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import box_convert

from delineate.models.queries.decoder import DecoderLayer, Edges, Said
from delineate.models.queries.deformable import Memory
from delineate.models.queries.denoising import EDGE
from delineate.models.queries.selection import MLP, class_layer
from delineate.ops.boxes import paired_iou

NUM_STEPS, FARTHEST, SCALE = 33, 0.5, 4.0
"""An edge moves by 2 x `FARTHEST` x the box's side at most; `SCALE` says how much finer steps are near zero."""
NUM_TOP, QUALITY_WIDTH = 4, 64
LARGEST_PLACE = 10.0
EDGE_WEIGHT, TEACHER_WEIGHT, TEMPERATURE = 0.15, 1.5, 5.0
"""Weights of both losses, and the temperature of the second."""


class Gate(nn.Module):
    """How much stays of what a query was, and how much comes of what it has seen, is learned."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate, self.norm = nn.Linear(2 * width, 2 * width), nn.LayerNorm(width)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, x: Float[Tensor, "b q d"], seen: Float[Tensor, "b q d"]) -> Float[Tensor, "b q d"]:
        stays, comes = self.gate(torch.cat([x, seen], -1)).sigmoid().chunk(2, -1)
        out: Tensor = self.norm(stays * x + comes * seen)
        return out


class Quality(nn.Module):
    """A class is likelier where the edges are sure: their highest probabilities say so."""

    def __init__(self) -> None:
        super().__init__()
        self.judge = MLP(4 * (NUM_TOP + 1), QUALITY_WIDTH, 1).begin_with_zeros()

    def forward(self, edges: Float[Tensor, "b q 4 n"]) -> Float[Tensor, "b q 1"]:
        highest = edges.softmax(-1).topk(NUM_TOP, -1).values
        judged: Tensor = self.judge(torch.cat([highest, highest.mean(-1, keepdim=True)], -1).flatten(-2))
        return judged


class DistributionDecoder(nn.Module):
    """Every layer adds to the logits of how far each edge is; before the first, there is a box and a class, too.

    `steps` and `scale` are those of published weights; what is trained here has those of the paper.
    """

    steps: Tensor
    scale: Tensor

    def __init__(self, layers: Sequence[DecoderLayer], *, width: int, num_classes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.place, self.begin = MLP(4, 2 * width, width), MLP(width, width, width, 4).begin_with_zeros()
        self.classify = nn.ModuleList(class_layer(width, num_classes) for _ in layers)
        self.regress = nn.ModuleList(MLP(width, width, width, 4 * NUM_STEPS).begin_with_zeros() for _ in layers)
        self.quality = nn.ModuleList(Quality() for _ in layers)
        self.register_buffer("steps", step_sizes(FARTHEST, SCALE))
        self.register_buffer("scale", torch.tensor(SCALE))

    def forward(
        self,
        content: Float[Tensor, "b q d"],
        boxes: Float[Tensor, "b q 4"],
        memory: Memory,
        seen: Bool[Tensor, "1 q q"] | None = None,
    ) -> Said:
        """Begin with what queries know, and with the logits of their boxes; `seen` says which query sees which."""
        x, here = content, boxes.detach().sigmoid()
        before, total = torch.zeros_like(x), x.new_zeros(*here.shape, NUM_STEPS, dtype=torch.float32)
        logits, said, edges, begun = [], [], [], here
        for i, layer in enumerate(self.layers):
            places = self.place(here).clamp(-LARGEST_PLACE, LARGEST_PLACE)
            x = layer(x, places, here, memory, seen)
            likely = self.classify[i](x).float()
            if i == 0:
                first = (self.begin(x).float() + here.logit(EDGE)).sigmoid()
                logits.append(likely)
                said.append(first)
                begun = first.detach()
            total = total + self.regress[i](x + before).float().view_as(total)
            box = self.boxes(Edges(total[None], begun))[0]
            logits.append(likely + self.quality[i](total).float())
            said.append(box)
            edges.append(total)
            before, here = x.detach(), box.detach()
        return Said(torch.stack(logits), torch.stack(said), Edges(torch.stack(edges), begun))

    def boxes(self, edges: Edges) -> Float[Tensor, "l b q 4"]:
        """Move the edges of the boxes by the mean step."""
        centre, size = edges.begun.chunk(2, -1)
        left_top, right_bottom = (edges.logits.softmax(-1) @ self.steps).chunk(2, -1)
        low = centre - (0.5 + left_top / self.scale) * size
        high = centre + (0.5 + right_bottom / self.scale) * size
        return torch.cat([(low + high) / 2, high - low], -1)

    def losses(
        self, said: Said, pairs: Int64[Tensor, "2 m"], targets: Float[Tensor, "m 4"], count: int
    ) -> dict[str, Tensor]:
        """Weigh how far the edges of pairs are from their steps, and all edges from those of the last layer.

        Of the layers of `said`, the last have edges. `pairs` are rows among the pictures of all layers, and queries,
        as many of each layer, with a target box for each. Both losses are added up over layers, the first over `count`.
        """
        assert said.edges is not None
        num_layers, num_pictures = said.edges.logits.shape[:2]
        others = len(said.logits) - num_layers
        without = others * (pairs.shape[1] // len(said.logits))
        (layers, queries), targets = pairs[:, without:], targets[without:]
        layers = layers - others * num_pictures
        boxes = said.boxes[others:].flatten(0, 1)[layers, queries].detach().clamp(0, 1)
        fits = paired_iou(*(box_convert(side, "cxcywh", "xyxy") for side in (boxes, targets)))
        begun = said.edges.begun[layers % num_pictures, queries]
        logits = said.edges.logits.flatten(0, 1)[layers, queries]
        off = edge_losses(logits, self.distances(begun, targets), self.steps)
        return {
            "edges": EDGE_WEIGHT * (off * fits[:, None]).sum() / count,
            "teacher": TEACHER_WEIGHT * self._taught(said, layers, queries, fits),
        }

    def distances(self, begun: Float[Tensor, "m 4"], targets: Float[Tensor, "m 4"]) -> Float[Tensor, "m 4"]:
        """Measure how far the edges of boxes have to go to those of their targets, in steps' units."""
        centre, size = begun.chunk(2, -1)
        low, high = box_convert(targets, "cxcywh", "xyxy").chunk(2, -1)
        size = size / self.scale + 1e-16
        return torch.cat([(centre - low) / size, (high - centre) / size], -1) - 0.5 * self.scale

    def _taught(self, said: Said, layers: Tensor, queries: Tensor, fits: Float[Tensor, " m"]) -> Tensor:
        """Compare the edges of each layer with those of the last, which learn nothing by it (section 4.2).

        Queries with an object count by how well their boxes fit, others by how likely the last layer has one there.
        Of each layer both kinds count by the roots of their numbers.
        """
        assert said.edges is not None
        edges = said.edges.logits
        num_layers, num_pictures, num_queries = edges.shape[:3]
        weights = said.logits[-1].detach().sigmoid().amax(-1).repeat(num_layers, 1)
        weights[layers, queries] = fits
        paired = torch.zeros_like(weights).index_put((layers, queries), torch.ones_like(fits))
        teacher = (edges[-1].detach() / TEMPERATURE).softmax(-1)
        student = (edges / TEMPERATURE).log_softmax(-1)
        apart = F.kl_div(student, teacher.expand_as(student), reduction="none").sum(-1) * TEMPERATURE**2
        mean = (apart.flatten(0, 1).mean(-1) * weights).view(num_layers, -1)
        paired = paired.view(num_layers, -1)
        found = paired.sum(1)
        others = num_pictures * num_queries - found
        with_object = (mean * paired).sum(1) / found.clamp(min=1)
        without = (mean * (1 - paired)).sum(1) / others.clamp(min=1)
        shares = found.sqrt(), others.sqrt()
        return ((with_object * shares[0] + without * shares[1]) / (shares[0] + shares[1]).clamp(min=1)).sum()


def step_sizes(farthest: float, scale: float) -> Float[Tensor, " n"]:
    """Compute the sizes of all steps, from the farthest inwards to the farthest outwards."""
    half = NUM_STEPS // 2
    limit = farthest * scale
    sizes = (limit + 1) ** (torch.arange(1, half) / (half - 1)) - 1
    outwards = torch.cat([sizes, sizes.new_tensor([2 * limit])])
    return torch.cat([-outwards.flip(0), sizes.new_zeros(1), outwards])


def edge_losses(
    logits: Float[Tensor, "m 4 n"], distances: Float[Tensor, "m 4"], steps: Float[Tensor, " n"]
) -> Float[Tensor, "m 4"]:
    """Compute the log loss of the two steps that a distance lies between, each by how near it is."""
    distances = distances.clamp(steps[0], steps[-1]).contiguous()
    below = (torch.searchsorted(steps, distances, right=True) - 1).clamp(0, NUM_STEPS - 2)
    share = (distances - steps[below]) / (steps[below + 1] - steps[below])
    likely = logits.log_softmax(-1)
    near, far = (likely.gather(-1, row[..., None])[..., 0] for row in (below, below + 1))
    return -(near * (1 - share) + far * share)
