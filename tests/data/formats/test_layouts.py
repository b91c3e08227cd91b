import json
import shutil
from errno import ENOSPC
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.data.samples import assert_targets_equal, everything

from delineate.data import FORMATS, Content, convert, read_dataset
from delineate.data.dataset import EVERYTHING
from delineate.data.formats import WRITTEN, find_split, splits
from delineate.values import InputError, formats


@pytest.fixture
def coco_folder(tmp_path: Path) -> Path:
    root = tmp_path / "coco"
    for split in ("train", "val"):
        FORMATS["coco"].write(everything(), root, split)
    return root


@pytest.mark.parametrize("name", WRITTEN)
def test_every_format_recognises_what_it_wrote_and_no_other_does(tmp_path: Path, name: str) -> None:
    for split in ("train", "val"):
        FORMATS[name].write(everything(), tmp_path, split)
    assert [other for other in FORMATS if FORMATS[other].recognises(tmp_path)] == [name]
    assert splits(tmp_path) == ["train", "val"]
    assert splits(str(tmp_path), name) == ["train", "val"]
    assert len(read_dataset(tmp_path, "val")) == 3


@pytest.mark.parametrize("name", WRITTEN)
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
@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_needed_is_given_as_ever_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, needs: frozenset[Content]
) -> None:
    FORMATS[name].write(everything(), tmp_path, "train")
    expected = [sample.target for sample in read_dataset(tmp_path, "train")]
    if not needs & {"masks", "label_map"}:
        for decode in (
            "coco.segmentations.decode_rle",
            "yolo.reading.decode_rle",
            "voc.reading.read_label_map",
            "coco.dataset.paint_label_map",
        ):
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


def test_what_fails_half_way_leaves_nothing(coco_folder: Path, tmp_path: Path) -> None:
    picture = sorted((coco_folder / "images" / "val").iterdir())[0]
    content = picture.read_bytes()
    picture.write_bytes(b"no picture")
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for name in ("new", "empty"):
        with pytest.raises(InputError, match=picture.name):
            convert(coco_folder, tmp_path / name, "yolo")
        assert sorted(tmp_path.rglob("*")) == before
        picture.write_bytes(content)
        convert(coco_folder, tmp_path / name, "yolo")
        assert splits(tmp_path / name) == ["train", "val"]
        picture.write_bytes(b"no picture")
        before = sorted(tmp_path.rglob("*"))


def test_a_full_disk_is_named(coco_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(InputError, match="new: No space left on device; nothing was written"):
        convert(coco_folder, tmp_path / "new", "yolo")
    assert not (tmp_path / "new").exists()


def test_convert_writes_to_no_folder_of_the_source(coco_folder: Path) -> None:
    with pytest.raises(InputError, match=r"yolo: it lies in .*coco, whose pictures it would add to"):
        convert(coco_folder, coco_folder / "yolo", "yolo")
    assert not (coco_folder / "yolo").exists()


def test_convert_refuses_splits_of_other_classes(coco_folder: Path, tmp_path: Path) -> None:
    source = coco_folder / "annotations" / "instances_val.json"
    document = json.loads(source.read_text())
    document["categories"].append({**document["categories"][0], "id": 4, "name": "fish"})
    source.write_text(json.dumps(document))
    for name in WRITTEN:
        with pytest.raises(InputError, match=r"'train' are person, ring, bird, those of 'val' .*, fish; give both the"):
            convert(coco_folder, tmp_path / "new", name)
    assert not (tmp_path / "new").exists()


def test_formats_without_a_writer_are_refused(coco_folder: Path) -> None:
    for name in set(FORMATS) - set(WRITTEN):
        with pytest.raises(InputError, match=f"'{name}' is read, and not written; those that are .* coco, voc, yolo"):
            convert(coco_folder, coco_folder.parent / "new", name)


def test_a_split_is_found_by_its_other_names(tmp_path: Path) -> None:
    for split in ("train2017", "validation"):
        FORMATS["yolo"].write(everything(), tmp_path, split)
    assert find_split(tmp_path, "train") == "train2017"
    assert find_split(tmp_path, "dev") == "validation"
    assert find_split(tmp_path, "test") is None
    dataset = read_dataset(tmp_path, "val")
    assert len(dataset) == 3
    assert dataset.problems[0] == f"{tmp_path}: there is no split 'val'; 'validation' is read for it"
    assert not any("read for it" in line for line in read_dataset(tmp_path, "validation").problems)


def test_names_that_mean_several_splits_mean_none(tmp_path: Path) -> None:
    for split in ("valid", "val2017"):
        FORMATS["yolo"].write(everything(), tmp_path, split)
    with pytest.raises(InputError, match="no split 'val'; there are: val2017, valid; choose with --split"):
        read_dataset(tmp_path, "val")


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
        InputError,
        match=r"not voc; it looks like coco; looked for Annotations/\*\.xml and JPEGImages/; there is annotations/",
    ):
        read_dataset(coco_folder, "train", "voc")


