from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from tests.data.samples import InMemory, assert_targets_equal, everything

from delineate.data.files import voc_palette
from delineate.data.formats import voc
from delineate.data.formats.voc.classes import VOC_NAMES
from delineate.data.images import ORIENTATION
from delineate.values import IGNORE, Categories, InputError, Sample, Target

BCCD = Path(__file__).parents[5] / "shared" / "data" / "bccd"
OBJECT = (
    "<object><name>{}</name>{}<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


CAT = OBJECT.format("cat", "", 1, 1, 3, 3)


def folder(root: Path, **objects: str) -> Path:
    """A VOC folder without lists, of 8x6 pictures with the objects given by their XML."""
    for stem, inner in objects.items():
        (root / "JPEGImages").mkdir(parents=True, exist_ok=True)
        (root / "Annotations").mkdir(exist_ok=True)
        Image.new("RGB", (8, 6)).save(root / "JPEGImages" / f"{stem}.jpg")
        (root / "Annotations" / f"{stem}.xml").write_text(f"<annotation>{inner}</annotation>")
    return root


def lists(root: Path, kind: str, **splits: str) -> None:
    (root / "ImageSets" / kind).mkdir(parents=True, exist_ok=True)
    for split, text in splits.items():
        (root / "ImageSets" / kind / f"{split}.txt").write_text(text)


def png(path: Path, values: list[list[int]]) -> None:
    path.parent.mkdir(exist_ok=True)
    picture = Image.fromarray(np.array(values, dtype=np.uint8))
    picture.putpalette(voc_palette())
    picture.save(path)


def test_round_trip(tmp_path: Path) -> None:
    written = everything()
    lost = voc.write(written, tmp_path, "train")
    assert lost == [
        "crowd: 1 regions are written as difficult objects",
        "keypoints of 1 objects: VOC has none",
    ]
    read = voc.read(tmp_path, "train")
    assert voc.recognises(tmp_path)
    assert voc.splits(tmp_path) == ["train"]
    assert read.categories == Categories(
        class_names=written.categories.class_names, label_map_names=written.categories.label_map_names
    )
    assert read.contents == {"boxes", "masks", "label_map"}
    assert not read.problems
    for before, after in zip(written, read, strict=True):
        assert_targets_equal(after.target, before.target, "boxes", "labels", "masks", "label_map")
        assert after.target.difficult.equal(before.target.difficult | before.target.crowd)
        assert after.image.equal(before.image)


def test_splits_with_pictures_of_the_same_name_stay_apart(tmp_path: Path) -> None:
    first, second, third = everything()
    for split, sample in (("train", first), ("val", second), ("test", third)):
        named = Sample(image=sample.image, target=sample.target, file="one.png")
        voc.write(InMemory([named]), tmp_path, split)
    for split, sample in (("train", first), ("val", second), ("test", third)):
        (read,) = voc.read(tmp_path, split)
        assert read.image.equal(sample.image)
        assert_targets_equal(read.target, sample.target, "boxes", "labels")


def test_another_data_set_is_not_mixed_in(tmp_path: Path) -> None:
    voc.write(everything(), tmp_path, "train")
    other = InMemory([], Categories(class_names=("cow",)), frozenset({"boxes"}))
    with pytest.raises(InputError, match=r"classes.txt: lists other classes than cow"):
        voc.write(other, tmp_path, "val")


def test_fractions_of_pixels_survive(tmp_path: Path) -> None:
    boxes = torch.tensor([[0.1, 1 / 3, 20.7, 9.123456], [0, 0, 1e-3, 30]])
    target = Target(image_size=(30, 40), boxes=boxes, labels=torch.zeros(2, dtype=torch.int64))
    sample = Sample(image=torch.zeros(3, 30, 40, dtype=torch.uint8), target=target, file="a.png")
    voc.write(InMemory([sample], Categories(class_names=("cow",)), frozenset({"boxes"})), tmp_path, "train")
    assert voc.read(tmp_path, "train")[0].target.boxes.equal(boxes)


def test_what_an_object_png_cannot_hold_is_said(tmp_path: Path) -> None:
    masks = torch.zeros(256, 16, 32, dtype=torch.bool)
    masks[torch.arange(256), torch.arange(256) // 16, torch.arange(256) % 16 * 2] = True
    masks[0, 0, 0:4] = True  # over the second object's only pixel
    boxes = torch.tensor([[0.0, 0, 2, 2]]).expand(256, 4)
    target = Target(image_size=(16, 32), boxes=boxes, labels=torch.zeros(256, dtype=torch.int64), masks=masks)
    sample = Sample(image=torch.zeros(3, 16, 32, dtype=torch.uint8), target=target, file="a.png")
    dataset = InMemory([sample], Categories(class_names=("cow",)), frozenset({"boxes", "masks"}))
    assert voc.write(dataset, tmp_path, "train") == [
        "masks of 2 objects: a PNG holds 254 objects",
        "masks: 1 pixels where objects overlap belong to the smaller one alone",
    ]
    read = voc.read(tmp_path, "train")[0].target.masks
    assert read is not None
    assert read[1:254].equal(masks[1:254])
    assert read[0].sum() == 3
    assert not read[254:].any()


def test_label_maps_without_background_gain_one_and_say_so(tmp_path: Path) -> None:
    label_map = torch.tensor([[0, 1], [1, IGNORE]])
    sample = Sample(
        image=torch.zeros(3, 2, 2, dtype=torch.uint8),
        target=Target(image_size=(2, 2), label_map=label_map),
        file="a.png",
    )
    names = ("road", "sky")
    dataset = InMemory([sample], Categories(class_names=names, label_map_names=names), frozenset({"label_map"}))
    assert voc.write(dataset, tmp_path, "val") == [
        "label maps: VOC's have a background; it is a class more, that no pixel has"
    ]
    read = voc.read(tmp_path, "val")
    assert read.contents == {"label_map"}
    assert read.categories.label_map_names == ("road", "sky", "background")
    assert read[0].target.label_map.equal(label_map)


def test_boxes_count_from_one_and_end_at_the_picture(tmp_path: Path) -> None:
    root = folder(
        tmp_path, a=OBJECT.format("cat", "<difficult>1</difficult>", 1, 2, 3, 4) + OBJECT.format("cow", "", 0, 3, 9, 9)
    )
    target = voc.read(root, "all")[0].target
    assert target.boxes.tolist() == [[0, 1, 3, 4], [0, 2, 8, 6]]
    assert target.difficult.tolist() == [True, False]


def test_objects_without_area_are_left_out_and_said_in_a_line(tmp_path: Path) -> None:
    objects = [("cat", "", 4, 4, 4, 4), ("cow", "", 2, 2, 2, 5), ("dog", "", 5, 5, 4, 6)]
    root = folder(tmp_path, a="".join(OBJECT.format(*thing) for thing in objects))
    png(root / "SegmentationObject" / "a.png", [[0, 1, 2, 2, 2, 2, 2, 255]] * 6)
    dataset = voc.read(root, "all")
    target = dataset[0].target
    assert target.boxes.tolist() == [[1, 1, 2, 5]]
    assert target.masks.sum() == 30  # the second object of the XML file has value 2
    assert dataset.problems == [
        f"{root}/Annotations: 2 of 3 objects without area in their picture, left out: object 1 (cat) of a.xml, "
        "object 3 (dog) of a.xml"
    ]


def test_exchanged_corners_are_put_right_and_said_in_a_line(tmp_path: Path) -> None:
    root = folder(tmp_path, a=OBJECT.format("cat", "", 4, 5, 2, 3), b=OBJECT.format("cat", "", 2, 5, 4, 3) + CAT)
    dataset = voc.read(root, "all")
    assert [sample.target.boxes[0].tolist() for sample in dataset] == [[1, 2, 4, 5]] * 2
    assert dataset.problems == [
        f"{root}/Annotations: 2 of 3 objects whose corners are exchanged, put right: object 1 (cat) of a.xml, "
        "object 1 (cat) of b.xml"
    ]


def test_equal_objects_are_kept_once_and_said(tmp_path: Path) -> None:
    root = folder(tmp_path, a=CAT + OBJECT.format("cow", "", 1, 1, 3, 3) + CAT)
    dataset = voc.read(root, "all")
    assert dataset[0].target.labels.tolist() == [VOC_NAMES.index("cat"), VOC_NAMES.index("cow")]
    (line,) = dataset.problems
    assert "1 of 3 objects that are there a second time, kept once: object 3 (cat) of a.xml" in line


def test_objects_of_masks_are_not_merged(tmp_path: Path) -> None:
    root = folder(tmp_path, a=CAT + CAT)
    png(root / "SegmentationObject" / "a.png", [[1, 1, 2, 2, 0, 0, 0, 0]] * 6)
    assert len(voc.read(root, "all")[0].target) == 2


@pytest.mark.parametrize(("far", "is_said"), [(20, True), (1, False)])
def test_boxes_of_a_larger_picture_are_named_as_such(tmp_path: Path, far: int, is_said: bool) -> None:
    objects = (OBJECT.format("cat", "", 4, 4, 7 * far, 5 * far), OBJECT.format("cow", "", 1, 1, 3, 3))
    dataset = voc.read(folder(tmp_path, a="".join(objects)), "all")
    said = [line for line in dataset.problems if "had another size" in line]
    assert len(said) == is_said
    assert all("1 of 2 objects" in line for line in said)


@pytest.mark.parametrize(
    ("class_list", "names", "expected"),
    [
        (None, ("sheep", "bus"), VOC_NAMES),
        (None, ("sheep", "auk"), ("auk", "sheep")),
        ("sheep\nauk\n\nbus\n", ("auk",), ("sheep", "auk", "bus")),
        ("background\nsheep\n", ("sheep",), ("sheep",)),
    ],
)
def test_class_names(tmp_path: Path, class_list: str | None, names: tuple[str, ...], expected: tuple[str, ...]) -> None:
    root = folder(tmp_path, a="".join(OBJECT.format(name, "", 1, 1, 3, 3) for name in names))
    if class_list:
        (root / "labels.txt").write_text(class_list)
    dataset = voc.read(root, "all")
    assert dataset.categories.class_names == expected
    assert [expected[label] for label in dataset[0].target.labels] == list(names)


def test_a_class_list_spares_reading_the_files(tmp_path: Path) -> None:
    root = folder(tmp_path, a="<broken")
    (root / "classes.txt").write_text("cat\n")
    dataset = voc.read(root, "all")
    with pytest.raises(InputError, match=r"a.xml: this is no well-formed XML"):
        dataset[0]


def test_lists_of_pictures(tmp_path: Path) -> None:
    root = folder(tmp_path / "VOCdevkit" / "VOC2007", a=CAT, b="", c="")
    lists(root, "Main", train="a\nb\n", cow_train="a  1\nb -1\n", my_train="c\n")
    lists(root, "Segmentation", train="a\n", val="c\n")
    for stem in "ac":
        png(root / "SegmentationClass" / f"{stem}.png", [[0, 1, 20, 255, 0, 0, 0, 0]] * 6)
    for place in (root, root.parent, root.parent.parent):
        assert voc.recognises(place)
        assert voc.splits(place) == ["my_train", "train", "segmentation_train", "val"]
    train = voc.read(tmp_path, "train")
    assert [file.stem for file in train.files] == ["a", "b"]
    assert train.contents == {"boxes"}
    assert "1 of 2 pictures have a PNG (b has none)" in train.problems[0]
    segmentation = voc.read(tmp_path, "segmentation_train")
    assert segmentation.contents == {"boxes", "label_map"}
    assert segmentation[0].target.label_map[0, :4].tolist() == [20, 0, 19, IGNORE]


def test_several_years_are_not_guessed(tmp_path: Path) -> None:
    for year in ("VOC2007", "VOC2012"):
        folder(tmp_path / year, a="")
    with pytest.raises(InputError, match="holds VOC2007, VOC2012; give the path of one of them"):
        voc.splits(tmp_path)


def test_mistakes_are_named(tmp_path: Path) -> None:
    root = folder(tmp_path, a=OBJECT.format("cat", "", 1, 1, "three", 3), b="<object><name>cat</name></object>", c="")
    (root / "classes.txt").write_text("cat\n")
    lists(root, "Main", train="c\nmissing\n", all="a\nb\nc\n")
    assert "train.txt: 1 picture of 2 not in " in voc.read(root, "train").problems[0]
    dataset = voc.read(root, "all")
    for index, message in (
        (0, "a.xml: object 1, cat: xmax: 'three' is no number"),
        (1, r"b.xml: object 1, cat: there is no bndbox with xmin, .* \(there is name\)"),
    ):
        with pytest.raises(InputError, match=message):
            dataset[index]
    (root / "Annotations" / "a.xml").write_text(f"<annotation>{OBJECT.format('dog', '', 1, 1, 3, 3)}</annotation>")
    with pytest.raises(InputError, match=r"a.xml: object 1 is a 'dog', which is not among the classes"):
        dataset[0]
    (root / "Annotations" / "c.xml").unlink()
    with pytest.raises(InputError, match=r"c.xml: there is no such file"):
        voc.read(root, "all")


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("SegmentationClass", 2, "value 2 at row 0, column 7 is no class: the 1 classes are 1..1, 0 is background"),
        ("SegmentationObject", 1, "value 1 is no object; .*a.xml has 0 objects"),
    ],
)
def test_stray_values_of_a_png_are_named(tmp_path: Path, kind: str, value: int, message: str) -> None:
    root = folder(tmp_path, a="")
    (root / "classes.txt").write_text("cat\n")
    png(root / kind / "a.png", [[0] * 7 + [value]] * 6)
    with pytest.raises(InputError, match=message):
        voc.read(root, "all")[0]
    png(root / kind / "a.png", [[0] * 8] * 5)
    with pytest.raises(InputError, match=r"a.png is 8 x 5 pixels wide and high, and .*a.jpg is 8 x 6"):
        voc.read(root, "all")[0]


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("<size><width>16</width><height>12</height></size>", "is 16 x 12 pixels .* is 8 x 6; take the pictures that"),
        ("<size><width>6</width><height>8</height></size>", "is 6 x 8 .* is 8 x 6; width and height are exchanged"),
    ],
)
def test_an_annotation_of_another_picture_is_refused(tmp_path: Path, size: str, message: str) -> None:
    dataset = voc.read(folder(tmp_path, a=size + CAT), "all")
    with pytest.raises(InputError, match=rf"a\.xml: <size> {message}"):
        dataset[0]
    assert dataset.problems == []  # whoever reads it is told, or skips it


