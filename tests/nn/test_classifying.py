import pytest
import torch
from torch.nn import functional as F

from delineate.nn.classifying import IGNORED, ClassLoss, log_loss


def test_without_weights_it_is_the_log_loss_and_nothing_is_saved() -> None:
    logits, labels = torch.randn(2, 5, 4), torch.randint(0, 4, (2, 5))
    loss = ClassLoss(3)
    expected = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(2, 5)
    torch.testing.assert_close(loss(logits, labels), expected)
    torch.testing.assert_close(log_loss(logits, labels), expected)
    assert not loss.state_dict()


def test_a_focal_loss_is_its_formula() -> None:
    """Lin et al. 2017, equation 4, of probabilities 0.9 and 0.25."""
    probabilities = torch.tensor([[0.9, 0.1], [0.75, 0.25]])
    loss = ClassLoss(1)
    loss.gamma = 2.0
    expected = torch.tensor([-(0.1**2) * torch.log(torch.tensor(0.9)), -(0.75**2) * torch.log(torch.tensor(0.25))])
    torch.testing.assert_close(loss(probabilities.log(), torch.tensor([0, 1])), expected)


def test_a_focal_loss_has_gradients_where_all_is_right() -> None:
    loss = ClassLoss(2)
    loss.gamma = 0.5
    logits = torch.tensor([[100.0, 0.0, 0.0]], requires_grad=True)
    loss(logits, torch.tensor([0])).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_weights_are_of_classes_and_background_counts_one() -> None:
    logits, labels = torch.zeros(4, 3), torch.tensor([0, 1, 2, IGNORED])
    loss = ClassLoss(2)
    loss.weights.copy_(torch.tensor([3.0, 0.5]))
    assert (loss(logits, labels) / torch.log(torch.tensor(3.0))).tolist() == pytest.approx([3.0, 0.5, 1.0, 0.0])
    assert loss(logits[:2, :2], labels[:2]).numel() == 2, "systems without background have a logit less"
