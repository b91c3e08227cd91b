from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from delineate.data import read_dataset
from delineate.data.preprocess import Preprocess
from delineate.evaluation.evaluate import tally
from delineate.models.contract import Model
from delineate.training import evaluate, evaluate_run
from delineate.values import InputError, LabelMap, Target


class Brightest(Model[Tensor, LabelMap]):
    """The class of a pixel is its brightest channel."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        return images

    def loss(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        raise AssertionError

    def postprocess(self, outputs: Tensor, sizes: Sequence[tuple[int, int]]) -> list[LabelMap]:
        resized = torch.nn.functional.interpolate
        return [LabelMap(label_map=resized(o[None], s)[0].argmax(0)) for o, s in zip(outputs, sizes, strict=True)]


FLAT = Preprocess(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def test_a_model_that_knows_is_perfect_and_left_in_its_mode(data: Path) -> None:
    model = Brightest().train()
    evaluation = evaluate(model, FLAT, read_dataset(data, "val"), "segment")
    assert evaluation.metrics["mIoU"] == 1.0
    assert next(iter(evaluation.metrics)) == "mIoU"
    assert evaluation.per_class == {name: {"IoU": 1.0} for name in ("red", "green", "blue")}
    assert evaluation.num_images == 3
    assert int(evaluation.confusion.sum()) == 3 * 32 * 40
    assert model.training


def test_pictures_count_at_their_original_size(data: Path) -> None:
    evaluation = evaluate(
        Brightest(), Preprocess(short_side=8, mean=FLAT.mean, std=FLAT.std), read_dataset(data, "val"), "segment"
    )
    assert int(evaluation.confusion.sum()) == 3 * 32 * 40


def test_the_confusions_of_all_ranks_add_up(data: Path) -> None:
    dataset = read_dataset(data, "val")
    whole = tally(Brightest(), FLAT, dataset, "segment", num_workers=0)
    one, other = (
        tally(Brightest(), FLAT, dataset, "segment", num_workers=0, rank=rank, world_size=2) for rank in (0, 1)
    )
    one.merge(other)
    assert torch.equal(one.confusion, whole.confusion)


def test_what_is_no_run_says_so(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a run folder with weights"):
        evaluate_run(tmp_path, data)