def test_an_annotation_of_the_unturned_picture_names_exif_and_the_way_out(tmp_path: Path) -> None:
    root = folder(tmp_path, a="<size><width>8</width><height>6</height></size>" + CAT)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.new("RGB", (8, 6)).save(root / "JPEGImages" / "a.jpg", exif=exif)
    with pytest.raises(InputError, match=r"as it is stored, and EXIF turns it: remove .*exiftool -Orientation="):
        voc.read(root, "all")[0]


def test_objects_outside_of_a_turned_picture_name_exif_where_the_file_says_no_size(tmp_path: Path) -> None:
    root = folder(tmp_path, a=CAT + OBJECT.format("cow", "", 1, 2, 4, 4) + OBJECT.format("dog", "", 7, 2, 8, 4))
    assert voc.read(root, "all").problems == []
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.new("RGB", (8, 6)).save(root / "JPEGImages" / "a.jpg", exif=exif)
    assert "1 picture turned by EXIF with objects outside, as if" in voc.read(root, "all").problems[-1]


@pytest.mark.parametrize("size", ["", "<size><width>0</width><height>0</height></size>", "<size><width/></size>"])
def test_a_size_that_says_nothing_is_the_pictures_own(tmp_path: Path, size: str) -> None:
    dataset = voc.read(folder(tmp_path, a=size + CAT), "all")
    assert dataset.problems == []
    assert dataset[0].target.boxes.tolist() == [[0, 0, 3, 3]]


