from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.data.samples import InMemory

from delineate.data import read_dataset
from delineate.data.bodies import Bodies, cropped
from delineate.data.transforms import MEAN_COLOUR
from delineate.values import Categories, InputError, Sample, Target


def sample(*box: float) -> Sample:
    image = torch.arange(60, dtype=torch.uint8).expand(3, 40, 60).contiguous()
    target = Target(
        image_size=(40, 60),
        boxes=torch.tensor([box]),
        labels=torch.tensor([0]),
        keypoints=torch.tensor([[[box[0], box[1]], [box[2], box[3]]]]),
        visibility=torch.tensor([[2, 1]]),
    )
    return Sample(image=image, target=target, file="a.png")


def test_a_crop_is_a_square_around_the_box_with_its_context() -> None:
    crop = cropped(sample(20.0, 10.0, 36.0, 30.0), torch.tensor([20.0, 10.0, 36.0, 30.0]))
    assert crop.image.shape == (3, 25, 25)  # 1.25 times 20
    left, top = 28 - 12, 20 - 12  # 12.5 pixels on either side of the centre, in whole ones
    assert crop.target.boxes.tolist() == [[20 - left, 10 - top, 36 - left, 30 - top]]
    assert crop.target.keypoints.tolist() == [[[20 - left, 10 - top], [36 - left, 30 - top]]]
    assert torch.equal(crop.image[0, 0], torch.arange(left, left + 25, dtype=torch.uint8))


def test_what_lies_outside_of_the_picture_is_the_mean_colour() -> None:
    crop = cropped(sample(0.0, 0.0, 20.0, 8.0), torch.tensor([0.0, 0.0, 20.0, 8.0]))
    assert crop.image.shape == (3, 25, 25)
    left, top = -2, -8
    assert crop.target.boxes.tolist() == [[-left, -top, 20 - left, 8 - top]]
    assert crop.target.visibility.tolist() == [[2, 1]]
    assert tuple(crop.image[:, 0, 0].tolist()) == MEAN_COLOUR
    assert int(crop.image[0, -top, -left]) == 0


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    from delineate.data.synthetic import synthesise

    synthesise(tmp_path / "data", num_images=12, seed=3)
    return tmp_path / "data"


def test_each_annotated_body_has_its_crop(whole: Path) -> None:
    dataset = read_dataset(whole, "train")
    bodies = Bodies(dataset)
    expected = [
        (index, row)
        for index in range(len(dataset))
        for row in range(len(dataset[index].target))
        if bool((dataset[index].target.visibility[row] > 0).any())
    ]
    assert bodies.rows == expected
    assert len(bodies) == len(expected) > 0
    assert bodies.categories.num_classes == 1
    assert bodies.categories.keypoint_names == dataset.categories.keypoint_names
    for number in range(len(bodies)):
        body = bodies[number]
        assert len(body.target) == 1
        height, width = body.target.image_size
        assert height == width
        assert body.target.masks is None
        index, row = expected[number]
        before = dataset[index].target
        known = before.visibility[row] > 0
        moved = body.target.keypoints[0][known] - before.keypoints[row][known]
        torch.testing.assert_close(moved, moved[:1].expand_as(moved), atol=1e-3, rtol=0)


class Unreadable(InMemory):
    """The annotation of its first picture cannot be read."""

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        if index == 0:
            raise InputError("a.json: annotation 1: keypoints: nan is not finite")
        return super().target(index, image_size)


def test_an_annotation_that_cannot_be_read_is_raised_or_left_out_and_said(tmp_path: Path) -> None:
    samples = []
    for number in range(3):
        one = sample(20.0, 10.0, 36.0, 30.0)
        file = tmp_path / f"{number}.png"
        Image.fromarray(one.image.permute(1, 2, 0).numpy()).save(file)
        samples.append(replace(one, file=str(file)))
    categories = Categories(class_names=("cat",), keypoint_names=("a", "b"))
    dataset = Unreadable(samples, categories, contents=frozenset({"boxes", "keypoints"}))
    with pytest.raises(InputError, match=r"a\.json: annotation 1: keypoints"):
        Bodies(dataset)
    bodies = Bodies(dataset, skip_unreadable=True)
    assert bodies.rows == [(1, 0), (2, 0)]
    assert bodies.problems == [
        "left out 1 picture that cannot be read: a.json: annotation 1: keypoints: nan is not finite"
    ]
