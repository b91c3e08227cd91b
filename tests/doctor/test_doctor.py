import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.doctor.faults import FAULTS
from tests.doctor.sets import (
    BOXES,
    CLEAN,
    HEIGHT,
    WIDTH,
    coco,
    label_map,
    labelme,
    mask_folder,
    save,
    via,
    voc,
    write,
    yolo,
    yolo_line,
    yolo_poses,
)
from torch import Tensor

from delineate.data import synthesise
from delineate.data.formats import convert, read_dataset
from delineate.data.preprocess import Preprocess
from delineate.data.transforms import resized_crop
from delineate.doctor import KINDS, examine, mend, write_page
from delineate.doctor.checks.disagreeing import disagreements
from delineate.doctor.drawing import drawn
from delineate.doctor.examining import UNDECODED, unwatched
from delineate.doctor.words import WORDS, count_in, kinds_of
from delineate.metrics.errors import BACKGROUND, CLASSIFICATION, CORRECT, LOCALIZATION, picture_errors
from delineate.system.catalog import build
from delineate.system.system import System
from delineate.values import Detections, InputError, LabelMap, Target

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("doctor") / "shapes"
    synthesise(root, num_images=20, image_size=(64, 64))
    return root


@pytest.mark.parametrize("layout", ["coco", "voc", "yolo", "mask_folder"])
def test_nothing_is_wrong_with_the_synthetic_set(layout: str, shapes: Path, tmp_path: Path) -> None:
    if layout != "coco":
        convert(shapes, tmp_path / layout, layout)
    findings = examine(shapes if layout == "coco" else tmp_path / layout)
    assert findings.num_pictures == 20
    assert not [finding.id for finding in findings.troubles if finding.id not in ("class-missing", "shape-left-out")]


def test_every_kind_of_the_words_is_in_the_table() -> None:
    assert {kind for _, kinds in WORDS for kind in kinds} <= KINDS.keys()


def test_the_page_of_the_documentation_has_every_kind_as_it_is() -> None:
    text = (DOCS / "doctor.md").read_text(encoding="utf-8")
    for name, kind in KINDS.items():
        assert f"| `{name}` | {kind.severity} | {kind.title} | {kind.mend} | {kind.outcome or '–'} |" in text


def test_readers_lines_are_counted() -> None:
    assert count_in("a/b: 2 of 1,805 objects without area") == 2
    assert count_in("images: 1,204 pictures without label file, taken as empty: 000.jpg") == 1204
    assert count_in("x.jpg: it ends too early") == 1
    assert kinds_of("nobody says this") == ()


