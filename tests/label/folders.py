"""Folders to label: raw pictures, and data sets that know everything."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tests.data.samples import everything
from tests.models.systems import pictures

from delineate.data.files import write_label_map
from delineate.data.formats import coco
from delineate.label import Labels, open_labels
from delineate.label.opening import Naming
from delineate.system.system import System

OPENED: list[Labels] = []


class Held:
    """Models that are in memory already."""

    def __init__(self, **systems: System) -> None:
        self.systems = systems
        self.replaced: dict[str, Path] = {}

    def names(self) -> list[str]:
        return list(self.systems)

    def system(self, name: str) -> System:
        return self.systems[name]

    def run(self, name: str) -> Path:
        return self.replaced.get(name, Path("nowhere"))

    def replace(self, name: str, run: Path) -> None:
        self.replaced[name] = run
        self.systems[name] = System.load(run / "best.safetensors", torch.device("cpu"))


def raw(folder: Path, count: int = 6) -> Path:
    """Pictures of a disk and a box, in two folders."""
    images, _ = pictures(min(count, 10))
    for number in range(count):
        image = images[number % len(images)]
        file = folder / ("a" if number % 2 else "b") / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)
    return folder


def coco_set(folder: Path) -> Path:
    """Crowds, holes, parts, keypoints, difficult objects, and a picture without any."""
    coco.write(everything(), folder, "train")
    return folder


def mask_folder(folder: Path, count: int = 3) -> Path:
    """A class for every pixel, and some that are ignored."""
    images, targets = pictures(count)
    for number, (image, target) in enumerate(zip(images, targets, strict=True)):
        assert target.label_map is not None
        label_map = target.label_map.clone()
        label_map[:4] = 255
        file = folder / "images" / "train" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)
        write_label_map(folder / "labels" / "train" / f"{number}.png", label_map)
    (folder / "classes.txt").write_text("disk\nbox\nground\n")
    return folder


def opened(folder: Path, models: Any = None, classes: tuple[str, ...] = ("disk", "box"), **naming: Any) -> Labels:
    given = Naming(classes=classes, **naming) if classes else Naming(**naming)
    labels = open_labels(folder, models, naming=given, first_after=0, device="cpu")
    OPENED.append(labels)
    return labels


def put(key: str = "k", label: str = "disk", box: tuple[float, ...] = (10, 10, 40, 30), **more: Any) -> dict[str, Any]:
    return {"kind": "put", "object": {"key": key, "label": label, "box": box, **more}}


def patch(values: np.ndarray, x: int = 0, y: int = 0) -> dict[str, Any]:
    written = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(written, "png")
    height, width = values.shape[:2]
    return {
        "kind": "label_map",
        "png": base64.b64encode(written.getvalue()).decode(),
        "box": [x, y, x + width, y + height],
    }


DONE = {"kind": "state", "state": "done"}
