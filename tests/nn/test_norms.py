import torch
from torch import nn

from delineate.models.segmentation.sliding_window import sliding_window_segmenter
from delineate.nn.norms import FEW, share_norms, take_single_values


def test_a_norm_that_gets_one_value_a_channel_takes_what_it_has_seen() -> None:
    model, said = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train(), []
    take_single_values(model, said.append)
    norm, picture = model[1], torch.rand(1, 3, 1, 1)
    model(torch.rand(8, 3, 2, 2))
    seen = norm.running_mean.clone(), norm.running_var.clone()
    answer = model(picture)
    answer.sum().backward()
    assert torch.equal(norm.running_mean, seen[0])
    assert torch.equal(norm.running_var, seen[1])
    assert norm.training
    assert torch.equal(answer, model.eval()(picture))
    model.train()(picture)
    assert said == [FEW]


def test_norms_that_get_more_are_left_as_they_are() -> None:
    torch.manual_seed(0)
    model, said = nn.Sequential(nn.BatchNorm2d(3)).train(), []
    plain = nn.BatchNorm2d(3).train()
    take_single_values(model, said.append)
    for shape in ((2, 3, 1, 1), (1, 3, 1, 2)):
        values = torch.rand(shape)
        assert torch.equal(model(values), plain(values))
    assert said == []


def test_norms_that_a_process_calls_as_often_as_it_has_windows_are_its_own() -> None:
    once, by_windows = (
        sliding_window_segmenter(num_classes=2, width=8, fully_convolutional=way) for way in (True, False)
    )
    assert share_norms(once) == 2
    assert share_norms(by_windows) == 0
    by_windows.train()(torch.rand(2, 3, 32, 32))  # no other process is asked
