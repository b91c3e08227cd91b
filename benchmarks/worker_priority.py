"""Pictures seen in training on CPUs: workers that take the time that learning leaves, and workers by usual priority.

    python benchmarks/worker_priority.py [--minutes 0.7] [--repeats 3] [--json]

Each row is a system in its lighter form around EfficientNet-Lite0 (random weights), trained in turns on real pictures
with one worker, as is usual on two cores. The pictures of a turn are its figure, so that more is better.
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

from delineate.data import loading
from delineate.training import TrainingSettings, train
from timing import Row, print_rows
from transfer import DATA, settings_of
from transfer_rows import ROWS

SYSTEMS = {"pose_regressor": "lsp", "fcos": "bccd", "deeplabv3plus": "camvid"}
USUAL = 0


def pictures_seen(model: str, data: Path, minutes: float, priority: int) -> int:
    """Train by workers that stand back so far, and count what was learned from."""
    loading.LOWEST_PRIORITY = priority  # workers are forked
    place = Path(tempfile.mkdtemp())
    settings = {**settings_of(model, ROWS[data.name].ours[model]), "minutes": minutes, "val_every": 0, "workers": 1}
    result = train(TrainingSettings(**settings, data=data, out=place / "run"), lighter=False)
    shutil.rmtree(place)
    return result.pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of lsp, bccd and camvid")
    parser.add_argument("--minutes", type=float, default=0.7)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    back = loading.LOWEST_PRIORITY
    rows: list[Row] = []
    for model, name in SYSTEMS.items():
        seen: dict[int, list[int]] = {back: [], USUAL: []}
        for _ in range(options.repeats):
            for priority, counts in seen.items():
                counts.append(pictures_seen(model, options.data / name, options.minutes, priority))
        ours, peer = (statistics.median(counts) for counts in seen.values())
        rows.append({"name": f"{model}, {name}: pictures seen", "ours": ours, "peer": peer, "ratio": ours / peer})
    print_rows(rows, as_json=options.json)


if __name__ == "__main__":
    main()