@pytest.mark.parametrize("name", [name for name in FAULTS if name.startswith(("voc", "yolo", "coco"))][::4])
def test_what_a_reader_says_is_put_to_a_finding(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    root = CLEAN[fault.layout](tmp_path / "data")
    fault.plant(root)
    said = {line for finding in examine(root) for line in finding.said}
    for split in ("train", "val"):
        try:
            lines = list(read_dataset(root, split).problems)
        except InputError as error:
            lines = [str(error)]
        assert set(lines) <= said


def test_without_decoding_what_is_broken_within_is_passed_over_and_said(tmp_path: Path) -> None:
    root = yolo(tmp_path / "data")
    (root / "images/val/d.jpg").write_bytes((root / "images/train/a.jpg").read_bytes())
    findings = examine(root, decode=False)
    assert findings.passed_over == (UNDECODED,)
    assert "leak" not in findings.found
    assert "leak" in examine(root).found


def test_a_union_of_splits_is_not_looked_at_again(tmp_path: Path) -> None:
    root = voc(tmp_path / "data")
    (root / "ImageSets/Main/trainval.txt").write_text("a\nb\nc\nd\ne\n")
    findings = examine(root)
    assert list(findings.lines) == ["train", "val"]
    assert not findings.found


def test_what_is_no_data_set_cannot_be_looked_at(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg", "a")
    with pytest.raises(InputError, match="no annotation"):
        examine(tmp_path)


def test_boxes_are_drawn_where_they_are_also_beside_the_picture(tmp_path: Path) -> None:
    root = coco(tmp_path / "data")
    FAULTS["coco: outside"].plant(root)
    [example] = examine(root).found["outside"].examples
    [(title, picture)] = drawn(example)
    assert title == "train/a.jpg"
    height, width = picture.shape[1:]
    assert width / height == pytest.approx(110 / HEIGHT, rel=0.05), "the picture, and as far as the box reaches"
    beside = picture[:, :, round(width * WIDTH / 110) + 10 :]
    assert {(213, 94, 0)} <= {tuple(color) for color in beside.flatten(1).T.tolist()}


def test_a_keypoint_is_drawn_where_it_is_also_beside_the_picture(tmp_path: Path) -> None:
    root = coco(tmp_path / "data")
    FAULTS["coco: keypoint out of the picture"].plant(root)
    [example] = examine(root).found["keypoints-outside"].examples
    [(_, picture)] = drawn(example)
    assert picture.shape[2] / picture.shape[1] == pytest.approx((200 + 4) / HEIGHT, rel=0.05)


def test_the_border_of_a_run_length_encoding_is_drawn(tmp_path: Path) -> None:
    root = coco(tmp_path / "data")
    FAULTS["coco: RLE of another size"].plant(root)
    [example] = examine(root).found["rle-size"].examples
    [thing] = [thing for thing in example.things if thing.row in example.rows]
    [(_, picture)] = drawn(example)

    def with_shape(shape: Any) -> Tensor:
        things = [replace(one, shape=shape) if one is thing else one for one in example.things]
        [(_, drawing)] = drawn(replace(example, things=things))
        return drawing

    without = with_shape(None)
    assert (picture != without).any()
    for broken in ({"size": [4, 4], "counts": "?"}, {"size": [10**6, 10**6], "counts": [10**12]}):
        assert torch.equal(with_shape(broken), without)


def test_what_is_about_pixels_has_its_label_map_beside_the_picture(tmp_path: Path) -> None:
    root = mask_folder(tmp_path / "data")
    FAULTS["mask_folder: a value without name"].plant(root)
    stored = np.array(Image.open(root / "labels/train/a.png")).astype(np.uint16)
    Image.fromarray(np.where(stored == 9, 1000, stored).astype(np.uint16)).save(root / "labels/train/a.png")
    [example] = examine(root).found["unnamed-value"].examples
    (title, picture), (said, label_map) = drawn(example)
    assert title == f"train/{example.record.file.name}"
    assert said.startswith(f"train/a.png, {WIDTH} x {HEIGHT}, with the values ")
    assert label_map.shape == picture.shape
    assert label_map.flatten(1).unique(dim=1).shape[1] == len(re.findall(r"\d+", said.partition("values")[2]))


def test_the_page_has_findings_by_severity_with_pictures_and_nothing_from_elsewhere(tmp_path: Path) -> None:
    root = coco(tmp_path / "data")
    for name in ("coco: negative width", "coco: truncated"):
        FAULTS[name].plant(root)
    write_page(tmp_path / "page.html", examine(root))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    places = [page.index(f'id="{kind}"') for kind in ("truncated", "swapped")]
    assert places == sorted(places)
    assert page.count("data:image/jpeg") >= 1
    assert "http" not in page.replace("http-equiv", "")


def test_changes_are_listed_and_unchanged_pictures_are_the_same_file(tmp_path: Path) -> None:
    root = coco(tmp_path / "data")
    FAULTS["coco: negative width"].plant(root)
    mend(examine(root), tmp_path / "mended")
    with (tmp_path / "mended/changes.csv").open() as file:
        [row] = csv.DictReader(file)
    assert (row["finding"], row["place"]) == ("swapped", "annotation 1")
    assert row["before"] == "cat 24 6 4 30"
    assert row["after"] == "cat 4 6 24 30"
    copy = tmp_path / "mended/images/train/a.jpg"
    assert copy.samefile(root / "images/train/a.jpg")
    document = json.loads((tmp_path / "mended/annotations/instances_train.json").read_text())
    assert document["annotations"][0]["bbox"] == [4, 6, 20, 24]


def test_keypoints_out_of_the_picture_become_what_training_takes_them_for(tmp_path: Path) -> None:
    root = coco(tmp_path / "data")
    FAULTS["coco: keypoint out of the picture"].plant(root)
    learned = resized_crop(read_dataset(root, "train")[0], (0, 0, HEIGHT, WIDTH), (HEIGHT, WIDTH)).target
    changes, by_hand = mend(examine(root), tmp_path / "mended")
    target = read_dataset(tmp_path / "mended", "train")[0].target
    assert (changes[0].before, changes[0].after) == ("cat keypoints 200 8 2", "cat keypoints 0 0 0")
    assert not by_hand
    assert torch.equal(target.visibility, learned.visibility)
    assert torch.equal(target.keypoints, learned.keypoints)
    entry = json.loads((tmp_path / "mended/annotations/instances_train.json").read_text())["annotations"][0]
    assert entry["num_keypoints"] == 6


def test_a_pose_keeps_its_other_keypoints(tmp_path: Path) -> None:
    root = yolo_poses(tmp_path / "data")
    before = read_dataset(root, "train")[0].target
    FAULTS["yolo: keypoint out of the picture"].plant(root)
    mend(examine(root), tmp_path / "mended")
    target = read_dataset(tmp_path / "mended", "train")[0].target
    assert target.visibility[0].tolist() == [0, *before.visibility[0, 1:].tolist()]
    assert torch.allclose(target.keypoints[0, 1:], before.keypoints[0, 1:], atol=1e-3)
    assert torch.equal(target.keypoints[1], before.keypoints[1])


def test_what_is_turned_in_doubt_is_left_and_listed(tmp_path: Path) -> None:
    root = via(tmp_path / "data")
    FAULTS["via: turned, with objects in both"].plant(root)
    changes, [left] = mend(examine(root), tmp_path / "mended")
    assert "turned" not in {change.finding for change in changes}
    assert (left.finding, left.detail) == ("turned", "EXIF's orientation is 6")
    assert left.reason == KINDS["turned"].by_hand
    with (tmp_path / "mended/by_hand.csv").open() as file:
        assert [row["finding"] for row in csv.DictReader(file)] == ["turned"]
    assert (tmp_path / "mended/images/train/a.jpg").samefile(root / "train/a.jpg")


def test_a_picture_that_loses_its_mark_is_written_with_the_size_as_stored(tmp_path: Path) -> None:
    root = via(tmp_path / "data")  # it writes no sizes, and is mended as COCO, which does
    FAULTS["via: turned after"].plant(root)
    mend(examine(root), tmp_path / "mended")
    assert "size-differs" not in examine(tmp_path / "mended").found


def test_a_name_is_put_right_also_where_the_picture_loses_its_mark(tmp_path: Path) -> None:
    root = coco(tmp_path / "data")
    for name in ("coco: Cat and cat", "coco: turned after"):
        FAULTS[name].plant(root)  # both of the first picture
    changes, by_hand = mend(examine(root), tmp_path / "mended")
    assert {change.finding for change in changes} == {"class-names-alike", "size-differs"}
    assert not by_hand
    assert not examine(tmp_path / "mended").found


def test_a_copy_is_not_written_into_the_data_nor_over_something(tmp_path: Path) -> None:
    root = yolo(tmp_path / "data")
    findings = examine(root)
    with pytest.raises(InputError, match="lies in"):
        mend(findings, root / "mended")
    with pytest.raises(InputError, match="something already"):
        mend(findings, root)


def test_absolute_paths_of_a_description_do_not_lead_back_to_the_original(tmp_path: Path) -> None:
    root = yolo(tmp_path / "data")
    description = (root / "data.yaml").read_text()
    (root / "data.yaml").write_text(f"path: {root}\n{description}")
    FAULTS["yolo: twice"].plant(root)
    mend(examine(root), tmp_path / "mended")
    assert str(root) not in (tmp_path / "mended/data.yaml").read_text()
    assert not examine(tmp_path / "mended").found


def test_a_layout_that_is_not_written_is_mended_as_coco(tmp_path: Path) -> None:
    root = labelme(tmp_path / "data")
    FAULTS["labelme: null"].plant(root)
    point = {"label": "dog", "shape_type": "point", "points": [[2, 3]]}
    polygon = {"label": "dog", "shape_type": "polygon", "points": [[2, 3], [40, 3], [40, 30]]}
    source = root / "train/b.json"
    document = json.loads(source.read_text())
    source.write_text(json.dumps(document | {"shapes": [polygon, point]}))
    findings = examine(root)
    assert findings.layout == "labelme"
    changes, by_hand = mend(findings, tmp_path / "mended")
    assert not by_hand
    assert {change.finding for change in changes} == {"not-a-number", "written-as-coco"}
    mended = read_dataset(tmp_path / "mended", "train")
    assert mended.categories.class_names == ("cat", "dog")
    assert [mended.target(index, (HEIGHT, WIDTH)).boxes.tolist() for index in range(3)] == [
        [list(BOXES[1])],
        [[2, 3, 40, 30]],
        [list(box) for box in BOXES],
    ]
    masks = mended[1].target.masks
    assert masks is not None
    assert masks.sum().item() == pytest.approx(38 * 27 / 2, rel=0.1)
    assert (tmp_path / "mended/images/train/a.jpg").samefile(root / "train/a.jpg")


def test_a_picture_in_its_json_is_a_file_of_the_copy(tmp_path: Path) -> None:
    root = labelme(tmp_path / "data")
    held = (root / "train/a.jpg").read_bytes()
    FAULTS["labelme: in its JSON"].plant(root)
    findings = examine(root)
    assert findings.num_pictures == 5
    mend(findings, tmp_path / "mended")
    assert (tmp_path / "mended/images/train/a.jpg").read_bytes() == held


def test_without_decoding_nothing_is_said_of_pixels(tmp_path: Path) -> None:
    assert not examine(mask_folder(tmp_path / "data"), decode=False).found


def test_objects_that_no_default_box_matches(tmp_path: Path) -> None:
    root = yolo(tmp_path / "data")
    FAULTS["yolo: twice"].plant(root)  # no more than what is in every set
    assert "unmatched" not in examine(root, system="ssd").found
    (root / "labels/train/a.txt").write_text("0 0.5 0.5 0.01 0.01\n1 0.5 0.5 0.5 0.001\n")
    found = examine(root, system="ssd").found
    assert found["unmatched"].count == 1
    assert found["too-small"].count == 1
    assert "of ssd" in found["unmatched"].examples[0].detail


@pytest.mark.parametrize(
    ("system", "rows", "count", "why"),
    [
        ("yolov1", [(4, 6, 24, 30), (10, 14, 18, 22), (30, 10, 58, 40)], 1, "another has its cell"),
        ("yolov2", [(4, 6, 24, 30), (5, 6, 24, 30), (10, 14, 18, 22)], 1, "another has its anchor of its cell"),
        ("fcos", [(4, 6, 24, 30), (4, 6, 24, 30)], 1, "no place within it is of its size and its own"),
        ("faster_rcnn", [(4, 6, 24, 30), (30, 10, 33, 13)], 1, "no anchor overlaps it by 0.3"),
        ("detr", [(4, 6, 24, 30), (30, 10, 58, 40)], 0, ""),
        ("detr", [(x, y, x + 4, y + 4) for x in range(0, 60, 5) for y in range(0, 44, 5)], 8, "it has 100 queries"),
    ],
)
def test_objects_that_are_lost_on_a_system(
    system: str, rows: list[tuple[int, int, int, int]], count: int, why: str, tmp_path: Path
) -> None:
    root = yolo(tmp_path / "data")
    for stem in "abc":
        write(root / f"labels/train/{stem}.txt", "".join(f"{yolo_line(0, row)}\n" for row in rows if stem == "a"))
    found = examine(root, system=system).found
    assert found["unmatched"].count == count if count else "unmatched" not in found
    assert not count or why in found["unmatched"].examples[0].detail


@pytest.mark.parametrize(
    ("system", "why"), [("unet", "unet finds no objects among others"), ("fast_rcnn", "learns from proposals")]
)
def test_a_system_that_no_object_is_lost_on_is_refused(system: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=why):
        examine(yolo(tmp_path / "data"), system=system)


def test_errors_of_a_picture() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]])
    target = Target(image_size=(20, 100), boxes=boxes, labels=torch.tensor([0, 0, 1, 1]))
    found = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 44, 10], [85, 0, 95, 10]])
    scores, labels = torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([0, 1, 1, 0])
    errors, objects, missed = picture_errors(
        Detections(image_size=(20, 100), boxes=found, labels=labels, scores=scores), target
    )
    assert errors.tolist() == [CORRECT, CLASSIFICATION, LOCALIZATION, BACKGROUND]
    assert objects[1:3].tolist() == [1, 2]
    assert missed.tolist() == [False, False, False, True]


