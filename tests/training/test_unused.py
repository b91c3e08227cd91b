"""No option is without effect: what is given changes the training, or is refused in a line that names it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.systems import CATEGORIES, TINY, batch, pictures, size_for

from delineate.data import synthesise
from delineate.system.catalog import CATALOG, build, options
from delineate.training import Run, TrainingSettings, train
from delineate.training.earlier import as_asked
from delineate.values import InputError

OTHER_VALUES: dict[str, Any] = {
    "train_split": "val",
    "val_split": "train",
    "max_detections": 300,
    "epochs": 2,
    "minutes": 1 / 60,
    "val_every": 0,
    "batch_size": 3,
    "accumulate": 2,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "weight_decay": 0.5,
    "schedule": "poly",
    "warmup": 0.5,
    "clip_gradient": 1e-3,
    "ema": None,
    "class_weights": "median_frequency",
    "focal": 2.0,
    "sampler": "class_balanced",
    "mosaic": 1.0,
    "mixup": 1.0,
    "copy_paste": 1.0,
    "rotate": 45.0,
    "shear": 20.0,
    "blur": 1.0,
    "elastic": 0.1,
    "pretrained": "download",
    "backbone_weights": "somewhere.pth",
    "freeze_until": 0,
    "thaw": 0.5,
    "backbone_rate": 0.5,
    "layer_decay": 0.5,
    "tile": 24,
    "short_side": 24,
    "long_side": 24,
    "crop_size": (24, 24),
    "augment": "ssd",
    "scale": (1.0, 1.0),
    "multi_scale": True,
    "flip": 0.0,
    "colour": 0.0,
    "precision": "bf16",
    "seed": 1,
}
ELSEWHERE = {
    "model": "another system",
    "data": "other pictures",
    "arguments": "below",
    "format": "read_dataset",
    "skip_unreadable": "test_train",
    "early_stopping": "test_train",
    "weights": "test_weights",
    "device": "the same numbers on another machine",
    "devices": "test_distributed",
    "num_nodes": "test_distributed",
    "workers": "the same numbers in another time",
    "out": "another folder",
    "logger": "test_tracking",
}


def test_every_setting_is_in_one_of_the_tables() -> None:
    assert sorted([*OTHER_VALUES, *ELSEWHERE]) == sorted(TrainingSettings.model_fields)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unused") / "data"
    synthesise(folder, num_images=8, image_size=(64, 64), splits={"train": 0.5, "val": 0.5})
    return folder


def outcome(settings: dict[str, Any], out: Path) -> Any:
    """All that a run learned and measured, but for the time it took; or the line by which it was refused."""
    try:
        run = Run(train(TrainingSettings(**{"epochs": 1, **settings, "out": out})).folder)
    except InputError as error:
        return str(error)
    history = [{key: value for key, value in row.items() if "seconds" not in key} for row in run.read_metrics()]
    return history, run.last.read_bytes()


@pytest.fixture(scope="module")
def before(data: Path, objects: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("before")
    return {name: outcome(base(name, data, objects), folder / name) for name in ("fcn_full_resolution", "ssd")}


def base(name: str, data: Path, objects: Path) -> dict[str, Any]:
    common = {"model": name, "batch_size": 2, "workers": 0, "precision": "fp32"}
    if name == "ssd":
        return {**common, "arguments": {"backbone": "resnet10t", "image_size": 64}, "data": objects}
    return {**common, "arguments": {"width": 4, "depth": 2}, "data": data}


OF_DETECTORS = [
    "max_detections",
    "class_weights",
    "freeze_until",
    "thaw",
    "backbone_rate",
    "layer_decay",
    "short_side",
    "long_side",
    "crop_size",
]
OF_DETECTORS += ["augment", "scale", "multi_scale", "flip", "colour"]
OF_DETECTORS += ["focal", "sampler", "mosaic", "mixup", "copy_paste", "rotate", "elastic"]


@pytest.mark.parametrize(
    ("name", "setting"),
    [*(("fcn_full_resolution", setting) for setting in OTHER_VALUES), *(("ssd", setting) for setting in OF_DETECTORS)],
)
def test_another_value_gives_another_training_or_is_refused(
    name: str, setting: str, data: Path, objects: Path, tmp_path: Path, before: dict[str, Any]
) -> None:
    settings = base(name, data, objects)
    value = "scale" if (name, setting) == ("ssd", "augment") else OTHER_VALUES[setting]
    budget = {"epochs": None} if setting == "minutes" else {}
    after = outcome({**settings, **budget, setting: value}, tmp_path / "run")
    assert after != before[name]
    if isinstance(after, str):
        assert setting in after


@pytest.mark.parametrize(
    ("name", "arguments", "settings", "line"),
    [
        ("ssd", {}, {"scale": (0.2, 3.0)}, "^scale: --augment ssd has its own scale"),
        ("ssd", {}, {"colour": 1.0}, "^colour: --augment ssd has its own colour"),
        ("unet", {"width": 32}, {}, "^width: changes nothing in this unet"),
        ("faster_rcnn", {"max_proposals": 50}, {}, "^max_proposals: "),
        ("fast_rcnn", {"anchor_size": 16}, {}, "^anchor_size: "),
        ("faster_rcnn", {"warp_size": 64}, {}, "^warp_size: "),
        ("faster_rcnn", {"roi": "warp", "fpn": False, "width": 64}, {}, "^width: "),
        ("yolov1", {"image_size": 128, "width": 64}, {}, "^width: "),
        ("yolov2", {"passthrough": False, "darknet_order": True}, {}, "^darknet_order: "),
        ("faster_rcnn", {"backbone": "vgg11", "frozen_norm": True}, {}, "^frozen_norm: "),
    ],
    ids=str,
)
def test_what_is_given_and_not_used_is_refused(
    name: str, arguments: dict[str, Any], settings: dict[str, Any], line: str
) -> None:
    with pytest.raises(InputError, match=line):
        as_asked(TrainingSettings(model=name, data=".", arguments=arguments, **settings))


def test_what_is_given_at_its_default_is_no_mistake() -> None:
    settings = TrainingSettings(model="ssd", data=".", scale=(0.75, 1.33), arguments={"smallest_scale": 0.1})
    assert as_asked(settings)[0].arguments == {
        "backbone": "mobilenetv3_large_100",
        "image_size": 320,
        "smallest_scale": 0.1,
    }


WITHOUT_WEIGHTS: dict[str, Any] = {
    "dice": 0.5,
    "fully_convolutional": False,
    "box_loss": "l2",
    "joint_loss": "l1",
    "dropout": 0.1,
    "box_weight": 1.0,
    "smallest_scale": 0.3,
    "image_size": 192,
    "proposer": "sliding_window",
    "roi": "pool",
    "num_rois": 8,
    "max_proposals": 20,
    "anchor_size": 64,
    "warp_size": 48,
    "frozen_norm": True,
    "darknet_order": True,
}
"""Options that change no shape of a weight, and other values than those of the tiny systems."""


@pytest.mark.parametrize("name", CATALOG)
def test_an_option_that_changes_no_shape_changes_the_loss_or_is_refused(name: str) -> None:
    kept, before = TINY.get(name, {}), None
    for option in WITHOUT_WEIGHTS.keys() & options(name).keys():
        arguments = {**kept, option: WITHOUT_WEIGHTS[option]}
        try:
            as_asked(TrainingSettings(model=name, data=".", arguments=arguments))
        except InputError:
            continue
        before = before or first_losses(name, kept)
        assert first_losses(name, arguments) != before, option


def first_losses(name: str, arguments: dict[str, Any]) -> dict[str, float]:
    torch.manual_seed(0)
    model = build(name, CATEGORIES, **arguments)
    torch.manual_seed(0)
    losses = model.loss(*batch(model, *pictures(2, size_for(model))))
    return {key: float(value.detach()) for key, value in losses.items()}
