"""Each system of the catalog learns for some minutes by its defaults.

    python benchmarks/defaults.py --out FOLDER [--minutes 4] [--only NAME ...] [--json]

Each system of the catalog trains by `delineate train NAME DATA --minutes 4` with nothing else said, and `delineate val`
measures it on the validation split: detectors on BCCD, dense systems on CamVid, the pose regressor on LSP, and the
localizer and what needs masks or keypoints on synthetic pictures. Both are run as commands, one at a time, so that
`PYTHONPATH=OTHER/src` measures another version. What is finished in FOLDER is kept.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
SETS = {
    "segment": "camvid",
    "pose": "lsp",
    "detect": "bccd",
    "localize": "single",
    "instance": "many",
    "keypoints": "many",
}
SYNTHETIC = {"single": ["--single"], "many": []}
METRICS = ("mIoU", "AP", "AP50", "mask_AP50", "keypoint_AP50", "localization_accuracy", "IoU", "PCK@0.2")


def delineate(*words: object) -> str:
    """Run a command, and give what it writes to standard output; its lines to standard error are shown."""
    command = [sys.executable, "-m", "delineate", *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def data_of(task: str, out: Path) -> Path:
    """Find the data of a task; synthetic ones are made."""
    name = SETS[task]
    if name not in SYNTHETIC:
        return DATA / name
    if not (out / name).exists():
        delineate("synth", out / name, "--num-images", 1000, *SYNTHETIC[name])
    return out / name


def measured(name: str, task: str, minutes: float, out: Path) -> dict[str, Any]:
    """Train and measure a system; `others` are seconds that are not training: reading, fitting, finding proposals."""
    file, data = out / f"{name}.json", data_of(task, out)
    if file.exists():
        row: dict[str, Any] = json.loads(file.read_text())
        return row
    began = time.perf_counter()
    trained = json.loads(delineate("train", name, data, "--minutes", minutes, "--out", out / name, "--json"))
    seconds = time.perf_counter() - began
    metrics = json.loads(delineate("val", out / name, data, "--split", "val", "--json"))["metrics"]
    row = {
        "name": name,
        "data": data.name,
        "pictures": trained["pictures"],
        "others": seconds - trained["seconds"],
        "metrics": {metric: metrics[metric] for metric in METRICS if metric in metrics},
    }
    file.write_text(json.dumps(row))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    systems = json.loads(delineate("models", "--json"))
    rows = []
    for name in options.only or systems:
        rows.append(measured(name, systems[name]["task"], options.minutes, options.out))
        if not options.json:
            row = rows[-1]
            figures = ", ".join(f"{metric} {value:.3f}" for metric, value in row["metrics"].items())
            print(f"| `{name}` | {row['data']} | {row['pictures']:,} | {row['others']:.0f} | {figures} |", flush=True)
    if options.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
