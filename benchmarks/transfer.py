"""From ImageNet weights in minutes: ours, and peers that begin with the same file, on real pictures.

    python benchmarks/transfer.py --weights tf_efficientnet_lite0.safetensors [--rows camvid bccd ...] [--out FOLDER]

A row is a data set. Ours are `train` with `--backbone tf_efficientnet_lite0 --backbone-weights FILE`, the catalog's
recipe of fine-tuning, and the settings that stand in `ROWS`; the peers (`peers.py`) are torchvision's detectors and
segmentation_models_pytorch's networks around the same backbone. Each trains for the row's minutes (or `--minutes`) on
the same split, one after the other; the validation split chooses nothing, the last weights are measured, and the test
split is read once, at the end, on original pictures, by one code for both.

A torchvision detector with a pyramid is then imported (`import_torchvision`) and measured here, too: `imported` beside
torchvision's own pipeline, which resizes floats where ours resizes bytes.

Every result is kept in `--out` as JSON, and what is there is not done again.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import peers
from delineate.artefact import load_system
from delineate.data.dataset import Dataset
from delineate.data.splits import read_split
from delineate.data.synthetic import synthesise
from delineate.evaluation import evaluation_data, source_of
from delineate.io.machine import has_bf16
from delineate.system.catalog import find_entry
from delineate.system.importers import import_torchvision
from delineate.system.system import System
from delineate.training import TrainingSettings, train
from delineate.values import Task
from timing import print_rows

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SMALL = {"short_side": 320, "long_side": 640}
THEIR_SMALL = {"min_size": 320, "max_size": 640}
SSD320 = {"side": 320}


@dataclass(frozen=True)
class Row:
    """On this data ours are trained by their settings that are not defaults, the peers by options of their making.

    `learn` are options of the peers' loop. Each of ours stands beside the peers of `BESIDE` that the row has.
    """

    train: str
    test: str
    minutes: float
    metrics: tuple[str, ...]
    ours: Mapping[str, Mapping[str, Any]]
    peers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    learn: Mapping[str, Any] = field(default_factory=dict)
    data: Callable[[Path, Path], Path] | None = None


BESIDE = {
    "unet": ("smp_unet", "smp_deeplabv3plus"),
    "deeplabv3plus": ("smp_unet", "smp_deeplabv3plus"),
    "faster_rcnn": ("torchvision_faster_rcnn",),
    "mask_rcnn": ("torchvision_mask_rcnn",),
    "retinanet": ("torchvision_retinanet",),
    "ssd": ("torchvision_ssd",),
}
IMPORTED = {"torchvision_faster_rcnn": "fasterrcnn", "torchvision_mask_rcnn": "maskrcnn"}


def synthetic(_: Path, out: Path) -> Path:
    """Make a thousand pictures, as `delineate synth` does."""
    if not (out / "synthetic").exists():
        synthesise(out / "synthetic", num_images=1000)
    return out / "synthetic"


def from_coco128(*names: str) -> Callable[[Path, Path], Path]:
    """Train on coco128 and test on tinycoco's val, of these classes alone (of all, without names)."""

    def make(data: Path, out: Path) -> Path:
        folder = out / "-".join(("coco128", *names))
        for split, source in (("train", data / "coco128/train2017"), ("val", data / "tinycoco/val2017")):
            file = folder / "annotations" / f"instances_{split}.json"
            if file.exists():
                continue
            document = json.loads((source.parent / "annotations" / f"instances_{source.name}.json").read_text())
            kept = {row["id"]: row for row in document["categories"] if not names or row["name"] in names}
            objects = [row for row in document["annotations"] if row["category_id"] in kept]
            filled = {row["image_id"] for row in objects}
            # of one class, pictures without it are left out of training; all are measured on
            images = [row for row in document["images"] if not names or split == "val" or row["id"] in filled]
            for row in images:
                row["file_name"] = str((source / row["file_name"]).resolve())
            file.parent.mkdir(parents=True, exist_ok=True)
            categories = list(kept.values())
            file.write_text(json.dumps({"images": images, "annotations": objects, "categories": categories}))
        return folder

    return make


