"""A picture is explained by the stages of the system's family, which a page shows."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from delineate.io.files import written_beside
from delineate.metrics.detection import LIKELY
from delineate.models.one_stage import FCOS, SSD, RetinaNet, YOLOv1, YOLOv2
from delineate.models.queries import DETR, RTDETR
from delineate.models.regression import Localizer, PoseRegressor
from delineate.models.segmentation import Segmenter
from delineate.models.two_stage import TwoStageDetector
from delineate.study.explain.one_stage import explain_one_stage
from delineate.study.explain.queries import explain_queries, explain_selected_queries
from delineate.study.explain.regression import explain_regression
from delineate.study.explain.segmentation import explain_segmentation
from delineate.study.explain.stages import SHADES, Least, Seen, Stage
from delineate.study.explain.two_stage import explain_two_stage
from delineate.system.catalog import find_entry
from delineate.system.system import System, evaluating
from delineate.viz.palette import hex_color
from delineate.viz.report import page_environment


@torch.inference_mode()
def explain(
    system: System, image: UInt8[Tensor, "3 h w"], *, score: float | None = None, regression: Path | None = None
) -> list[Stage]:
    """Show what a system does with a picture, first the picture itself.

    `score` is what counts as likely: what was calibrated for each class, or else 0.5, if not given.
    `regression` is the folder in which a run kept how its answers moved in training, where it did.
    """
    least = score if score is not None else LIKELY if system.least is None else system.least
    (prepared,) = system.prepare([image])
    seen = Seen(system=system, image=image, inputs=prepared.inputs)
    with evaluating(system.model):
        return [_picture(seen), *_family(seen, least, regression)]


def _picture(seen: Seen) -> Stage:
    (height, width), (rows, columns) = seen.size, seen.input_size
    before = f" It is given to the network in {rows} x {columns} pixels." if (rows, columns) != (height, width) else ""
    return Stage(title="The picture", line=f"{height} x {width} pixels.{before}", pictures=[("as it is", seen.canvas)])


def _family(seen: Seen, score: Least, regression: Path | None) -> list[Stage]:
    match seen.system.model:
        case Segmenter() as model:
            return explain_segmentation(seen, model)
        case TwoStageDetector() as model:
            return explain_two_stage(seen, model, score)
        case SSD() | YOLOv1() | YOLOv2() | RetinaNet() | FCOS() as model:
            return explain_one_stage(seen, model, score)
        case DETR() as model:
            return explain_queries(seen, model, score)
        case RTDETR() as model:
            return explain_selected_queries(seen, model, score)
        case Localizer() | PoseRegressor() as model:
            return explain_regression(seen, model, regression)
        case model:
            raise AssertionError(f"{type(model).__name__} is of no family")


def paper_line(name: str) -> str:
    """Say by which paper a system of the catalog is, and where its code is."""
    entry = find_entry(name)
    return f"{entry.paper}. Code: {entry.preset.__module__}.{entry.preset.__name__}"


def write_explanation(path: Path, stages: Sequence[Stage], *, title: str, facts: str = "", paper: str = "") -> None:
    """Write the stages as one HTML file that needs no script, no network and no other file."""
    shades = [hex_color(shade) for shade in SHADES.int().tolist()]
    template = page_environment().get_template("study/explain/page.html.j2")
    page = template.render(title=title, facts=facts, paper=paper, stages=stages, shades=shades)
    with written_beside(path) as beside:
        beside.write_text(page, encoding="utf-8")
