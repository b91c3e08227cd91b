import pytest
import torch
from tests.data.samples import CATEGORIES, everything

from delineate.label.marks import Mark, checked, coco_row, marks_of, read_mark
from delineate.ops.masks import decode_rle, encode_rle
from delineate.values import Categories, InputError

SIZE = (40, 60)
NAMES = Categories(class_names=("cat", "dog"))
SQUARE = [[10, 10], [30, 10], [30, 30], [10, 30]]
HOLE = [[15, 15], [20, 15], [20, 20], [15, 20]]


def mark(**values: object) -> Mark:
    return read_mark({"key": "k", "label": "cat", "box": [10, 10, 30, 30], **values})


def test_a_mask_is_polygons_without_holes() -> None:
    rle = mark(polygons=[SQUARE], holes=[HOLE]).mask(SIZE)
    assert rle is not None
    expected = torch.zeros(SIZE, dtype=torch.bool)
    expected[10:30, 10:30] = True
    expected[15:20, 15:20] = False
    assert torch.equal(decode_rle([rle], SIZE)[0], expected)


def test_run_lengths_stay_as_they_are() -> None:
    masks = torch.zeros(1, *SIZE, dtype=torch.bool)
    masks[0, 3:9, 4:50] = True
    masks[0, 5, 20:22] = False
    (rle,) = encode_rle(masks)
    assert mark(rle=dict(rle)).mask(SIZE) == rle
    assert coco_row(mark(rle=dict(rle)), NAMES, SIZE)["segmentation"] == rle


def test_counts_become_run_lengths() -> None:
    done = checked(mark(rle={"size": [40, 60], "counts": [400, 5, 1995]}), NAMES, SIZE)
    assert done.box == (10, 0, 11, 5)
    assert done.rle is not None
    assert isinstance(done.rle["counts"], str)
    assert decode_rle([done.rle], SIZE)[0].nonzero().tolist() == [[y, 10] for y in range(5)]  # type: ignore[list-item]


def test_polygons_stay_polygons_in_coco() -> None:
    row = coco_row(mark(polygons=[SQUARE]), NAMES, SIZE)
    assert row["segmentation"] == [[10, 10, 30, 10, 30, 30, 10, 30]]
    assert row["area"] == 400
    assert isinstance(coco_row(mark(polygons=[SQUARE], holes=[HOLE]), NAMES, SIZE)["segmentation"], dict)


def test_a_box_follows_its_mask() -> None:
    assert checked(mark(polygons=[SQUARE], box=[0, 0, 5, 5]), NAMES, SIZE).box == (10, 10, 30, 30)
    assert checked(mark(polygons=[SQUARE], box=[9.5, 10.2, 30, 30]), NAMES, SIZE).box == (9.5, 10.2, 30, 30)


def test_a_box_that_is_moved_alone_loses_its_mask() -> None:
    before = mark(polygons=[SQUARE])
    moved = checked(mark(polygons=[SQUARE], box=[20, 10, 40, 30]), NAMES, SIZE, before)
    assert moved.polygons is None
    assert moved.box == (20, 10, 40, 30)


def test_what_is_outside_of_the_picture_is_cut() -> None:
    assert checked(mark(box=[-5, 10, 100, 30]), NAMES, SIZE).box == (0, 10, 60, 30)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"label": "cow"}, "there is no class 'cow'; there are cat, dog"),
        ({"box": [70, 0, 80, 10]}, "no area"),
        ({"box": [0, 0, float("nan"), 10]}, "box"),
        ({"polygons": [[[1, 1], [2, 2]]]}, "polygons.0"),
        ({"polygons": [SQUARE], "rle": {"size": [40, 60], "counts": "0"}}, "one of them"),
        ({"holes": [HOLE]}, "holes are those of polygons"),
        ({"rle": {"size": [4, 6], "counts": "0"}}, "rle"),
        ({"rle": {"size": [40, 60], "counts": "nonsense"}}, "rle"),
        ({"rle": {"size": [40, 60], "counts": [2400]}}, "no pixel"),
        ({"polygons": [[[70, 10], [90, 10], [90, 30]]]}, "no pixel"),
        ({"keypoints": [[1, 1]], "visibility": []}, "differ in length"),
        ({"keypoints": [[1, 1]], "visibility": [2]}, "0 have names"),
        ({"keypoints": [[1, 1]], "visibility": [3]}, "visibility.0"),
        ({"surprise": 1}, "surprise"),
        ({"key": ""}, "key"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        checked(mark(**values), NAMES, SIZE)


def test_everything_that_was_read_becomes_marks() -> None:
    target = everything()[0].target
    marks = marks_of(target, CATEGORIES)
    assert [one.label for one in marks] == ["person", "ring", "bird"]
    assert [one.crowd for one in marks] == [False, False, True]
    masks = decode_rle([one.mask(target.image_size) for one in marks], target.image_size)  # type: ignore[misc]
    assert torch.equal(masks, target.masks)
    assert marks[0].visibility == [2, 1, 0]
    assert len({one.key for one in marks}) == 3
