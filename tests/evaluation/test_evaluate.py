import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.conftest import write_split
from torch import Tensor

from delineate.data import read_dataset
from delineate.data.lists import PictureList
from delineate.data.preprocess import Preprocess
from delineate.evaluation import evaluate, evaluate_run, evaluation_data, source_of, tally
from delineate.evaluation.data import trained_on
from delineate.models.contract import Inputs, Model, Reader, Scores
from delineate.system.system import System
from delineate.system.tasks import POSE
from delineate.values import Categories, InputError, LabelMap, Truth


@dataclass(frozen=True, kw_only=True)
class BrightestReader(Reader[Scores, Scores]):
    """The class of a pixel is its brightest channel."""

    thresholds: None = None

    def find(self, raw: Scores, size: tuple[int, int]) -> Scores:
        return raw

    def results(self, found: Scores, size: tuple[int, int], sizes: Sequence[tuple[int, int]]) -> list[LabelMap]:
        resized = torch.nn.functional.interpolate
        pairs = zip(found.logits, sizes, strict=True)
        return [LabelMap(label_map=resized(logits[None], size)[0].argmax(0)) for logits, size in pairs]


class Brightest(Model[Scores, Scores]):
    """The logits of a pixel are its channels."""

    reader = BrightestReader()

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor, proposals: Tensor | None = None) -> Scores:
        return Scores(images)

    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        raise AssertionError


COLOURS = ("red", "green", "blue")


def brightest(**options: Any) -> System:
    """A system that is named as another one of its task is."""
    return System(
        name="unet",
        model=Brightest(),
        preprocess=Preprocess(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), **options),
        categories=Categories(class_names=COLOURS, label_map_names=COLOURS),
    )


def test_a_model_that_knows_is_perfect_and_left_in_its_mode(data: Path) -> None:
    system = brightest()
    system.model.train()
    evaluation = evaluate(system, read_dataset(data, "val"))
    assert evaluation.metrics["mIoU"] == 1.0
    assert next(iter(evaluation.metrics)) == "mIoU"
    assert evaluation.per_class == {name: {"IoU": 1.0} for name in COLOURS}
    assert evaluation.num_images == 3
    assert evaluation.confusion is not None
    assert int(evaluation.confusion.sum()) == 3 * 32 * 40
    assert system.model.training


def test_pictures_count_at_their_original_size(data: Path) -> None:
    evaluation = evaluate(brightest(short_side=8), read_dataset(data, "val"))
    assert evaluation.confusion is not None
    assert int(evaluation.confusion.sum()) == 3 * 32 * 40


def test_the_confusions_of_all_ranks_add_up(data: Path) -> None:
    system, dataset = brightest(), read_dataset(data, "val")
    whole = tally(system, dataset, num_workers=0)
    one, other = (tally(system, dataset, num_workers=0, rank=rank, world_size=2) for rank in (0, 1))
    one.merge(other)
    assert torch.equal(one.confusion(3), whole.confusion(3))  # type: ignore[arg-type]


def test_what_is_no_run_says_so(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a run folder with weights"):
        evaluate_run(tmp_path, data)


def test_what_a_run_and_those_before_it_were_trained_on_is_counted(data: Path, tmp_path: Path) -> None:
    """A list beside the weights names the pictures; those of the run that lent its weights are known, too."""
    first, second, files = tmp_path / "first", tmp_path / "second", read_dataset(data, "val").files
    for folder, weights, known in ((first, None, files[:1]), (second, first, files[1:2])):
        brightest().save(folder / "best.safetensors")
        facts = {"model": "unet", "data": data, "train_split": "train", "val_split": "val", "format": None}
        (folder / "settings.json").write_text(json.dumps({**facts, "weights": weights}, default=str))
        PictureList.write(folder / "trained_on.txt", data, "trained on", known)
    assert trained_on(first, files) == [files[0]]
    assert set(trained_on(second, files)) == set(files[:2])
    (first / "settings.json").unlink()
    assert trained_on(second, files) == [files[1]]
    assert trained_on(tmp_path, files) == []
    said: list[str] = []
    found = evaluation_data(brightest(), source_of(second, data), say=said.append)
    assert found.trained_on == 1
    assert said[-1].startswith("split val: 1 of 3 pictures was trained on, so that what is measured is better than on")
    assert "delineate val" not in said[-1]  # it is what that measures


def test_a_split_of_what_was_learned_and_held_out_says_how_much_of_it_was_learned(tmp_path: Path) -> None:
    """A set that is not divided is one split, `all`; a run learns most of it, and holds the rest out."""
    root, run = tmp_path / "data", tmp_path / "run"
    write_split(root, "all", 4, seed=0)
    brightest().save(run / "best.safetensors")
    facts = {"model": "unet", "data": str(root), "train_split": "train", "val_split": "val", "format": None}
    (run / "settings.json").write_text(json.dumps({**facts, "weights": None}))
    files = read_dataset(root, "all").files
    PictureList.write(run / "trained_on.txt", root, "trained on", files[:3])
    PictureList.write(run / "held_out.txt", root, "held out", files[3:])
    said: list[str] = []
    assert evaluation_data(brightest(), source_of(run)).dataset.files == files[3:]
    for source in (source_of(run, None, "all"), source_of(run, root, "all")):
        assert evaluation_data(brightest(), source, say=said.append).trained_on == 3
        assert said[-1] == (
            "split all: 3 of 4 pictures were trained on, so that what is measured is better than on new pictures; "
            f"`delineate val {run}` measures what was held out"
        )


def test_crops_of_bodies_are_counted_as_bodies(data: Path) -> None:
    evaluation = evaluate(brightest(), read_dataset(data, "val"))
    assert evaluation.pictures == "3 pictures"
    assert replace(evaluation, task=POSE).pictures == "3 bodies"
