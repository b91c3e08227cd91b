import json
import shutil
from pathlib import Path

from PIL import Image
from tests.evaluation.test_evaluate import brightest

from delineate.data import read_dataset
from delineate.evaluation import evaluate
from delineate.evaluation.report import Measured, training_line


def test_a_run_says_how_it_was_trained(tmp_path: Path) -> None:
    assert training_line(tmp_path) == "", "weights alone say nothing"
    facts = {"data": "cells", "train_split": "train", "batch_size": 4, "optimizer": "adamw", "learning_rate": None}
    (tmp_path / "settings.json").write_text(json.dumps({**facts, "seed": 0}))
    (tmp_path / "metrics.csv").write_text("epoch,seconds,pictures,loss\n1,10.2,800,3.5\n2,20.4,1600,2.5\n")
    assert training_line(tmp_path) == (
        "On cells, split train: 1,600 pictures seen in 2 epochs and 20 seconds; batch size 4, optimizer adamw, seed 0."
    )


def test_the_legend_has_what_is_ignored_where_a_picture_has_some(data: Path, tmp_path: Path) -> None:
    def legend(root: Path) -> list[str]:
        dataset = read_dataset(root, "val")
        evaluation = evaluate(brightest(), dataset)
        return list(Measured(system=brightest(), dataset=dataset, evaluation=evaluation).colors())

    assert legend(data) == ["red", "green", "blue"]
    root = shutil.copytree(data, tmp_path / "data")
    with Image.open(root / "labels" / "val" / "1.png") as label_map:
        label_map.putpixel((3, 3), 255)
        label_map.save(root / "labels" / "val" / "1.png")
    assert legend(root) == ["red", "green", "blue", "ignored"]
