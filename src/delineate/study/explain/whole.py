"""Whole pictures: what the heads see, what they say, and how that moved while they learned."""

import json
from pathlib import Path

import torch
from PIL import ImageDraw
from torch import Tensor

from delineate.data.images import read_image
from delineate.models.regression import Localizer, PoseRegressor
from delineate.models.regression.heads import CELLS
from delineate.study.explain.stages import SHADES, Seen, Stage, strength
from delineate.viz.grid import to_pil, to_tensor

MOST_EPOCHS = 24


def explain_whole(seen: Seen, model: Localizer | PoseRegressor, regression: Path | None) -> list[Stage]:
    """The map that is flattened, the result, and with the folder of a run's regression how it came about."""
    return [*_said(seen, model), *([] if regression is None else over_training(regression))]


def over_training(folder: Path) -> list[Stage]:
    """Where the box, or each joint, of some validation pictures was said to be, from the first epoch to the last."""
    file = folder / "regression.json"
    if not file.is_file():
        return []
    rows = json.loads(file.read_text(encoding="utf-8"))
    count = min(len(rows), MOST_EPOCHS)
    rows = [rows[round(place * (len(rows) - 1) / max(1, count - 1))] for place in range(count)]
    pictures = []
    for number, first in enumerate(rows[0]["pictures"]):
        canvas = to_pil(_gray(folder / first["picture"]))
        draw = ImageDraw.Draw(canvas)
        size = torch.tensor([canvas.width, canvas.height])
        width = max(2, canvas.width // 120)
        said = [row["pictures"][number] for row in rows]
        for rank, its in enumerate(said):
            colour = _shade((rank + 1) / len(said))
            if "joints" not in its:
                x1, y1, x2, y2 = (torch.tensor(its["box"]) * size.repeat(2)).tolist()
                draw.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour, width=width)
            elif rank:
                before, now = (torch.tensor(row["joints"]) * size for row in (said[rank - 1], its))
                for start, end in zip(before.tolist(), now.tolist(), strict=True):
                    draw.line((*start, *end), fill=colour, width=width)
        pictures.append((f"validation picture {number + 1}", to_tensor(canvas)))
    line = f"What was said after {len(rows)} epochs of training, the first dark, the last light."
    return [Stage(title="The regression over training", line=line, pictures=pictures)]


def _gray(file: Path) -> Tensor:
    """A picture in gray, so that colours drawn on it are seen."""
    gray = read_image(file).float().mean(0, keepdim=True).expand(3, -1, -1)
    return (0.7 * gray + 40).clamp(0, 255).to(torch.uint8)


def _shade(share: float) -> tuple[int, ...]:
    place = share * (len(SHADES) - 1)
    below = min(int(place), len(SHADES) - 2)
    return tuple(SHADES[below].lerp(SHADES[below + 1], place - below).int().tolist())


def _said(seen: Seen, model: Localizer | PoseRegressor) -> list[Stage]:
    levels = model.backbone(seen.batch).levels
    outputs = model(seen.batch)
    found = seen.result(outputs)
    flattened = torch.nn.functional.adaptive_avg_pool2d(model.flatten.project(levels[-1]), CELLS)
    stages = [
        Stage(
            title="What the heads see",
            line=f"{CELLS} x {CELLS} places of the last map, flattened: light is where it answers strongly.",
            pictures=[("7 x 7", seen.heat(strength(flattened)))],
        )
    ]
    if isinstance(model, Localizer):
        names = seen.predictor.categories.class_names
        probability = outputs.logits[0].softmax(0)
        best = probability.argsort(descending=True)[:3].tolist()
        said = ", ".join(f"{names[row]} {float(probability[row]):.2f}" for row in best)
        line = (
            f"One head says which class it is ({said}), the other where: centre and sides, as shares of the picture's."
        )
        return [*stages, Stage(title="Class and box", line=line, pictures=[("found", seen.drawn(found))])]
    for number in range(len(outputs)):
        title = "Joints" if number == 0 else "Joints, moved by a second look"
        line = (
            "Each joint's x and y are two numbers of the last layer."
            if number == 0
            else ("Around each joint, a finer map says how far it has to move.")
        )
        its = seen.result(outputs[number : number + 1])
        stages.append(Stage(title=title, line=line, pictures=[("joints", seen.drawn(its))]))
    return stages
