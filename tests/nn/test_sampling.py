import pytest
import torch
from torch import Tensor

from delineate.nn.sampling import sample_balanced


def flags(count: int, *rows: range) -> Tensor:
    result = torch.zeros(count, dtype=torch.bool)
    for some in rows:
        result[list(some)] = True
    return result


@pytest.mark.parametrize(
    ("num_positive", "num_negative", "expected"),
    [
        (40, 60, (5, 15)),  # enough of both: a quarter of twenty
        (3, 60, (3, 17)),  # too few positives: filled up
        (40, 4, (5, 4)),  # too few negatives: positives do not take their place
        (0, 60, (0, 20)),
        (40, 0, (5, 0)),
        (0, 0, (0, 0)),
    ],
)
def test_how_many(num_positive: int, num_negative: int, expected: tuple[int, int]) -> None:
    positive, negative = flags(100, range(num_positive)), flags(100, range(40, 40 + num_negative))
    positives, negatives = sample_balanced(positive, negative, count=20, positive_share=0.25)
    assert (len(positives), len(negatives)) == expected
    for rows, allowed in ((positives, positive), (negatives, negative)):
        assert allowed[rows].all()
        assert rows.tolist() == sorted(set(rows.tolist()))


def test_a_seed_decides_and_every_row_has_its_chance() -> None:
    positive, negative = flags(30, range(10)), flags(30, range(10, 30))

    def drawn(seed: int) -> list[int]:
        torch.manual_seed(seed)
        return torch.cat(sample_balanced(positive, negative, count=8, positive_share=0.5)).tolist()

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)
    assert {row for seed in range(100) for row in drawn(seed)} == set(range(30))