def test_folders_that_are_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: there is no such folder"):
        splits(tmp_path / "none")
    with pytest.raises(
        InputError, match=r"the folder is empty; looked for coco \(annotations/\*\.json.*\), voc \(.*, mask_folder \("
    ):
        splits(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"no format is recognised; .*; there is notes\.txt"):
        splits(tmp_path)
    with pytest.raises(InputError, match=r"notes\.txt: this is no data set"):
        splits(tmp_path / "notes.txt")


OTHER_TOOLS = {
    "export.json": ('[{"id": 1, "annotations": [{"result": [{"from_name": "label"}]}]}]', "Label Studio"),
    "min.json": ('[{"image": "a.png", "label": [], "annotator": 1, "annotation_id": 3}]', "Label Studio"),
    "meta.json": ('{"classes": [{"title": "cell"}], "projectType": "images"}', "Supervisely"),
    "ann/a.png.json": ('{"objects": [{"classTitle": "cell"}], "tags": [], "size": {}}', "Supervisely"),
    "labels.ndjson": ('{"data_row": {"id": "x"}}', "NDJSON"),
    "labelbox.json": ('[{"data_row": {"id": "x"}}]', "Labelbox"),
    "_annotations.createml.json": ('[{"image": "a", "annotations": [{"coordinates": {"x": 1}}]}]', "CreateML"),
    "default.json": ('{"info": {}, "categories": {}, "infos": {}, "items": []}', "Datumaro"),
    "tasks.json": ('[{"task_id": "x", "response": {"annotations": []}}]', "Scale"),
    "video.xml": ("<annotations><track id='0'/></annotations>", "CVAT for video"),
    "_annotations.csv": ("filename,width,height,class,xmin", "Roboflow's table"),
    "train/_classes.csv": ("filename, cell", "Roboflow's table"),
    "boxes.csv": ("ImageID,Source,LabelName,Confidence,XMin", "OpenImages"),
    "via.csv": ("filename,file_size,file_attributes,region_count,region_id,region_shape_attributes", "VIA"),
    "via3.json": ('{"project": {}, "config": {}, "attribute": {}, "file": {}, "view": {}}', "VIA 3"),
    "train.tfrecord": ("", "TFRecord"),
    "digitStruct.mat": ("", "MATLAB"),
    "label_2/000001.txt": (
        "Car 0.00 0 -1.58 587.01 173.33 614.12 200.12 1.65 1.67 3.64 -0.65 1.71 46.7 -1.59",
        "KITTI",
    ),
}


