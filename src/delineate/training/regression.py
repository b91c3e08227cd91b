"""How the answers of a system that regresses places move while it learns, in a few validation pictures."""

import json
from pathlib import Path
from typing import Any

from delineate.data.dataset import Dataset
from delineate.data.preprocess import Preprocess
from delineate.io.files import written_beside
from delineate.models.contract import Model
from delineate.system.inference import infer
from delineate.values import Detections, on_cpu
from delineate.viz import fitted, write_picture

NUM_PICTURES, LARGEST = 4, 384


def record_regression(
    folder: Path, model: Model[Any, Any], preprocess: Preprocess, dataset: Dataset, epoch: int
) -> None:
    """Add what is said after `epoch` to `folder/regression.json`; the pictures lie beside it.

    Places are shares of the picture's sides: of each picture the box `x1 y1 x2 y2`, and the joints `x y` where there
    are any. What was recorded of later epochs, before a run was killed, goes.
    """
    file = folder / "regression.json"
    rows = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    rows = [row for row in rows if row["epoch"] < epoch]
    count = min(NUM_PICTURES, len(dataset))
    said = []
    for number in range(count):
        sample = dataset[number * len(dataset) // count]
        picture = folder / f"{number + 1}.jpg"
        if not picture.exists():
            write_picture(picture, fitted(sample.image, sample.target, largest=LARGEST)[0])
        found = on_cpu(infer(model, preprocess, [sample.image])[0])
        assert isinstance(found, Detections)
        height, width = found.image_size
        x1, y1, x2, y2 = found.boxes[0].tolist()
        its: dict[str, Any] = {"picture": picture.name, "box": [x1 / width, y1 / height, x2 / width, y2 / height]}
        if found.keypoints is not None:
            its["joints"] = [[x / width, y / height] for x, y in found.keypoints[0].tolist()]
        said.append(its)
    folder.mkdir(parents=True, exist_ok=True)
    with written_beside(file) as beside:
        beside.write_text(json.dumps([*rows, {"epoch": epoch, "pictures": said}]) + "\n", encoding="utf-8")
