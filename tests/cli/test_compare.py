from collections.abc import Callable
from pathlib import Path
from typing import get_args

from delineate.cli.compare import TaskName
from delineate.system.tasks import TASKS


def test_a_study_may_be_of_every_task() -> None:
    assert get_args(TaskName) == tuple(task.name for task in TASKS)


def test_the_plan_is_said_without_training(delineate: Callable, data: Path, tmp_path: Path) -> None:
    arguments = ["compare", data, "--out", tmp_path / "study", "--budget-minutes", 30, "--seeds", 2, "--dry-run"]
    chosen = ["--models", "faster_rcnn,ssd:smallest_scale=0.08", "--backbones", "resnet10t", "--image-sizes", 96]
    plan = delineate(*arguments, *chosen, "--json").json
    assert [entry["name"] for entry in plan["entries"]] == [
        "faster_rcnn resnet10t 96",
        "ssd smallest_scale=0.08 resnet10t 96",
    ]
    assert [entry["minutes"] for entry in plan["entries"]] == [15, 15]
    shown = delineate(*arguments, *chosen).out
    assert "2 systems, 2 seeds each: 30 minutes of training" in shown
    assert not (tmp_path / "study").exists()


def test_a_study_from_its_grid_to_its_page(delineate: Callable, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    ended = delineate(
        *("compare", data, "--out", out, "--task", "detect", "--budget-minutes", 0.05),
        *("--models", "ssd", "--backbones", "resnet10t", "--image-sizes", 64, "--json"),
    )
    (row,) = ended.json["results"]
    assert row["name"] == "ssd resnet10t 64"
    assert 0 <= row["AP"] <= 1
    page = (out / "report.html").read_text()
    assert page.count("data:image/jpeg") == 2 * 3  # truth and one system, three pictures
    (out / "report.html").unlink()
    shown = delineate("report", out, "--plot", tmp_path / "plot.svg").out
    assert "For accuracy alone: ssd resnet10t 64" in shown
    assert (out / "report.html").read_text() == page
    assert (tmp_path / "plot.svg").exists()


def test_mistakes_are_said_in_one_line(delineate: Callable, data: Path, tmp_path: Path) -> None:
    wrong = delineate("compare", data, "--out", tmp_path, "--models", "unet").mistake
    assert wrong.startswith("models: unet is no answer to 'detect'")
    wrong = delineate("compare", data, "--out", tmp_path, "--image-sizes", "320,large").mistake
    assert wrong == "image_sizes: 'large' is no number of pixels"
    assert delineate("report", tmp_path).mistake == (
        f"{tmp_path}: no study, there is no results.json in it; name a folder that `compare` wrote"
    )
