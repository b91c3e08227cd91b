"""What the sampler, class weights and a focal loss buy a rare class, at the same number of steps.

One class of a detection set is made rare: of the training pictures that have it `--keep` stay, and all without it. Each
option, and all together, trains from the same seed for `--epochs`; all see as many pictures. Ours is the AP of the rare
class, and the mean AP of all, with an option; the peer is the same training without any.
"""

import argparse
import json
import tempfile
from pathlib import Path

from delineate.data.counting import amounts_by_class
from delineate.data.dataset import Part
from delineate.data.formats import read_dataset
from delineate.data.formats.coco.writing import write
from delineate.training import TrainingSettings, train
from timing import Row, print_rows

OPTIONS = {
    "nothing": {},
    "sampler": {"sampler": "class_balanced"},
    "weights": {"class_weights": "median_frequency"},
    "focal": {"focal": 2.0},
    "sampler, focal": {"sampler": "class_balanced", "focal": 2.0},
}


def make_rare(source: Path, folder: Path, train_split: str, val_split: str, name: str, keep: int) -> list[str]:
    """Write the set without most of the training pictures that have the class; give what was counted."""
    whole = read_dataset(source, train_split)
    _, names, amounts, _ = amounts_by_class(whole)
    having = amounts[:, names.index(name)] > 0
    kept = {int(index) for index in having.nonzero()[0][:keep]}
    indices = [index for index in range(len(whole)) if not having[index] or index in kept]
    write(Part(whole, indices), folder, "train")
    write(read_dataset(source, val_split), folder, "val")
    return [f"{other} {int(amounts[indices, label].sum())}" for label, other in enumerate(names)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/bccd"))
    parser.add_argument("--train-split", default="train")
    parser.add_argument("--val-split", default="val")
    parser.add_argument("--rare", default="WBC", help="class that is made rare")
    parser.add_argument("--keep", type=int, default=10, help="training pictures that have it")
    parser.add_argument("--model", default="ssd")
    parser.add_argument("--arguments", type=json.loads, default={}, help="the system's own options, as JSON")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    found: dict[str, list[dict[str, float]]] = {name: [] for name in OPTIONS}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        said = make_rare(
            arguments.data, data, arguments.train_split, arguments.val_split, arguments.rare, arguments.keep
        )
        for seed in range(arguments.seeds):
            for name, options in OPTIONS.items():
                settings = TrainingSettings(
                    model=arguments.model,
                    data=data,
                    arguments=arguments.arguments,
                    epochs=arguments.epochs,
                    batch_size=arguments.batch_size,
                    val_every=arguments.epochs,
                    seed=seed,
                    out=Path(folder) / f"{name}-{seed}",
                    **options,
                )
                found[name].append(train(settings).metrics)
    if not arguments.json:
        print("training objects:", ", ".join(said))
    means = {
        name: {key: sum(run[key] for run in runs) / len(runs) for key in runs[0] if key.split("/")[0] == "AP"}
        for name, runs in found.items()
    }
    rows: list[Row] = []
    for name in list(OPTIONS)[1:]:
        for key in (f"AP/{arguments.rare}", "AP"):
            ours, peer = means[name][key], means["nothing"][key]
            rows.append({"name": f"{name}: {key}", "ours": ours, "peer": peer, "ratio": ours / max(peer, 1e-9)})
    print_rows(rows, as_json=arguments.json)


if __name__ == "__main__":
    main()
