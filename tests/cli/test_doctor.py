import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.doctor.faults import FAULTS
from tests.doctor.sets import coco


def test_a_clean_set_ends_with_0(delineate: Callable, tmp_path: Path) -> None:
    ended = delineate("doctor", coco(tmp_path / "data"))
    assert ended.code == 0
    assert "5 pictures, nothing found" in ended.out


def test_findings_end_with_1_as_lines_json_page_and_copy(delineate: Callable, tmp_path: Path) -> None:
    root = coco(tmp_path / "data")
    FAULTS["coco: negative width"].plant(root)
    page, copy = tmp_path / "page.html", tmp_path / "mended"
    ended = delineate("doctor", root, "--report", page, "--fix", copy)
    assert ended.code == 1
    assert "warning swapped 1 × boxes whose corners are exchanged" in ended.out
    assert "train/a.jpg: annotation 1: 24 6 4 30" in ended.out
    assert "1 changes" in ended.out
    assert page.stat().st_size > 1000
    assert delineate("doctor", copy).code == 0
    as_json = delineate("doctor", root, "--json")
    assert as_json.code == 1
    document = json.loads(as_json.out)
    assert [(finding["id"], finding["count"]) for finding in document["findings"]] == [("swapped", 1)]
    assert document["findings"][0]["examples"][0]["place"] == "annotation 1"


def test_what_is_left_to_be_done_by_hand_is_counted(delineate: Callable, tmp_path: Path) -> None:
    root = coco(tmp_path / "data")
    FAULTS["coco: keypoint off its box"].plant(root)
    ended = delineate("doctor", root, "--fix", tmp_path / "mended")
    assert "0 changes (changes.csv); 1 left to be done by hand (by_hand.csv)" in ended.out
    assert "training learns both as they are" in " ".join(ended.out.split())
    as_json = json.loads(delineate("doctor", root, "--fix", tmp_path / "again", "--json").out)
    assert (as_json["num_changes"], as_json["num_by_hand"]) == (0, 1)
    assert as_json["findings"][0]["by_hand"].startswith("training learns both")


def test_notes_alone_end_with_0(delineate: Callable, tmp_path: Path) -> None:
    root = coco(tmp_path / "data")
    FAULTS["coco: a crowd"].plant(root)
    ended = delineate("doctor", root)
    assert ended.code == 0
    assert "note    crowds 1 ×" in ended.out


def test_a_system_and_a_run_find_more(delineate: Callable, detector: Path, data: Path) -> None:
    def found(*options: object) -> dict[str, dict[str, Any]]:
        ended = delineate("doctor", data, "--json", *options)
        return {finding["id"]: finding for finding in json.loads(ended.out)["findings"]}

    assert not {"too-small", "unmatched"} & set(found())
    assert {"too-small", "unmatched"} & set(found("--for", "yolov1"))
    with_run = found("--run", detector, "--examples", 1)
    of_run = [finding for kind, finding in with_run.items() if kind.startswith("run-")]
    assert of_run
    assert all(len(finding["examples"]) == 1 for finding in of_run)


def test_without_decoding_less_is_looked_for_and_that_is_said(delineate: Callable, tmp_path: Path) -> None:
    root = coco(tmp_path / "data")
    ended = delineate("doctor", root, "--no-decode")
    assert "nothing was decoded" in " ".join(ended.err.split())


def test_what_cannot_be_looked_at_ends_with_2(delineate: Callable, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "the folder is empty" in delineate("doctor", tmp_path / "empty").mistake
    assert "ends with .html" in delineate("doctor", coco(tmp_path / "data"), "--report", tmp_path / "a.pdf").mistake