ROWS: dict[str, Row] = {
    "camvid": Row(
        *("train", "test", 30, ("mIoU",)),
        ours={"unet": {}, "deeplabv3plus": {}},
        peers={"smp_unet": {}, "smp_deeplabv3plus": {}},
        learn={"crop": (352, 480)},
    ),
    "bccd": Row(
        *("trainval", "test", 10, ("AP", "AP50")),
        ours={
            "faster_rcnn": SMALL,
            "ssd": {},
            "retinanet": SMALL,
            "fcos": SMALL,
            "fast_rcnn": SMALL,
            "rcnn": SMALL,
            "sliding_window_detector": SMALL,
            "yolov1": {},
            "yolov1_conv": {"model": "yolov1", "arguments": {"head": "conv"}},
            "yolov2": {},
            "detr": SMALL,
            "detr_small": SMALL,
        },
        peers={
            "torchvision_faster_rcnn": THEIR_SMALL,
            "torchvision_retinanet": THEIR_SMALL,
            "torchvision_ssd": SSD320,
        },
    ),
    "nuclei": Row(
        *("train", "val", 20, ("AP", "AP50", "mask_AP", "mask_AP50")),
        ours={"mask_rcnn": {"arguments": {"anchor_size": 8}, "short_side": 384, "long_side": 640}},
        peers={
            "torchvision_mask_rcnn": {
                "anchor_size": 8,
                "min_size": 384,
                "max_size": 640,
                "box_detections_per_img": 400,  # the fullest picture has 329 nuclei
            }
        },
        learn={"batch_size": 2},
    ),
    "lsp": Row(*("train", "val", 20, ("PCK@0.2",)), ours={"pose_regressor": {}}),
    "keypoints": Row(
        *("train", "val", 5, ("keypoint_AP", "keypoint_AP50")), ours={"keypoint_rcnn": {}}, data=synthetic
    ),
    "person": Row(
        *("train", "val", 10, ("AP", "AP50")),
        ours={"faster_rcnn": SMALL, "ssd": {}},
        peers={"torchvision_faster_rcnn": THEIR_SMALL, "torchvision_ssd": SSD320},
        data=from_coco128("person"),
    ),
    "coco128": Row(
        *("train", "val", 20, ("AP", "AP50")),
        ours={"faster_rcnn": SMALL},
        peers={"torchvision_faster_rcnn": THEIR_SMALL},
        data=from_coco128(),
    ),
}


def measured(infer: peers.Infer, task: Task, data: Dataset) -> dict[str, float]:
    """Measure what is found in original pictures."""
    tally = task.tally(data.categories)
    for number in range(len(data)):
        sample = data[number]
        tally.add(infer(sample), sample.target, number)
    return tally.metrics(getattr(data.categories, task.rows))


def by_system(system: System) -> peers.Infer:
    return lambda sample: system.infer([sample.image])[0]


