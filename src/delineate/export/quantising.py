"""A graph is quantised to 8-bit integers where the metric bears it.

NNCF calibrates the graph on pictures that the run was trained on; where the metric drops by more than is allowed, it
takes those operations back to floating point that cost the most.
"""

import logging
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from delineate.artefact.loading import artefact_system
from delineate.artefact.record import Record
from delineate.artefact.sessions import Arrays, compiled_session, import_openvino
from delineate.data.dataset import Dataset, Part
from delineate.data.splits import spread
from delineate.evaluation import evaluate
from delineate.io.signals import signal_stack_kept
from delineate.models.contract import Say
from delineate.values import InputError

NUM_CALIBRATED = 300
NUM_MEASURED = 300
"""Pictures by which operations are chosen; the verdict measures on all."""
HEAVY = ("Convolution", "GroupConvolution", "MatMul", "ConvolutionBackpropData")
COMPARED = ["Equal", "Maximum"]
"""Of what is equal, both sides would be rounded in ranges of their own."""
MOVING = ("Convert", "Multiply", "Reshape", "Squeeze", "Subtract", "Transpose", "Unsqueeze")
"""Values are moved or scaled by these between where they are made and where they are multiplied."""


def quantise(graph: Path, record: Record, learned: Dataset, measured: Dataset, drop: float, say: Say) -> None:
    """Quantise OpenVINO's `graph` in its place, so that the metric drops by no more than `drop`.

    How many layers are quantised, and which are not, is said. Raises `InputError` where NNCF is not installed.
    """
    openvino = import_openvino()
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # NNCF imports it, and needs no GPU
    try:
        import nncf
    except ImportError as error:
        raise InputError(f"int8: {error.name} is not installed; pip install 'delineate[export]'") from error
    nncf.set_log_level(logging.ERROR)
    model = openvino.Core().read_model(graph)
    part = Part(measured, spread(len(measured), NUM_MEASURED))

    def given(place: int) -> Arrays:
        return _given(record, learned, place)

    def validate(compiled: Any, places: Iterable[int]) -> tuple[float, None]:
        system = artefact_system(record, compiled_session(compiled))
        value = 0.0
        with suppress(InputError):  # pictures without an object are worth nothing
            value = evaluate(system, Part(part, list(places))).metrics[system.task.metric]
        return value, None

    with redirect_stdout(sys.stderr), signal_stack_kept():  # its progress
        quantised = nncf.quantize_with_accuracy_control(
            model,
            nncf.Dataset(spread(len(learned), NUM_CALIBRATED), given),
            nncf.Dataset(range(len(part))),
            validation_fn=validate,
            max_drop=drop,
            drop_type=nncf.DropType.ABSOLUTE,
            subset_size=min(NUM_CALIBRATED, len(learned)),
            ignored_scope=nncf.IgnoredScope(types=COMPARED, validate=False),
        )
    with TemporaryDirectory(dir=graph.parent) as folder:  # weights are read from the file that is to be replaced
        openvino.save_model(quantised, Path(folder) / graph.name, compress_to_fp16=False)
        for written in Path(folder).iterdir():
            written.replace(graph.parent / written.name)
    total, kept = layers(graph)
    say(f"int8: {total - len(kept)} of {total} layers are quantised" + (f"; not {', '.join(kept)}" if kept else ""))


def layers(graph: Path) -> tuple[int, list[str]]:
    """Count the layers of a graph of OpenVINO, and name those that stay in floating point."""
    model = import_openvino().Core().read_model(graph)
    return sum(node.get_type_name() in HEAVY for node in model.get_ops()), in_floating_point(model)


def in_floating_point(model: Any) -> list[str]:
    """Name the layers of a quantised model whose weights are no integers, by their weights where these have a name."""
    return [_name(node) for node in model.get_ordered_ops() if node.get_type_name() in HEAVY and not _quantised(node)]


def _quantised(layer: Any) -> bool:
    """Tell whether integers are multiplied: weights as they are saved, or what was rounded to so many steps."""
    origin = _origin(layer.input(1))
    if origin.get_type_name() == "Constant":
        return bool(origin.get_element_type().is_integral())
    return bool(origin.get_type_name() == "FakeQuantize")


def _origin(port: Any) -> Any:
    """Find what makes a value."""
    node = port.get_source_output().get_node()
    while node.get_type_name() in MOVING:
        node = node.input(0).get_source_output().get_node()
    return node


def _name(layer: Any) -> str:
    weights: str = _origin(layer.input(1)).get_friendly_name()
    own: str = layer.get_friendly_name()
    return weights.removeprefix("model.").removesuffix(".weight") if weights.endswith(".weight") else own


def _given(record: Record, pictures: Dataset, place: int) -> Arrays:
    """Make the graph's inputs of a picture."""
    system = artefact_system(record, lambda arrays: dict(arrays))
    image = pictures[place].image
    (prepared,) = system.prepare([image])
    named = {"pictures": prepared.inputs.images, "proposals": prepared.inputs.proposals}
    return {name: value.contiguous().numpy() for name, value in named.items() if value is not None}