def test_a_picture_that_cannot_be_read_spoils_no_others(tmp_path: Path) -> None:
    root = folder(tmp_path, a=CAT, b=OBJECT.format("cat", "", 5, 5, 2, 2))
    (root / "JPEGImages" / "a.jpg").write_bytes(b"junk")
    assert len(voc.read(root, "all").problems) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("class_names.txt", "_background_\nauk\nsheep\n"),
        ("labels.txt", "__ignore__\n_background_\nauk\nsheep\n"),
        ("classes.txt", "auk\nsheep\n"),
        ("labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\nauk:1,2,3::\nsheep:4,5,6::\n"),
    ],
)
def test_label_maps_without_xml_have_the_names_of_a_list(tmp_path: Path, name: str, text: str) -> None:
    Image.new("RGB", (8, 6)).save(_made(tmp_path / "JPEGImages") / "a.jpg")
    png(tmp_path / "SegmentationClassPNG" / "a.png", [[0, 1, 2, 255, 0, 0, 0, 0]] * 6)
    (_made(tmp_path / "SegmentationClass") / "a.npy").touch()
    with pytest.raises(InputError, match=r"no list names the classes in the order .*; write classes\.txt"):
        voc.read(tmp_path, "all")
    (tmp_path / name).write_text(text)
    dataset = voc.read(tmp_path, "all")
    assert dataset.categories == Categories(
        class_names=("auk", "sheep"), label_map_names=("auk", "sheep", "background")
    )
    assert dataset[0].target.label_map[0, :4].tolist() == [2, 0, 1, IGNORE]


