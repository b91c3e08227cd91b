from collections.abc import Callable
from pathlib import Path

import pytest


def test_json(delineate: Callable, data: Path, trained: Path) -> None:
    result = delineate("val", trained, data, "--split", "val", "--workers", 0, "--json").json
    assert set(result) == {"metrics", "protocol", "num_images"}
    assert next(iter(result["metrics"])) == "mIoU"
    assert all(0 <= value <= 1 for value in result["metrics"].values())
    assert result["num_images"] == 3


def test_table(delineate: Callable, data: Path, trained: Path) -> None:
    result = delineate("val", trained, data, "--split", "val", "--workers", 0, "--json").json
    shown = delineate("val", trained, data, "--split", "val", "--workers", 0).out
    assert f"mIoU {result['metrics']['mIoU']:.4f}" in shown
    assert "triangle" in shown
    assert "3 pictures" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RUN", "DATA", "--split", "test"], "no split 'test'; there are: train, val"),
        (["DATA", "DATA"], "settings.json"),
        (["nowhere", "DATA"], "nowhere"),
        (["RUN", "nowhere"], "nowhere: there is no such folder"),
        (["RUN", "DATA", "--format", "cocoo"], "did you mean coco?"),
        (["RUN", "DATA", "--device", "tpu"], "'tpu' is not one of"),
    ],
)
def test_mistakes(delineate: Callable, data: Path, trained: Path, arguments: list[str], message: str) -> None:
    paths = {"RUN": trained, "DATA": data}
    assert message in delineate("val", *[paths.get(part, part) for part in arguments]).mistake


def test_class_names_that_differ(delineate: Callable, mask_folder: Path, trained: Path) -> None:
    line = delineate("val", trained, mask_folder, "--split", "train").mistake
    assert "'disk'" in line
    assert "'cat'" in line
