"""An exported system says in `system.json` all that one needs to use its graph, in whatever language.

graph.onnx, or graph.xml and graph.bin    pictures in, rows or label maps out (export/graph.py)
system.json                               a `Record`
verdict.json                              what was compared with the run, and how far they differ (export/verdict.py)
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from delineate.data.preprocess import Preprocess
from delineate.io.runs import RECORD as RECORD
from delineate.models import one_stage, queries, regression, segmentation, two_stage
from delineate.models.contract import Reader
from delineate.system.checkpoint import first_problem, versions
from delineate.values import Categories, InputError

VERDICT = "verdict.json"
VERSION = 1
Target = Literal["onnx", "openvino"]
Precision = Literal["fp32", "bf16", "int8"]
Pixels = Literal["uint8", "float32"]
GRAPHS: dict[Target, str] = {"onnx": "graph.onnx", "openvino": "graph.xml"}

FAMILIES = (segmentation, regression, two_stage, one_stage, queries)
READERS: dict[str, type[Reader[Any, Any]]] = {kind.__name__: kind for family in FAMILIES for kind in family.READERS}
"""Every kind of reader has a name in records."""
SEARCHES: dict[str, type[Any]] = {kind.__name__: kind for kind in two_stage.SEARCHES}
"""Every search that runs outside of the graph has a name in records."""
Kind = TypeVar("Kind")


class Record(BaseModel):
    """An exported system has a record of these facts.

    The graph takes RGB pictures, `(B, 3, H, W)`, of values in 0..255 of the type `pictures`, as `preprocess` resizes
    them (its `mean` and `std` are used inside), of `input_size` unless that is `None`, and where there is a `search`,
    its `proposals`, float32, `(B, P, 4)` in pixels of the resized picture, with rows of zeros where a picture has
    fewer. It gives `outputs`, of which those of `models.contract.Rows` are in pixels of the resized picture; rows that
    are nothing score -1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(VERSION, ge=1, le=VERSION)
    system: str
    arguments: dict[str, Any]
    task: str
    protocol: str
    categories: Categories
    preprocess: Preprocess
    pictures: Pixels = "uint8"
    input_size: tuple[int, int] | None
    reader: dict[str, Any]
    search: dict[str, Any] | None
    most_objects: int | None
    outputs: tuple[str, ...]
    target: Target
    precision: Precision
    metrics: dict[str, float]
    parameters: int
    flops: float
    run: str
    files: dict[str, str]
    versions: dict[str, str] = Field(default_factory=versions)

    @property
    def graph(self) -> str:
        """Name the file of the graph."""
        return GRAPHS[self.target]


def read_record(export: Path) -> Record:
    """Read the record of an export; raises `InputError` where there is none, or no verdict that lets it pass."""
    file = export / RECORD
    if not file.is_file():
        raise InputError(
            f"{export}: no export, there is no {RECORD} in it; name a folder that `delineate export` wrote"
        )
    try:
        record = Record(**json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(f"{file}: it is not the record of an export: {first_problem(error)}") from error
    for name in (VERDICT, *record.files):
        if not (export / name).is_file():
            raise InputError(f"{export}: {name} is missing; copy the whole folder, or export the run again")
    return record


def hashes(folder: Path, names: list[str]) -> dict[str, str]:
    """Compute the SHA-256 of files of a folder."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def kind_record(value: Any) -> dict[str, Any]:
    """Write a reader or a search as a record for JSON: the name of its class beside its fields."""
    fields: dict[str, Any] = TypeAdapter(type(value)).dump_python(value, mode="json")
    return {"kind": type(value).__name__, **fields}


def read_kind(record: Mapping[str, Any], kinds: Mapping[str, type[Kind]], what: str) -> Kind:
    """Read what `kind_record` wrote; raises `InputError` for an unknown class and for fields that do not fit it."""
    kind = kinds.get(record.get("kind", ""))
    if kind is None:
        raise InputError(f"{what}: '{record.get('kind')}' is unknown; there are {', '.join(kinds)}")
    try:
        return TypeAdapter(kind).validate_python({name: value for name, value in record.items() if name != "kind"})
    except ValidationError as error:
        raise InputError(f"{what}: its record does not fit {kind.__name__}: {error.errors()[0]['msg']}") from error