def test_label_maps_whose_order_of_classes_is_a_guess_are_left_out_and_said(tmp_path: Path) -> None:
    root = folder(tmp_path, a=CAT + OBJECT.format("auk", "", 1, 1, 4, 4))
    png(root / "SegmentationClass" / "a.png", [[0, 1, 2, 255, 0, 0, 0, 0]] * 6)
    dataset = voc.read(root, "all")
    assert dataset.contents == {"boxes"}
    assert [line for line in dataset.problems if "write classes.txt" in line]
    with pytest.raises(InputError, match=r"write classes\.txt"):
        voc.read(root, "all", frozenset({"label_map"}))
    (root / "classes.txt").write_text("auk\ncat\n")
    assert voc.read(root, "all").contents == {"boxes", "label_map"}


def test_label_maps_of_0_and_255_and_one_class_are_background_and_that_class(tmp_path: Path) -> None:
    root = folder(tmp_path, a=OBJECT.format("crack", "", 1, 1, 3, 3))
    png(root / "SegmentationClass" / "a.png", [[0, 255, 255, 0, 0, 0, 0, 0]] * 6)
    dataset = voc.read(root, "all")
    assert dataset[0].target.label_map[0, :3].tolist() == [1, 0, 0]
    assert "0 is background and 255 is crack" in dataset.problems[0]


