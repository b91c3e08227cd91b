"""Every system of the catalog leaves the library: what other runtimes give is what it gives here.

One graph a system, made from two pictures, is run in each runtime on what the exports of others fail on: another number
of pictures (dynamic batch, Faster R-CNN's, too), odd sizes where the system takes any, nothing found (torchvision's
vision#2251), and NMS with more candidates than rows, and with fewer. Heads in int8 are in test_quantising.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import jaxtyping
import pytest
import torch
from tests.data.samples import InMemory
from tests.models.systems import CATEGORIES, pictures, size_for, system_of
from torch import Tensor, nn
from torch.export import Dim
from torch.nn import functional as F

from delineate.artefact.record import GRAPHS, Target
from delineate.artefact.sessions import Session, open_session
from delineate.evaluation import Source
from delineate.export.exporting import Proof, record_of
from delineate.export.graph import Graph, export_program, outputs_of, pool_by_comparing, write_onnx
from delineate.export.openvino import write_openvino
from delineate.ops.nms import select
from delineate.system.catalog import CATALOG
from delineate.system.system import System
from delineate.values import InputError, Sample, Thresholds

TOLERANCES = {"boxes": 1e-3, "keypoints": 1e-3, "scores": 1e-4, "masks": 1e-4, "labels": 0.0, "posed": 0.0}
OTHER_SIZE = (97, 74)
TARGETS: tuple[Target, ...] = ("onnx", "openvino")


@pytest.fixture(autouse=True)
def _without_shape_checks() -> Iterator[None]:
    """Shapes are symbols while a graph is traced."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("name", list(CATALOG))
