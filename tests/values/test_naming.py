import pytest

from delineate.values import InputError, nearest
from delineate.values.naming import HABITS


def test_habits_come_before_what_is_spelt_alike() -> None:
    assert nearest("lr", ["learning_rate", "lra"]) == ["learning_rate"]
    assert nearest("LR", ["lra"]) == ["lra"]
    assert nearest("gpus", ["device", "devices"]) == ["devices", "device"]
    assert nearest("imgsz", ["short_side"]) == ["short_side"]


def test_what_is_like_nothing_leads_nowhere() -> None:
    assert nearest("xyz", ["learning_rate", "epochs"]) == []


def test_habits_lead_to_what_there_is() -> None:
    from delineate.cli.app import ORDER
    from delineate.cli.schema import schema

    own = {option for system in schema()["systems"].values() for option in system["options"]}
    others = {"model", "data", "resume", "min_score", "nms_iou", "max_detections", "class_agnostic"}
    assert {name for names in HABITS.values() for name in names} <= {*own, *schema()["settings"], *others, *ORDER}


def test_settings_name_what_was_meant() -> None:
    from delineate.training import TrainingSettings

    with pytest.raises(InputError, match=r"^lr: there is no such setting; did you mean learning_rate\?$"):
        TrainingSettings(model="ssd", data="data", lr=0.1)
    with pytest.raises(InputError, match=r"^xyz: there is no such setting$"):
        TrainingSettings(model="ssd", data="data", xyz=1)
