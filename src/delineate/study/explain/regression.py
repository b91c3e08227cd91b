"""Regression is explained by what the heads see, what they say, and how that moved while they learned."""

import json
from pathlib import Path
from typing import Any

import torch
from PIL import ImageDraw
from torch import Tensor
from torch.nn import functional as F

from delineate.data.images import read_image
from delineate.models.regression import Localizer, PoseRegressor
from delineate.models.regression.heads import CELLS
from delineate.models.regression.localizer import LocalizerRaw
from delineate.models.regression.pose import PoseRaw
from delineate.study.explain.stages import LARGEST_OF_EACH, Explained, Seen, Stage, shades, shape, strength
from delineate.values import counted
from delineate.viz.grid import to_pil, to_tensor
from delineate.viz.verdicts import RIGHT

MOST_EPOCHS = 24


def explain_regression(seen: Seen, model: Localizer | PoseRegressor) -> list[Stage]:
    """Show the map that is flattened, the result, and with the folder of a run's regression how it came about."""
    raw = model(*seen.inputs)
    stages = [_flattened(seen, model)]
    stages += [_class_and_box(seen, raw)] if isinstance(model, Localizer) else _joints(seen, raw)
    return stages if seen.history is None else [*stages, *over_training(seen.history)]


def over_training(folder: Path) -> list[Stage]:
    """Draw where the box, or each joint, of some validation pictures was predicted, epoch by epoch."""
    file = folder / "regression.json"
    if not file.is_file():
        return []
    rows = json.loads(file.read_text(encoding="utf-8"))
    count = min(len(rows), MOST_EPOCHS)
    rows = [rows[round(place * (len(rows) - 1) / max(1, count - 1))] for place in range(count)]
    pictures = []
    for number, first in enumerate(rows[0]["pictures"]):
        gray = _gray(folder / first["picture"])
        canvas = to_pil(gray)
        draw = ImageDraw.Draw(canvas)
        size = torch.tensor([canvas.width, canvas.height])
        width = max(2, canvas.width // 120)
        predictions = [row["pictures"][number] for row in rows]
        colours = shades(torch.arange(1, len(rows) + 1) / len(rows)).int().tolist()
        for rank, (predicted, colour) in enumerate(zip(predictions, map(tuple, colours), strict=True)):
            if "joints" not in predicted:
                x1, y1, x2, y2 = (torch.tensor(predicted["box"]) * size.repeat(2)).tolist()
                draw.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour, width=width)
            elif rank:
                before, now = (torch.tensor(row["joints"]) * size for row in (predictions[rank - 1], predicted))
                for start, end in zip(before.tolist(), now.tolist(), strict=True):
                    draw.line((*start, *end), fill=colour, width=width)
        pictures.append((f"validation picture {number + 1}", to_tensor(canvas)))
        if first.get("truth"):
            pictures.append((f"truth of picture {number + 1}", _truth(gray, first["truth"])))
    line = f"What was predicted after {counted(len(rows), 'epoch')} of training, the first dark, the last light."
    return [Stage(title="The regression over training", line=line, pictures=pictures)]


def _truth(gray: Tensor, truth: dict[str, Any]) -> Tensor:
    """Draw the joints that are annotated, or the box."""
    canvas = to_pil(gray)
    draw, width = ImageDraw.Draw(canvas), max(2, canvas.width // 120)
    size = torch.tensor([canvas.width, canvas.height])
    if "joints" not in truth:
        x1, y1, x2, y2 = (torch.tensor(truth["box"]) * size.repeat(2)).tolist()
        draw.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=RIGHT, width=width)
    for place in truth.get("joints", []):
        if place is not None:
            x, y = (torch.tensor(place) * size).tolist()
            draw.circle((x, y), 2 * width, fill=RIGHT)
    return to_tensor(canvas)


def _gray(file: Path) -> Tensor:
    """Read a picture in gray, so that colours drawn on it are seen."""
    gray = read_image(file).float().mean(0, keepdim=True).expand(3, -1, -1)
    return (0.7 * gray + 40).clamp(0, 255).to(torch.uint8)


def _flattened(seen: Seen, model: Localizer | PoseRegressor) -> Stage:
    levels = model.backbone(seen.inputs.images).levels
    cells = F.adaptive_avg_pool2d(model.flatten.project(levels[-1]), CELLS)
    return Stage(
        title="What the heads see",
        line=f"The last map, {shape(cells)} (channels x rows x columns), is flattened; light is where it answers "
        "strongly.",
        pictures=[("last map", seen.heat(strength(cells)))],
        scale=LARGEST_OF_EACH,
    )


def _class_and_box(seen: Seen, raw: LocalizerRaw) -> Stage:
    names = seen.system.categories.class_names
    probability = raw.logits[0].softmax(0)
    best = probability.argsort(descending=True)[:3].tolist()
    likeliest = ", ".join(f"{names[row]} {float(probability[row]):.2f}" for row in best)
    return Stage(
        title="Class and box",
        line=f"One head says which class it is ({likeliest}), the other where: centre and sides, as shares of the "
        "picture's.",
        pictures=[("box", seen.drawn(seen.result(raw)))],
    )


def _joints(seen: Seen, raw: PoseRaw) -> list[Stage]:
    later = "Around each joint, in a window as large as half the pose, a finer map says how far it has to move."
    stages = [("Joints", "Each joint's x and y are two numbers of the last layer.")]
    stages += [(f"Joints, moved by look {look}", later) for look in range(2, raw.stages.shape[1] + 1)]
    return [
        Stage(
            title=title, line=line, pictures=[("joints", seen.drawn(seen.result(PoseRaw(raw.stages[:, : number + 1]))))]
        )
        for number, (title, line) in enumerate(stages)
    ]


EXPLAINED: Explained = {Localizer: explain_regression, PoseRegressor: explain_regression}