@pytest.mark.parametrize("name", OTHER_TOOLS)
def test_what_other_tools_write_is_named_with_the_way_out(tmp_path: Path, name: str) -> None:
    text, tool = OTHER_TOOLS[name]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(InputError) as caught:
        splits(tmp_path)
    first, way_out = str(caught.value).removeprefix(f"{tmp_path}: ").split("; ")[:2]
    assert first == f"this looks like {tool}, which is not read"
    assert "COCO" in way_out or "JSON" in way_out or "coco" in way_out


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["JPEGImages/a.png"],
            r"looks like VOC, but Annotations/ \(XML files\) and SegmentationClass/ \(PNGs\) are missing",
        ),
        (["Annotations/a.xml"], "looks like VOC, but its pictures are missing"),
        (["a.zip", "b.tar.gz"], r"packed: a.zip, b.tar.gz; unpack, and give the folder"),
        (
            ["a.png", "b/c.jpg"],
            r"2 pictures and no annotation that is read \(`delineate predict` .*; looked for coco ",
        ),
        (["a.HEIC", "b.dng"], r"pictures of kinds that are not read \(.HEIC, .dng; save them as JPEG or PNG\)"),
        (["unpacked/data.yaml", "readme.txt"], r"there is a data set in .*unpacked \(yolo\); give that folder"),
    ],
)
def test_what_is_missing_or_to_be_done_is_said(tmp_path: Path, names: list[str], message: str) -> None:
    texts = {".xml": "<annotation><object/></annotation>", ".yaml": "names: [cell]"}
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(texts.get(Path(name).suffix, ""))
    with pytest.raises(InputError, match=message) as caught:
        splits(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_packed_file_or_a_picture_is_no_data_set(tmp_path: Path) -> None:
    for name, message in (("a.zip", "a.zip: packed: a.zip; unpack"), ("a.png", "a.png: 1 picture and no annotation")):
        (tmp_path / name).touch()
        with pytest.raises(InputError, match=message):
            splits(tmp_path / name)


def test_every_door_names_the_formats() -> None:
    assert formats.READ.replace(" or", ",").split(", ") == list(FORMATS)
    assert formats.WRITTEN.replace(" or", ",").split(", ") == list(WRITTEN)


def test_two_formats_in_one_folder(coco_folder: Path) -> None:
    FORMATS["voc"].write(everything(), coco_folder, "train")
    with pytest.raises(InputError, match="looks like coco and voc; say which"):
        splits(coco_folder)
    assert splits(coco_folder, "coco") == ["train", "val"]


def test_a_data_set_that_is_not_divided_is_read_to_train_on(tmp_path: Path) -> None:
    FORMATS["voc"].write(everything(), tmp_path, "train")
    shutil.rmtree(tmp_path / "ImageSets")
    assert splits(tmp_path) == ["all"]
    dataset = read_dataset(tmp_path, "train")
    assert len(dataset) == 3
    assert any("'all' is read for it" in line for line in dataset.problems)
    with pytest.raises(
        InputError, match=r"no split 'val'; there are: all; .* divide the pictures with `delineate split"
    ):
        read_dataset(tmp_path, "val")
    (tmp_path / "splits").mkdir()
    for name in ("train", "val"):
        (tmp_path / "splits" / f"{name}.txt").write_text("# divides all; delineate split\n")
    with pytest.raises(InputError, match=r"no split 'test'; there are: train, val; choose with --split$"):
        read_dataset(tmp_path, "test")


@pytest.mark.parametrize("is_cut", [True, False])
def test_what_cannot_be_read_is_left_out_of_what_is_converted_when_asked(
    coco_folder: Path, tmp_path: Path, is_cut: bool
) -> None:
    picture = sorted((coco_folder / "images" / "val").iterdir())[0]
    picture.write_bytes(picture.read_bytes()[:60] if is_cut else b"no picture")
    if not is_cut:
        with pytest.raises(InputError, match=r"--skip-unreadable passes over"):
            convert(coco_folder, tmp_path / "new", "yolo")
    lines = convert(coco_folder, tmp_path / "new", "yolo", skip_unreadable=True)
    assert lines[0].startswith(f"val: left out 1 picture that cannot be read: {picture}")
    assert [len(read_dataset(tmp_path / "new", split)) for split in ("train", "val")] == [3, 2]
    assert not list((tmp_path / "new").rglob(f"val/{picture.stem}.*"))


def test_a_split_of_which_nothing_can_be_read_is_refused(coco_folder: Path, tmp_path: Path) -> None:
    for picture in (coco_folder / "images" / "val").iterdir():
        picture.write_bytes(b"no picture")
    with pytest.raises(InputError, match="no other picture of split 'val' can be read"):
        convert(coco_folder, tmp_path / "new", "yolo", skip_unreadable=True)
