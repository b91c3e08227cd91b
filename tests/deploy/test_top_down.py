from dataclasses import replace

import pytest
import torch
from tests.models.systems import CATEGORIES, pictures, system_of

from delineate.data.bodies import cropped, square_around
from delineate.deploy import Predictor, TopDown
from delineate.values import Categories, Detections, InputError, Sample, Target


def predictor(name: str, categories: Categories = CATEGORIES) -> Predictor:
    torch.manual_seed(0)
    return Predictor(replace(system_of(name), categories=categories))


BODIES = Categories(class_names=("disk",), keypoint_names=CATEGORIES.keypoint_names)


def test_each_body_is_posed_in_its_own_crop() -> None:
    pose, detector = predictor("pose_regressor", BODIES), predictor("ssd")
    image = pictures(1, (80, 120))[0][0]
    (everything,) = detector([image], min_score=0.3)
    ((_, _, found),) = TopDown(pose, detector).predict([image], min_score=0.3)
    assert isinstance(everything, Detections)
    assert isinstance(found, Detections)
    disks = everything.labels == 0
    assert 0 < int(disks.sum()) < len(everything)
    assert torch.equal(found.boxes, everything.boxes[disks])
    assert torch.equal(found.scores, everything.scores[disks])
    whole = Sample(image=image, target=Target(image_size=(80, 120)), file="")
    for row, box in enumerate(found.boxes[:3]):
        (alone,) = pose([cropped(whole, box).image])
        left, top, _ = square_around(box)
        expected = (alone.keypoints[0] + torch.tensor([left, top])).clamp(torch.zeros(2), torch.tensor([120.0, 80.0]))
        torch.testing.assert_close(found.keypoints[row], expected, atol=1e-2, rtol=0)


def test_where_no_class_has_the_name_all_are_posed() -> None:
    people = Categories(class_names=("person",), keypoint_names=CATEGORIES.keypoint_names)
    assert TopDown(predictor("pose_regressor", people), predictor("ssd")).labels == [0, 1]
    assert TopDown(predictor("pose_regressor", BODIES), predictor("ssd")).labels == [0]


def test_a_picture_without_bodies_is_ordinary() -> None:
    both = TopDown(predictor("pose_regressor", BODIES), predictor("ssd"))
    ((_, _, found),) = both.predict([pictures(1)[0][0]], min_score=0.999)
    assert len(found) == 0
    assert found.keypoints.shape == (0, 3, 2)


def test_other_systems_are_refused() -> None:
    with pytest.raises(InputError, match="only a pose regressor looks at what another run detects"):
        TopDown(predictor("ssd"), predictor("ssd"))
    for name in ("unet", "localizer"):
        with pytest.raises(InputError, match="its run does not detect"):
            TopDown(predictor("pose_regressor"), predictor(name))
