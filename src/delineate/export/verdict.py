"""A verdict says whether an exported system is the run that it came from, on three levels, each with its limits.

graph      values of the two graphs, for pictures of several sizes and numbers, without objects and crowded
results    objects, masks and label maps of the user's pictures, with all that comes before and after the graph
metric     what both are worth on the split
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Real
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from delineate.artefact.record import Precision
from delineate.artefact.sessions import Session
from delineate.data.dataset import Dataset
from delineate.data.splits import Watch, spread
from delineate.evaluation import evaluate
from delineate.export.agreement import Agreement, Closeness, Worst, compare_values
from delineate.export.graph import Graph
from delineate.export.rounding import as_it_rounds, values_as_they_round
from delineate.models.contract import Say
from delineate.system.system import System
from delineate.values import InputError, Prediction, on_cpu

VALUES = {
    "rows": 0.0,
    "boxes": 2e-3,
    "scores": 2e-5,
    "masks": 1e-4,
    "keypoints": 2e-3,
    "heatmaps": 1e-4,
    "logits": 1e-4,
    "pixels": 1e-3,
    "posed": 0.0,
}
"""What two graphs that compute in float32 may differ by: the last digits of long sums, about ten times what is met."""
CLOSE: dict[Precision, Closeness] = {
    "fp32": Closeness(iou=0.99, score=1e-3, mask_iou=0.98, keypoint=0.01, objects=0.0, pixels=1e-3),
    "bf16": Closeness(iou=0.9, score=0.05, mask_iou=0.85, keypoint=0.1, objects=0.05, pixels=0.02),
    "int8": Closeness(iou=0.8, score=0.15, mask_iou=0.75, keypoint=0.2, objects=0.1, pixels=0.05),
}
"""What objects of two results may differ by. bfloat16 has 8 binary digits, of which a score of 0.5 keeps 0.002."""
TOLERANCES: dict[Precision, float] = {"fp32": 0.001, "bf16": 0.001, "int8": 0.005}
"""What the metric may differ by: 0.1 and 0.5 points."""
NUM_PICTURES = 50
"""Results of so many pictures of the split are compared."""
MOST_ROUNDED = 5
"""So many of them may be held against the run as it rounds otherwise, which computes each up to 32 times."""
LIKELY = 0.5
"""Objects from this score on are compared; where the run finds none so likely, all that it finds."""
FURTHER = ("mask_AP", "keypoint_AP")
"""Metrics of systems that find more than boxes are compared, too."""
MOSAIC = 3
GRAY, NOISE = 110, 25
LevelName = Literal["graph", "results", "metric"]


@dataclass(frozen=True, kw_only=True)
class Level:
    """A level has figures `of` something, of which those with a limit decide; `worst` says where they are largest."""

    name: LevelName
    figures: dict[str, float]
    limits: dict[str, float]
    of: str
    worst: str = ""

    @property
    def passed(self) -> bool:
        """No figure passes its limit."""
        return all(self.figures[name] <= limit for name, limit in self.limits.items() if name in self.figures)

    @property
    def line(self) -> str:
        """Say it in a line."""
        parts = (
            f"{name} {value:.2g}" + (f" (at most {self.limits[name]:g})" if name in self.limits else "")
            for name, value in self.figures.items()
        )
        worst = f"; {self.worst}" if self.worst else ""
        return f"{self.name} {'passed' if self.passed else 'failed'}, {self.of}: {', '.join(parts)}{worst}"


def judged(
    levels: Iterable[Callable[[], Level]], what: str, say: Say, precision: Precision = "fp32"
) -> tuple[Level, ...]:
    """Go through levels, say what each found, and stop at the first that fails.

    Raises `InputError` for it, with the figures, their limits, the picture, and what may be done.
    """
    passed = []
    for compare in levels:
        level = compare()
        if not level.passed:
            mend = "; --tolerance says what it may differ by" if level.name == "metric" else ""
            if level.name == "results" and precision != "fp32":
                mend = f"; {precision} is too coarse for it, take --precision fp32"
            raise InputError(f"{what}: it does not give what the run gives; {level.line}{mend}")
        say(level.line)
        passed.append(level)
    return tuple(passed)


@torch.no_grad()
def graph_level(system: System, session: Session, pictures: Dataset) -> Level:
    """Compare values of two graphs, both in float32, up to the first picture where they differ.

    They are those of the run, or of the run as it rounds (export/rounding.py).
    """
    ours, worst = Graph(system), Worst()
    count = rounded = 0
    for name, images in graph_inputs(system, pictures):
        proposals = system.inputs(images).proposals
        given = {"pictures": images} | ({} if proposals is None else {"proposals": proposals})
        values = {key: torch.from_numpy(value) for key, value in session(_arrays(given)).items()}
        expected = {key: value.cpu() for key, value in ours(**given).items()}
        _check_names(values, expected)
        compare = partial(
            compare_values, values, thresholds=system.reader.thresholds, margin=VALUES["scores"], name=name
        )
        seen = compare(expected)
        count += 1
        if _beyond(seen):
            rounded += 1
            for other in map(compare, values_as_they_round(values, expected, system, given)):
                if "logits" in expected or not _beyond(other):  # of logits, the last range is the widest
                    seen = other
                if not _beyond(other):
                    break
        worst.include(seen)
        if _beyond(seen):
            break
    beyond = _beyond(worst)
    return Level(
        name="graph",
        figures=worst.figures,
        limits={kind: VALUES[kind] for kind in worst.figures},
        of="the largest differences of values" + _of_rounded(rounded, f"{count} inputs"),
        worst=f"{beyond[0]} on {worst.pictures[beyond[0]]}" if beyond else "",
    )


def _of_rounded(rounded: int, whole: str) -> str:
    return f" ({rounded} of {whole} held against the run as it rounds otherwise)" if rounded else ""


def _beyond(seen: Worst) -> list[str]:
    return [kind for kind, value in seen.figures.items() if value > VALUES[kind]]


def graph_inputs(system: System, pictures: Dataset) -> Iterator[tuple[str, Real[Tensor, "b 3 h w"]]]:
    """Make inputs of several numbers and sizes, one without an object and one with more than any picture has."""
    samples = [pictures[place] for place in spread(len(pictures), MOSAIC**2)]
    dtype = system.preprocess.dtype
    images, names = [sample.image.to(dtype) for sample in samples], [sample.file for sample in samples]
    height, width = system.preprocess.resized((images[0].shape[-2], images[0].shape[-1]))
    first = _resized(images[0], (height, width))
    yield names[0], first[None]
    yield "three pictures", torch.stack([_resized(image, (height, width)) for image in (images * 3)[:3]])
    if system.model.takes_any_size:
        yield f"{names[0]}, cut to an odd size", first[None, :, : (height * 3 // 4) | 1, : (width * 2 // 3) | 1]
    # a plain picture would do, but equal scores everywhere are in no order
    noise = torch.randint(-NOISE, NOISE, (1, 3, height, width), generator=torch.Generator().manual_seed(0))
    yield "a gray picture", (GRAY + noise).to(dtype)
    parts = [
        _resized(images[place % len(images)], (-(-height // MOSAIC), -(-width // MOSAIC))) for place in range(MOSAIC**2)
    ]
    rows = [torch.cat(parts[row : row + MOSAIC], dim=2) for row in range(0, MOSAIC**2, MOSAIC)]
    yield "nine pictures in one", torch.cat(rows, dim=1)[None, :, :height, :width]


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    resized: Tensor = transforms.resize(image, list(size), antialias=True)
    return resized


def _arrays(given: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    return {name: value.cpu().contiguous().numpy() for name, value in given.items()}


def _check_names(values: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise `InputError` where a graph gives other things, or of another shape."""
    shapes, right = ({key: tuple(value.shape) for key, value in some.items()} for some in (values, expected))
    if shapes != right:
        raise InputError(f"export: the graph gives {shapes}, and the run {right}")


