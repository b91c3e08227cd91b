"""A system leaves the library as one graph, from resized pictures to what is found, for `torch.export` and ONNX.

    pictures ──► normalise ──► Model.forward ──► Reader.find ──► Model.extend ──► fields of Rows, or of Scores
    in 0..255    └───────────────────────────── in the graph ────────────┘        and label_map

The graph gives a fixed number of rows; the system's reader makes results of them (artefact/record.py).
"""

from collections.abc import Sequence
from operator import getitem
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64, Real
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn import functional as F

from delineate.io.files import written_beside
from delineate.models.contract import Rows, Scores
from delineate.ops.nms import NONE
from delineate.system.system import System
from delineate.values import InputError

OPSET = 20
"""It is the first with GridSample of bicubic and linear modes, which ONNX Runtime and OpenVINO both run."""

POOL = torch.ops.aten.max_pool2d_with_indices.default


class Graph(nn.Module):
    """The graph holds the network, what finds, and the heads that look at what was found."""

    scale: Tensor
    shift: Tensor

    def __init__(self, system: System) -> None:
        super().__init__()
        self.model, self.reader = system.model.eval(), system.reader
        mean, std = (torch.tensor(values)[:, None, None] for values in (system.preprocess.mean, system.preprocess.std))
        self.register_buffer("scale", (1 / (255 * std)).to(system.device))
        self.register_buffer("shift", (mean / std).to(system.device))

    def forward(
        self, pictures: Real[Tensor, "b 3 h w"], proposals: Float[Tensor, "b p 4"] | None = None
    ) -> dict[str, Tensor]:
        """Compute the fields of `Rows` that the system has; or the logits, and the best class of each pixel."""
        raw = self.model(pictures.float() * self.scale - self.shift, proposals)
        found = self.reader.find(raw, (pictures.shape[-2], pictures.shape[-1]))
        outputs: Rows | Scores = self.model.extend(raw, found)
        named = {name: value for name, value in outputs._asdict().items() if value is not None}
        if isinstance(outputs, Scores):
            named["label_map"] = outputs.logits.argmax(1).to(torch.uint8)
        return named


