"""`python docs/tiles.py RUN` draws docs/images/tiles.png: what tiles find, what borders cut, and the joined result.

RUN is a detector that was trained on synthetic pictures, as `delineate demo` trains one.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.utils import draw_bounding_boxes

from delineate.data import Synthetic
from delineate.data.cutting import windows
from delineate.data.regions import InMemory
from delineate.deploy import Predictor
from delineate.deploy.joining import corners_of, cut_at
from delineate.viz import draw_target, fitted, write_picture

SIZE, TILE, OVERLAP, SCORE = (96, 232), (96, 96), 28, 0.5
FACTOR, GAP, SEED = 4, 24, 1
ORANGE, BLUE = (230, 120, 0), (0, 114, 178)
FILE = Path(__file__).parent / "images" / "tiles.png"


def tile_of(predictor: Predictor, image: Tensor, window: tuple[int, int, int, int]) -> Tensor:
    """Draw the boxes of a tile, those that its borders cut in orange."""
    part = InMemory(image).read(window)
    (found,) = predictor(part, min_score=SCORE)
    corners = corners_of(window)[[0, 1, 0, 1]]
    cut = cut_at(found.boxes + corners, window, SIZE, 3.5).any(1)
    large = part.repeat_interleave(FACTOR, 1).repeat_interleave(FACTOR, 2)
    colors: Any = [ORANGE if one else BLUE for one in cut.tolist()]
    return draw_bounding_boxes(large, found.boxes * FACTOR, colors=colors, width=5) if colors else large


def main() -> None:
    """Put the tiles in a row above the result."""
    predictor = Predictor.load(sys.argv[1], device="cpu")
    image = Synthetic(1, image_size=SIZE, seed=SEED)[0].image
    tiles = [tile_of(predictor, image, window) for window in windows(SIZE, TILE, OVERLAP)]
    (joined,) = predictor(image, tile=TILE, overlap=OVERLAP, min_score=SCORE)
    drawn = draw_target(*fitted(image, joined, smallest=FACTOR * max(SIZE)), predictor.categories)
    width = sum(tile.shape[2] for tile in tiles) + GAP * (len(tiles) - 1)
    canvas = torch.full((3, 2 * FACTOR * SIZE[0] + GAP, width), 255, dtype=torch.uint8)
    left = 0
    for tile in tiles:
        canvas[:, : tile.shape[1], left : left + tile.shape[2]] = tile
        left += tile.shape[2] + GAP
    start = (width - drawn.shape[2]) // 2
    canvas[:, -drawn.shape[1] :, start : start + drawn.shape[2]] = drawn
    write_picture(FILE, canvas)


if __name__ == "__main__":
    main()
