"""A system out of the library: one graph from normalised pictures to what is found, for `torch.export` and ONNX.

What the graph gives has a fixed number of rows; `System.reader.results` makes results of it, without weights.
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from delineate.io.files import written_beside
from delineate.models.contract import Inputs, Rows, Scores
from delineate.ops.nms import NONE
from delineate.system.system import System

OPSET = 20
"""The first with GridSample of bicubic and linear modes, which ONNX Runtime and OpenVINO both run."""


class Graph(nn.Module):
    """The network, what finds, and the heads that look at what was found."""

    def __init__(self, system: System) -> None:
        super().__init__()
        self.model, self.reader = system.model.eval(), system.reader

    def forward(
        self, images: Float[Tensor, "b 3 h w"], proposals: Float[Tensor, "b p 4"] | None = None
    ) -> dict[str, Tensor]:
        """The fields of `Rows` or `Scores` that the system has."""
        raw = self.model(images, proposals)
        found: Rows | Scores = self.model.extend(raw, self.reader.find(raw, (images.shape[-2], images.shape[-1])))
        return {name: value for name, value in found._asdict().items() if value is not None}


def dynamic_shapes(system: System) -> dict[str, Any]:
    """The dimensions of the inputs that may change: batch, number of proposals, sizes where the system takes any."""
    batch = Dim.DYNAMIC
    images = {0: batch}
    if system.model.takes_any_size:
        images |= {2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    shapes: dict[str, Any] = {"images": images}
    if system.model.search is not None:
        shapes["proposals"] = {0: batch, 1: Dim.DYNAMIC}
    return shapes


def export_program(system: System, example: Inputs) -> ExportedProgram:
    """The graph as `torch.export` gives it; `example` are inputs of two pictures or more."""
    given = {name: value for name, value in example._asdict().items() if value is not None}
    with torch.no_grad():
        return torch.export.export(Graph(system), (), given, dynamic_shapes=dynamic_shapes(system), strict=False)


def write_onnx(program: ExportedProgram, file: Path) -> None:
    """Write an exported graph as ONNX, whole or not at all; the extra `delineate[export]` is needed."""
    written = torch.onnx.export(
        program,
        dynamo=True,
        output_names=list(program.call_spec.out_spec.context),
        opset_version=OPSET,
        custom_translation_table=translations(),
        verbose=False,
    )
    assert written is not None
    with written_beside(file) as beside:
        written.save(beside)


def translations() -> dict[Any, Any]:
    """What ONNX has in the place of our own operator, and of one whose translation has other arguments."""
    import onnx
    import onnxscript

    op: Any = onnxscript.opset20

    def keep_best(boxes: Any, scores: Any, iou: float) -> Any:
        """`ops.nms.keep_best`: the chosen `(group, box)` pairs, written into a mask."""
        if iou >= 1:
            return op.GreaterOrEqual(scores, op.CastLike(0.0, scores))
        chosen = op.NonMaxSuppression(boxes, op.Unsqueeze(scores, [1]), 2**62, iou, NONE / 2)
        places = op.Gather(chosen, [0, 2], axis=1)
        none = op.ConstantOfShape(op.Shape(scores), value=onnx.helper.make_tensor("none", 1, [1], [0.0]))
        marks = op.Expand(1.0, op.Shape(op.Squeeze(op.Slice(chosen, [0], [1], [1]), [1])))
        return op.Greater(op.ScatterND(none, places, marks), 0.0)

    def roi_pool(images: Any, rois: Any, spatial_scale: float, height: int, width: int) -> tuple[Any, Any]:
        """torchvision's, whose second result, where the maxima were, nobody asks for."""
        pooled = op.MaxRoiPool(images, rois, pooled_shape=(height, width), spatial_scale=spatial_scale)
        return pooled, pooled

    def sort(values: Any, stable: bool, dim: int = -1, descending: bool = False) -> Any:
        """ONNX's best k are in a stable order; here k is all."""
        count = op.Gather(op.Shape(values), [dim])
        return op.TopK(values, count, axis=dim, largest=int(descending), sorted=1)

    return {
        torch.ops.aten.sort.stable: sort,
        torch.ops.delineate.keep_best.default: keep_best,
        torch.ops.torchvision.roi_pool.default: roi_pool,
    }
