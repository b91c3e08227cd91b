import json
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
from safetensors.torch import save_file

from delineate.cli import demo
from delineate.evaluation import report

QUICK = ("--minutes", 0.01, "--num-images", 50)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "ARGUMENTS", {"backbone": "resnet10t", "width": 16, "anchor_size": 8, "num_rois": 16})
    monkeypatch.setattr(demo, "IMAGE_SIZE", (64, 64))
    monkeypatch.setattr(report, "NUM_SHOWN", 2)


def test_a_report_of_pictures_that_were_not_trained_on(delineate: Callable, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    ended = delineate("demo", "--out", out, *QUICK, "--json")
    assert set(ended.json) == {"metrics", "num_images", "report"}
    page = (out / "report.html").read_text()
    assert f"{ended.json['metrics']['AP50']:.3f}" in page
    assert page.count("data:image/") >= 1
    for heading in ("Pictures", "Training", "Metrics", "Classes", "Detection", "Confusion matrix"):
        assert f"<h2>{heading}</h2>" in page
    assert len(list((out / "predictions").iterdir())) == 2
    files = [
        {row["file_name"] for row in json.loads(path.read_text())["images"]}
        for path in sorted((out / "data" / "annotations").iterdir())
    ]
    assert [len(names) for names in files] == [5, 43, 2]  # test, train, val
    assert len(set.union(*files)) == 50
    assert [f"{step}/4" in ended.err for step in (1, 2, 3, 4)] == [True] * 4


def test_an_earlier_demo_is_replaced_and_nothing_else_is(delineate: Callable, tmp_path: Path) -> None:
    earlier, other = tmp_path / "earlier", tmp_path / "other"
    for folder in (earlier, other):
        folder.mkdir()
        (folder / "old.txt").write_text("old")
    (earlier / demo.MARK).touch()
    ended = delineate("demo", "--out", earlier, *QUICK)
    assert ended.code == 0
    assert not (earlier / "old.txt").exists()
    last = ended.out.splitlines()[-1]
    assert last.startswith("box AP50 ")
    assert "mask AP50 " in last
    assert str(earlier / "report.html") in last
    assert "no demo" in delineate("demo", "--out", other, *QUICK).mistake
    assert (other / "old.txt").read_text() == "old"


def test_with_weights_it_fine_tunes_their_backbone(delineate: Callable, tmp_path: Path) -> None:
    save_file(timm.create_model("test_resnet", pretrained=False).state_dict(), tmp_path / "test_resnet.safetensors")
    weights = ("--backbone-weights", tmp_path / "test_resnet.safetensors")
    assert delineate("demo", "--out", tmp_path / "demo", *QUICK, *weights).code == 0
    settings = json.loads((tmp_path / "demo" / "run" / "settings.json").read_text())
    assert settings["arguments"]["backbone"] == "test_resnet"
    page = (tmp_path / "demo" / "report.html").read_text()
    assert "trained on them from ImageNet weights" in page
    (tmp_path / "mine.pth").touch()
    mistake = delineate("demo", "--out", tmp_path / "none", *QUICK, "--backbone-weights", tmp_path / "mine.pth").mistake
    assert "no file there has the name of a timm model" in mistake
    assert not (tmp_path / "none").exists()
