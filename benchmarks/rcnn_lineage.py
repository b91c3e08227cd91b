"""R-CNN, Fast R-CNN, Faster R-CNN: what each exchanged stage buys, in seconds a picture on one machine.

All have the same backbone and two thousand proposals at most, and look at the same pictures of `--size`; what is timed
is a picture's whole way, and by itself the proposals. Weights are random: how long a stage takes does not depend on
them, but for the final NMS, which is a small part. The peer of a row is R-CNN; Fast R-CNN is given with the time of
selective search and without it, as its paper does (section 4.4).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from torch import Tensor

from delineate.data import read_dataset
from delineate.data.formats import splits
from delineate.data.preprocess import Preprocess
from delineate.models.two_stage import TwoStageDetector, fast_rcnn, faster_rcnn, rcnn
from timing import print_rows

TINYCOCO = Path(__file__).resolve().parents[2] / "shared" / "data" / "tinycoco"


def seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


@torch.inference_mode()
def stages(detector: TwoStageDetector, picture: Tensor) -> tuple[float, float]:
    """The seconds of proposals, and of everything else."""
    batch = Preprocess().normalise(picture)[None].contiguous(memory_format=torch.channels_last)
    size = (picture.shape[-2], picture.shape[-1])
    begin = time.perf_counter()
    if detector.search is not None:
        proposals = detector.search.boxes(picture)[None]
    else:
        levels = detector.levels(batch)
        begin = time.perf_counter()
        proposals = detector.propose(levels, size)
    proposing = time.perf_counter() - begin
    return proposing, seconds(lambda: detector.reader.find(detector(batch, proposals), size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--size", type=int, default=480, help="shorter side of the pictures")
    parser.add_argument("--pictures", type=int, default=3)
    parser.add_argument("--data", type=Path, default=TINYCOCO)
    parser.add_argument("--plot", type=Path, help="write a bar chart here (.png or .svg)")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        raise SystemExit(f"{arguments.data}: no such folder; give a COCO data set with --data")

    torch.manual_seed(0)
    data = read_dataset(arguments.data, splits(arguments.data)[0])
    preprocess = Preprocess(short_side=arguments.size)
    images = [preprocess.resize(data[index].image) for index in range(arguments.pictures)]
    options = {"num_classes": 20, "backbone": arguments.backbone}
    systems = {
        "R-CNN": rcnn(**options),
        "Fast R-CNN": fast_rcnn(**options),
        "Faster R-CNN": faster_rcnn(**options, fpn=False, roi="pool"),
    }
    times: dict[str, tuple[float, float]] = {}
    for name, detector in systems.items():
        detector = detector.to(memory_format=torch.channels_last).eval()
        small = images[0][:, :128, :128]
        stages(detector, small)  # compiles and warms up
        measured = [stages(detector, image) for image in images]
        times[name] = tuple(statistics.median(column) for column in zip(*measured, strict=True))
        assert (detector.search is not None) == (name != "Faster R-CNN")
    slowest = sum(times["R-CNN"])
    rows = [_row("R-CNN, with selective search", slowest, slowest)]
    rows += [
        _row("Fast R-CNN, with selective search", sum(times["Fast R-CNN"]), slowest),
        _row("Fast R-CNN, without the time of proposals", times["Fast R-CNN"][1], times["R-CNN"][1]),
        _row("Faster R-CNN", sum(times["Faster R-CNN"]), slowest),
    ]
    print_rows(rows, as_json=arguments.json)
    shares = {name: round(proposing / (proposing + rest), 3) for name, (proposing, rest) in times.items()}
    print("share of proposals in the time: " + json.dumps(shares))
    if arguments.plot:
        plot(times, arguments.plot)


def _row(name: str, ours: float, slowest: float) -> dict[str, object]:
    return {"name": f"{name}, s a picture", "ours": ours, "peer": slowest, "ratio": slowest / ours}


def plot(times: dict[str, tuple[float, float]], path: Path) -> None:
    """Bars of both stages, on a logarithmic axis: the systems are orders of magnitude apart."""
    with mpl.rc_context({"font.family": "DejaVu Sans", "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(7.2, 3), layout="constrained")
        axes = figure.add_subplot()
        for height, offset, color, part in ((0.36, -0.19, "#e69f00", 0), (0.36, 0.19, "#0072b2", 1)):
            label = ("proposals", "features and classification")[part]
            values = [its[part] for its in times.values()]
            places = [index + offset for index in range(len(times))]
            bars = axes.barh(places, values, height, color=color, label=label)
            axes.bar_label(bars, [f"{value:.3g} s" for value in values], padding=4)
        axes.set_yticks(range(len(times)), list(times))
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.set_xlabel("seconds a picture")
        axes.margins(x=0.15)
        axes.legend(frameon=False, loc="lower right")
        figure.savefig(path, dpi=160)


if __name__ == "__main__":
    main()
