"""The graph of an export stands in for the network of its run; all else is shared."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from delineate.artefact.record import READERS, RECORD, SEARCHES, Record, read_kind, read_record
from delineate.artefact.sessions import Session, open_session
from delineate.io.machine import find_device, has_bf16
from delineate.io.runs import find_checkpoint
from delineate.models.contract import Inputs, Model, Reader, Rows, Scores
from delineate.system.operating import read_points
from delineate.system.system import System
from delineate.values import InputError, Prediction, Truth

Computing = Literal["auto", "fp32", "bf16"]
Outputs = Rows | Scores


@dataclass(frozen=True, kw_only=True)
class ArtefactReader(Reader[Any, Any]):
    """What the graph gives is found already, with the thresholds `inside`; a stricter choice is made of it here.

    Raises `InputError` for thresholds that would want what the graph has left out.
    """

    inside: Reader[Any, Any]

    def __post_init__(self) -> None:
        asked, given = self.thresholds, self.inside.thresholds
        if asked is None or given is None:
            return
        for name in ("nms_iou", "max_candidates", "class_agnostic"):
            if getattr(asked, name) != getattr(given, name):
                raise InputError(f"{name}: it is {getattr(given, name)} inside the exported graph; ask it of the run")
        if asked.score < given.score:
            raise InputError(f"score: the exported graph gives nothing below {given.score}; ask it of the run")
        if asked.max_detections > given.max_detections:
            raise InputError(
                f"max_detections: the exported graph gives {given.max_detections} at most; ask it of the run"
            )

    def find(self, raw: Outputs, size: tuple[int, int]) -> Outputs:
        if isinstance(raw, Scores) or self.thresholds is None:
            return raw
        kept = raw.scores > self.thresholds.score
        return raw._replace(scores=raw.scores.where(kept, -1.0)).first(self.thresholds.max_detections)

    def results(
        self, outputs: Outputs, size: tuple[int, int], sizes: Sequence[tuple[int, int]]
    ) -> Sequence[Prediction]:
        return self.inside.results(outputs, size, sizes)


class Artefact(Model[Any, Any]):
    """A graph that was exported, in its runtime, takes pictures of values in 0..255."""

    def __init__(self, session: Session, record: Record) -> None:
        super().__init__()
        inside = read_kind(record.reader, READERS, "reader")
        self.reader = ArtefactReader(inside=inside, thresholds=inside.thresholds)
        self.search = None if record.search is None else read_kind(record.search, SEARCHES, "search")
        self.input_size = record.input_size
        self.most_objects = record.most_objects
        self.pictures: torch.dtype = getattr(torch, record.pictures)
        self.session = session

    def forward(self, images: Float[Tensor, "b 3 h w"], proposals: Float[Tensor, "b p 4"] | None = None) -> Outputs:
        pictures = images if self.pictures.is_floating_point else images.round().to(self.pictures)
        given = {"pictures": pictures} | ({} if proposals is None else {"proposals": proposals})
        arrays = self.session({name: value.contiguous().cpu().numpy() for name, value in given.items()})
        outputs = {name: torch.from_numpy(array).to(images.device) for name, array in arrays.items()}
        return Scores(outputs["logits"]) if "logits" in outputs else Rows(**outputs)

    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        raise InputError("export: an exported system learns nothing; train the run that it came from")


def is_export(path: Path) -> bool:
    """Tell whether a path is a folder that `delineate export` wrote."""
    return (path / RECORD).is_file()


def load_artefact(export: Path, device: torch.device) -> System:
    """Load an export as a system; raises `InputError` where files, or its runtime, are missing."""
    record = read_record(export)
    session = open_session(export / record.graph, record.target, record.precision, device)
    return replace(artefact_system(record, session), operating_points=read_points(export / RECORD))


def artefact_system(record: Record, session: Session) -> System:
    """Make a system of a session and the facts of its graph."""
    return System(
        name=record.system,
        model=Artefact(session, record).eval(),
        preprocess=replace(record.preprocess, mean=(0.0,) * 3, std=(1 / 255,) * 3),  # the graph normalises
        categories=record.categories,
        arguments=record.arguments,
        metrics=record.metrics,
        ready=True,
    )


def load_system(run: Path, *, device: str = "auto", weights: str = "best", precision: Computing = "fp32") -> System:
    """Load a run, a file of its weights, or an export, ready for use on a device.

    Networks of runs compute in bfloat16 with `precision` `bf16`, and with `auto` where the device has instructions for
    it; an export computes in its own precision, and with `auto` on the CPU. Raises `InputError` where there is no such
    run or device, and for what an export cannot follow.
    """
    if is_export(run):
        if weights == "last":
            raise InputError(f"weights: {run} was made of the best; leave it out")
        if precision == "bf16" and read_record(run).precision != "bf16":
            raise InputError(f"precision: {run} computes in {read_record(run).precision}; export its run with bf16")
        return load_artefact(run, find_device("cpu" if device == "auto" else device))
    place = find_device(device)
    in_bf16 = precision == "bf16" or (precision == "auto" and has_bf16(place))
    return System.load(find_checkpoint(run, weights), place, in_bf16)
