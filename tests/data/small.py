"""Small YOLO sets, written as people have them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def write_yolo(
    root: Path, splits: Mapping[str, Sequence[str]], *, names: str = "[cat, dog]", size: tuple[int, int] = (64, 64)
) -> Path:
    """Write a picture for each text of a split, which is its label file; pictures of noise have `(height, width)`."""
    random = np.random.default_rng(0)
    lines = [f"{split}: images/{split}" for split in splits]
    for split, labels in splits.items():
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for number, text in enumerate(labels):
            pixels = random.integers(0, 256, (*size, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(root / "images" / split / f"{number}.png")
            (root / "labels" / split / f"{number}.txt").write_text(text)
    (root / "data.yaml").write_text("\n".join([*lines, f"names: {names}"]) + "\n")
    return root


def boxes(count: int, label: int = 0, side: float = 0.1) -> str:
    """Write `count` squares of `side` (a share of the picture's) at different places."""
    places = [(0.1 + 0.8 * number / max(1, count - 1), 0.1 + 0.8 * (number * 7 % 10) / 10) for number in range(count)]
    return "".join(f"{label} {x:.6f} {y:.6f} {side} {side}\n" for x, y in places)
