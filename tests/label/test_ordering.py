import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.label.folders import DONE, Held, opened, patch, put, raw
from tests.models.systems import pictures, system_of

from delineate.label.ordering import disagreement, entropy, expected_mistakes, teaches
from delineate.label.queue import Queue
from delineate.values import Detections, InputError, LabelMap


def found(*scores: float, boxes: list[list[float]] | None = None, labels: list[int] | None = None) -> Detections:
    return Detections(
        image_size=(50, 50),
        boxes=torch.tensor(boxes or [[1.0, 1, 20, 20]] * len(scores), dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels or [0] * len(scores), dtype=torch.int64),
        scores=torch.tensor(scores),
    )


def test_mistakes_are_expected_where_scores_are_near_their_threshold() -> None:
    assert expected_mistakes(found(0.5)) == pytest.approx(0.5)
    assert expected_mistakes(found(0.9, 0.1)) == pytest.approx(0.2)
    assert expected_mistakes(found(1.0)) == pytest.approx(0)
    assert expected_mistakes(found()) == 0


def test_a_threshold_is_where_right_and_wrong_are_as_likely() -> None:
    least = torch.tensor([0.2])
    assert expected_mistakes(found(0.2), least) == pytest.approx(0.5)
    assert expected_mistakes(found(0.6), least) == pytest.approx(0.25)
    assert expected_mistakes(found(0.1), least) == pytest.approx(0.25)


def test_two_systems_disagree_about_what_one_alone_finds() -> None:
    system = system_of("ssd")
    one = found(0.9, 0.8, boxes=[[0, 0, 20, 20], [30, 30, 50, 50]], labels=[0, 1])
    assert disagreement(one, one, system, system) == 0
    other = found(0.9, 0.8, boxes=[[1, 1, 20, 20], [30, 30, 50, 50]], labels=[0, 0])
    assert disagreement(one, other, system, system) == 0.5
    assert disagreement(one, found(), system, system) == 1
    assert disagreement(found(), found(0.1), system, system) == 0


def test_systems_with_other_numbers_agree_by_names() -> None:
    system = system_of("unet")
    swapped = replace(
        system,
        categories=replace(
            system.categories, class_names=("box", "disk"), label_map_names=("box", "disk", "background")
        ),
    )
    one, other = LabelMap(label_map=torch.tensor([[0, 1, 2]])), LabelMap(label_map=torch.tensor([[1, 0, 0]]))
    assert disagreement(one, other, system, swapped) == pytest.approx(1 / 3)


def test_entropy_is_one_where_all_classes_are_as_likely() -> None:
    system = system_of("unet")
    image = pictures(1)[0][0]
    last = [module for module in system.model.modules() if isinstance(module, torch.nn.Conv2d)][-1]
    with torch.no_grad():
        last.weight.zero_()
        assert last.bias is not None
        last.bias.copy_(torch.zeros(3))
        assert entropy(system, image) == pytest.approx(1)
        last.bias.copy_(torch.tensor([100.0, 0, 0]))
        assert entropy(system, image) == pytest.approx(0, abs=1e-6)
        last.bias.copy_(torch.tensor([0.0, 0, -100]))
        assert entropy(system, image) == pytest.approx(math.log(2) / math.log(3), abs=1e-5)


def test_a_value_is_from_0_to_1() -> None:
    image = pictures(1)[0][0]
    assert 0 <= teaches([system_of("ssd")], image) < 1
    assert 0 <= teaches([system_of("unet"), system_of("unet")], image) <= 1


def test_what_teaches_most_comes_first_and_what_is_done_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = Held()
    labels = opened(raw(tmp_path), models)
    queue, pictures_ = labels.queue, labels.collection.pictures
    by_name = [one.id for one in pictures_]
    assert [one.id for one in queue.ordered("teaches")] == by_name
    values = {one.file: number for one, number in zip(pictures_, (0.1, 0.9, 0.4, 0.9, 0.0, 0.2), strict=True)}
    monkeypatch.setattr("delineate.label.queue.read_image", lambda file: file)
    monkeypatch.setattr("delineate.label.queue.teaches", lambda systems, file: values[file])
    models.systems["one"] = system_of("ssd")
    looked: list[int] = []
    while (picture := queue._next()) is not None:
        queue._values[picture.id] = queue._look(picture), queue._round
        looked.append(picture.id)
    assert looked == by_name
    assert [one.id for one in queue.ordered("teaches")] == [by_name[row] for row in (1, 3, 2, 5, 0, 4)]
    labels.edit(pictures_[1], 0, "me", [put(), DONE])
    assert [one.id for one in queue.ordered("teaches")][-1] == by_name[1]
    assert [one.id for one in queue.ordered("name")] == by_name
    models.systems["one"] = system_of("ssd")  # a new model looks at all again, but at what is done
    assert queue._next() is not None
    with pytest.raises(InputError, match="no order 'best'"):
        queue.ordered("best")


def test_a_model_that_fails_on_a_picture_looks_at_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = opened(raw(tmp_path, 2), Held(one=system_of("ssd")))
    first, second = labels.collection.pictures

    def teaches_or_fails(systems: object, image: object) -> float:
        if labels.queue.value(first) is None:
            raise RuntimeError("out of memory")
        return 0.7

    monkeypatch.setattr("delineate.label.queue.teaches", teaches_or_fails)
    labels.queue.start()
    for _ in range(200):
        if labels.queue.value(second) is not None:
            break
        labels.queue._ends.wait(0.05)
    labels.close()
    assert (labels.queue.value(first), labels.queue.value(second)) == (0.0, 0.7)


def test_a_seed_shuffles_in_its_way(tmp_path: Path) -> None:
    labels = opened(raw(tmp_path))
    queues = [Queue(labels.store, labels.models, lambda: False, seed=seed) for seed in (1, 1, 2)]
    first, again, other = ([one.id for one in queue.ordered("random")] for queue in queues)
    assert first == again != other


def test_the_queue_looks_by_itself(tmp_path: Path) -> None:
    labels = opened(raw(tmp_path, 2), Held(one=system_of("unet")), task="segment")
    labels.edit(labels.collection.pictures[0], 0, "me", [patch(torch.zeros(2, 2).numpy()), DONE])
    labels.queue.start()
    for _ in range(200):
        if labels.queue.value(labels.collection.pictures[1]) is not None:
            break
        labels.queue._ends.wait(0.05)
    labels.close()
    assert labels.queue.value(labels.collection.pictures[1]) is not None
    assert labels.queue.value(labels.collection.pictures[0]) is None
