from pathlib import Path

import pytest
import torch

from delineate.data.synthetic import synthesise
from delineate.nn.classifying import ClassLoss
from delineate.system.catalog import build
from delineate.training import TrainingSettings, resume, train
from delineate.training.building import build_training, mixing
from delineate.training.rare import check_rare
from delineate.training.runs import Run
from delineate.training.unused import SOME
from delineate.values import InputError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rare") / "data"
    synthesise(folder, num_images=12, image_size=(64, 64), splits={"train": 0.7, "val": 0.3})
    return folder


def of_ssd(data: Path, **more: object) -> TrainingSettings:
    own = {"backbone": "resnet10t", "image_size": 64}
    given = {"model": "ssd", "data": data, "arguments": own, "workers": 0, "batch_size": 2, "precision": "fp32", **more}
    return TrainingSettings(**given)


def test_the_loss_of_classes_is_as_the_settings_say(data: Path) -> None:
    system, _, _, notes = build_training(of_ssd(data, class_weights="median_frequency", focal=1.5))
    [loss] = [module for module in system.model.modules() if isinstance(module, ClassLoss)]
    assert loss.gamma == 1.5
    assert not torch.equal(loss.weights, torch.ones(7))
    [line] = [note for note in notes if note.startswith("class weights: ")]
    assert line.count("object") == 7


def test_a_run_with_all_of_it_goes_on_as_if_it_had_not_been_stopped(data: Path, tmp_path: Path) -> None:
    rare = {
        "class_weights": "median_frequency",
        "focal": 2.0,
        "sampler": "class_balanced",
        "mosaic": 0.5,
        "rotate": 9.0,
    }
    whole = train(of_ssd(data, epochs=2, out=tmp_path / "whole", **rare)).folder
    from delineate.training import loop

    steps = []

    def stopped(*arguments: object) -> dict[str, float]:
        steps.append(1)
        if len(steps) == 6:
            raise RuntimeError("killed")
        return taken(*arguments)

    taken, loop.step = loop.step, stopped
    try:
        with pytest.raises(RuntimeError, match="killed"):
            train(of_ssd(data, epochs=2, out=tmp_path / "stopped", **rare))
    finally:
        loop.step = taken
    resume(tmp_path / "stopped")
    first, second = (Run(folder).last.read_bytes() for folder in (whole, tmp_path / "stopped"))
    assert first == second


def test_what_has_no_sense_is_refused(data: Path) -> None:
    for model, setting, line in (
        ("localizer", {"mosaic": 0.5}, "mosaic: it puts several pictures into one, and localizer finds the class and"),
        ("unet", {"mixup": 0.5}, "mixup: it puts several pictures into one, and unet finds the class of every pixel"),
        ("pose_regressor", {"copy_paste": 0.5}, "copy_paste: it puts several pictures into one"),
        ("ssd", {"copy_paste": 0.5}, "copy_paste: objects are cut out by their masks, which ssd does not learn from"),
        ("faster_rcnn", {"elastic": 0.02}, "elastic: it bends label maps, and faster_rcnn finds"),
    ):
        with pytest.raises(InputError, match=line):
            mixing(TrainingSettings(model=model, data=data, **setting))
    assert mixing(TrainingSettings(model="pose_regressor", data=data, rotate=10)) is not None
    for model, setting, line in (
        ("yolov1", {"class_weights": "median_frequency"}, "class_weights: yolov1 weighs no classes"),
        ("yolov1", {"focal": 2.0}, "focal: yolov1 has no softmax of classes"),
        ("unet", {"focal": 2.0}, "focal: unet has no softmax of classes"),
    ):
        with pytest.raises(InputError, match=line):
            check_rare(TrainingSettings(model=model, data=data, **setting), build(model, SOME))
