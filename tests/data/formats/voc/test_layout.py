import shutil
from pathlib import Path

import pytest
from PIL import Image
from tests.data.samples import assert_targets_equal, everything

from delineate.data.formats import voc
from delineate.values import InputError

XML = (
    "<annotation><object><name>cat</name>"
    "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></object></annotation>"
)


def laid(root: Path, *files: str) -> Path:
    """Pictures of 8x6 and XML files of a cat, by their suffix; texts where a file is `name=text`."""
    for file in files:
        name, _, text = file.partition("=")
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text or path.suffix.lower() == ".xml":
            path.write_text(text.replace(" ", "\n") or XML)
        else:
            Image.new("RGB", (8, 6)).save(path, format="png")
    return root


@pytest.mark.parametrize(
    ("pictures", "annotations"),
    [
        ("JPEGImages", "Annotations"),
        ("jpegimages", "annotations"),
        ("Images", "Annotations"),
        ("images", "annotations"),
        ("images", "annots"),
        ("images", "labels"),
        ("images", "Annotations/xmls"),
        ("images/deep", "annotations"),
        ("images", "images"),
        ("JPEGImages", "JPEGImages"),
        (".", "."),
    ],
)
def test_pictures_and_xml_files_are_found_where_tools_put_them(tmp_path: Path, pictures: str, annotations: str) -> None:
    root = laid(tmp_path, f"{pictures}/a.png", f"{pictures}/b.PNG", f"{annotations}/a.xml", f"{annotations}/b.XML")
    assert voc.recognises(root)
    assert voc.splits(root) == ["all"]
    dataset = voc.read(root, "all")
    assert [file.name for file in dataset.files] == ["a.png", "b.PNG"]
    assert [len(sample.target) for sample in dataset] == [1, 1]
    assert dataset.problems == []


@pytest.mark.parametrize(
    ("pictures", "annotations"),
    [
        ("{}", "{}"),
        ("{}/images", "{}/annotations"),
        ("{}/JPEGImages", "{}/Annotations"),
        ("images/{}", "annotations/{}"),
        ("JPEGImages/{}", "Annotations/{}"),
        ("images/{}", "images/{}"),
    ],
)
def test_folders_may_be_splits(tmp_path: Path, pictures: str, annotations: str) -> None:
    for split, cat in (("train", "cat"), ("valid", "cow")):
        laid(
            tmp_path, f"{pictures.format(split)}/a.png", f"{annotations.format(split)}/a.xml={XML.replace('cat', cat)}"
        )
    laid(tmp_path, f"{pictures.format('test')}/c.png")
    assert voc.splits(tmp_path) == ["train", "valid"]
    for split, name in (("train", "cat"), ("valid", "cow")):
        dataset = voc.read(tmp_path, split)
        assert [str(file.parent.relative_to(tmp_path)) for file in dataset.files] == [pictures.format(split)]
        (label,) = dataset[0].target.labels.tolist()
        assert dataset.categories.class_names[label] == name
        (line,) = dataset.problems
        assert "1 picture in none of the splits' folders (train, valid), left out: c.png" in line


def test_a_split_may_be_called_otherwise_on_the_other_side(tmp_path: Path) -> None:
    root = laid(
        tmp_path, "images/train/a.png", "images/val/b.png", "annotations/train/a.xml", "annotations/valid/b.xml"
    )
    assert voc.splits(root) == ["train", "val"]
    assert len(voc.read(root, "val")[0].target) == 1


@pytest.mark.parametrize(
    "files",
    [
        ("images/a.png", "annotations/instances.json={}"),
        ("images/a.png", "annotations.xml=<annotations><image/></annotations>"),
        ("images/a.png", "labels/a.txt=0"),
        ("images/a.png", "annotations/all.xml=<annotations><image/></annotations>"),
        ("JPEGImages/a.png", "annotations/instances.json={}"),
        ("a.png", "b.xml"),
        ("a.png",),
        ("notes.txt=a",),
    ],
)
def test_other_tools_folders_are_none_of_vocs(tmp_path: Path, files: tuple[str, ...]) -> None:
    assert not voc.recognises(laid(tmp_path, *files))


@pytest.mark.parametrize(
    "entry", ["a", "a.png", "a.jpg", "JPEGImages/a.png", "/home/me/VOC/JPEGImages/a.jpg", "x\\a.xml"]
)
def test_entries_of_lists_may_be_paths(tmp_path: Path, entry: str) -> None:
    root = laid(tmp_path, "JPEGImages/a.png", "Annotations/a.xml", f"imagesets/main/train.txt={entry}")
    assert [file.name for file in voc.read(root, "train").files] == ["a.png"]


def test_a_stem_with_a_dot_is_no_suffix(tmp_path: Path) -> None:
    root = laid(tmp_path, "JPEGImages/a.v1.png", "Annotations/a.v1.xml", "ImageSets/Main/train.txt=a.v1")
    assert len(voc.read(root, "train")[0].target) == 1


