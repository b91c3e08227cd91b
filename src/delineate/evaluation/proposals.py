"""Proposers are put to use: places in a picture may hold an object, and cover so many of the objects."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from delineate.data.dataset import Dataset, each_readable
from delineate.data.splits import spread
from delineate.io.machine import find_device
from delineate.io.runs import find_checkpoint
from delineate.metrics import average_recall, mean_average_best_overlap, proposal_recall
from delineate.models.two_stage.detector import TwoStageDetector
from delineate.models.two_stage.proposers import SelectiveSearch, SlidingWindow
from delineate.models.two_stage.proposers.rpn import Selection
from delineate.ops.boxes import scale_boxes
from delineate.system.system import System
from delineate.values import InputError, Target

ProposerName = Literal["selective_search", "sliding_window", "rpn"]
Propose = Callable[[UInt8[Tensor, "3 h w"]], Float[Tensor, "_p 4"]]
"""It finds the boxes of a picture that may hold an object, in its own pixels, the likeliest first."""
Annotated = tuple[str, UInt8[Tensor, "3 _h _w"], Target | None]
"""A picture has a file and, where it is known, a target."""

NUM_PROPOSALS = (10, 100, 300, 1000, 2000)
WINDOW_SHARES, WINDOW_RATIOS = (1 / 8, 1 / 4, 1 / 2, 1.0), (0.5, 1.0, 2.0)
"""Windows have sides of these shares of the picture's shorter side, and these aspect ratios."""


class Proposed(NamedTuple):
    """A picture has a target where that is known, and proposals, which took so many seconds."""

    file: str
    image: UInt8[Tensor, "3 h w"]
    target: Target | None
    boxes: Float[Tensor, "p 4"]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ProposalQuality:
    """Proposals cover the objects of pictures so well, by the number of proposals a picture that are taken.

    `recall` is that at an IoU of 0.5, `average_recall` its mean over 0.50:0.05:0.95, `mabo` the mean average best
    overlap. `num_proposals` and `seconds` are means a picture.
    """

    num_images: int
    num_proposals: float
    seconds: float
    recall: dict[int, float]
    average_recall: dict[int, float]
    mabo: dict[int, float]


def find_proposer(
    name: ProposerName,
    *,
    mode: Literal["fast", "quality"] = "fast",
    max_proposals: int = 2000,
    run: Path | None = None,
    device: str = "auto",
) -> Propose:
    """Find what gives at most `max_proposals` boxes of a picture; `mode` is selective search's, the RPN that of `run`.

    Raises `InputError` for an RPN without a run, a run without an RPN, and a run for what is not learned.
    """
    if name == "rpn":
        if run is None:
            raise InputError("proposer: rpn is learned; name with --run a run that has learned one")
        return _rpn(run, max_proposals, device)
    if run is not None:
        raise InputError(f"run: {name} is not learned; leave it out, or choose --proposer rpn")
    if name == "sliding_window":
        return lambda image: _windows((image.shape[-2], image.shape[-1]), max_proposals)
    return SelectiveSearch(mode=mode, max_proposals=max_proposals).boxes


def propose(find: Propose, pictures: Iterable[Annotated]) -> Iterator[Proposed]:
    """Find the proposals of pictures, one by one; what the first waits for, such as compiling, is not timed."""
    for number, (file, image, target) in enumerate(pictures):
        if number == 0:
            find(image)
        start = time.perf_counter()
        boxes = find(image)
        yield Proposed(file, image, target, boxes, time.perf_counter() - start)


def annotated(dataset: Dataset, num_images: int | None = None) -> Iterator[Annotated]:
    """Read the pictures of a data set, all or so many at equal distances, with their boxes."""
    for _, sample in each_readable(dataset.__getitem__, spread(len(dataset), num_images or len(dataset)), None):
        yield sample.file, sample.image, _boxes_alone(sample.target)


def proposal_quality(
    boxes: Sequence[Tensor], targets: Sequence[Target], seconds: Sequence[float], *, max_proposals: int
) -> ProposalQuality:
    """Measure the proposals of pictures, for each of `NUM_PROPOSALS` up to `max_proposals`.

    Raises `InputError` where no picture has an object that counts.
    """
    counts = [*(count for count in NUM_PROPOSALS if count < max_proposals), max_proposals]
    return ProposalQuality(
        num_images=len(boxes),
        num_proposals=sum(len(proposals) for proposals in boxes) / len(boxes),
        seconds=sum(seconds) / len(seconds),
        recall=proposal_recall(boxes, targets, counts),
        average_recall=average_recall(boxes, targets, counts),
        mabo=mean_average_best_overlap(boxes, targets, counts),
    )


def _windows(image_size: tuple[int, int], max_proposals: int) -> Float[Tensor, "p 4"]:
    """Make windows in random order, always the same one: the first are to be a fair sample."""
    scales = [share * min(image_size) for share in WINDOW_SHARES]
    windows = SlidingWindow(scales=scales, aspect_ratios=WINDOW_RATIOS).windows(image_size)
    order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0))
    return windows[order[:max_proposals]]


def _rpn(run: Path, max_proposals: int, device: str) -> Propose:
    system = System.load(find_checkpoint(run), find_device(device))
    model = system.model
    if not isinstance(model, TwoStageDetector) or model.proposer is None:
        raise InputError(f"run: {run} holds a {system.name} without RPN; name a run of one that has it")
    model.proposer.when_testing = Selection(before_nms=max_proposals, after_nms=max_proposals)
    return lambda image: _rpn_boxes(system, model, image)


@torch.inference_mode()
def _rpn_boxes(system: System, model: TwoStageDetector, image: UInt8[Tensor, "3 h w"]) -> Float[Tensor, "p 4"]:
    images = system.inputs(system.preprocess.resize(image)[None]).images
    size = images.shape[-2], images.shape[-1]
    (boxes,) = model.propose(model.levels(images), size)
    boxes = boxes[boxes[:, 2] > boxes[:, 0]]  # the last are zeros where there are fewer
    return scale_boxes(boxes, size, (image.shape[-2], image.shape[-1])).cpu()


def _boxes_alone(target: Target) -> Target:
    """Drop masks and label map: those of many pictures would not fit into memory."""
    kept = {name: getattr(target, name) for name in ("image_size", "boxes", "labels", "crowd", "difficult")}
    return Target(**kept)
