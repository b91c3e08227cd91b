"""What every dense system must do, beside what all systems must (`../test_contract.py`)."""

from dataclasses import replace

import pytest
import torch
from tests.models.systems import SEGMENTATION, SIZE, batch, nothing, pictures, system_of, tiny
from torch import Tensor

from delineate.data.preprocess import Preprocess
from delineate.values import IGNORE, truths_of


@pytest.fixture(params=SEGMENTATION)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_pixel_has_a_class(name: str) -> None:
    model = tiny(name).eval()
    outputs = model(Preprocess().normalise(pictures(2)[0]))
    results = model.reader.results(model.reader.find(outputs, SIZE), SIZE, [(40, 33), (100, 120)])
    assert all(result.label_map.min() >= 0 and result.label_map.max() < 3 for result in results)


def test_ignored_pixels_carry_no_loss(name: str) -> None:
    model = tiny(name).eval()
    images, targets = pictures(2)
    partly = [target.label_map.clone() for target in targets]
    for label_map in partly:
        label_map[:20] = IGNORE
    targets = [replace(target, label_map=lm) for target, lm in zip(targets, partly, strict=True)]
    inputs, truths = batch(model, images, targets)
    logits = model(*inputs).logits
    expected = torch.nn.functional.cross_entropy(logits[:, :, 20:], torch.stack(partly)[:, 20:])
    torch.testing.assert_close(model.loss(inputs, truths)["cross_entropy"], expected)
    nowhere = model.loss(inputs, truths_of([nothing(), nothing()]))
    assert all(loss == 0 for loss in nowhere.values())


def test_a_prediction_never_depends_on_its_batch_mates(name: str) -> None:
    model = tiny(name).eval()
    small, large = pictures(2)[0], pictures(2, (80, 120))[0]
    images = [small[0], large[0], small[1], large[1]]
    system = system_of(name, model)
    together = system.infer(images)
    for image, result in zip(images, together, strict=True):
        (alone,) = system.infer([image])
        # batches of other sizes take other kernels, whose last bits may tip a pixel between two equal scores
        assert (alone.label_map != result.label_map).float().mean() < 1e-3
    logits = model(Preprocess().normalise(small)).logits
    apart = torch.cat([model(Preprocess().normalise(image[None])).logits for image in small])
    torch.testing.assert_close(logits, apart, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_a_thing_stands_at_the_same_place_whatever_the_pictures_size(name: str) -> None:
    model = tiny(name).eval()

    def place(size: int) -> Tensor:
        spot = torch.zeros(1, 3, size, size)
        spot[..., 160:184, 160:184] = 1.0
        change = (model(spot).logits - model(torch.zeros_like(spot)).logits)[0].square().sum(0)[112:232, 112:232]
        steps = torch.arange(112, 232)
        return torch.stack([(change.sum(1 - axis) * steps).sum() for axis in range(2)]) / change.sum()

    torch.testing.assert_close(place(250), place(256), atol=0.1, rtol=0)


def test_overfits_four_pictures(name: str) -> None:
    model = tiny(name)
    images, targets = pictures(4)
    inputs, truths = batch(model, images, targets)
    label_maps = torch.stack([target.label_map for target in targets])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0)
    score = 0.0
    for step in range(400):
        optimizer.zero_grad()
        sum(model.train().loss(inputs, truths).values()).backward()
        optimizer.step()
        if step % 20 == 19:
            with torch.no_grad():
                results = model.reader.results(model.eval()(*inputs), SIZE, [SIZE] * 4)
            score = mean_iou(label_maps, torch.stack([result.label_map for result in results]))
            if score >= 0.95:
                break
    assert score >= 0.95


def mean_iou(label_maps: Tensor, predicted: Tensor) -> float:
    """By its definition, apart from the package's own metrics."""
    pairs = [(label_maps == k, predicted == k) for k in range(3)]
    ious = [(truth & guess).sum() / (truth | guess).sum() for truth, guess in pairs]
    return float(sum(ious) / 3)
