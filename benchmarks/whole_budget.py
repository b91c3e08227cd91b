"""Localization and pose by regression, from scratch, for the same minutes; none of the rows has a peer.

The localizer learns single-object pictures of the synthetic set, and the person boxes of Leeds Sports Pose; the pose
regressor learns the joints of the latter. Each is measured on the split val. `median pose, lsp` learns nothing: it
answers the median joints of the training split for everybody.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from delineate.data import synthesise
from delineate.data.splits import read_split
from delineate.evaluation import evaluate_run
from delineate.metrics import PoseEvaluation
from delineate.system.tasks import POSE
from delineate.training import TrainingSettings, train
from delineate.values import Detections, Target

MEDIAN_POSE = "median pose, lsp"
LSP = Path(__file__).resolve().parents[2] / "shared" / "data" / "lsp"

ENTRIES: dict[str, tuple[str, dict[str, Any]]] = {
    "localizer, synthetic": ("localizer", {"arguments": {"image_size": 128}}),
    "localizer, lsp": ("localizer", {"arguments": {"image_size": 160}}),
    "pose_regressor, lsp": ("pose_regressor", {"arguments": {"image_size": 160}}),
    "pose_regressor --stages 1, lsp": ("pose_regressor", {"arguments": {"image_size": 160, "stages": 1}}),
    "pose_regressor --joint-loss l2, lsp": ("pose_regressor", {"arguments": {"image_size": 160, "joint_loss": "l2"}}),
}


def shares(target: Target) -> tuple[Tensor, Tensor]:
    """The joints of a body as shares of its crop's sides, and which of them are annotated."""
    assert target.keypoints is not None
    assert target.visibility is not None
    height, width = target.image_size
    return target.keypoints[0] / torch.tensor([width, height]), target.visibility[0] > 0


def median_pose(root: Path) -> dict[str, float]:
    """The metrics of the same pose for every body of val: of each joint the median over train."""
    train_bodies, val_bodies = (read_split(root, split, POSE) for split in ("train", "val"))
    joints, known = map(
        torch.stack, zip(*(shares(train_bodies[i].target) for i in range(len(train_bodies))), strict=True)
    )
    median = torch.stack([joints[known[:, k], k].median(0).values for k in range(joints.shape[1])])
    evaluation = PoseEvaluation(val_bodies.categories.keypoint_names)
    for number in range(len(val_bodies)):
        target = val_bodies[number].target
        height, width = target.image_size
        answer = Detections(
            image_size=target.image_size,
            boxes=torch.tensor([[0.0, 0.0, width, height]]),
            labels=torch.zeros(1, dtype=torch.int64),
            scores=torch.ones(1),
            keypoints=(median * torch.tensor([width, height]))[None],
            visibility=torch.full((1, len(median)), 2),
        )
        evaluation.add(answer, target, number)
    return evaluation.metrics(val_bodies.categories.class_names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=LSP)
    parser.add_argument("--entries", nargs="+", default=[*ENTRIES, MEDIAN_POSE], choices=[*ENTRIES, MEDIAN_POSE])
    parser.add_argument(
        "--num-images", type=int, default=3000, help="synthetic pictures, a fifth of them to measure on"
    )
    parser.add_argument("--out", type=Path, help="keep the runs in this folder")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not (arguments.data / "annotations").is_dir():
        raise SystemExit(f"{arguments.data}: no annotations there; give the folder of Leeds Sports Pose with --data")

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        out = arguments.out or Path(folder)
        for name in arguments.entries:
            data = arguments.data
            if name == MEDIAN_POSE:
                metrics = {key: value for key, value in median_pose(data).items() if "/" not in key}
                rows.append({"name": name, "metrics": metrics})
                continue
            if name.endswith("synthetic"):
                data = Path(folder) / "synthetic"
                synthesise(data, num_images=arguments.num_images, seed=arguments.seed, single=True)
            model, options = ENTRIES[name]
            run = train(
                TrainingSettings(
                    model=model,
                    data=data,
                    val_every=0,  # the last weights are measured; a validation would choose among others
                    minutes=arguments.minutes,
                    seed=arguments.seed,
                    out=out / name.replace(",", "").replace(" ", "_"),
                    **options,
                )
            )
            metrics = evaluate_run(run.folder, data, "val").metrics
            whole = {key: value for key, value in metrics.items() if "/" not in key}
            rows.append({"name": name, "metrics": whole, "pictures": run.pictures})
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
