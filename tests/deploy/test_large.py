"""A TIFF of 8,000 x 8,000 pixels, 192 MB, is never whole in memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile

SIDE, SQUARE = 8000, (6000, 7000, 40)
ENVIRONMENT = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"}
"""What is freed is given back: else glibc keeps holes between the few bytes that stay."""
SCRIPT = """
import json, resource, sys
import torch
from tests.deploy.test_joining import blobs
from delineate.deploy import Predictor
predictor = Predictor(blobs(with_masks=False))
predictor(torch.zeros(3, 1100, 1100, dtype=torch.uint8), tile=(1024, 1024))  # what is imported, and kept, is there now
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
[predicted] = predictor.predict(sys.argv[1], tile=(1024, 1024))
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
found = predicted.prediction
print(json.dumps([grown, found.boxes.tolist(), list(found.image_size), list(predicted.image.shape)]))
"""


def test_memory_is_that_of_a_few_tiles(tmp_path: Path) -> None:
    row, column, side = SQUARE
    tile = np.zeros((512, 512, 3), np.uint8)

    def tiles():  # type: ignore[no-untyped-def]
        for top in range(0, SIDE, 512):
            for left in range(0, SIDE, 512):
                filled = tile.copy()
                y, x = max(row - top, 0), max(column - left, 0)
                filled[y : max(row + side - top, 0), x : max(column + side - left, 0), 1] = 255
                yield filled

    file = tmp_path / "large.tif"
    tifffile.imwrite(
        file, tiles(), shape=(SIDE, SIDE, 3), dtype=np.uint8, tile=(512, 512), photometric="rgb", compression="deflate"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(file)],
        cwd=root,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    grown, boxes, size, shown = json.loads(done.stdout)
    assert boxes == [[column, row, column + side, row + side]]
    assert size == [SIDE, SIDE]
    assert shown == [3, 4096, 4096]
    assert grown < 180_000, f"{grown} KiB, where the picture has {SIDE * SIDE * 3 // 1024}"
