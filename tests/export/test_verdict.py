"""An export that is not its run is refused, at the level where it shows, and nothing of it is left."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import jaxtyping
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from tests.data.samples import InMemory
from tests.models.systems import CATEGORIES, overfit_boxes, pictures, system_of

from delineate.artefact.record import Record
from delineate.artefact.sessions import import_openvino
from delineate.evaluation import Source
from delineate.export.agreement import Found, paired
from delineate.export.exporting import Proof, record_of, write_graph
from delineate.export.openvino import write_openvino
from delineate.export.verdict import Level, judged
from delineate.values import InputError, Sample, Thresholds


@pytest.fixture(autouse=True, scope="module")
def _without_shape_checks() -> Iterator[None]:
    """Shapes are symbols while a graph is traced."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def proof() -> Proof:
    """An SSD that has learned six pictures, to be compared on them."""
    torch.manual_seed(0)
    system = system_of("ssd")
    overfit_boxes(system, (96, 96), 1e-3)
    system.model.eval()
    images, targets = pictures(6, (96, 96))
    samples = [
        Sample(image=image, target=target, file=f"{number}.png")
        for number, (image, target) in enumerate(zip(images, targets, strict=True))
    ]
    return Proof(
        system=system,
        file=Path("best.safetensors"),
        pictures=InMemory(samples, CATEGORIES),
        source=Source(Path("data")),
        tolerance=None,
        say=lambda _: None,
        watch=iter,
    )


@pytest.fixture(scope="module")
def graph(proof: Proof, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("export") / "graph.onnx"
    write_graph(proof.system, file, "onnx")
    return file


def record(proof: Proof) -> Record:
    return record_of(proof.system, ("boxes", "scores", "labels"), "onnx", "fp32", file=proof.file)


def test_a_graph_that_is_the_run_passes_every_level(proof: Proof, graph: Path) -> None:
    levels = proof.graph(graph, "onnx") + proof.results(graph.parent, record(proof))
    assert [level.name for level in levels] == ["graph", "results", "metric"]
    assert all(level.passed for level in levels)
    assert "objects 0 (at most 0)" in levels[1].line
    assert levels[2].figures == {"AP": pytest.approx(0, abs=1e-6)}


def one_weight(model: onnx.ModelProto) -> None:
    """Change one of the weights of the first convolution by a tenth."""
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    (weights,) = (tensor for tensor in model.graph.initializer if tensor.name == conv.input[1])
    values = numpy_helper.to_array(weights).copy()
    values.flat[np.abs(values).argmax()] *= 1.1
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))


def one_operation_in_fp16(model: onnx.ModelProto) -> None:
    """Round what the first convolution gives to 16 bits."""
    place = next(place for place, node in enumerate(model.graph.node) if node.op_type == "Conv")
    node = model.graph.node[place]
    name = node.output[0]
    node.output[0] = f"{name}_exact"
    narrow = helper.make_node("Cast", [f"{name}_exact"], [f"{name}_half"], to=TensorProto.FLOAT16)
    wide = helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT)
    model.graph.node.insert(place + 1, narrow)
    model.graph.node.insert(place + 2, wide)


def one_class_swapped(model: onnx.ModelProto) -> None:
    """Call each of the two classes the other."""
    node = next(node for node in model.graph.node if "labels" in node.output)
    node.output[list(node.output).index("labels")] = "labels_right"
    model.graph.initializer.append(numpy_helper.from_array(np.array(1), "last_class"))
    model.graph.node.append(helper.make_node("Sub", ["last_class", "labels_right"], ["labels"]))


SABOTAGES = [one_weight, one_operation_in_fp16, one_class_swapped]


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_graph_that_was_changed_fails_by_its_values(
    sabotage: Callable[[onnx.ModelProto], None], proof: Proof, graph: Path, tmp_path: Path
) -> None:
    model = onnx.load(graph)
    sabotage(model)
    onnx.save(model, tmp_path / "graph.onnx")
    with pytest.raises(InputError, match=r"^export of best.safetensors: .*; graph failed, .* on \S+") as error:
        proof.graph(tmp_path / "graph.onnx", "onnx")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("sabotage", [one_weight, one_class_swapped])
def test_openvinos_graph_of_a_changed_one_fails_by_its_values(
    sabotage: Callable[[onnx.ModelProto], None], proof: Proof, graph: Path, tmp_path: Path
) -> None:
    model = onnx.load(graph)
    sabotage(model)
    onnx.save(model, tmp_path / "graph.onnx")
    write_openvino(tmp_path / "graph.onnx", tmp_path / "graph.xml")
    with pytest.raises(InputError, match=r"; graph failed, .* on \S+"):
        proof.graph(tmp_path / "graph.xml", "openvino")


