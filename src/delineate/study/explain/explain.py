"""One picture through one system: the stages of its family, and the page that shows them."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from delineate.deploy import Predictor
from delineate.io.files import written_beside
from delineate.metrics.detection import LIKELY
from delineate.models.one_stage import SSD, YOLOv1, YOLOv2
from delineate.models.queries import DETR
from delineate.models.regression import Localizer, PoseRegressor
from delineate.models.segmentation import Segmenter
from delineate.models.two_stage import RegionDetector
from delineate.study.explain.dense import explain_dense
from delineate.study.explain.grid import explain_grid
from delineate.study.explain.region import explain_region
from delineate.study.explain.sets import explain_sets
from delineate.study.explain.stages import LARGEST, Seen, Stage, nothing
from delineate.study.explain.whole import explain_whole
from delineate.viz.report import data_uri, page_environment
from delineate.viz.scaling import READABLE, fitted


@torch.inference_mode()
def explain(
    predictor: Predictor, image: UInt8[Tensor, "3 h w"], *, score: float = LIKELY, regression: Path | None = None
) -> list[Stage]:
    """What the system did with a picture, first the picture itself; `score` is what counts as likely.

    `regression` is the folder in which a run kept how its answers moved in training, where it did.
    """
    model, device = predictor.model, next(predictor.model.parameters()).device
    resized = predictor.preprocess.resize(image)
    batch = predictor.preprocess.normalise(resized[None].to(device)).contiguous(memory_format=torch.channels_last)
    seen = Seen(predictor=predictor, image=image, batch=batch)
    shown, _ = fitted(image, nothing(seen.size), smallest=READABLE, largest=LARGEST)
    (height, width), (rows, columns) = seen.size, seen.input_size
    before = f" It is given to the network in {rows} x {columns} pixels." if (rows, columns) != (height, width) else ""
    first = Stage(title="The picture", line=f"{height} x {width} pixels.{before}", pictures=[("as it is", shown)])
    match model:
        case Segmenter():
            stages = explain_dense(seen, model)
        case RegionDetector():
            stages = explain_region(seen, model, score)
        case SSD() | YOLOv1() | YOLOv2():
            stages = explain_grid(seen, model, score)
        case DETR():
            stages = explain_sets(seen, model, score)
        case Localizer() | PoseRegressor():
            stages = explain_whole(seen, model, regression)
        case _:
            raise AssertionError(f"{type(model).__name__} is of no family")
    return [first, *stages]


def write_explanation(path: Path, stages: Sequence[Stage], *, title: str, facts: str = "") -> None:
    """Write the stages as one HTML file that needs no script, no network and no other file."""
    shown = [
        {"title": its.title, "line": its.line, "pictures": [(caption, data_uri(p)) for caption, p in its.pictures]}
        for its in stages
    ]
    page = page_environment().get_template("study/explain/page.html.j2").render(title=title, facts=facts, stages=shown)
    with written_beside(path) as beside:
        beside.write_text(page, encoding="utf-8")