def test_lists_that_name_no_class_or_one_twice_are_refused(tmp_path: Path) -> None:
    root = folder(tmp_path, a=CAT)
    for text, message in (("\n", "names no class"), ("cat\ncat\n", "cat appears twice")):
        (root / "classes.txt").write_text(text)
        with pytest.raises(InputError, match=rf"classes\.txt: {message}"):
            voc.read(root, "all")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.skipif(not BCCD.exists(), reason="the real pictures are not here")
def test_bccd() -> None:
    assert voc.splits(BCCD) == ["test", "train", "trainval", "val"]
    total, problems, expected_problems = 0, [], []
    for split, count in (("train", 205), ("val", 87), ("test", 72)):
        dataset = voc.read(BCCD, split)
        assert len(dataset) == count
        assert dataset.categories.class_names == ("Platelets", "RBC", "WBC")
        for index, file in enumerate(dataset.files):
            xml = BCCD / "Annotations" / f"{file.stem}.xml"
            boxes, names = [], []
            for row, thing in enumerate(ElementTree.parse(xml).iter("object"), start=1):
                left, top, right, bottom = (int(side.text) for side in thing.find("bndbox"))
                if (left, top) == (right, bottom):
                    expected_problems.append(f"left out: object {row} ({thing.findtext('name')}) of {xml.name}")
                else:
                    boxes.append([max(left - 1, 0), max(top - 1, 0), min(right, 640), min(bottom, 480)])
                    names.append(thing.findtext("name"))
            target = dataset.target(index, (480, 640))
            assert target.boxes.tolist() == boxes
            assert [dataset.categories.class_names[label] for label in target.labels] == names
            total += len(target)
        problems += dataset.problems
    assert total == 4888 - 2
    assert [problem[problem.index("left out") :] for problem in problems] == expected_problems


def test_coordinates_that_are_parts_of_the_picture_are_named_with_the_mend(tmp_path: Path) -> None:
    parts = OBJECT.format("cat", "", 0.1, 0.2, 0.6, 0.8) + OBJECT.format("cow", "", 0, 0.5, 1, 1)
    root = folder(tmp_path, a=parts, b=CAT + OBJECT.format("cow", "", 1, 1, 1, 1))
    dataset = voc.read(root, "all")
    assert [len(sample.target) for sample in dataset] == [0, 1]
    first, second = dataset.problems
    assert "2 of 4 objects whose corners all lie in 0..1, left out" in first
    assert "multiply x by the width and y by the height: object 1 (cat) of a.xml, object 2 (cow) of a.xml" in first
    assert "1 of 4 objects without area in their picture, left out: object 2 (cow) of b.xml" in second