def test_weights_of_16_bits_fail_by_their_values(proof: Proof, graph: Path, tmp_path: Path) -> None:
    """OpenVINO writes them so, unless it is told not to."""
    openvino = import_openvino()
    openvino.save_model(openvino.Core().read_model(graph), tmp_path / "graph.xml")
    with pytest.raises(InputError, match=r"; graph failed, "):
        proof.graph(tmp_path / "graph.xml", "openvino")


def test_a_mean_that_is_the_standard_deviation_fails_by_its_values(proof: Proof, tmp_path: Path) -> None:
    given = proof.system.preprocess
    exchanged = replace(proof.system, preprocess=replace(given, mean=given.std, std=given.mean))
    write_graph(exchanged, tmp_path / "graph.onnx", "onnx")
    with pytest.raises(InputError, match=r"; graph failed, "):
        proof.graph(tmp_path / "graph.onnx", "onnx")


def test_classes_in_another_order_are_no_results_of_the_run(proof: Proof, graph: Path) -> None:
    right = record(proof)
    first, second = CATEGORIES.class_names
    swapped = right.model_copy(
        update={"categories": replace(CATEGORIES, class_names=(second, first), label_map_names=())}
    )
    with pytest.raises(
        InputError, match=r"its classes are box, disk; those of the run are others, or in another order$"
    ):
        proof.results(graph.parent, swapped)


def test_coarser_numbers_that_fail_by_results_name_what_does_not(proof: Proof) -> None:
    failed = Level(name="results", figures={"objects": 0.2}, limits={"objects": 0.05}, of="objects")
    with pytest.raises(InputError, match=r"\(at most 0\.05\); bf16 is too coarse for it, take --precision fp32$"):
        judged([lambda: failed], "export", proof.say, "bf16")
    with pytest.raises(InputError, match=r"objects 0\.2 \(at most 0\.05\)$"):
        judged([lambda: failed], "export", proof.say)


def test_objects_that_are_left_out_fail_by_results(proof: Proof, graph: Path) -> None:
    """What follows the graph is a part of the export: here all objects but the first are dropped."""
    right = record(proof)
    reader = {**right.reader, "thresholds": {**right.reader["thresholds"], "max_detections": 1}}
    with pytest.raises(InputError, match=r"; results failed, .* objects of 6 pictures.*\.png: an object of score"):
        proof.results(graph.parent, right.model_copy(update={"reader": reader}))


def test_a_metric_beyond_the_tolerance_fails(proof: Proof, graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import delineate.export.verdict as verdict

    real = verdict.evaluate
    seen: list[float] = []

    def first_is_worse(*arguments: object, **options: object) -> object:
        evaluation = real(*arguments, **options)  # type: ignore[arg-type]
        seen.append(evaluation.metrics["AP"])
        worse = {**evaluation.metrics, "AP": evaluation.metrics["AP"] - 0.002 * (len(seen) == 1)}
        return replace(evaluation, metrics=worse)

    monkeypatch.setattr(verdict, "evaluate", first_is_worse)
    with pytest.raises(InputError, match=r"; metric failed, AP .* AP 0\.002 \(at most 0\.001\); --tolerance"):
        proof.results(graph.parent, record(proof))
    seen.clear()
    assert replace(proof, tolerance=0.003).results(graph.parent, record(proof))[-1].passed


ROWS = Found(torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30]]), torch.tensor([0, 1]), torch.tensor([0.9, 0.6]))
THRESHOLDS = Thresholds(score=0.5, nms_iou=0.5, max_detections=10)


def test_rows_are_paired_in_any_order() -> None:
    turned = Found(*(value.flip(0) for value in ROWS))
    pairs = paired(ROWS, turned, thresholds=THRESHOLDS, floor=0.5, margin=0.01)
    assert (pairs.ours, pairs.theirs, pairs.lone) == ([0, 1], [1, 0], [])


@pytest.mark.parametrize(
    ("extra", "lone"),
    [
        (Found(torch.tensor([[50.0, 50, 60, 60]]), torch.tensor([0]), torch.tensor([0.505])), False),
        (Found(torch.tensor([[50.0, 50, 60, 60]]), torch.tensor([0]), torch.tensor([0.55])), True),
        (Found(torch.tensor([[0.0, 0, 10, 5]]), torch.tensor([0]), torch.tensor([0.8])), False),
        (Found(torch.tensor([[0.0, 0, 10, 5]]), torch.tensor([1]), torch.tensor([0.8])), True),
    ],
    ids=["at the threshold", "above it", "at the overlap of NMS", "of another class"],
)
def test_a_row_without_a_partner_needs_a_reason(extra: Found, lone: bool) -> None:
    more = Found(*(torch.cat(values) for values in zip(ROWS, extra, strict=True)))
    pairs = paired(more, ROWS, thresholds=THRESHOLDS, floor=0.5, margin=0.01)
    assert bool(pairs.lone) == lone
    assert pairs.ours == [0, 1]
