"""A small COCO folder for tests, of two pictures and the annotations that a test is about."""

import json
from pathlib import Path
from typing import Any

from PIL import Image

SIZE = (20, 30)


def object_(**fields: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": 5, "category_id": 3, "bbox": [2, 3, 10, 8], "iscrowd": 0, **fields}


def folder(root: Path, *annotations: dict[str, Any], kind: str = "instances_", **changes: Any) -> Path:
    """A COCO folder of two pictures, ids 5 and 2, with the given annotations."""
    document = {
        "images": [{"id": number, "file_name": f"{number}.png", "height": 20, "width": 30} for number in (5, 2)],
        "annotations": list(annotations),
        "categories": [{"id": 9, "name": "cat"}, {"id": 3, "name": "dog"}],
        **changes,
    }
    for home in ("annotations", "val"):
        (root / home).mkdir(exist_ok=True, parents=True)
    (root / "annotations" / f"{kind}val.json").write_text(json.dumps(document))
    for number in (5, 2):
        Image.new("RGB", SIZE[::-1], (number, 0, 0)).save(root / "val" / f"{number}.png")
    return root
