import gc
import weakref

import pytest
import torch
from tests.models.systems import overfit_boxes, pictures, system_of
from torch import Tensor

from delineate.label.prompting import Prompts, around_mask, can_prompt, object_at, see
from delineate.ops.masks import sampled_rle
from delineate.system.system import System
from delineate.values import Detections, InputError


@pytest.fixture(scope="module")
def image() -> Tensor:
    torch.manual_seed(0)
    return pictures(1)[0][0]


@pytest.fixture(scope="module")
def system() -> System:
    torch.manual_seed(0)
    system = system_of("mask_rcnn").with_thresholds(score=0.0)
    system.model.eval()
    return system


def test_the_box_of_a_detection_gives_its_mask_again(system: System, image: Tensor) -> None:
    (found,) = system.infer([image])
    assert isinstance(found, Detections)
    assert found.rles is not None
    seen = see(system, image)
    for row in (0, len(found) // 2):
        box = tuple(found.boxes[row].tolist())
        one = object_at(system, seen, box, None, int(found.labels[row]))  # type: ignore[arg-type]
        assert one.rles is not None
        torch.testing.assert_close(one.masks, found[torch.tensor([row])].masks)
        assert one.labels.tolist() == [int(found.labels[row])]


def test_any_box_has_an_object(system: System, image: Tensor) -> None:
    seen = see(system, image)
    one = object_at(system, seen, (60.0, 5.0, 90.0, 60.0), None, None)
    assert len(one) == 1
    assert one.boxes.tolist() == [[60, 5, 90, 60]]
    assert 0 <= float(one.scores[0]) <= 1
    assert object_at(system, seen, (60.0, 5.0, 90.0, 60.0), None, 1).labels.tolist() == [1]


def test_a_point_chooses_the_likeliest_object_that_holds_it(system: System, image: Tensor) -> None:
    seen = see(system, image)
    x, y = 30, 30
    at = torch.tensor([y]), torch.tensor([x])
    assert seen.found.rles is not None
    covering = [row for row, rle in enumerate(seen.found.rles) if bool(sampled_rle(rle, *at).any())]
    one = object_at(system, seen, None, (x + 0.5, y + 0.5), None)
    assert covering
    assert one.boxes.tolist() == seen.found.boxes[covering[:1]].tolist()


def test_a_point_where_nothing_was_found_has_an_object_around_it(image: Tensor) -> None:
    torch.manual_seed(0)
    system = system_of("mask_rcnn").with_thresholds(score=0.999)
    system.model.eval()
    seen = see(system, image)
    assert len(seen.found) == 0
    one = object_at(system, seen, None, (45.0, 33.0), None)
    x1, y1, x2, y2 = one.boxes[0].tolist()
    assert x1 <= 45 < x2
    assert y1 <= 33 < y2


def test_keypoints_are_found_in_a_rough_box(image: Tensor) -> None:
    system = system_of("keypoint_rcnn")
    one = object_at(system, see(system, image), (10.0, 5.0, 50.0, 50.0), None, 0)
    assert one.keypoints is not None
    inside = (one.keypoints[0] >= torch.tensor([9.0, 4.0])) & (one.keypoints[0] <= torch.tensor([51.0, 51.0]))
    assert inside.all()


def test_what_is_outside_is_refused(system: System, image: Tensor) -> None:
    seen = see(system, image)
    with pytest.raises(InputError, match="point"):
        object_at(system, seen, None, (500.0, 3.0), None)
    with pytest.raises(InputError, match="box"):
        object_at(system, seen, (500.0, 3.0, 600.0, 50.0), None, None)


def test_only_heads_of_objects_can_be_prompted() -> None:
    assert can_prompt(system_of("mask_rcnn"))
    assert can_prompt(system_of("keypoint_rcnn"))
    assert not can_prompt(system_of("faster_rcnn"))
    assert not can_prompt(system_of("ssd"))


def test_pictures_that_are_edited_are_seen_once(system: System, image: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    from delineate.label import prompting

    times: list[int] = []
    monkeypatch.setattr(prompting, "see", lambda *given: times.append(1) or see(*given))
    prompts = Prompts()
    for key in (1, 1, 2, 1, 3, 2):
        prompts.by_model(system, key, image, (10.0, 10.0, 40.0, 40.0), None, None)
    assert len(times) == 4


def test_what_a_model_saw_is_not_taken_for_what_its_successor_sees(image: Tensor) -> None:
    """One that takes its place may lie at the same address in memory, but for what is kept of it."""
    prompts, system = Prompts(), system_of("mask_rcnn")
    prompts.by_model(system, 1, image, (10.0, 10.0, 40.0, 40.0), None, None)
    before = weakref.ref(system)
    del system
    gc.collect()
    assert before() is not None


def test_a_search_finds_what_a_box_is_drawn_around_or_a_click_is_in(image: Tensor) -> None:
    """Of a shape it gives the pixels, too, whichever of its regions' boxes is the nearest."""
    target, prompts = pictures(1)[1][0], Prompts()
    assert target.masks is not None
    drawn = target.boxes[1] + torch.tensor([-3.0, -2, 2, 3])
    boxes, mask = prompts.by_search(1, image, tuple(drawn.tolist()), None)  # type: ignore[arg-type]
    assert (boxes[0] - target.boxes[1]).abs().max() <= 6
    assert len(boxes.unique(dim=0)) == len(boxes) == 5
    assert overlap(mask, target.masks[1]) > 0.7
    y, x = (int(places.float().mean()) for places in target.masks[1].nonzero(as_tuple=True))
    boxes, mask = prompts.by_search(1, image, None, (x + 0.5, y + 0.5))
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    assert bool((areas[1:] >= areas[:-1]).all())
    assert mask[y, x]
    assert bool(((boxes[:, :2] <= torch.tensor([x, y])) & (torch.tensor([x, y]) < boxes[:, 2:])).all())


def overlap(one: Tensor, other: Tensor) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_a_trained_head_draws_masks_of_rough_boxes() -> None:
    """A box that is drawn carelessly becomes the mask of what is in it, whose box is better than what was drawn."""
    torch.manual_seed(0)
    system = system_of("mask_rcnn")
    overfit_boxes(system, (66, 91), 2e-3)
    torch.manual_seed(0)
    image, target = pictures(1)[0][0], pictures(1)[1][0]
    assert target.masks is not None
    rough = target.boxes[0] + torch.tensor([-4.0, -3, 4, 4])
    one = around_mask(object_at(system, see(system, image), tuple(rough.tolist()), None, None))  # type: ignore
    assert one.labels.tolist() == [0]
    assert one.masks is not None
    assert overlap(one.masks[0], target.masks[0]) > 0.7
