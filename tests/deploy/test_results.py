import csv
import json
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest
import torch

from delineate.deploy import prediction_record
from delineate.deploy.results import Results
from delineate.deploy.writing import Format, check_format, write_results
from delineate.ops.masks import decode_rle, encode_rle
from delineate.system.tasks import DETECT, SEGMENT
from delineate.values import Categories, Detections, InputError, LabelMap

CATEGORIES = Categories(class_names=("cat", "dog"), label_map_names=("cat", "dog"), keypoint_names=("nose",))
MADE_BY = {"weights": "best", "min_score": 0.5, "tile": (4, 4)}
MASKS = torch.zeros(2, 10, 20, dtype=torch.bool)
MASKS[0, 2:6, 4:8] = True


def detections(**more: Any) -> Detections:
    boxes = torch.tensor([[4.0, 2.0, 8.0, 6.0], [0.0, 0.5, 20.0, 10.0]])
    values = {"boxes": boxes, "labels": torch.tensor([1, 0]), "scores": torch.tensor([0.75, 0.5]), **more}
    return Detections(image_size=(10, 20), **values)


def results(folder: Path, prediction: Detections | LabelMap, **more: Any) -> Results:
    """Two pictures, of which only the first one has objects."""
    kept = Results(folder, MADE_BY)
    nothing = Detections(
        image_size=(5, 5), boxes=torch.zeros(0, 4), labels=torch.zeros(0).long(), scores=torch.zeros(0)
    )
    for name, value in (("deep/a.jpg", prediction), ("b.png", nothing)):
        if isinstance(prediction, Detections) or value is prediction:
            record = prediction_record(value, CATEGORIES, file=f"photos/{name}", **more)
            kept.add(Path("photos", name), Path(name).with_suffix(""), Path(name), record)
    return kept


def test_results_go_on_where_a_call_was_killed(tmp_path: Path) -> None:
    first = results(tmp_path, detections())
    with first.file.open("a") as lines:
        lines.write('{"path": "/cut')
    again = Results(tmp_path, MADE_BY)
    assert again.names == {str(Path("photos", name).absolute()): name[:-4] for name in ("deep/a.jpg", "b.png")}
    again.add(Path("other/b.png"), Path("b-2"), Path("b.png"), {"file": "other/b.png"})
    assert [line["file_name"] for line in again] == ["deep/a.jpg", "b.png", "other/b.png"], "two b.png are told apart"
    assert list(Results(tmp_path, MADE_BY)) == list(again)


def test_results_made_otherwise_are_refused_and_dropped_only_when_others_come(tmp_path: Path) -> None:
    kept = results(tmp_path, detections())
    with pytest.raises(InputError, match=r"min_score was 0\.5, now 0\.1.*--again"):
        Results(tmp_path, {**MADE_BY, "min_score": 0.1})
    new = Results(tmp_path, {**MADE_BY, "min_score": 0.1}, again=True)
    assert list(new) == []
    assert len(list(kept)) == 2, "nothing is lost before the first new result"
    new.add(Path("c.png"), Path("c"), Path("c.png"), {"file": "c.png"})
    assert [line["name"] for line in Results(tmp_path, {**MADE_BY, "min_score": 0.1})] == ["c"]


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    kept = results(tmp_path, detections())
    kept.file.write_text(kept.file.read_text().replace('"b.png"', '"b.png', 1))
    with pytest.raises(InputError, match=r"results\.jsonl: line 3 is no JSON"):
        Results(tmp_path, MADE_BY)


def test_coco_has_all_that_was_found(tmp_path: Path) -> None:
    points = {"keypoints": torch.tensor([[[5.0, 3.0]], [[1.0, 1.0]]]), "visibility": torch.full((2, 1), 2)}
    found = detections(rles=encode_rle(MASKS), **points)
    file, _ = write_results(results(tmp_path, found), CATEGORIES, tmp_path, "coco", DETECT)
    document = json.loads(file.read_text())
    assert [row["file_name"] for row in document["images"]] == ["deep/a.jpg", "b.png"]
    assert {row["id"]: row["name"] for row in document["categories"]} == {1: "cat", 2: "dog"}
    first, second = document["annotations"]
    assert [first[key] for key in ("id", "image_id", "category_id", "score")] == [1, 1, 2, 0.75]
    assert (first["bbox"], first["area"], first["keypoints"]) == ([4, 2, 4, 4], 16, [5, 3, 2])
    assert decode_rle([first["segmentation"]], (10, 20)).equal(MASKS[:1])
    assert second["bbox"] == [0, 0.5, 20, 9.5]


