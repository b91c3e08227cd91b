"""The answers of a system that regresses places are recorded while it learns, in a few validation pictures."""

import json
from pathlib import Path
from typing import Any

from delineate.data.dataset import Dataset
from delineate.data.splits import spread
from delineate.io.files import written_beside
from delineate.system.system import System
from delineate.values import Detections, Prediction, Target, on_cpu
from delineate.viz import fitted, write_picture

NUM_PICTURES, LARGEST = 4, 384


def record_regression(folder: Path, system: System, dataset: Dataset, epoch: int) -> None:
    """Add the answers after `epoch` to `folder/regression.json`; the pictures lie beside it.

    Places are shares of the picture's sides: of each picture the box `x1 y1 x2 y2`, and the joints `x y` where they are
    regressed; and the same of the truth, `null` where a joint is not annotated. What was recorded of later epochs,
    before a run was killed, goes.
    """
    file = folder / "regression.json"
    rows = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    rows = [row for row in rows if row["epoch"] < epoch]
    answers = []
    for number, index in enumerate(spread(len(dataset), NUM_PICTURES), start=1):
        sample = dataset[index]
        picture = folder / f"{number}.jpg"
        if not picture.exists():
            write_picture(picture, fitted(sample.image, sample.target, largest=LARGEST)[0])
        answer = {"picture": picture.name, **_places(system.infer([sample.image])[0])}
        answers.append({**answer, "truth": _truth(sample.target, "joints" in answer)})
    folder.mkdir(parents=True, exist_ok=True)
    with written_beside(file) as beside:
        beside.write_text(json.dumps([*rows, {"epoch": epoch, "pictures": answers}]) + "\n", encoding="utf-8")


def _truth(target: Target, with_joints: bool) -> dict[str, Any]:
    """Write what was to be found, the largest object; nothing where there is none."""
    target = target.largest()
    if not len(target):
        return {}
    height, width = target.image_size
    x1, y1, x2, y2 = target.boxes[0].tolist()
    truth: dict[str, Any] = {"box": [x1 / width, y1 / height, x2 / width, y2 / height]}
    if with_joints and target.keypoints is not None and target.visibility is not None:
        joints = zip(target.keypoints[0].tolist(), target.visibility[0].tolist(), strict=True)
        truth["joints"] = [[x / width, y / height] if seen else None for (x, y), seen in joints]
    return truth


def _places(prediction: Prediction) -> dict[str, Any]:
    detections = on_cpu(prediction)
    assert isinstance(detections, Detections)
    height, width = detections.image_size
    x1, y1, x2, y2 = detections.boxes[0].tolist()
    box = [x1 / width, y1 / height, x2 / width, y2 / height]
    if detections.keypoints is None:
        return {"box": box}
    return {"box": box, "joints": [[x / width, y / height] for x, y in detections.keypoints[0].tolist()]}
