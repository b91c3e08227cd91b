import pytest

from delineate.study import grid
from delineate.study.grid import DEFAULTS
from delineate.system.catalog import CATALOG
from delineate.system.tasks import TASKS
from delineate.values import InputError, Task


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_without_models_there_are_some_of_the_task(task: Task) -> None:
    entries = grid(task.name)
    assert all(CATALOG[entry.model].task == task for entry in entries)
    assert [entry.name for entry in entries] == [name.replace(":", " ") for name in DEFAULTS[task.name]]
    assert len(DEFAULTS) == len(TASKS)


def test_every_system_has_every_option_that_it_takes() -> None:
    entries = grid(
        "segment", models=["unet", "segnet_basic"], upsamplers=["nearest", "max_unpool"], backbones=["plain"]
    )
    assert [entry.name for entry in entries] == [
        "unet plain nearest",
        "unet plain max_unpool",
        "segnet_basic nearest",
        "segnet_basic max_unpool",
    ]
    assert entries[1].arguments == {"backbone": "plain", "upsampler": "max_unpool"}
    assert entries[2].arguments == {"upsampler": "nearest"}


def test_an_image_size_is_an_option_of_some_and_the_shorter_side_of_others() -> None:
    square, shorter = grid("detect", models=["ssd", "faster_rcnn"], image_sizes=[320])
    assert (square.arguments, square.settings) == ({"image_size": 320}, {})
    assert (shorter.arguments, shorter.settings) == ({}, {"short_side": 320})


def test_a_system_may_have_options_of_its_own() -> None:
    narrow, plain, small = grid(
        "segment", models=["unet:width=16:backbone=plain", "unet"], upsamplers=["nearest"], backbones=["plain"]
    )[0:2] + grid("detect", models=["ssd:image-size=160:smallest-scale=0.08"], image_sizes=[])
    assert (narrow.name, plain.name) == ("unet width=16 backbone=plain nearest", "unet plain nearest")
    assert narrow.arguments == {"width": 16, "backbone": "plain", "upsampler": "nearest"}
    assert small.arguments == {"image_size": 160, "smallest_scale": 0.08}
    own, other = grid("detect", models=["ssd:image_size=160", "ssd"], image_sizes=[320])
    assert (own.arguments, other.arguments) == ({"image_size": 160}, {"image_size": 320})


def test_proposers_are_exchanged_where_there_are_any() -> None:
    entries = grid("detect", models=["fast_rcnn", "ssd"], proposers=["selective_search", "rpn"])
    assert [entry.name for entry in entries] == ["fast_rcnn selective_search", "fast_rcnn rpn", "ssd"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"models": ["unet"]}, "models: unet is no answer to 'detect'; these are: sliding_window_detector, rcnn"),
        ({"models": ["fastrcnn"]}, "model: 'fastrcnn' is not in the catalog; near: fast_rcnn"),
        ({"models": ["ssd:sides=3"]}, "models: 'sides=3' is no OPTION=VALUE of ssd; its options are backbone"),
        ({"models": ["ssd:image_size"]}, "models: 'image_size' is no OPTION=VALUE of ssd"),
        ({"models": ["ssd:image_size=large"]}, "models: ssd:image_size=large: Input should be a valid integer"),
        ({"models": ["ssd"], "upsamplers": ["nearest"]}, "upsamplers: none of the systems takes nearest"),
        ({"models": ["fast_rcnn"], "proposers": ["edge_boxes"]}, "proposers: none of the systems takes edge_boxes"),
    ],
)
def test_what_no_system_answers_is_refused(asked: dict[str, list[str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        grid("detect", **asked)
