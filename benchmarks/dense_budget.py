"""The dense systems, and the five upsamplers in U-Net, on CamVid from scratch: the same minutes of training for each.

The upsamplers are compared in U-Net with the plain encoder, the one that keeps pooling indices, at a quarter of the
paper's widths so that each sees enough pictures. The rest of the recipe is that of `camvid_budget.py`. Test mIoU at
original size; rows have no peer.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from delineate.evaluation import evaluate_run
from delineate.training import TrainingSettings, train

ENTRIES: dict[str, tuple[str, dict[str, Any]]] = {
    "sliding_window_segmenter": ("sliding_window_segmenter", {}),
    "fcn_full_resolution": ("fcn_full_resolution", {"width": 32}),
    "fcn32s": ("fcn32s", {}),
    "fcn16s": ("fcn16s", {}),
    "fcn8s": ("fcn8s", {}),
    "segnet": ("segnet", {}),
    "segnet_basic": ("segnet_basic", {}),
    "unet": ("unet", {}),
    **{
        f"unet {upsampler}": ("unet", {"backbone": "plain", "width": 16, "upsampler": upsampler})
        for upsampler in ("nearest", "bilinear", "bed_of_nails", "max_unpool", "transposed")
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/camvid"))
    parser.add_argument("--entries", nargs="+", default=list(ENTRIES), choices=list(ENTRIES))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not (arguments.data / "images" / "test").is_dir():
        raise SystemExit(f"{arguments.data}: no images/test there; give CamVid's mask folder with --data")

    rows = []
    for name in arguments.entries:
        model, options = ENTRIES[name]
        with tempfile.TemporaryDirectory() as folder:
            run = train(
                TrainingSettings(
                    model=model,
                    arguments=options,
                    data=arguments.data,
                    minutes=arguments.minutes,
                    seed=arguments.seed,
                    class_weights="median_frequency",
                    crop_size=(256, 320),
                    learning_rate=2e-3,
                    scale=(0.75, 1.5),
                    colour=0.2,
                    out=Path(folder) / "run",
                )
            )
            begin = time.perf_counter()
            found = evaluate_run(run.folder, arguments.data, "test")
            rows.append(
                {
                    "name": name,
                    "options": options,
                    "mIoU": found.metrics["mIoU"],
                    "pixel accuracy": found.metrics["pixel_accuracy"],
                    "pictures seen": run.pictures,
                    "seconds a picture, evaluation": (time.perf_counter() - begin) / found.num_images,
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    if not arguments.json:
        table = Table(title=f"CamVid test, {arguments.minutes:g} minutes each, seed {arguments.seed}")
        for heading in ("system", "mIoU", "pixel accuracy", "pictures seen", "s a picture"):
            table.add_column(heading)
        for row in rows:
            table.add_row(
                row["name"],
                f"{row['mIoU']:.3f}",
                f"{row['pixel accuracy']:.3f}",
                str(row["pictures seen"]),
                f"{row['seconds a picture, evaluation']:.3f}",
            )
        Console().print(table)


if __name__ == "__main__":
    main()