def test_what_is_exported_gives_what_the_system_gives_and_has_a_verdict(
    name: str, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    torch.manual_seed(0)
    system, empty = decided(system_of(name))
    program = export_program(system, **given_to(system, 2))
    write_onnx(program, tmp_path / "graph.onnx")
    write_openvino(tmp_path / "graph.onnx", tmp_path / "graph.xml")
    sessions = opened(tmp_path)
    cases = {"one picture": given_to(system, 1), "dynamic batch": given_to(system, 3)}
    if system.model.takes_any_size:
        cases["odd sizes"] = given_to(system, 4, OTHER_SIZE)
    if empty is not None:
        cases["nothing found"] = empty
    for case, given in cases.items():
        with subtests.test(case):
            with torch.no_grad():
                expected = Graph(system)(**given)
                results = [program.module()(**given)]
            results += [run_in(session, given) for session in sessions]
            for result in results:
                assert set(result) == set(expected) == set(outputs_of(program))
                assert_equal(result, expected)
            assert case != "nothing found" or (expected["scores"] < 0).all()
    proof = Proof(
        system=system,
        file=tmp_path / "best.safetensors",
        pictures=samples(system),
        source=Source(tmp_path),
        tolerance=None,
        say=lambda _: None,
        watch=iter,
    )
    for to in TARGETS:
        levels = proof.graph(tmp_path / GRAPHS[to], to)
        record = record_of(system, outputs_of(program), to, "fp32", file=proof.file)
        levels += proof.results(tmp_path, record, metric=False)
        assert [level.passed for level in levels] == [True, True]


class Choosing(nn.Module):
    """What chooses among boxes is a graph by itself here."""

    def __init__(self, max_candidates: int | None) -> None:
        super().__init__()
        self.max_candidates = max_candidates

    def forward(self, all_boxes: Tensor, all_scores: Tensor) -> dict[str, Tensor]:
        found = select(
            all_scores,
            all_boxes,
            (60, 80),
            score=0.05,
            nms_iou=0.5,
            max_candidates=self.max_candidates,
            max_detections=6,
        )
        return found._asdict()


@pytest.mark.parametrize("max_candidates", [None, 8])
def test_nms_of_more_candidates_than_rows_and_of_fewer(max_candidates: int | None, tmp_path: Path) -> None:
    choosing = Choosing(max_candidates)
    shapes = {name: {0: Dim.DYNAMIC, 2: Dim.DYNAMIC} for name in ("all_boxes", "all_scores")}
    traced = candidates(2, 40)
    program = torch.export.export(choosing, (), traced, dynamic_shapes=shapes, strict=False)
    write_onnx(program, tmp_path / "graph.onnx")
    write_openvino(tmp_path / "graph.onnx", tmp_path / "graph.xml")
    rows = []
    for given in (traced, candidates(1, 300), candidates(3, 2)):
        expected = choosing(**given)
        rows.append((expected["scores"] >= 0).sum(1).tolist())
        for session in opened(tmp_path):
            assert_equal(run_in(session, given), expected)
    assert rows == [[6, 6], [6], [4, 4, 4]]


def candidates(count: int, num_boxes: int) -> dict[str, Tensor]:
    """Boxes of two classes, all far from what they are cut by; of a few, none overlaps another."""
    corners = torch.rand(count, 1, num_boxes, 2) * torch.tensor([60.0, 40.0])
    if num_boxes == 2:
        corners = torch.tensor([[0.0, 0.0], [50.0, 30.0]]).expand(count, 1, 2, 2)
    scores = torch.rand(count, 2, num_boxes) * 0.9 + 0.1
    return {"all_boxes": torch.cat([corners, corners + 12], -1), "all_scores": scores}


def opened(folder: Path) -> list[Session]:
    """A session of the graph in each runtime."""
    return [open_session(folder / GRAPHS[to], to, "fp32", torch.device("cpu")) for to in TARGETS]


def run_in(session: Session, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    arrays = {key: value.contiguous().numpy() for key, value in given.items()}
    return {key: torch.from_numpy(value) for key, value in session(arrays).items()}


def samples(system: System) -> InMemory:
    """A few pictures of the size that the system takes."""
    images, targets = pictures(3, size_for(system.model))
    return InMemory(
        [
            Sample(image=image, target=target, file=f"{number}.png")
            for number, (image, target) in enumerate(zip(images, targets, strict=True))
        ],
        CATEGORIES,
    )


def given_to(system: System, count: int, size: tuple[int, int] | None = None) -> dict[str, Tensor]:
    return given(system, pictures(count, size or size_for(system.model))[0])


def given(system: System, images: Tensor) -> dict[str, Tensor]:
    proposals = system.inputs(images).proposals
    return {"pictures": images} if proposals is None else {"pictures": images, "proposals": proposals}


def decided(system: System) -> tuple[System, dict[str, Tensor] | None]:
    """The system with scores that are far apart, and inputs in which it finds nothing.

    Of a picture and a gray one, its threshold lies between the highest scores of both.
    """
    with torch.no_grad():
        for module in system.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.0)
                module.bias.normal_(std=0.1)
        for key, parameter in system.model.named_parameters():
            if key.startswith(LAST_LAYERS) and parameter.ndim > 1:
                parameter *= 20
    if system.reader.thresholds is None:
        return system, None
    thresholds = Thresholds(score=0.0, nms_iou=0.5, max_detections=20)
    low = replace(system, thresholds=thresholds)
    picture = given_to(system, 2)
    gray = given(system, torch.full_like(picture["pictures"], 110))
    with torch.no_grad():
        best = [float(Graph(low)(**inputs)["scores"].max()) for inputs in (picture, gray)]
    assert best[0] != best[1], "the two are told apart by nothing"
    threshold = sum(best) / 2
    return replace(low, thresholds=thresholds.changed(score=threshold)), (gray if best[1] < best[0] else picture)


LAST_LAYERS = ("box_head.classify", "proposer.objectness", "classify.")


def assert_equal(values: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Rows that hold something are equal; of label maps, 99.9 % of the pixels."""
    if "logits" in expected:
        assert (values["logits"].argmax(1) == expected["logits"].argmax(1)).float().mean() >= 0.999
        # where two values are nearly as high, a max pooling may choose the other, and unpooling put it elsewhere
        assert ((values["logits"] - expected["logits"]).abs() <= 1e-3).float().mean() >= 0.99
        return
    real = expected["scores"] >= 0
    assert torch.equal(values["scores"] >= 0, real)
    for name, value in expected.items():
        tolerance = TOLERANCES.get(name, 1e-3)
        torch.testing.assert_close(values[name][real].float(), value[real].float(), atol=tolerance, rtol=0, msg=name)


@pytest.mark.parametrize("size", [(8, 6), (7, 5), (1, 3), (2, 2)])
def test_places_of_maxima_are_found_by_comparing(size: tuple[int, int]) -> None:
    x = torch.randint(-2, 3, (2, 3, *size)).float()  # with equal maxima
    pooled, indices = pool_by_comparing(x, (2, 2), ceil_mode=True)
    expected = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
    assert torch.equal(pooled, expected[0])
    assert torch.equal(indices, expected[1])


def test_places_of_maxima_in_other_windows_are_refused() -> None:
    with pytest.raises(InputError, match="cells of 2x2"):
        pool_by_comparing(torch.zeros(1, 1, 9, 9), (3, 3), (2, 2), (1, 1))
