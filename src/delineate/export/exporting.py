"""A run is exported: graph, record and verdict are written into one folder, all of them or nothing."""

import json
import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from delineate.artefact.loading import artefact_system
from delineate.artefact.record import (
    GRAPHS,
    RECORD,
    VERDICT,
    Pixels,
    Precision,
    Record,
    Target,
    hashes,
    kind_record,
    read_record,
)
from delineate.artefact.sessions import open_session
from delineate.data.dataset import Dataset
from delineate.data.splits import Watch
from delineate.evaluation import Source, evaluation_data, own_source
from delineate.export.graph import export_program, outputs_of, write_onnx
from delineate.export.openvino import write_openvino
from delineate.export.quantising import layers, quantise
from delineate.export.verdict import CLOSE, TOLERANCES, Level, graph_level, judged, metric_level, results_level
from delineate.io.files import folder_beside, written_beside
from delineate.io.machine import machine, processor
from delineate.io.runs import find_checkpoint
from delineate.models.contract import Say
from delineate.system.checkpoint import installed, versions
from delineate.system.flops import count_flops
from delineate.system.operating import write_points
from delineate.system.system import System
from delineate.values import InputError

CPU = torch.device("cpu")
RUNTIMES = ("onnx", "onnxscript", "onnxruntime", "openvino", "nncf")
TRACED = (120, 165)
"""The graph is traced with pictures of this size, where any will do; what they show is all the same."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """An export is compared with its run on `pictures`, which `source` names.

    Its metric may differ by `tolerance`, or where that is `None` by what `verdict.TOLERANCES` says of its precision.
    """

    system: System
    file: Path
    pictures: Dataset
    source: Source
    tolerance: float | None
    say: Say
    watch: Watch

    def graph(self, graph: Path, to: Target) -> tuple[Level, ...]:
        """Compare the graph, computed in float32."""
        session = open_session(graph, to, "fp32", CPU)
        return judged([partial(graph_level, self.system, session, self.pictures)], self._what, self.say)

    def results(self, folder: Path, record: Record, *, metric: bool = True) -> tuple[Level, ...]:
        """Compare results, and the metric unless it is not asked for, in the precision of the export."""
        session = open_session(folder / record.graph, record.target, record.precision, CPU)
        both = self.system, artefact_system(record, session), self.pictures
        levels = [
            partial(results_level, *both, CLOSE[record.precision], self.watch),
            partial(metric_level, *both, self.allowed(record.precision), self.watch),
        ]
        return judged(levels if metric else levels[:1], self._what, self.say, record.precision)

    def record(self, outputs: tuple[str, ...], to: Target, precision: Precision) -> Record:
        """Write down what one needs to use a graph of the system, and what the system costs."""
        trained = System.load(self.file)  # in use, norms are folded
        return record_of(
            self.system,
            outputs,
            to,
            precision,
            file=self.file,
            parameters=sum(weight.numel() for weight in trained.model.parameters()),
            flops=count_flops(trained, self.pictures[0].image),
        )

    def allowed(self, precision: Precision) -> float:
        """Say by how much the metric may differ."""
        return TOLERANCES[precision] if self.tolerance is None else self.tolerance

    @property
    def _what(self) -> str:
        return f"export of {self.file}"


def export_run(
    run: Path,
    *,
    to: Target,
    precision: Precision = "fp32",
    source: Source | None = None,
    out: Path | None = None,
    tolerance: float | None = None,
    say: Say = print,
    watch: Watch = iter,
) -> tuple[Path, tuple[Level, ...]]:
    """Export a run's best weights, and compare the export with the run on `source`, or on what the run held out.

    Gives the folder that was written, `exports` in the run where no other is named, and the levels of the verdict.
    Raises `InputError`, and leaves nothing, where the export does not give what the run gives.
    """
    if to == "onnx" and precision != "fp32":
        raise InputError(f"precision: {precision} is computed by OpenVINO alone; take --to openvino, or fp32")
    file = find_checkpoint(run)
    folder = out or file.parent / "exports" / f"{to}-{precision}"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"out: {folder} is no empty folder; name another, or delete it to export anew")
    proof = proof_of(file, source, tolerance, say, watch)
    with folder_beside(folder) as beside:
        outputs = write_graph(proof.system, beside / GRAPHS[to], to)
        levels = proof.graph(beside / GRAPHS[to], to)
        record = proof.record(outputs, to, precision)
        if precision == "int8":
            quantise(beside / record.graph, record, _learned(proof), proof.pictures, proof.allowed(precision), say)
        levels += proof.results(beside, write_files(beside, record))
        write_verdict(beside, record, proof, levels)
        _hand_on(proof, beside, precision)
    return folder, levels


def _hand_on(proof: Proof, folder: Path, precision: Precision) -> None:
    """Give an export the operating points of its run, whose scores it gives but for the digits of its precision."""
    points = proof.system.operating_points
    if points is None:
        return
    write_points(points, folder / RECORD)
    if precision != "fp32":
        proof.say(f"operating points are the run's; `delineate calibrate` of the export makes those of {precision}")


def check_export(
    export: Path,
    *,
    run: Path | None = None,
    source: Source | None = None,
    tolerance: float | None = None,
    say: Say = print,
    watch: Watch = iter,
) -> tuple[Level, ...]:
    """Compare an export again with its run, on this machine, and write the verdict anew.

    `run` is asked for where the run is not any more where it was. Values of the graph are compared where they are those
    of float32. Raises `InputError` where files of the export were changed, and where results are not those of the run.
    """
    record = read_record(export)
    changed = [name for name, was in record.files.items() if hashes(export, [name])[name] != was]
    if changed:
        raise InputError(f"{export / changed[0]}: it is not the file that was exported; export the run again")
    if run is None and not Path(record.run).exists():
        raise InputError(f"run: {record.run}, which was exported, is not here; name the run to compare with: --run RUN")
    proof = proof_of(find_checkpoint(run or Path(record.run)), source, tolerance, say, watch)
    if record.pictures != pictures_of(proof.system):
        raise InputError(
            f"{export}: its graph takes pictures of {record.pictures}, and {proof.file} resizes them into "
            f"{pictures_of(proof.system)}, or an earlier delineate wrote the graph; export that run again"
        )
    levels = () if record.precision == "int8" else proof.graph(export / record.graph, record.target)
    levels += proof.results(export, record)
    write_verdict(export, record, proof, levels)
    return levels


def write_graph(system: System, file: Path, to: Target) -> tuple[str, ...]:
    """Write the graph of a system, and give the names of its outputs."""
    height, width = system.preprocess.resized(TRACED)
    pictures = torch.zeros(2, 3, height, width, dtype=system.preprocess.dtype)
    proposals = torch.tensor([[0.0, 0.0, 9.0, 9.0]]).repeat(2, 3, 1)
    program = export_program(system, pictures, None if system.model.search is None else proposals)
    onnx = file.with_suffix(".onnx")
    write_onnx(program, onnx)
    if to == "openvino":
        write_openvino(onnx, file)
        onnx.unlink()
    return outputs_of(program)


def proof_of(
    file: Path, source: Source | None = None, tolerance: float | None = None, say: Say = print, watch: Watch = iter
) -> Proof:
    """Read what an export of some weights is compared on: `source`, or what the run held out."""
    system = System.load(file, CPU)
    source = source or own_source(file)
    found = evaluation_data(system, source, say=say)
    return Proof(
        system=system, file=file, pictures=found.dataset, source=source, tolerance=tolerance, say=say, watch=watch
    )


def _learned(proof: Proof) -> Dataset:
    """Find the pictures that the run was trained on; those to measure on, where the others are gone."""
    try:
        source = own_source(proof.file, learned=True)
        return evaluation_data(proof.system, source).dataset
    except InputError as error:
        proof.say(f"calibrated on what is measured on, as there is nothing that the run was trained on: {error}")
        return proof.pictures


def pictures_of(system: System) -> Pixels:
    """Name the type of the values that the graph of a system takes."""
    return "uint8" if system.preprocess.dtype == torch.uint8 else "float32"


def record_of(
    system: System,
    outputs: tuple[str, ...],
    to: Target,
    precision: Precision,
    *,
    file: Path,
    parameters: int = 0,
    flops: float = 0.0,
) -> Record:
    """Write down what one needs to use a graph of the system, which the weights in `file` are of."""
    search = system.model.search
    return Record(
        system=system.name,
        arguments=system.arguments,
        task=system.task.name,
        protocol=system.task.protocol,
        categories=system.categories,
        preprocess=system.preprocess,
        pictures=pictures_of(system),
        input_size=system.model.input_size,
        reader=kind_record(system.reader),
        search=None if search is None else kind_record(search),
        most_objects=system.model.most_objects,
        outputs=outputs,
        target=to,
        precision=precision,
        metrics=system.metrics,
        parameters=parameters,
        flops=flops,
        run=str(file.absolute()),
        files={},
    )


def write_files(folder: Path, record: Record) -> Record:
    """Write the record of a graph beside it, with the hashes of the graph's files."""
    names = sorted(path.name for path in folder.iterdir())
    whole = record.model_copy(update={"files": hashes(folder, names)})
    (folder / RECORD).write_text(whole.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return whole


def write_verdict(folder: Path, record: Record, proof: Proof, levels: tuple[Level, ...]) -> None:
    """Write what was compared, on which machine, with which versions, and by which command.

    Of integers, it says how many layers there are, and which of them stay in floating point.
    """
    total, kept = layers(folder / record.graph) if record.precision == "int8" else (0, [])
    verdict = {
        "precision": record.precision,
        **({"layers": total, "in_floating_point": kept} if total else {}),
        "levels": [asdict(level) for level in levels],
        "data": str(proof.source.data),
        "pictures": f"{len(proof.pictures)}, {proof.source.part}",
        "run": {"file": str(proof.file.absolute()), **hashes(proof.file.parent, [proof.file.name])},
        "machine": f"{machine('cpu')}, {processor()}",
        "versions": versions() | installed(RUNTIMES),
        "command": sys.argv,
    }
    with written_beside(folder / VERDICT) as beside:
        beside.write_text(json.dumps(verdict, indent=2) + "\n", encoding="utf-8")