@torch.inference_mode()
def results_level(system: System, exported: System, pictures: Dataset, close: Closeness, watch: Watch = iter) -> Level:
    """Compare results of the user's pictures: those of objects that the run finds likely, where there are some.

    In float32, where no object may differ, they are those of the run, or of the run as it rounds.
    """
    results: list[tuple[int, str, Prediction, Prediction]] = []
    names = getattr(exported.categories, exported.task.labels)
    if names != getattr(system.categories, system.task.labels):
        raise InputError(
            f"export: its classes are {', '.join(names)}; those of the run are others, or in another order"
        )
    for place in watch(spread(len(pictures), NUM_PICTURES)):
        sample = pictures[place]
        proposals = system.search([sample.image])
        ours, theirs = (_prediction(some, sample.image, proposals) for some in (exported, system))
        results.append((place, sample.file, ours, theirs))
    thresholds = system.reader.thresholds
    scores = [float(score) for *_, theirs in results for score in getattr(theirs, "scores", [])[:1]]
    floor = 0.0 if thresholds is None else LIKELY if max(scores, default=0.0) >= LIKELY else thresholds.score
    agreement = Agreement(close=close, thresholds=thresholds, floor=floor)
    rounded = 0
    for place, name, ours, theirs in results:
        seen = agreement.of(ours, theirs, name)
        if seen.differing and not close.objects and not agreement.differing and rounded < MOST_ROUNDED:
            rounded += 1
            others = (agreement.of(ours, other, name) for other in _as_it_rounds(system, pictures[place].image))
            seen = next((other for other in others if not other.differing), seen)
        agreement.include(seen)
    limits = {"objects": close.objects, "pixels": close.pixels}
    shares = agreement.shares
    counted = f"{agreement.count} objects of " if "objects" in shares else ""
    return Level(
        name="results",
        figures={**shares, **agreement.worst.figures} if "objects" in shares else shares,
        limits={kind: limits[kind] for kind in shares},
        of=f"the share that differs of {counted}{len(results)} pictures, and the largest differences"
        + _of_rounded(rounded, f"{len(results)} pictures"),
        worst=agreement.example,
    )


def _as_it_rounds(system: System, image: Tensor) -> Iterator[Prediction]:
    """Predict a picture by the run as it rounds."""
    proposals = system.search([image])
    return (_prediction(other, image, proposals) for other in as_it_rounds(system))


def _prediction(system: System, image: Tensor, proposals: list[Tensor] | None) -> Prediction:
    size = image.shape[-2], image.shape[-1]
    prepared = system.together([system.preprocess.resize(image)], [size], proposals)
    return on_cpu(system.infer_prepared(prepared)[0])


def metric_level(system: System, exported: System, pictures: Dataset, tolerance: float, watch: Watch = iter) -> Level:
    """Measure both on the pictures, by the metrics of the task."""
    ours, theirs = (evaluate(some, pictures, watch=watch).metrics for some in (exported, system))
    names = [name for name in (system.task.metric, *FURTHER) if name in theirs]
    apart = {name: abs(ours[name] - theirs[name]) for name in names}
    return Level(
        name="metric",
        figures=apart,
        limits=dict.fromkeys(names, tolerance),
        of=", ".join(f"{name} {ours[name]:.4f} where the run has {theirs[name]:.4f}" for name in names)
        + f" on {len(pictures)} pictures",
    )
