"""What was found in pictures becomes the body of an answer."""

import base64
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from PIL import Image

from delineate.data.files import label_map_png
from delineate.deploy import Predicted, prediction_record
from delineate.deploy.writing import Format, write_results
from delineate.serve.options import Options
from delineate.system.system import System
from delineate.values import Categories, LabelMap
from delineate.viz import draw_target, fitted
from delineate.viz.scaling import READABLE

LARGEST = 4096
"""The longer side, in pixels, up to which results are drawn pixel for pixel."""
TYPES = {".json": "application/json", ".csv": "text/csv", ".xml": "application/xml", ".txt": "text/plain"}


class Part(NamedTuple):
    """Of a picture there is a record, and its drawing or the PNG of its label map where these are asked for."""

    record: dict[str, Any]
    picture: bytes | None


class Body(NamedTuple):
    """An answer has these bytes, of this type."""

    data: bytes
    media_type: str


def part_of(predicted: Predicted, categories: Categories, options: Options) -> Part:
    """Make of a result what an answer has of it, which is small: neither the picture nor a label map in full."""
    record = prediction_record(predicted.prediction, categories, file=predicted.file)
    if options.overlay:
        return Part(record, _drawn(predicted, categories))
    if isinstance(predicted.prediction, LabelMap) and (options.label_map or options.layout != "json"):
        return Part(record, label_map_png(predicted.prediction.label_map))
    return Part(record, None)


def body_of(parts: Sequence[Part], system: System, options: Options, *, alone: bool) -> Body:
    """Write what was found: one record where a picture came `alone`, its drawing, or files of a format.

    Several files, as formats with a file for each picture need, come as a ZIP.
    """
    if options.overlay:
        return Body(parts[0].picture or b"", "image/jpeg")
    if options.layout != "json":
        return _files(parts, system, options.layout)
    records = [_with_label_map(part) for part in parts]
    return Body(json.dumps(records[0] if alone else {"predictions": records}).encode(), "application/json")


def _with_label_map(part: Part) -> dict[str, Any]:
    if part.picture is None:
        return part.record
    return part.record | {"label_map": base64.b64encode(part.picture).decode()}


def _drawn(predicted: Predicted, categories: Categories) -> bytes:
    shown, found = fitted(predicted.image, predicted.prediction, smallest=READABLE, largest=LARGEST)
    pixels = draw_target(shown, found, categories).permute(1, 2, 0).numpy()
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="jpeg", quality=90)
    return stream.getvalue()


def _files(parts: Sequence[Part], system: System, layout: Format) -> Body:
    """Write files into a folder of their own, named by us: what a client calls its pictures is only text in them."""
    with TemporaryDirectory(prefix="delineate-") as name:
        folder = Path(name)
        lines = [_line(number, part, folder) for number, part in enumerate(parts, start=1)]
        write_results(lines, system.categories, folder, layout, system.task)
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        if len(files) == 1:
            return Body(files[0].read_bytes(), TYPES[files[0].suffix])
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.relative_to(folder))
        return Body(stream.getvalue(), "application/zip")


def _line(number: int, part: Part, folder: Path) -> dict[str, Any]:
    """Make a line of `Results`, and write the label map that it names."""
    name = f"picture-{number}"
    line = {"name": name, "file_name": part.record["file"] or name, **part.record}
    if part.picture is not None:
        file = folder / "label_maps" / f"{name}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(part.picture)
        line["label_map"] = str(file)
    return line
