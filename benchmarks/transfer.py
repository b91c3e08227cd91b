"""From ImageNet weights in minutes: ours, and peers that begin with the same file, on real pictures.

    python benchmarks/transfer.py --weights tf_efficientnet_lite0.safetensors [--rows bccd camvid ...] [--out FOLDER]

A row is a data set (`transfer_rows.py`). Ours are `train` with `--backbone tf_efficientnet_lite0 --backbone-weights
FILE`, each in the catalog's lighter form with its recipe of fine-tuning, but for what the row says; what cannot have
this backbone begins from scratch. The peers (`peers.py`) are torchvision's detectors and segmentation_models_pytorch's
networks around the same backbone. Each trains for the row's minutes (or `--minutes`) on the same split, one after the
other; nothing is validated on the way, the last weights are measured, on original pictures. The test split is read
once, at the end; where a row is there to choose by, it is the validation split.

What a row trained of ours is one study: `delineate compare --runs` measures accuracy, time, memory and operations of
each (`OUT/ROW-MINUTESmin-seedSEED`), `report.html` and `trade_off.png` show them, and `delineate report` of that
folder writes both again. `yolov1_conv` is YOLOv1 with `--head conv`.

A torchvision detector with a pyramid is then imported (`import_torchvision`) and measured here, too: `imported` beside
torchvision's own pipeline.

Every result is kept in `--out`, and what is there is not done again. A training that was cut goes on where it was
saved, and what fails is said while the others go on.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

import peers
from delineate.data.dataset import Dataset
from delineate.data.splits import read_split
from delineate.io.machine import has_bf16
from delineate.study import Study, compare
from delineate.study.page import write_plot, write_study
from delineate.study.pictures import measured_data
from delineate.study.results import Findings, write_tables
from delineate.system.catalog import find_entry, light_form, options
from delineate.system.importers import import_torchvision
from delineate.system.system import System
from delineate.training import TrainingSettings
from delineate.training.unused import IN_PLACE_OF, can_be_built
from delineate.values import Task
from kept import record, trained
from timing import print_rows
from transfer_rows import BESIDE, ROWS, Row

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
IMPORTED = {"torchvision_faster_rcnn": "fasterrcnn", "torchvision_mask_rcnn": "maskrcnn"}


def settings_of(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Write the settings of one of ours: the catalog's lighter form, around the backbone that there are weights of."""
    model = given.get("model", name)
    arguments, settings = light_form(model)
    arguments |= {key: value for key, value in given.items() if key in options(model)}
    settings |= {key: value for key, value in given.items() if key not in arguments}
    ranges = IN_PLACE_OF.get(settings.get("augment", "scale"), ())  # a paper's augmentation has its own
    settings = {key: value for key, value in settings.items() if key in given or key not in ranges}
    if "backbone" in options(model) and can_be_built(model, {"backbone": peers.BACKBONE}):
        arguments["backbone"] = peers.BACKBONE
    return {**settings, "model": model, "arguments": arguments}


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

    @property
    def task(self) -> Task:
        name, given = next(iter(self.row.ours.items()))
        return find_entry(given.get("model", name)).task

    def place(self, name: str = "") -> Path:
        """Name what is kept of one of ours or of the peers, or the study of ours."""
        parts = [self.name, name, f"{self.minutes:g}min", f"seed{self.seed}"]
        return self.out / "-".join(part for part in parts if part)

    def budget(self, name: str) -> str:
        """Say for how long one of ours, or a peer, learns."""
        epochs = self.row.ours.get(name, {}).get("epochs")
        return f"{self.minutes:g} minutes" if epochs is None else f"{epochs} epochs"

    def kept(self, name: str, make: Callable[[str, Path], dict[str, Any]]) -> dict[str, Any] | None:
        """Train one of ours, or train and measure a peer, unless that was done; what fails is said."""
        stem = self.place(name)
        file = record(stem)
        if file.exists():
            done: dict[str, Any] = json.loads(file.read_text())
            return done
        begin = time.perf_counter()
        try:
            made = make(name, stem)
        except Exception as error:  # whatever it is, the others go on
            peers.say(f"{stem.name}: failed: {type(error).__name__}: {error}")
            return None
        result = {"row": self.name, "name": name, "budget": self.budget(name), "seed": self.seed, **made}
        peers.say(f"{stem.name}: {json.dumps(made)} ({time.perf_counter() - begin:.0f} s in all)")
        file.write_text(json.dumps(result, indent=1, default=str))
        return result

    def figures(self, metrics: Mapping[str, float]) -> dict[str, float]:
        return {metric: metrics[metric] for metric in self.row.metrics}

    def trained(self, name: str, stem: Path) -> dict[str, Any]:
        """Train one of ours, or go on where it was cut."""
        settings = settings_of(name, self.row.ours[name])
        if settings["arguments"].get("backbone") == peers.BACKBONE:
            settings["backbone_weights"] = self.weights
        budget = {} if "epochs" in settings else {"minutes": self.minutes}
        alike = {"data": self.data, "train_split": self.row.train, "val_every": 0, "out": stem, "seed": self.seed}
        run = trained(TrainingSettings(**{**settings, **budget, **alike}))
        return {"pictures": run.pictures, "settings": {key: str(value) for key, value in settings.items()}}

    def study(self) -> Findings | None:
        """Measure all of ours that are trained, as far as that was not done."""
        runs = {name: place for name in self.row.ours if record(place := self.place(name)).exists()}
        if not runs:
            return None
        study = Study(data=self.data, task=self.task.name, runs=runs, train_split=self.row.train, split=self.row.test)
        findings = compare(study, self.place(), say=peers.say)
        budgets = " or ".join(dict.fromkeys(self.budget(name) for name in runs))
        alike = f"{peers.BACKBONE} with ImageNet weights where it can be had, {budgets}, seed {self.seed}"
        facts = {**findings.facts, "trained before": f"{alike}, split {self.row.train}"}
        findings = replace(findings, facts=facts)
        write_tables(self.place(), findings)
        return findings

    def peer(self, name: str, stem: Path) -> dict[str, Any]:
        torch.manual_seed(self.seed)
        options, task = self.row.peers[name], self.task
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
        """Train and measure what is asked for, ours first, and pair ours with the peers."""
        findings = self.study()
        for name in [name for name in self.row.ours if not only or name in only]:
            if self.kept(name, self.trained):
                findings = self.study()
        if findings and findings.results:
            write_study(self.place() / "report.html", findings, measured_data(self.place()))
            write_plot(self.place() / "trade_off.png", findings.results)
        made = {name: self.kept(name, self.peer) for name in self.row.peers if not only or name in only}
        its = {name: result for name, result in made.items() if result}
        for result in findings.results if findings else ():
            for peer in [peer for peer in BESIDE.get(result.name, ()) if peer in its] or [None]:
                for metric, mine in self.figures(result.metrics).items():
                    what = f"{self.name} {self.row.test} {metric} after {self.budget(result.name)}, {result.name}"
                    if peer is None:
                        yield {"name": what, "ours": mine}
                    else:
                        yield pair(f"{what} and {peer}", mine, its[peer]["metrics"][metric])
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
