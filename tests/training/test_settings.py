import pytest

from delineate.system.catalog import CATALOG
from delineate.system.tasks import SEGMENT
from delineate.training import TrainingSettings
from delineate.values import InputError


def test_every_field_is_described_and_has_a_panel() -> None:
    for name, field in TrainingSettings.model_fields.items():
        assert field.description, name
        assert isinstance(field.json_schema_extra, dict), name
        assert field.json_schema_extra["panel"], name


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"epochs": 3, "minutes": 2}, "epochs and minutes are both given; choose one budget"),
        ({"epochs": -1}, "epochs: Input should be greater than or equal to 0, not -1"),
        ({"optimizer": "adam"}, "optimizer: Input should be 'adamw' or 'sgd', not 'adam'"),
        ({"scale": (2.0, 0.5)}, r"scale \(2.0, 0.5\) is not smallest and largest, both above 0"),
        (
            {"pretrained": "download", "backbone_weights": "x.pth"},
            "of pretrained, backbone_weights and weights, more than one is given",
        ),
        ({"epoch": 3}, r"epoch: there is no such setting; did you mean epochs\?"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(changes: dict[str, object], line: str) -> None:
    with pytest.raises(InputError, match=f"^{line}"):
        TrainingSettings(model="unet", data="somewhere", **changes)


def test_defaults_depend_on_each_other() -> None:
    plain, timed, sgd = (
        TrainingSettings(model="unet", data=".", **changes) for changes in ({}, {"minutes": 2}, {"optimizer": "sgd"})
    )
    assert (plain.num_epochs, timed.num_epochs) == (50, None)
    assert (plain.peak_learning_rate, sgd.peak_learning_rate) == (1e-3, 0.03)
    assert TrainingSettings(model="unet", data=".", learning_rate=0.5).peak_learning_rate == 0.5


def test_a_systems_recipe_holds_where_nothing_is_given() -> None:
    assert TrainingSettings(model="ssd", data=".").augment == "ssd"
    assert TrainingSettings(model="ssd", data=".", augment="scale").augment == "scale"
    assert TrainingSettings(model="faster_rcnn", data=".").augment == "scale"
    dense = [name for name, entry in CATALOG.items() if entry.task is SEGMENT]
    assert len(dense) == 12
    assert {TrainingSettings(model=name, data=".").scale for name in dense} == {(0.5, 2.0)}
    assert TrainingSettings(model="faster_rcnn", data=".").scale == (0.75, 1.33)


def test_recipes_are_those_of_the_papers() -> None:
    def of(name: str, **given: str | int) -> TrainingSettings:
        return TrainingSettings(model=name, data=".", **given)

    assert of("unet").elastic == 0.02  # 10 of 512 pixels, section 3.1
    assert {of(name).class_weights for name in ("segnet", "segnet_basic")} == {"median_frequency"}
    assert of("yolov1").augment == "yolo"
    assert of("yolov2").multi_scale
    detr = of("detr", backbone_weights="x.pth")
    assert (detr.learning_rate, detr.backbone_rate, detr.weight_decay, detr.clip_gradient) == (1e-4, 0.1, 1e-4, 0.1)
    assert (detr.augment, detr.scale, detr.colour, detr.long_side) == ("detr", (0.6, 1.0), 0.0, 1333)
    assert of("detr").backbone_rate == 1.0
    assert of("detr", weights="imported").backbone_rate == 0.1
    assert of("detr", short_side=800).long_side == 1333
    assert of("detr_small", short_side=400).long_side is None  # its 640 would make wide pictures smaller than asked
