"""What the sampler, class weights and a focal loss buy a rare class, in the same minutes.

    python benchmarks/rare_classes.py --weights tf_efficientnet_lite0.safetensors --out FOLDER [--model faster_rcnn]
        [--keep 16] [--minutes 3] [--seeds 1] [--json]

One class of a detection set is made rare: of the training pictures that have it `--keep` stay, and all without it. Each
option, and two together, trains the detector's lighter form from the same seed and ImageNet weights for `--minutes`; an
option costs no time. What is measured is the AP of each class, and the mean AP, of the unchanged validation split; of
several seeds the mean.

By default five trainings of 3 minutes on the 88 pictures of BCCD without platelets and 16 of the 117 with them, of
which each is seen six times or so: about 17 minutes on two cores. White blood cells are in nearly all pictures, and
cannot be made rare in this way. What was stopped goes on: a training where it was; what is in the folder is not done
again.
"""

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

import peers
from delineate.artefact import load_system
from delineate.data.counting import amounts_by_class
from delineate.data.dataset import Part
from delineate.data.formats import read_dataset
from delineate.data.formats.coco.writing import write
from delineate.evaluation import evaluate, evaluation_data, source_of
from delineate.training import TrainingSettings
from keeping import Figures, kept, print_figures, trained
from transfer import DATA, settings_of

OPTIONS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "sampler": {"sampler": "class_balanced"},
    "weights": {"class_weights": "median_frequency"},
    "focal": {"focal": 2.0},
    "sampler-focal": {"sampler": "class_balanced", "focal": 2.0},
}


def make_rare(source: Path, folder: Path, name: str, keep: int) -> None:
    """Write the set without most of the training pictures that have the class, and say what is left."""
    whole = read_dataset(source, "train")
    _, names, amounts, _ = amounts_by_class(whole)
    having = amounts[:, names.index(name)] > 0
    kept_ones = {int(index) for index in having.nonzero()[0][:keep]}
    indices = [index for index in range(len(whole)) if not having[index] or index in kept_ones]
    left = [f"{other} {int(amounts[indices, label].sum())}" for label, other in enumerate(names)]
    print(f"training objects in {len(indices)} pictures: {', '.join(left)}", file=sys.stderr, flush=True)
    write(Part(whole, indices), folder, "train")
    write(read_dataset(source, "val"), folder, "val")


def measured(
    model: str, data: Path, folder: Path, options: dict[str, Any], weights: Path, minutes: float, seed: int
) -> Figures:
    """Train a detector with these options, and measure its last weights."""
    run = trained(
        TrainingSettings(
            **settings_of(model, options),
            data=data,
            backbone_weights=weights,
            minutes=minutes,
            seed=seed,
            val_every=0,
            out=folder,
        )
    )
    system = load_system(run.folder)
    dataset = evaluation_data(system, source_of(run.folder, data, "val")).dataset
    metrics = evaluate(system, dataset).metrics
    found = {name: value for name, value in metrics.items() if name.split("/")[0] == "AP"}
    return {"pictures seen": run.pictures, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help=f"ImageNet weights of timm's {peers.BACKBONE}")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs and the results")
    parser.add_argument("--data", type=Path, default=DATA / "bccd")
    parser.add_argument("--rare", default="Platelets", help="class that is made rare")
    parser.add_argument("--keep", type=int, default=16, help="training pictures that have it")
    parser.add_argument("--model", default="faster_rcnn", help="a detector with a softmax of classes")
    parser.add_argument("--minutes", type=float, default=3.0, help="of each training")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    data = options.out / f"{options.rare}-{options.keep}"
    if not (data / "done").exists():
        shutil.rmtree(data, ignore_errors=True)
        make_rare(options.data, data, options.rare, options.keep)
        (data / "done").touch()
    rows = {}
    for name, given in OPTIONS.items():
        found = []
        for seed in range(options.seeds):
            run = f"{options.model}-{options.rare}-{options.keep}-{name}-{options.minutes:g}min-seed{seed}"
            asked = (options.model, data, options.out / f"run-{run}", given, options.weights, options.minutes, seed)
            found.append(kept(options.out, run, lambda asked=asked: measured(*asked)))
        rows[name] = {key: sum(one[key] for one in found) / len(found) for key in found[0]}
    classes = sorted(key for key in rows["nothing"] if key.startswith("AP/"))
    print_figures(rows, ("pictures seen", "AP", *classes), {"pictures seen": 0}, as_json=options.json)


if __name__ == "__main__":
    main()
