import inspect

import pytest

from delineate.system.catalog import CATALOG, build, find_entry, needs, options
from delineate.values import Categories, InputError


def test_the_nearest_names_are_offered() -> None:
    with pytest.raises(InputError, match="'unett' is not in the catalog; near: unet"):
        find_entry("unett")


def test_an_unknown_option_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="unet: has no option depth; it has backbone, upsampler"):
        build("unet", Categories(class_names=("a",)), depth=3)


@pytest.mark.parametrize("name", CATALOG)
def test_presets_take_keywords_with_defaults(name: str) -> None:
    for parameter in options(name).values():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default is not inspect.Parameter.empty
        assert parameter.annotation is not inspect.Parameter.empty


def test_options_that_presets_share_have_their_defaults() -> None:
    shared = options("faster_rcnn")
    assert shared["num_rois"].default == 512
    assert shared["backbone"].default == "resnet18"
    assert list(options("fcn8s")) == list(options("fcn32s"))
    assert "num_classes" not in shared


def test_the_data_is_asked_for_what_is_learned() -> None:
    assert needs("ssd", {}) == {"boxes"}
    assert needs("mask_rcnn", {}) == {"boxes", "masks"}
    assert needs("keypoint_rcnn", {}) == {"boxes", "keypoints"}
    assert needs("keypoint_rcnn", {"masks": True}) == {"boxes", "keypoints", "masks"}
    assert needs("unet", {}) == {"label_map"}
