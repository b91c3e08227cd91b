import json
from pathlib import Path

from delineate.evaluation.report import training_line


def test_a_run_says_how_it_was_trained(tmp_path: Path) -> None:
    assert training_line(tmp_path) == "", "weights alone say nothing"
    facts = {"data": "cells", "train_split": "train", "batch_size": 4, "optimizer": "adamw", "learning_rate": None}
    (tmp_path / "settings.json").write_text(json.dumps({**facts, "seed": 0}))
    (tmp_path / "metrics.csv").write_text("epoch,seconds,pictures,loss\n1,10.2,800,3.5\n2,20.4,1600,2.5\n")
    assert training_line(tmp_path) == (
        "On cells, split train: 1,600 pictures seen in 2 epochs and 20 seconds; batch size 4, optimizer adamw, seed 0."
    )