def test_both_sides_are_compared_without_lists(tmp_path: Path) -> None:
    root = laid(tmp_path, *(f"JPEGImages/{stem}.png" for stem in "abcd"), "Annotations/a.xml", "Annotations/z.xml")
    laid(root, "JPEGImages/e.HEIC=x", "JPEGImages/.hidden.png")
    (root / "JPEGImages/f.jpg").symlink_to(root / "nowhere")
    assert voc.read(root, "all").problems == [
        f"{root}/JPEGImages: 1 picture of a kind that is not read (.HEIC), left out; save as PNG or JPEG: e.HEIC",
        f"{root}/JPEGImages: 1 link to no file, left out: f.jpg",
        f"{root}/JPEGImages: 3 pictures without XML file, left out: b.png, c.png, d.png",
        f"{root}/Annotations: 1 XML file without picture, left out: z.xml",
    ]


def test_both_sides_are_compared_with_lists(tmp_path: Path) -> None:
    files = [f"JPEGImages/{stem}.png" for stem in "abc"] + [f"Annotations/{stem}.xml" for stem in "abz"]
    root = laid(tmp_path, *files, "ImageSets/Main/train.txt=a a", "ImageSets/Main/val.txt=b")
    dataset = voc.read(root, "train")
    assert [file.stem for file in dataset.files] == ["a"]
    assert dataset.problems == [
        f"{root}/Annotations: 1 XML file without picture, left out: z.xml",
        f"{root}/ImageSets/Main/train.txt: 1 picture listed again, kept once: a",
        f"{root}/ImageSets: 1 picture in no list, left out: c.png",
    ]


def test_an_entry_without_xml_file_is_refused_and_one_without_picture_left_out_and_said(tmp_path: Path) -> None:
    root = laid(tmp_path, *(f"JPEGImages/{stem}.png" for stem in "abc"), "Annotations/a.xml", "JPEGImages/h.heic=x")
    laid(root, "ImageSets/Main/train.txt=a b c", "ImageSets/Main/val.txt=a h i", "ImageSets/Main/test.txt=h")
    with pytest.raises(InputError, match=r"b\.xml: there is no such file, for 2 of the 3 .*: b, c; add XML files, or"):
        voc.read(root, "train")
    dataset = voc.read(root, "val")
    assert [file.name for file in dataset.files] == ["a.png"]
    (said,) = [line for line in dataset.problems if "val.txt" in line]
    assert said.endswith("JPEGImages, left out: h, i (h.heic is of a kind that is not read)")
    with pytest.raises(InputError, match=r"test\.txt: no entry is a picture in .*: h \(h\.heic is of a kind"):
        voc.read(root, "test")


def test_instances_without_xml_files_are_left_out_with_the_export_that_is_read(tmp_path: Path) -> None:
    root = laid(tmp_path, "JPEGImages/a.png", "SegmentationClass/a.png", "class_names.txt=_background_ cat")
    for kind in ("Class", "Object"):
        (root / f"Segmentation{kind}").mkdir(exist_ok=True)
        Image.new("L", (8, 6), 1).save(root / f"Segmentation{kind}" / "a.png")
    dataset = voc.read(root, "all")
    assert dataset.contents == {"label_map"}
    assert any("labelme2voc wrote them, give LabelMe's own JSON files" in line for line in dataset.problems)


def test_two_pictures_of_one_xml_file_are_named(tmp_path: Path) -> None:
    root = laid(tmp_path, "JPEGImages/a.png", "JPEGImages/a.jpg", "Annotations/a.xml")
    with pytest.raises(InputError, match=r"a\.png: a\.jpg has the same annotation; rename or remove one"):
        voc.read(root, "all")


def test_pictures_of_one_name_in_several_folders_stay_apart(tmp_path: Path) -> None:
    files = [f"JPEGImages/{city}/1.png" for city in "xy"] + [f"Annotations/{city}/1.xml" for city in "xy"]
    root = laid(tmp_path, *files, "ImageSets/Main/train.txt=y/1")
    (file,) = voc.read(root, "train").files
    assert file == root / "JPEGImages/y/1.png"


def test_what_is_written_is_read_alike_from_every_layout(tmp_path: Path) -> None:
    voc.write(everything(), tmp_path / "voc", "train")
    expected = voc.read(tmp_path / "voc", "train")
    root = tmp_path / "other" / "train"
    shutil.copytree(tmp_path / "voc" / "JPEGImages", root)
    shutil.copytree(tmp_path / "voc" / "Annotations", root, dirs_exist_ok=True)
    shutil.copy(tmp_path / "voc" / "classes.txt", root.parent)
    again = voc.read(root.parent, "train")
    assert again.categories.class_names == expected.categories.class_names
    assert len(again) == 3
    by_name = {Path(sample.file).name: sample.target for sample in expected}
    for sample in again:
        assert_targets_equal(sample.target, by_name[Path(sample.file).name], "boxes", "labels", "difficult")
