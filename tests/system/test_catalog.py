import inspect

import pytest

from delineate.system.catalog import CATALOG, build, find_system, options
from delineate.values import Categories, InputError


def test_the_nearest_names_are_offered() -> None:
    with pytest.raises(InputError, match="'unett' is not in the catalog; near: unet"):
        find_system("unett")


def test_an_unknown_option_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="unet: has no option depth; it has backbone, upsampler"):
        build("unet", Categories(class_names=("a",)), depth=3)


@pytest.mark.parametrize("name", CATALOG)
def test_presets_take_keywords_with_defaults(name: str) -> None:
    for parameter in options(name).values():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default is not inspect.Parameter.empty
        assert parameter.annotation is not inspect.Parameter.empty
