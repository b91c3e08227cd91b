"""A picture is explained by the stages of the system's family, which a page shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import getsource
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from delineate.io.files import written_beside
from delineate.metrics.detection import LIKELY
from delineate.models.contract import AnyModel
from delineate.study.explain import one_stage, queries, regression, segmentation, two_stage
from delineate.study.explain.stages import SHADES, Explain, Explained, Seen, Stage, thinned_out
from delineate.system.catalog import find_entry
from delineate.system.papers import papers
from delineate.system.system import System, evaluating
from delineate.values import InputError
from delineate.viz.palette import hex_color
from delineate.viz.report import page_environment

FAMILIES = (segmentation, regression, two_stage, one_stage, queries)
EXPLAINED: Explained = {kind: stages for family in FAMILIES for kind, stages in family.EXPLAINED.items()}


@torch.inference_mode()
def explain(
    system: System, image: UInt8[Tensor, "3 h w"], *, score: float | None = None, regression: Path | None = None
) -> list[Stage]:
    """Show what a system does with a picture, first the picture itself.

    `score` is what counts as likely: what was calibrated for each class, or else 0.5, if not given.
    `regression` is the folder in which a run kept how its answers moved in training, where it did. Raises `InputError`
    for an export, whose graph shows nothing but its result.
    """
    if system.exported:
        raise InputError("explain: the graph of an export cannot be looked into; explain the run that it came from")
    least = score if score is not None else LIKELY if system.least is None else system.least
    (prepared,) = system.prepare([image])
    seen = Seen(system=system, image=image, inputs=prepared.inputs, least=least, history=regression)
    with evaluating(system.model):
        return [_picture(seen), *explained(system.model)(seen, system.model)]


def explained(model: AnyModel) -> Explain:
    """Find what shows the stages of a model, which is its result alone where its family has no more to say of it."""
    return next((EXPLAINED[kind] for kind in type(model).__mro__ if kind in EXPLAINED), _result)


def _picture(seen: Seen) -> Stage:
    (height, width), (rows, columns) = seen.size, seen.input_size
    before = f" It is given to the network in {rows} x {columns} pixels." if (rows, columns) != (height, width) else ""
    return Stage(title="The picture", line=f"{height} x {width} pixels.{before}", pictures=[("as it is", seen.canvas)])


def _result(seen: Seen, model: AnyModel) -> list[Stage]:
    """Show the result, and what there was before NMS where that has made it."""
    raw = model(*seen.inputs)
    thresholds = model.reader.thresholds
    if thresholds is not None and thresholds.nms_iou < 1:
        return thinned_out(seen, raw)
    result = seen.result(raw)
    return [Stage(title="The result", line="That is what it says.", pictures=[("result", seen.drawn(result))])]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A system is by these papers, each with where it can be read, `None` for what is no paper, and built by this code.

    `name` is the Python name of what builds it, `code` its text.
    """

    papers: Sequence[tuple[str, str | None]]
    name: str
    code: str


def origin(system: str) -> Origin:
    """Find by which papers a system of the catalog is, and what builds it; raises `InputError` for another name."""
    entry = find_entry(system)
    preset = entry.preset
    return Origin(
        papers=papers(entry.paper), name=f"{preset.__module__}.{preset.__name__}", code=getsource(preset).strip()
    )


def write_explanation(
    path: Path, stages: Sequence[Stage], *, title: str, facts: str = "", origin: Origin | None = None
) -> None:
    """Write the stages as one HTML file that needs no script, no network and no other file.

    Beside them the papers are linked, and the code stands there to be opened.
    """
    shades = [hex_color(shade) for shade in SHADES.int().tolist()]
    template = page_environment().get_template("study/explain/page.html.j2")
    page = template.render(title=title, facts=facts, origin=origin, stages=stages, shades=shades)
    with written_beside(path) as beside:
        beside.write_text(page, encoding="utf-8")