@dataclass(frozen=True)
class Bench:
    """A row is measured with these weights, on data that are there, for so many minutes each."""

    name: str
    row: Row
    data: Path
    weights: Path
    out: Path
    minutes: float
    seed: int
    precision: str

    def kept(self, name: str, measure: Callable[[str, Path], dict[str, Any]]) -> dict[str, Any]:
        """Measure one of ours or of the peers, unless that was done."""
        stem = self.out / f"{self.name}-{name}-{self.minutes:g}min-seed{self.seed}"
        file = stem.with_name(f"{stem.name}.json")
        if file.exists():
            done: dict[str, Any] = json.loads(file.read_text())
            return done
        begin = time.perf_counter()
        result = {"row": self.name, "name": name, "minutes": self.minutes, "seed": self.seed, **measure(name, stem)}
        peers.say(f"{stem.name}: {json.dumps(result['metrics'])} ({time.perf_counter() - begin:.0f} s in all)")
        file.write_text(json.dumps(result, indent=1))
        return result

    def figures(self, metrics: Mapping[str, float]) -> dict[str, float]:
        return {metric: metrics[metric] for metric in self.row.metrics}

    def ours(self, name: str, stem: Path) -> dict[str, Any]:
        given = dict(self.row.ours[name])
        settings = {
            "model": given.pop("model", name),
            "arguments": {"backbone": peers.BACKBONE, **given.pop("arguments", {})},
            **given,
        }
        run = train(
            TrainingSettings(
                **settings,
                data=self.data,
                train_split=self.row.train,
                backbone_weights=self.weights,
                minutes=self.minutes,
                seed=self.seed,
                val_every=0,
                out=stem,
            )
        )
        system = load_system(run.folder)
        data = evaluation_data(system, source_of(run.folder, self.data, self.row.test)).dataset
        metrics = self.figures(measured(by_system(system), system.task, data))
        return {"pictures": run.pictures, "settings": settings, "metrics": metrics}

    def peer(self, name: str, stem: Path) -> dict[str, Any]:
        torch.manual_seed(self.seed)
        options, task = self.row.peers[name], find_entry(next(iter(self.row.ours))).task
        learned, tested = (read_split(self.data, split, task=task) for split in (self.row.train, self.row.test))
        model = peers.KINDS[name](self.weights, len(getattr(learned.categories, task.labels)), **options)
        dense = name.startswith("smp_")
        learn, infer = (peers.train_dense, peers.segmenter) if dense else (peers.train_detector, peers.detector)
        pictures = learn(model, learned, self.minutes, self.precision, **self.row.learn)
        result = {
            "pictures": pictures,
            "precision": self.precision,
            "settings": {**options, **self.row.learn},
            "metrics": self.figures(measured(infer(model), task, tested)),
        }
        if name in IMPORTED:
            system = self.imported(name, model, stem, learned.categories.class_names)
            result["imported"] = self.figures(measured(by_system(system), task, tested))
        return result

    def imported(self, name: str, model: torch.nn.Module, stem: Path, class_names: tuple[str, ...]) -> System:
        """Read the peer's weights as `delineate import` does; what it was made with is said, as its file does not."""
        file, options = stem.with_name(f"{stem.name}.pth"), self.row.peers[name]
        torch.save(model.state_dict(), file)
        system = import_torchvision(
            f"{IMPORTED[name]}_{peers.BACKBONE}_fpn",
            file,
            class_names=class_names,
            anchor_size=options.get("anchor_size"),
            preprocess={
                "short_side": options["min_size"],
                "long_side": options["max_size"],
                "mean": peers.MEAN,
                "std": peers.STD,
            },
        )
        return system.with_thresholds(max_detections=options.get("box_detections_per_img"))

    def table(self, only: set[str]) -> Iterator[dict[str, Any]]:
        """Measure what is asked for, and pair ours with the peers."""
        its = {name: self.kept(name, self.peer) for name in self.row.peers if not only or name in only}
        for name in self.row.ours:
            if only and name not in only:
                continue
            mine = self.kept(name, self.ours)["metrics"]
            for peer in [peer for peer in BESIDE.get(name, ()) if peer in its] or [None]:
                for metric in self.row.metrics:
                    what = f"{self.name} {self.row.test} {metric} after {self.minutes:g} minutes, {name}"
                    if peer is None:
                        yield {"name": what, "ours": mine[metric]}
                    else:
                        yield pair(f"{what} and {peer}", mine[metric], its[peer]["metrics"][metric])
        for name, result in its.items():
            for metric, value in result.get("imported", {}).items():
                yield pair(f"{self.name} {metric} of {name}: imported, and its own", value, result["metrics"][metric])


def pair(name: str, ours: float, peer: float) -> dict[str, Any]:
    return {"name": name, "ours": ours, "peer": peer, "ratio": ours / peer if peer else float("nan")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help=f"ImageNet weights of timm's {peers.BACKBONE}")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of camvid, bccd, nuclei and so on")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="of ours and of the peers, these alone")
    parser.add_argument("--minutes", type=float, help="of training, in place of each row's own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("transfer"))
    parser.add_argument("--peer-precision", choices=["fp32", "bf16"], default=None, help="as ours takes, if not given")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not arguments.weights.is_file():
        raise SystemExit(f"{arguments.weights}: no such file; give the weights of timm's {peers.BACKBONE}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    precision = arguments.peer_precision or ("bf16" if has_bf16(torch.device("cpu")) else "fp32")

    rows: list[Any] = []
    for name in arguments.rows:
        row = ROWS[name]
        data = row.data(arguments.data, arguments.out) if row.data else arguments.data / name
        if not data.is_dir():
            raise SystemExit(f"{data}: no such folder; name the one that has it with --data")
        minutes = arguments.minutes or row.minutes
        bench = Bench(name, row, data, arguments.weights, arguments.out, minutes, arguments.seed, precision)
        rows += bench.table(set(arguments.only))
    print_rows(rows, as_json=arguments.json)


if __name__ == "__main__":
    main()
