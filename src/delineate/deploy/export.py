"""A system leaves the library as one graph, from normalised pictures to what is found, for `torch.export` and ONNX.

The graph gives a fixed number of rows; the system's reader makes results of them, and goes along as JSON.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from delineate.io.files import written_beside
from delineate.models.contract import Inputs, Reader, Rows, Scores
from delineate.models.one_stage.ssd import SSDReader
from delineate.models.one_stage.yolov1 import YOLOv1Reader
from delineate.models.one_stage.yolov2 import YOLOv2Reader
from delineate.models.queries.detr import DETRReader
from delineate.models.regression.localizer import LocalizerReader
from delineate.models.regression.pose import PoseReader
from delineate.models.segmentation.segmenter import SegmenterReader
from delineate.models.two_stage.detector import TwoStageReader
from delineate.ops.nms import NONE
from delineate.system.system import System
from delineate.values import InputError

READERS: dict[str, type[Reader[Any, Any]]] = {
    kind.__name__: kind
    for kind in (
        *(SegmenterReader, LocalizerReader, PoseReader, TwoStageReader),
        *(YOLOv1Reader, YOLOv2Reader, SSDReader, DETRReader),
    )
}
"""Every kind of reader has a name in records."""
OPSET = 20
"""It is the first with GridSample of bicubic and linear modes, which ONNX Runtime and OpenVINO both run."""


class Graph(nn.Module):
    """The graph holds the network, what finds, and the heads that look at what was found."""

    def __init__(self, system: System) -> None:
        super().__init__()
        self.model, self.reader = system.model.eval(), system.reader

    def forward(
        self, images: Float[Tensor, "b 3 h w"], proposals: Float[Tensor, "b p 4"] | None = None
    ) -> dict[str, Tensor]:
        """Compute the fields of `Rows` or `Scores` that the system has."""
        raw = self.model(images, proposals)
        outputs: Rows | Scores = self.model.extend(raw, self.reader.find(raw, (images.shape[-2], images.shape[-1])))
        return {name: value for name, value in outputs._asdict().items() if value is not None}


def dynamic_shapes(system: System) -> dict[str, Any]:
    """List the dimensions that may change: batch, number of proposals, sizes where the system takes any."""
    images = {0: Dim.DYNAMIC}
    if system.model.takes_any_size:
        images |= {2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    shapes: dict[str, Any] = {"images": images}
    if system.model.search is not None:
        shapes["proposals"] = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
    return shapes


def export_program(system: System, example: Inputs) -> ExportedProgram:
    """Export the graph by `torch.export`; `example` are inputs of two pictures or more."""
    given = {name: value for name, value in example._asdict().items() if value is not None}
    with torch.no_grad():
        return torch.export.export(Graph(system), (), given, dynamic_shapes=dynamic_shapes(system), strict=False)


def write_onnx(program: ExportedProgram, reader: Reader[Any, Any], file: Path) -> None:
    """Write an exported graph as ONNX, and its reader as JSON beside it, each whole or not at all.

    The extra `delineate[export]` is needed.
    """
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
    with written_beside(file.with_suffix(".json")) as beside:
        beside.write_text(json.dumps(reader_record(reader), indent=2) + "\n", encoding="utf-8")


def reader_record(reader: Reader[Any, Any]) -> dict[str, Any]:
    """Write a reader as a record for JSON: the name of its class beside its fields."""
    fields: dict[str, Any] = TypeAdapter(type(reader)).dump_python(reader, mode="json")
    return {"reader": type(reader).__name__, **fields}


def read_reader(record: Mapping[str, Any]) -> Reader[Any, Any]:
    """Read a reader from its record; raises `InputError` for an unknown class and for fields that do not fit it."""
    kind = READERS.get(record.get("reader", ""))
    if kind is None:
        raise InputError(f"reader: '{record.get('reader')}' is unknown; there are {', '.join(READERS)}")
    try:
        return TypeAdapter(kind).validate_python(dict(record))
    except ValidationError as error:
        raise InputError(f"reader: its record does not fit {kind.__name__}: {error.errors()[0]['msg']}") from error


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
