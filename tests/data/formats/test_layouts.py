from pathlib import Path

import pytest
import torch
from tests.data.samples import assert_targets_equal, everything

from delineate.data import FORMATS, Content, convert, read_dataset
from delineate.data.dataset import EVERYTHING
from delineate.data.formats import splits
from delineate.values import InputError


@pytest.fixture
def coco_folder(tmp_path: Path) -> Path:
    root = tmp_path / "coco"
    for split in ("train", "val"):
        FORMATS["coco"].write(everything(), root, split)
    return root


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_recognises_what_it_wrote_and_no_other_does(tmp_path: Path, name: str) -> None:
    for split in ("train", "val"):
        FORMATS[name].write(everything(), tmp_path, split)
    assert [other for other in FORMATS if FORMATS[other].recognises(tmp_path)] == [name]
    assert splits(tmp_path) == ["train", "val"]
    assert splits(str(tmp_path), name) == ["train", "val"]
    assert len(read_dataset(tmp_path, "val")) == 3


@pytest.mark.parametrize("name", FORMATS)
def test_there_and_back_keeps_pictures_and_label_maps(coco_folder: Path, tmp_path: Path, name: str) -> None:
    convert(coco_folder, tmp_path / "there", name)
    again = read_dataset(tmp_path / "there", "train")
    originals = {Path(sample.file).stem: sample for sample in everything()}
    assert len(again) == 3
    for sample in again:
        original = originals[Path(sample.file).stem]
        assert torch.equal(sample.image, original.image)
        if name in ("coco", "mask_folder"):
            assert_targets_equal(sample.target, original.target, "label_map")


NEEDS: list[frozenset[Content]] = [
    frozenset({"boxes"}),
    frozenset({"boxes", "masks"}),
    frozenset({"boxes", "keypoints"}),
    frozenset({"label_map"}),
    EVERYTHING,
]


@pytest.mark.parametrize("needs", NEEDS, ids=lambda needs: "+".join(sorted(needs)))
@pytest.mark.parametrize("name", FORMATS)
def test_what_is_needed_is_given_as_ever_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, needs: frozenset[Content]
) -> None:
    FORMATS[name].write(everything(), tmp_path, "train")
    expected = [sample.target for sample in read_dataset(tmp_path, "train")]
    if not needs & {"masks", "label_map"}:
        for decode in ("coco_json.decode_rle", "yolo.decode_rle", "voc.read_label_map", "coco.paint_label_map"):
            monkeypatch.delattr(f"delineate.data.formats.{decode}")
    dataset = read_dataset(tmp_path, "train", needs=needs)
    assert dataset.needs == needs
    fields = {"boxes": ("boxes", "labels", "crowd", "difficult"), "keypoints": ("keypoints", "visibility")}
    for sample, target in zip(dataset, expected, strict=True):
        for content in EVERYTHING:
            if content in needs:
                assert_targets_equal(sample.target, target, *fields.get(content, (content,)))
            elif content == "boxes":
                assert len(sample.target) == 0
            else:
                assert getattr(sample.target, content) is None


def test_boxes_alone_come_with_the_areas_of_masks(coco_folder: Path, tmp_path: Path) -> None:
    convert(coco_folder, tmp_path / "yolo", "yolo")
    for root in (coco_folder, tmp_path / "yolo"):
        both = zip(read_dataset(root, "train"), read_dataset(root, "train", needs=frozenset({"boxes"})), strict=True)
        for whole, boxes in both:
            assert whole.target.areas is None
            assert whole.target.masks is not None
            assert boxes.target.areas is not None
            assert boxes.target.areas.tolist() == pytest.approx(whole.target.masks.flatten(1).sum(1).tolist())


def test_convert_says_what_is_lost_in_which_split(coco_folder: Path, tmp_path: Path) -> None:
    assert convert(coco_folder, tmp_path / "again", "coco") == []
    lines = convert(coco_folder, tmp_path / "masks", "mask_folder")
    assert [line.split(":")[0] for line in lines] == ["train", "train", "val", "val"]
    assert all("objects" in line for line in lines)


def test_convert_leaves_what_is_there(coco_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(InputError, match="full: there is something already"):
        convert(coco_folder, tmp_path / "full", "mask_folder")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_unknown_split_names_those_there_are(coco_folder: Path) -> None:
    with pytest.raises(InputError, match="no split 'test'; there are: train, val"):
        read_dataset(coco_folder, "test")


def test_unknown_format_names_the_nearest(coco_folder: Path) -> None:
    with pytest.raises(InputError, match="format 'maskfolder' is unknown; did you mean mask_folder"):
        read_dataset(coco_folder, "train", "maskfolder")
    with pytest.raises(InputError, match="format 'zip' is unknown; the formats are coco, voc, yolo, mask_folder"):
        convert(coco_folder, coco_folder.parent / "new", "zip")


def test_given_format_that_is_not_there(coco_folder: Path) -> None:
    with pytest.raises(
        InputError, match=r"looked for voc: Annotations/\*\.xml and JPEGImages/; there is annotations/, images/"
    ):
        read_dataset(coco_folder, "train", "voc")


def test_folders_that_are_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: there is no such folder"):
        splits(tmp_path / "none")
    with pytest.raises(
        InputError, match=r"the folder is empty; looked for coco: annotations/\*\.json, voc: .* yolo: .* mask_folder: "
    ):
        splits(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"no format is recognised; .*; there is notes\.txt"):
        splits(tmp_path)
    with pytest.raises(InputError, match=r"notes\.txt: this is no data set"):
        splits(tmp_path / "notes.txt")


def test_two_formats_in_one_folder(coco_folder: Path) -> None:
    FORMATS["voc"].write(everything(), coco_folder, "train")
    with pytest.raises(InputError, match="looks like coco and voc; say which"):
        splits(coco_folder)
    assert splits(coco_folder, "coco") == ["train", "val"]
