from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.data.samples import assert_targets_equal

from delineate.data import convert, read_dataset
from delineate.data.formats import splits
from delineate.values import InputError

META = """<version>1.1</version><meta><task><labels>
<label><name>disk</name></label><label><name>cell</name></label>
<label><name>hand</name><parent>body</parent></label>
</labels></task></meta>"""
BOX = '<box label="cell" occluded="1" xtl="10.00" ytl="5.00" xbr="30.00" ybr="20.00" z_order="0"/>'
POLYGON = '<polygon label="disk" points="4.0,4.0;14.0,4.0;14.0,24.0;4.0,24.0"/>'


def image(*shapes: str, name: str = "a.png", more: str = "") -> str:
    return f'<image id="0" name="{name}" width="60" height="40" {more}>{"".join(shapes)}</image>'


def save(root: Path, *images: str, meta: str = META, pictures: tuple[str, ...] = ("a.png",)) -> Path:
    root.mkdir(exist_ok=True, parents=True)
    (root / "annotations.xml").write_text(f'<?xml version="1.0"?><annotations>{meta}{"".join(images)}</annotations>')
    for name in pictures:
        path = root / "images" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.new("RGB", (60, 40), "gray").save(path)
    return root


def test_boxes_alone_and_the_classes_in_the_projects_order(tmp_path: Path) -> None:
    dataset = read_dataset(save(tmp_path, image(BOX)), "all")
    assert dataset.categories.class_names == ("disk", "cell")
    assert dataset.contents == {"boxes"}
    assert dataset[0].target.boxes.tolist() == [[10, 5, 30, 20]]
    assert dataset[0].target.labels.tolist() == [1]
    assert dataset.problems == []


def test_polygons_ellipses_and_masks(tmp_path: Path) -> None:
    ellipse = '<ellipse label="disk" cx="40" cy="20" rx="10" ry="5" rotation="90"/>'
    mask = '<mask label="cell" rle="1, 2, 1, 1, 1" left="50" top="30" width="3" height="2"/>'
    target = read_dataset(save(tmp_path, image(POLYGON, ellipse, mask)), "all")[0].target
    torch.testing.assert_close(
        target.boxes, torch.tensor([[4.0, 4, 14, 24], [35, 10, 45, 30], [51, 30, 53, 32]]), rtol=0, atol=1e-4
    )
    assert target.masks[2].nonzero().tolist() == [[30, 51], [30, 52], [31, 51]]


def test_turned_boxes_are_enclosed_and_said(tmp_path: Path) -> None:
    turned = '<box label="cell" xtl="20" ytl="10" xbr="40" ybr="20" rotation="90"/>'
    dataset = read_dataset(save(tmp_path, image(turned)), "all")
    torch.testing.assert_close(dataset[0].target.boxes, torch.tensor([[25.0, 5, 35, 25]]), rtol=0, atol=1e-4)
    assert "read the upright boxes around turned ones (1): a.png: shape 1" in dataset.problems[0]


def test_what_is_no_object_is_left_out_and_counted(tmp_path: Path) -> None:
    others = ['<points label="cell" points="1,2"/>', '<polyline label="cell" points="1,2;3,4"/>', '<tag label="cell"/>']
    outside = BOX.replace("z_order", 'outside="1" z_order')
    dataset = read_dataset(save(tmp_path, image(*others, outside, BOX)), "all")
    assert len(dataset[0].target) == 1
    assert [line.removeprefix(f"{tmp_path}: ") for line in dataset.problems] == [
        "left out points and lines, which have no area (2): a.png: shape 1, a.png: shape 2",
        "left out tags, which are of whole pictures (1): a.png: shape 3",
        "left out shapes outside of their pictures (1): a.png: shape 4",
    ]


def test_groups_join_polygons(tmp_path: Path) -> None:
    other = '<polygon label="disk" group_id="1" points="30,4;40,4;40,14"/>'
    root = save(tmp_path, image(POLYGON.replace("points", 'group_id="1" points'), other))
    assert read_dataset(root, "all")[0].target.boxes.tolist() == [[4, 4, 40, 24]]


def test_subsets_and_folders_are_splits(tmp_path: Path) -> None:
    subsets = [image(BOX, more='subset="Train"'), image(BOX, POLYGON, more='subset="Validation"')]
    root = save(tmp_path / "subsets", *subsets, pictures=("Train/a.png", "Validation/a.png"))
    assert splits(root) == ["Train", "Validation"]
    assert len(read_dataset(root, "val")[0].target) == 2
    assert read_dataset(root, "train").files == [root / "images" / "Train" / "a.png"]
    names = ("train/a.png", "val/a.png")
    root = save(tmp_path / "names", *(image(BOX, name=name) for name in names), pictures=names)
    assert splits(root) == ["train", "val"]
    assert read_dataset(root, "val").files == [root / "images" / "val" / "a.png"]


def test_the_xml_file_itself_is_given(tmp_path: Path) -> None:
    root = save(tmp_path, image(BOX))
    assert len(read_dataset(root / "annotations.xml", "all")) == 1


def test_there_and_back_through_coco(tmp_path: Path) -> None:
    mask = '<mask label="cell" rle="1,2,1,1,1" left="50" top="30" width="3" height="2"/>'
    save(tmp_path / "in", image(BOX, POLYGON, mask), image(name="sub/b.png"), pictures=("a.png", "sub/b.png"))
    convert(tmp_path / "in", tmp_path / "out", "coco")
    here, there = read_dataset(tmp_path / "in", "all"), read_dataset(tmp_path / "out", "all")
    assert here.categories == there.categories
    for one, other in zip(here, there, strict=True):
        assert_targets_equal(one.target, other.target)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (BOX.replace("10.00", "ten"), "annotations.xml: a.png: shape 1: xtl: 'ten' is no number"),
        (BOX.replace('label="cell"', ""), "a.png: shape 1: it has no label"),
        (
            BOX.replace("cell", "axon"),
            "annotations.xml: a.png: shape 1 is a 'axon', which is not in the list of classes",
        ),
        ('<polygon label="cell" points="1,2;3"/>', "a.png: shape 1: points: '1,2;3' is no polygon"),
        ('<mask label="cell" rle="1,2" left="0" top="0" width="3" height="2"/>', "rle: its runs do not fill 3 x 2"),
        ('<mask label="cell" rle="-1,7" left="0" top="0" width="3" height="2"/>', "rle: its runs do not fill 3 x 2"),
        ('<star label="cell"/>', "a 'star' is not known"),
    ],
)
def test_wrong_shapes_are_named(tmp_path: Path, wrong: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_dataset(save(tmp_path, image(wrong)), "all")


def test_broken_xml(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / "annotations.xml").write_text("<annotations><image id='1' name='a.png'>")
    with pytest.raises(InputError, match=r"annotations.xml: this is no well-formed XML"):
        splits(tmp_path)