def weights_of(name: str, root: Path, **arguments: Any) -> Path:
    """Save a system, of random weights, for the classes of some data."""
    categories = read_dataset(root, "val").categories
    system = System(
        name=name,
        model=build(name, categories, **arguments),
        preprocess=Preprocess(size=(64, 64)) if "image_size" in arguments else Preprocess(),
        categories=categories,
        arguments=arguments,
    )
    system.save(root / "best.safetensors")
    return root / "best.safetensors"


CAT, DOG = (yolo_line(label, box) for label, box in enumerate(BOXES))


@pytest.mark.parametrize(
    ("annotated", "kind", "detail"),
    [
        ([CAT], "run-extra", "dog by 0.80"),
        ([CAT, yolo_line(0, BOXES[1])], "run-class", "dog by 0.80, annotated as cat"),
        ([CAT, yolo_line(1, (42, 10, 64, 40))], "run-place", "dog by 0.80, annotated as dog"),
        ([CAT, DOG, yolo_line(0, (2, 34, 20, 46))], "run-missed", "cat"),
    ],
)
def test_a_run_ranks_what_it_disagrees_with(
    annotated: list[str], kind: str, detail: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system stands for one that knows the truth; what is annotated otherwise is found."""
    root = yolo(tmp_path / "data")
    write(root / "labels/val/d.txt", "\n".join(annotated) + "\n")
    truth = Detections(
        image_size=(HEIGHT, WIDTH),
        boxes=torch.tensor(BOXES, dtype=torch.float32),
        labels=torch.tensor([0, 1]),
        scores=torch.tensor([0.9, 0.8]),
    )
    monkeypatch.setattr(System, "infer", lambda self, images: [truth for _ in images])
    run = weights_of("ssd", root, backbone="resnet10t", image_size=64)
    [(hit, example)] = disagreements(run, root, "yolo", unwatched)
    assert (hit.kind, hit.detail) == (kind, detail)
    assert example["record"].file.name == "d.jpg"
    assert [thing.name for thing in example["things"]][-2:] == ["cat?", "dog?"]


def test_a_run_ranks_label_maps_that_it_sees_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = mask_folder(tmp_path / "data")
    Image.fromarray(2 - label_map()).save(root / "labels/val/d.png")
    seen = LabelMap(label_map=torch.from_numpy(label_map()).long())
    monkeypatch.setattr(System, "infer", lambda self, images: [seen for _ in images])
    run = weights_of("unet", root, backbone="plain", width=8)
    [(hit, example)] = disagreements(run, root, "mask_folder", unwatched)
    assert (hit.kind, hit.detail) == ("run-pixels", "69% of the pixels are seen otherwise")
    assert example["record"].file.name == "d.jpg"


def test_a_picture_saved_again_is_the_same_and_a_dark_one_is_not_another(tmp_path: Path) -> None:
    root = yolo(tmp_path / "data")
    for split, stem, spot in (("train", "a", (3, 3)), ("val", "d", (60, 40))):
        dark = Image.new("RGB", (WIDTH, HEIGHT))
        dark.putpixel(spot, (90, 90, 90))
        dark.save(root / f"images/{split}/{stem}.jpg")
    assert "leak" not in examine(root).found