def test_label_maps_are_named_with_their_shares(tmp_path: Path) -> None:
    label_map = LabelMap(label_map=torch.tensor([[0, 0, 0, 1]]))
    kept = results(tmp_path, label_map, label_map_file=tmp_path / "label_maps" / "deep" / "a.png")
    file, _ = write_results(kept, CATEGORIES, tmp_path, "coco", SEGMENT)
    document = json.loads(file.read_text())
    assert document["images"][0]["label_map"] == "label_maps/deep/a.png"
    assert document["images"][0]["shares"] == {"cat": 0.75, "dog": 0.25}
    assert [row["id"] for row in document["categories"]] == [0, 1], "the values in the label map"
    table, _ = write_results(kept, CATEGORIES, tmp_path, "csv", SEGMENT)
    assert table.read_text().splitlines() == ["file,class,share", "deep/a.jpg,cat,0.75", "deep/a.jpg,dog,0.25"]
    for layout in ("yolo", "voc"):
        with pytest.raises(InputError, match=f"format: {layout} holds objects"):
            check_format(layout, SEGMENT)


def test_csv_has_a_line_for_each_object(tmp_path: Path) -> None:
    file, _ = write_results(results(tmp_path, detections()), CATEGORIES, tmp_path, "csv", DETECT)
    rows = list(csv.reader(file.read_text().splitlines()))
    assert rows[0] == ["file", "class", "score", "x1", "y1", "x2", "y2"]
    assert rows[1] == ["deep/a.jpg", "dog", "0.75", "4", "2", "8", "6"]
    assert len(rows) == 3


def test_yolo_has_boxes_with_the_score_last(tmp_path: Path) -> None:
    folder, lost = write_results(results(tmp_path, detections()), CATEGORIES, tmp_path, "yolo", DETECT)
    assert (folder / "deep" / "a.txt").read_text().splitlines()[0] == "1 0.3 0.4 0.2 0.4 0.75"
    assert (folder / "b.txt").read_text() == ""
    assert (tmp_path / "classes.txt").read_text() == "cat\ndog\n"
    assert lost == []


def test_yolo_has_polygons_of_masks_and_says_what_has_no_pixel(tmp_path: Path) -> None:
    kept = results(tmp_path, detections(rles=encode_rle(MASKS)))
    folder, lost = write_results(kept, CATEGORIES, tmp_path, "yolo", DETECT)
    [line] = (folder / "deep" / "a.txt").read_text().splitlines()
    assert line == "1 0.2 0.2 0.4 0.2 0.4 0.6 0.2 0.6 0.75"
    assert lost == ["masks: 1 objects without a pixel are left out"]


def test_voc_has_objects_with_scores(tmp_path: Path) -> None:
    kept = results(tmp_path, detections(rles=encode_rle(MASKS)))
    folder, lost = write_results(kept, CATEGORIES, tmp_path, "voc", DETECT)
    root = ElementTree.parse(folder / "deep" / "a.xml").getroot()
    assert [(row.findtext("name"), row.findtext("score")) for row in root.iter("object")] == [
        ("dog", "0.75"),
        ("cat", "0.5"),
    ]
    assert root.findtext("object/bndbox/xmin") == "5"
    assert lost == ["masks of 2 objects: VOC's XML has none"]


@pytest.mark.parametrize("layout", get_args(Format))
def test_nothing_found_is_written_too(tmp_path: Path, layout: Format) -> None:
    written, lost = write_results(Results(tmp_path, MADE_BY), CATEGORIES, tmp_path, layout, DETECT)
    assert lost == []
    if layout == "coco":
        assert json.loads(written.read_text())["annotations"] == []
