import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from delineate.data import read_image


def test_pictures_are_drawn_and_boxes_listed(delineate: Callable, data: Path, tmp_path: Path) -> None:
    pictures = data / "images" / "val"
    arguments = ["propose", pictures, "--proposer", "sliding_window", "--max-proposals", 50, "--out", tmp_path / "a"]
    records = [json.loads(line) for line in delineate(*arguments, "--json").out.splitlines()]
    assert [Path(record["file"]) for record in records] == sorted(pictures.iterdir())
    for record in records:
        assert len(record["boxes"]) == 50
        assert record["seconds"] >= 0
        drawn = read_image(tmp_path / "a" / f"{Path(record['file']).stem}.jpg")
        assert drawn.shape == (3, 384, 384)
    shown = delineate(*arguments).out
    assert shown.startswith("3 pictures, ")
    assert str(tmp_path / "a") in shown


def test_a_split_is_measured(delineate: Callable, data: Path, tmp_path: Path) -> None:
    arguments = ["propose", data, "--proposer", "sliding_window", "--split", "train", "--out", tmp_path]
    result = delineate(*arguments, "--json").json
    assert set(result) == {
        *("proposer", "num_images", "num_proposals", "seconds", "recall", "average_recall", "mabo"),
        *("skipped", "out"),
    }
    assert (result["proposer"], result["num_images"]) == ("sliding_window", 12)
    recalls = [result["recall"][str(count)] for count in (10, 100, 300, 1000, 2000)]
    assert recalls == sorted(recalls)
    assert recalls[-1] > 0.8
    assert len(list(tmp_path.iterdir())) == 12
    shown = delineate(*arguments, "--num-images", 2, "--max-proposals", 150).out
    counts = [line.split()[0] for line in shown.splitlines() if line.strip()[:1].isdigit()]
    assert counts == ["10", "100", "150", "2"]
    assert "2 pictures, " in shown


def test_the_rpn_of_a_run(delineate: Callable, data: Path, detector: Path, tmp_path: Path) -> None:
    arguments = ["propose", data, "--run", detector, "--split", "val", "--out", tmp_path, "--json"]
    assert delineate(*arguments).json["proposer"] == "rpn"


def test_selective_search_is_the_default(delineate: Callable, data: Path, tmp_path: Path) -> None:
    picture = next((data / "images" / "val").iterdir())
    ended = delineate("propose", picture, "--out", tmp_path, "--max-proposals", 20, "--json")
    assert len(ended.json["boxes"]) <= 20


def test_unreadable_pictures_are_said_and_passed_over(delineate: Callable, data: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    whole = next((data / "images" / "val").iterdir())
    (pictures / "a.png").write_bytes(whole.read_bytes()[:300])
    (pictures / "b.png").write_bytes(whole.read_bytes())
    ended = delineate("propose", pictures, "--proposer", "sliding_window", "--out", pictures / "drawn", "--json")
    assert ended.code == 2
    assert "a.png" in ended.err
    assert len(ended.out.splitlines()) == 1
    again = delineate("propose", pictures, "--proposer", "sliding_window", "--out", pictures / "drawn", "--json")
    assert len(again.out.splitlines()) == 1, "what was drawn before is no picture to propose for"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere"),
        (["DATA", "--split", "test"], "no split 'test'"),
        (["EMPTY"], "no pictures in this folder"),
        (["PICTURES", "--proposer", "rpn"], "rpn is learned; name with --run"),
        (["PICTURES", "--proposer", "edge_boxes"], "'edge_boxes' is not one of 'selective_search'"),
        (["PICTURES", "--run", "RUN"], "holds a segnet_basic without RPN"),
        (["PICTURES", "--proposer", "sliding_window", "--run", "RUN"], "run: sliding_window is not learned"),
        (["PICTURES", "--proposer", "sliding_window", "--out", "PICTURES"], "name another folder"),
        (["PICTURES", "--max-proposals", "0"], "Invalid value for '--max-proposals'"),
    ],
)
def test_mistakes(
    delineate: Callable, data: Path, trained: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    paths = {"DATA": data, "PICTURES": data / "images" / "val", "RUN": trained, "EMPTY": tmp_path}
    assert message in delineate("propose", *[paths.get(part, part) for part in arguments]).mistake


def test_label_maps_alone_have_nothing_to_cover(delineate: Callable, mask_folder: Path, tmp_path: Path) -> None:
    line = delineate("propose", mask_folder, "--split", "train", "--out", tmp_path / "out").mistake
    assert "split 'train' has no boxes" in line


def test_pictures_of_a_split_that_cannot_be_read_are_left_out_when_asked(
    delineate: Callable, data: Path, tmp_path: Path
) -> None:
    shutil.copytree(data, tmp_path / "data")
    broken = sorted((tmp_path / "data" / "images" / "val").iterdir())[1]
    broken.write_bytes(broken.read_bytes()[:100])
    arguments = [
        "propose",
        tmp_path / "data",
        "--proposer",
        "sliding_window",
        "--split",
        "val",
        "--out",
        tmp_path / "out",
    ]
    assert "--skip-unreadable" in delineate(*arguments).err.splitlines()[-1]
    result = delineate(*arguments, "--skip-unreadable", "--json").json
    assert (result["num_images"], result["skipped"]) == (2, 1)
    line = delineate("propose", tmp_path / "data" / "images", "--skip-unreadable").mistake
    assert "skip_unreadable: it needs --split" in line
