"""Where minutes are few, a system trains in its lighter form; what is given stays."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.data.samples import everything

from delineate.data.dataset import Dataset
from delineate.system.catalog import CATALOG, options
from delineate.training import TrainingSettings, budget, train
from delineate.training.budget import seldom, within_budget
from delineate.training.earlier import as_asked


def asked(**values: Any) -> tuple[TrainingSettings, set[str]]:
    settings = TrainingSettings(**{"model": "ssd", "data": Path("pictures"), **values})
    return as_asked(settings)[0], {*settings.model_fields_set, *settings.arguments}


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a machine that learns a picture in twenty seconds, and by a light backbone in ten."""

    def pace(settings: TrainingSettings, dataset: Dataset) -> float:
        return 0.1 if settings.arguments["backbone"] == "resnet10t" else 0.05

    monkeypatch.setattr(budget, "pictures_a_second", pace)


@pytest.mark.usefixtures("slow")
def test_few_minutes_take_the_lighter_form_and_say_so() -> None:
    settings, lines = within_budget(*asked(minutes=4.0), everything())
    light = CATALOG["ssd"].light
    assert settings.arguments["backbone"] == light["backbone"] != "mobilenetv3_large_100"
    assert (settings.augment, settings.scale, settings.batch_size) == ("scale", (1.0, 1.0), light["batch_size"])
    (line,) = lines
    assert line.startswith("4 min would show each picture about 4 times")
    assert "backbone resnet10t" in line
    assert "and shows each 8 times" in line


def test_few_steps_take_the_lighter_form_however_often_few_pictures_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "pictures_a_second", lambda settings, dataset: 24.0 / settings.batch_size)
    settings, (line,) = within_budget(*asked(minutes=4.0), everything())
    assert settings.batch_size == CATALOG["ssd"].light["batch_size"] < asked()[0].batch_size
    assert re.search(
        r"4 min would show each picture about \S+ times, in about 90 steps, too few for ssd as it is", line
    )


@pytest.mark.parametrize(("minutes", "rate"), [(40.0, 1e-3), (400.0, 1e-4)])
def test_a_rate_for_few_steps_is_taken_for_few_steps_alone(
    minutes: float, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of very many pictures each is seen seldom in many steps."""
    monkeypatch.setattr(budget, "_times", lambda settings, train: minutes / settings.batch_size / 10)
    many = everything()
    monkeypatch.setattr(type(many), "__len__", lambda self: 10_000)
    settings, (line,) = within_budget(*asked(model="rtdetr", minutes=minutes), many)
    assert settings.learning_rate == rate
    assert ("learning_rate" in line) == (rate == 1e-3)


@pytest.mark.usefixtures("slow")
def test_what_is_given_stays_and_so_does_what_goes_with_it() -> None:
    settings, _ = within_budget(*asked(minutes=4.0, colour=0.2, augment="scale", batch_size=2), everything())
    assert (settings.colour, settings.scale, settings.batch_size) == (0.2, (0.75, 1.33), 2)
    given = {"image_size": 96}
    settings, lines = within_budget(*asked(minutes=4.0, arguments=given), everything())
    assert settings.arguments.items() >= given.items()
    assert len(lines) == 1
    settings, _ = within_budget(*asked(minutes=4.0, backbone_weights=Path("of_its_own.pth")), everything())
    assert settings.arguments["backbone"] == "mobilenetv3_large_100"


@pytest.mark.usefixtures("slow")
def test_a_lighter_form_that_shows_no_more_is_not_taken() -> None:
    settings, given = asked(minutes=4.0, arguments={"backbone": "resnet18"})
    assert within_budget(settings, given, everything()) == (settings, [])


def test_enough_minutes_and_epochs_leave_a_system_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fast(settings: TrainingSettings, dataset: Dataset) -> float:
        return 1000.0

    monkeypatch.setattr(budget, "pictures_a_second", fast)
    for settings, given in (asked(minutes=4.0), asked(epochs=1)):
        assert within_budget(settings, given, everything()) == (settings, [])


@pytest.mark.parametrize("name", CATALOG)
def test_lighter_forms_are_settings_and_options_of_their_systems(name: str) -> None:
    light = CATALOG[name].light
    assert light.keys() <= options(name).keys() | TrainingSettings.model_fields.keys()
    TrainingSettings(
        model=name, data=Path("pictures"), **{key: light[key] for key in light.keys() - options(name).keys()}
    )


def test_pictures_seen_seldom_are_said_with_what_helps() -> None:
    scratch = TrainingSettings(model="ssd", data=Path("pictures"))
    assert seldom(scratch, 1000, 100) == []
    assert seldom(scratch, 100, 100)[0].startswith("each picture was seen once, where")
    (line,) = seldom(scratch, 350, 100)
    assert line.startswith("each picture was seen 3.5 times")
    assert "--minutes" in line
    assert "--pretrained" in line
    begun = TrainingSettings(model="ssd", data=Path("pictures"), backbone_weights=Path("resnet18.pth"))
    assert "--pretrained" not in seldom(begun, 350, 100)[0]


def test_a_system_can_be_asked_for_as_it_is(small: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for = []
    monkeypatch.setattr(
        sys.modules["delineate.training.train"],
        "within_budget",
        lambda settings, given, data: (settings, asked_for.append(given) or []),
    )
    train(TrainingSettings(**small, minutes=0.001, val_every=0), lighter=False)
    assert asked_for == []
    train(TrainingSettings(**{**small, "out": small["out"].with_name("other")}, minutes=0.001, val_every=0))
    assert len(asked_for) == 1
