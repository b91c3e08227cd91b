import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.data.samples import InMemory, assert_targets_equal, everything

from delineate.data.formats import mask_folder
from delineate.data.images import ORIENTATION
from delineate.values import IGNORE, Categories, InputError

DATA = Path(__file__).parents[5] / "shared" / "data"


def picture(path: Path, *, values: list[list[int]] | None = None) -> Path:
    """A picture of height 2 and width 3, or a label map of these values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if values is None:
        Image.new("RGB", (3, 2)).save(path)
    else:
        Image.fromarray(np.array(values, dtype=np.uint8)).save(path)
    return path


def folder(root: Path, values: list[list[int]], names: str = "sky\nroad\n", inner: str = "train/") -> Path:
    picture(root / f"images/{inner}a.jpg")
    picture(root / f"labels/{inner}a.png", values=values)
    (root / "classes.txt").write_text(names)
    return root


def label_map(root: Path, split: str = "train") -> list[list[int]]:
    target = mask_folder.read(root, split)[0].target
    assert target.label_map is not None
    return target.label_map.tolist()


def test_first_value_past_the_list_and_255_are_ignored(tmp_path: Path) -> None:
    root = folder(tmp_path, [[0, 1, 2], [255, 1, 0]])
    dataset = mask_folder.read(root, "train")
    assert dataset.categories == Categories(class_names=("sky", "road"), label_map_names=("sky", "road"))
    assert dataset.contents == {"label_map"}
    assert label_map(root) == [[0, 1, IGNORE], [IGNORE, 1, 0]]
    assert len(dataset[0].target) == 0


def test_any_other_value_is_an_error(tmp_path: Path) -> None:
    root = folder(tmp_path, [[0, 1, 2], [255, 3, 0]])
    with pytest.raises(
        InputError, match=r"a\.png: value 3 at row 1, column 1 is no class: .*classes\.txt names 0\.\.1, and 2 and 255"
    ):
        label_map(root)


def test_sixteen_bit_value_is_an_error(tmp_path: Path) -> None:
    root = folder(tmp_path, [[0, 1, 2], [255, 1, 0]])
    Image.fromarray(np.array([[0, 1, 2], [256, 1, 0]], dtype=np.uint16)).save(root / "labels/train/a.png")
    with pytest.raises(InputError, match="value 256 at row 1, column 0"):
        label_map(root)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("sky\nroad\nbackground", [[0, 1, 2], [0, 1, 2]]),
        ("background\nsky\nroad", [[2, 0, 1], [2, 0, 1]]),
    ],
)
def test_background_is_the_last_value(tmp_path: Path, names: str, expected: list[list[int]]) -> None:
    root = folder(tmp_path, [[0, 1, 2], [0, 1, 2]], names)
    assert mask_folder.read(root, "train").categories == Categories(
        class_names=("sky", "road"), label_map_names=("sky", "road", "background")
    )
    assert label_map(root) == expected


def test_splits_are_the_folders_that_both_have(tmp_path: Path) -> None:
    folder(tmp_path, [[0, 0, 0]] * 2)
    folder(tmp_path, [[0, 0, 0]] * 2, inner="val/")
    picture(tmp_path / "images/test/a.jpg")
    assert mask_folder.splits(tmp_path) == ["train", "val"]


def test_without_splits(tmp_path: Path) -> None:
    root = folder(tmp_path, [[0, 1, 1]] * 2, inner="")
    assert mask_folder.splits(root) == ["all"]
    assert label_map(root, "all") == [[0, 1, 1]] * 2


def test_folders_within_a_split(tmp_path: Path) -> None:
    root = folder(tmp_path, [[0, 0, 0]] * 2, inner="train/x/")
    folder(root, [[1, 1, 1]] * 2, inner="train/y/")
    dataset = mask_folder.read(root, "train")
    assert [str(file.relative_to(root)) for file in dataset.files] == ["images/train/x/a.jpg", "images/train/y/a.jpg"]
    assert [int(sample.target.label_map[0, 0]) for sample in dataset if sample.target.label_map is not None] == [0, 1]


def test_hidden_files_are_no_pictures(tmp_path: Path) -> None:
    root = folder(tmp_path, [[0, 0, 0]] * 2)
    (root / "images/train/._a.jpg").write_bytes(b"junk")
    assert len(mask_folder.read(root, "train")) == 1


def test_picture_without_label_map(tmp_path: Path) -> None:
    root = folder(tmp_path, [[0, 0, 0]] * 2)
    picture(root / "images/train/b.jpg")
    with pytest.raises(InputError, match=r"images/train/b\.jpg: its label map .*labels/train/b\.png is missing"):
        mask_folder.read(root, "train")


def test_label_map_without_picture_is_said(tmp_path: Path) -> None:
    root = folder(tmp_path, [[0, 0, 0]] * 2)
    picture(root / "labels/train/z.png", values=[[0]])
    assert mask_folder.read(root, "train").problems == [
        f"{root}/labels/train: 1 label map without picture, left out: z.png"
    ]


def test_label_map_of_another_size(tmp_path: Path) -> None:
    root = folder(tmp_path, [[0, 0]] * 3)
    with pytest.raises(
        InputError,
        match=r"labels/train/a\.png is 2 x 3 pixels wide and high, and .*a\.jpg is 3 x 2; width and height are",
    ):
        label_map(root)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("", "0 class names"),
        ("a\n\nb", "line 2 is empty"),
        ("a\nb\na", "a appears twice"),
        ("background\nbackground", "background appears twice"),
        ("\n".join(map(str, range(256))), "256 class names"),
    ],
)
def test_class_lists_that_say_nothing_definite(tmp_path: Path, names: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"classes\.txt: .*{message}"):
        label_map(folder(tmp_path, [[0, 0, 0]] * 2, names))


def test_missing_class_list(tmp_path: Path) -> None:
    (folder(tmp_path, [[0, 0, 0]] * 2) / "classes.txt").unlink()
    with pytest.raises(InputError, match=r"classes\.txt is missing: write one class name a line"):
        label_map(tmp_path)


def test_full_range_of_values(tmp_path: Path) -> None:
    root = folder(tmp_path, [[0, 253, 254], [255, 1, 2]], "\n".join(map(str, range(255))))
    assert label_map(root) == [[0, 253, 254], [255, 1, 2]]


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("labelTrainIds", [[0, 18, 255], [1, 2, 3]], [[0, 18, IGNORE], [1, 2, 3]]),
        ("labelIds", [[7, 33, 255], [0, 8, 9]], [[0, 18, IGNORE], [IGNORE, 1, IGNORE]]),
    ],
)
@pytest.mark.parametrize("places", [("leftImg8bit", "gtFine"), ("images", "labels")])
def test_cityscapes(
    tmp_path: Path, places: tuple[str, str], kind: str, values: list[list[int]], expected: list[list[int]]
) -> None:
    pictures, labels = (tmp_path / place / "train" / "ulm" for place in places)
    picture(pictures / "ulm_0_19_leftImg8bit.png")
    picture(labels / f"ulm_0_19_gtFine_{kind}.png", values=values)
    picture(labels / "ulm_0_19_gtFine_color.png")
    assert mask_folder.splits(tmp_path) == ["train"]
    assert len(mask_folder.read(tmp_path, "train").categories.class_names) == 19
    assert label_map(tmp_path) == expected


def test_0_and_255_with_two_names_are_the_two_in_every_split(tmp_path: Path) -> None:
    root = folder(tmp_path, [[0, 255, 255], [0, 0, 0]], "background\nroad\n")
    folder(root, [[0, 0, 0]] * 2, "background\nroad\n", inner="val/")
    picture(root / "images/val/b.jpg")
    picture(root / "labels/val/b.png", values=[[255, 0, 0]] * 2)
    assert label_map(root) == [[1, 0, 0], [1, 1, 1]]
    dataset = mask_folder.read(root, "val")
    assert dataset[1].target.label_map.tolist() == [[0, 1, 1]] * 2
    assert dataset.problems == [f"{root}: label maps have 0 and 255 alone: 0 is background and 255 is road"]


def test_255_beside_other_values_is_ignored_with_two_names_too(tmp_path: Path) -> None:
    root = folder(tmp_path, [[0, 1, 255], [0, 0, 0]], "sky\nroad\n")
    assert label_map(root) == [[0, 1, IGNORE], [0, 0, 0]]
    assert mask_folder.read(root, "train").problems == []


@pytest.mark.parametrize("other", [1, 255])
def test_one_name_for_two_values_is_asked_for(tmp_path: Path, other: int) -> None:
    root = folder(tmp_path, [[0, other, other], [0, 0, 0]], "road\n")
    with pytest.raises(
        InputError, match=rf"label maps have the values 0, {other}; name .* such as background and road"
    ):
        mask_folder.read(root, "train")


@pytest.mark.parametrize(
    ("values", "names", "message"),
    [
        ([[0, 255, 255], [0, 0, 0]], "sky\nroad\ncar\n", "road, car are never seen in label maps, 33% .* ignored"),
        ([[0, 1, 255], [0, 0, 0]], "sky\nroad\ncar\n", "car is never seen in label maps, 17% .*values 255"),
        ([[0, 1, 2], [0, 0, 0]], "sky\nroad\n", "value 2 is past the 2 names, .* ignored: 17% of the pixels"),
    ],
)
def test_much_that_is_ignored_is_said_where_it_may_be_a_class(
    tmp_path: Path, values: list[list[int]], names: str, message: str
) -> None:
    (line,) = mask_folder.read(folder(tmp_path, values, names), "train").problems
    assert re.search(message, line)


def test_labelmes_list_begins_with_what_is_ignored(tmp_path: Path) -> None:
    root = folder(tmp_path, [[0, 1, 255], [2, 0, 0]], "__ignore__\n_background_\nroad\ncar\n")
    assert mask_folder.read(root, "train").categories.label_map_names == ("road", "car", "background")
    assert label_map(root) == [[2, 0, IGNORE], [1, 2, 2]]


@pytest.mark.parametrize("suffix", ["bmp", "tif", "pgm"])
def test_label_maps_of_other_formats_that_keep_values_are_read(tmp_path: Path, suffix: str) -> None:
    root = folder(tmp_path, [[0, 1, 1], [0, 0, 0]])
    stored = root / "labels/train/a.png"
    Image.open(stored).save(stored.with_suffix(f".{suffix}"))
    stored.unlink()
    assert mask_folder.recognises(root)
    assert label_map(root) == [[0, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize("suffix", ["jpg", "gif", "webp"])
def test_label_maps_of_formats_that_change_values_are_refused(tmp_path: Path, suffix: str) -> None:
    root = folder(tmp_path, [[0, 1, 1], [0, 0, 0]])
    stored = root / "labels/train/a.png"
    Image.open(stored).save(stored.with_suffix(f".{suffix}"))
    assert label_map(root) == [[0, 1, 1], [0, 0, 0]]  # beside a label map, it is a picture of it
    stored.unlink()
    assert mask_folder.recognises(root)
    with pytest.raises(InputError, match=rf"a\.{suffix}: a label map is a PNG; \.{suffix} changes values"):
        mask_folder.read(root, "train")


@pytest.mark.parametrize("places", ["Images/{}/ Labels/{}/", "images/{}/ masks/{}/", "{}/images/ {}/masks/"])
def test_folders_have_any_capitals_and_usual_names(tmp_path: Path, places: str) -> None:
    pictures, labels = places.split()
    for split in ("train", "val"):
        picture(tmp_path / pictures.format(split) / "a.jpg")
        picture(tmp_path / labels.format(split) / "a.png", values=[[0, 1, 1]] * 2)
    (tmp_path / "classes.txt").write_text("sky\nroad\n")
    assert mask_folder.splits(tmp_path) == ["train", "val"]
    assert label_map(tmp_path, "val") == [[0, 1, 1]] * 2


@pytest.mark.parametrize("other", ["valid", "validation", "Val"])
def test_a_split_that_labels_call_otherwise_is_found_and_said(tmp_path: Path, other: str) -> None:
    root = folder(tmp_path, [[0, 1, 1]] * 2)
    picture(root / "images/val/b.jpg")
    picture(root / f"labels/{other}/b.png", values=[[1, 1, 1]] * 2)
    assert mask_folder.splits(root) == ["train", "val"]
    assert label_map(root, "val") == [[1, 1, 1]] * 2
    assert mask_folder.read(root, "val").problems == [
        f"{root}/labels/{other}: taken for the label maps of {root}/images/val"
    ]


def test_pictures_of_no_split_and_kinds_that_are_not_read_are_said(tmp_path: Path) -> None:
    root = folder(tmp_path, [[0, 1, 1]] * 2)
    picture(root / "images/held/b.jpg")
    picture(root / "images/c.jpg")
    (root / "images/train/d.heic").touch()
    assert mask_folder.read(root, "train").problems == [
        f"{root}/images/train: 1 picture of a kind that is not read (.heic), left out; save as PNG or JPEG: d.heic",
        f"{root}/images: 2 pictures in none of the splits' folders (train), left out: c.jpg, b.jpg",
    ]


def test_missing_label_maps_are_counted(tmp_path: Path) -> None:
    root = folder(tmp_path, [[0, 1, 1]] * 2)
    for stem in "bcde":
        picture(root / f"images/train/{stem}.jpg")
    with pytest.raises(InputError, match=r"\(4 of 5 pictures have none: b\.jpg, c\.jpg, d\.jpg and 1 more\)"):
        mask_folder.read(root, "train")


def test_a_label_map_of_the_unturned_picture_names_exif(tmp_path: Path) -> None:
    root = folder(tmp_path, [[0, 1, 1]] * 2)
    exif = Image.Exif()
    exif[ORIENTATION] = 8
    Image.new("RGB", (3, 2)).save(root / "images/train/a.jpg", exif=exif)
    with pytest.raises(InputError, match=r"a\.png is 3 x 2 .* EXIF turns it: remove"):
        label_map(root)


def test_cityscapes_id_that_is_none(tmp_path: Path) -> None:
    picture(tmp_path / "leftImg8bit/train/ulm/u_leftImg8bit.png")
    picture(tmp_path / "gtFine/train/ulm/u_gtFine_labelIds.png", values=[[7, 34, 7]] * 2)
    with pytest.raises(InputError, match=r"value 34 at row 0, column 1 is no class: ids are 0\.\.33"):
        label_map(tmp_path)


def test_ade_counts_from_one(tmp_path: Path) -> None:
    picture(tmp_path / "images/training/a.jpg")
    picture(tmp_path / "annotations/training/a.png", values=[[0, 1, 2], [2, 2, 255]])
    (tmp_path / "objectInfo150.txt").write_text(
        "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.15\t11\t1\t1\twall\n2\t0.1\t6\t6\t1\tbuilding, edifice\n"
    )
    assert mask_folder.read(tmp_path, "training").categories.class_names == ("wall", "building, edifice")
    assert label_map(tmp_path, "training") == [[IGNORE, 0, 1], [1, 1, IGNORE]]


def test_round_trip(tmp_path: Path) -> None:
    dataset = everything()
    lost = mask_folder.write(dataset, tmp_path, "train")
    assert lost == [
        "boxes, masks and flags of 4 objects: a mask folder holds one class a pixel, not objects",
        "keypoints of 1 objects: a mask folder holds none",
    ]
    again = mask_folder.read(tmp_path, "train")
    assert again.categories.label_map_names == dataset.categories.label_map_names
    assert (tmp_path / "classes.txt").read_text() == "person\nring\nbird\nbackground\n"
    originals = {Path(sample.file).stem: sample for sample in dataset}
    assert len(again) == 3
    for sample in again:
        original = originals[Path(sample.file).stem]
        assert torch.equal(sample.image, original.image)
        assert_targets_equal(sample.target, original.target, "label_map")


def test_writing_what_has_no_label_maps(tmp_path: Path) -> None:
    dataset = InMemory([], Categories(class_names=("a",)), contents=frozenset({"boxes"}))
    with pytest.raises(InputError, match=r"this data set has none \(it has boxes\)"):
        mask_folder.write(dataset, tmp_path, "train")


def test_writing_beside_other_classes(tmp_path: Path) -> None:
    folder(tmp_path, [[0, 0, 0]] * 2)
    with pytest.raises(InputError, match=r"classes\.txt: the classes there are not person, ring, bird, background"):
        mask_folder.write(everything(), tmp_path, "val")
    assert not (tmp_path / "images" / "val").exists()


def test_camvid() -> None:
    root = DATA / "camvid"
    if not root.is_dir():
        pytest.skip(f"{root} is absent")
    sizes = {split: len(mask_folder.read(root, split)) for split in mask_folder.splits(root)}
    assert sizes == {"train": 367, "val": 101, "test": 233}
    dataset = mask_folder.read(root, "val")
    assert len(dataset.categories.class_names) == 11
    stored = np.array(Image.open(root / "labels" / "val" / f"{dataset.files[3].stem}.png"))
    expected = torch.from_numpy(stored.astype(np.int64))
    assert torch.equal(dataset[3].target.label_map, expected.where(expected != 11, torch.tensor(IGNORE)))


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    folder(tmp_path, [[0, 1]], names="\ufeffbackground\nroad\n")
    assert mask_folder.read(tmp_path, "train").categories.label_map_names == ("road", "background")


def test_a_class_list_in_another_encoding_is_named(tmp_path: Path) -> None:
    folder(tmp_path, [[0, 1]])
    (tmp_path / "classes.txt").write_bytes("himmel\nstraße\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"classes.txt: byte 11 is no UTF-8"):
        mask_folder.read(tmp_path, "train")


def test_two_pictures_of_one_label_map_are_named(tmp_path: Path) -> None:
    folder(tmp_path, [[0, 1]])
    first = next((tmp_path / "images" / "train").iterdir())
    picture(first.with_suffix(".bmp"))
    with pytest.raises(InputError, match="has the same label map"):
        mask_folder.read(tmp_path, "train")
