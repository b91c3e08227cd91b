import torch
from torch.nn import functional as F

from delineate.models.segmentation.losses import cross_entropy, dice
from delineate.values import IGNORE


def test_cross_entropy_is_torchs_with_weights_and_ignored_pixels() -> None:
    logits, label_maps = torch.randn(2, 3, 5, 6), torch.randint(0, 3, (2, 5, 6))
    label_maps[0, :2] = IGNORE
    weights = torch.tensor([1.0, 0.5, 3.0])
    expected = F.cross_entropy(logits, label_maps, weights, ignore_index=IGNORE)
    torch.testing.assert_close(cross_entropy(logits, label_maps, weights), expected)


def test_dice_of_a_worked_example() -> None:
    # class 0 has probability 0.8 on both of its pixels and 0.5 on the one of class 1; the last pixel is ignored
    probabilities = torch.tensor([[0.8, 0.8], [0.5, 0.1]])
    logits = torch.stack([probabilities, 1 - probabilities])[None].log()
    label_maps = torch.tensor([[[0, 0], [1, IGNORE]]])
    zero = 1 - 2 * 1.6 / (2.1 + 2)
    one = 1 - 2 * 0.5 / (0.9 + 1)
    torch.testing.assert_close(dice(logits, label_maps), torch.tensor((zero + one) / 2))


def test_dice_counts_only_the_classes_of_the_label_maps() -> None:
    sure = 50 * F.one_hot(torch.zeros(1, 4, 4, dtype=torch.int64), 3).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(dice(sure, torch.zeros(1, 4, 4, dtype=torch.int64)), torch.tensor(0.0))