def dynamic_shapes(system: System) -> dict[str, Any]:
    """List the dimensions that may change: batch, number of proposals, sizes where the system takes any."""
    pictures = {0: Dim.DYNAMIC}
    if system.model.takes_any_size:
        pictures |= {2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    shapes: dict[str, Any] = {"pictures": pictures}
    if system.model.search is not None:
        shapes["proposals"] = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
    return shapes


def export_program(system: System, pictures: Tensor, proposals: Tensor | None = None) -> ExportedProgram:
    """Export the graph by `torch.export`, traced with two pictures or more."""
    given = {"pictures": pictures} | ({} if proposals is None else {"proposals": proposals})
    with torch.no_grad():
        program = torch.export.export(Graph(system), (), given, dynamic_shapes=dynamic_shapes(system), strict=False)
        if any(map(_is_index_of_maximum, program.graph.nodes)):
            program = program.run_decompositions({POOL: pool_by_comparing})
    return program


def _is_index_of_maximum(node: torch.fx.Node) -> bool:
    if node.target is not getitem:
        return False
    pooling, place = node.args
    return isinstance(pooling, torch.fx.Node) and pooling.target is POOL and bool(place == 1)


def pool_by_comparing(
    x: Float[Tensor, "b c h w"],
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> tuple[Float[Tensor, "b c h2 w2"], Int64[Tensor, "b c h2 w2"]]:
    """Pool cells, and tell the place of each maximum, of equal ones the first, by comparing it with its cell.

    OpenVINO takes about six times as long for poolings that give indices as for all else of SegNet. Raises `InputError`
    where windows are no cells, 2x2.
    """
    if list(kernel_size) != [2, 2] or list(stride) not in ([], [2, 2]) or any(padding) or {*dilation} != {1}:
        raise InputError("export: indices of max poolings are known where they pool cells of 2x2")
    pooled: Tensor = torch.ops.aten.max_pool2d.default(x, kernel_size, stride, padding, dilation, ceil_mode)
    height, width = x.shape[-2:]
    padded = F.pad(x, (0, width % 2, 0, height % 2), value=-torch.inf)
    first, second, third, fourth = (padded[..., row::2, column::2] for row in (0, 1) for column in (0, 1))
    # int8 rounds what is pooled, and not what is compared
    highest = torch.maximum(torch.maximum(first, second), torch.maximum(third, fourth))
    lower = torch.where(third == highest, width, torch.where(fourth == highest, width + 1, 0))
    places = torch.where(first == highest, 0, torch.where(second == highest, 1, lower))
    rows, columns = (2 * torch.arange(side, device=x.device) for side in pooled.shape[-2:])
    return pooled, places + rows[:, None] * width + columns


def outputs_of(program: ExportedProgram) -> tuple[str, ...]:
    """List the names of what a graph gives."""
    return tuple(program.call_spec.out_spec.context)


def write_onnx(program: ExportedProgram, file: Path) -> None:
    """Write an exported graph as ONNX, whole or not at all; the extra `delineate[export]` is needed."""
    written = torch.onnx.export(
        program,
        dynamo=True,
        output_names=list(outputs_of(program)),
        opset_version=OPSET,
        custom_translation_table=translations(),
        verbose=False,
    )
    assert written is not None
    with written_beside(file) as beside:
        written.save(beside)


def translations() -> dict[Any, Any]:
    """Translate to ONNX our own operator, and those whose own translations have other arguments."""
    try:
        import onnxscript
    except ImportError as error:
        raise InputError(f"onnx: {error.name} is not installed; pip install 'delineate[export]'") from error
    op: Any = onnxscript.opset20

    def keep_best(boxes: Any, scores: Any, iou: float, most: int) -> Any:
        """Write the boxes that NMS chooses into a mask; that it looks for more than `most` changes nothing."""
        if iou >= 1:
            return op.GreaterOrEqual(scores, op.CastLike(0.0, scores))
        num_boxes = op.Gather(op.Shape(scores), [2])
        all_groups, one, four = (op.Constant(value_ints=[value]) for value in (-1, 1, 4))
        in_groups = op.Reshape(boxes, op.Concat(all_groups, num_boxes, four, axis=0))
        of_groups = op.Reshape(scores, op.Concat(all_groups, one, num_boxes, axis=0))
        chosen = op.NonMaxSuppression(in_groups, of_groups, 2**62, iou, NONE / 2)
        places = op.Gather(chosen, [0, 2], axis=1)
        none = op.Mul(op.Squeeze(of_groups, [1]), 0.0)
        marks = op.Expand(1.0, op.Shape(op.Squeeze(op.Slice(chosen, [0], [1], [1]), [1])))
        return op.Reshape(op.Greater(op.ScatterND(none, places, marks), 0.0), op.Shape(scores))

    def roi_pool(images: Any, rois: Any, spatial_scale: float, height: int, width: int) -> tuple[Any, Any]:
        """Pool as torchvision does, whose second result, where the maxima were, nobody asks for."""
        pooled = op.MaxRoiPool(images, rois, pooled_shape=(height, width), spatial_scale=spatial_scale)
        return pooled, pooled

    def sort(values: Any, stable: bool, dim: int = -1, descending: bool = False) -> Any:
        """Sort by ONNX's best k, which are in a stable order; here k is all."""
        count = op.Gather(op.Shape(values), [dim])
        return op.TopK(values, count, axis=dim, largest=int(descending), sorted=1)

    return {
        torch.ops.aten.sort.stable: sort,
        torch.ops.delineate.keep_best.default: keep_best,
        torch.ops.torchvision.roi_pool.default: roi_pool,
    }
