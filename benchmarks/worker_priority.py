"""Pictures seen in training on CPUs: workers that take the time that learning leaves, and workers by usual priority.

    python benchmarks/worker_priority.py [--minutes 0.5] [--repeats 2] [--json]

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


def pictures_seen(model: str, data: Path, minutes: float, niceness: int) -> int:
    """Train by workers that are so nice, and count what was learned from."""
    loading.NICENESS = niceness
    place = Path(tempfile.mkdtemp())
    settings = {**settings_of(model, ROWS[data.name].ours[model]), "minutes": minutes, "val_every": 0, "workers": 1}
    result = train(TrainingSettings(**settings, data=data, out=place / "run"), lighter=False)
    shutil.rmtree(place)
    return result.pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of lsp, bccd and camvid")
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    nice, usual = loading.NICENESS, 0
    rows: list[Row] = []
    for model, name in SYSTEMS.items():
        seen: dict[int, list[int]] = {nice: [], usual: []}
        for turn in range(options.repeats):
            for niceness in (nice, usual) if turn % 2 else (usual, nice):
                seen[niceness].append(pictures_seen(model, options.data / name, options.minutes, niceness))
        ours, peer = (statistics.median(seen[niceness]) for niceness in (nice, usual))
        rows.append({"name": f"{model}, {name}: pictures seen", "ours": ours, "peer": peer, "ratio": ours / peer})
    print_rows(rows, as_json=options.json)


if __name__ == "__main__":
    main()
