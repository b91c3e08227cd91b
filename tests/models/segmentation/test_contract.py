"""What every dense system must do, beside what all systems must (`../test_contract.py`)."""

from dataclasses import replace

import pytest
import torch
from tests.models.systems import DENSE, SIZE, nothing, pictures, tiny
from torch import Tensor

from delineate.data.preprocess import Preprocess
from delineate.system.inference import infer
from delineate.values import IGNORE


@pytest.fixture(params=DENSE)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_pixel_has_a_class(name: str) -> None:
    model = tiny(name).eval()
    outputs = model(Preprocess().normalise(pictures(2)[0]))
    results = model.postprocess(outputs, [(40, 33), (100, 120)])
    assert all(result.label_map.min() >= 0 and result.label_map.max() < 3 for result in results)


def test_ignored_pixels_carry_no_loss(name: str) -> None:
    model = tiny(name).eval()
    images, targets = pictures(2)
    inputs = Preprocess().normalise(images)
    partly = [target.label_map.clone() for target in targets]
    for label_map in partly:
        label_map[:20] = IGNORE
    targets = [replace(target, label_map=lm) for target, lm in zip(targets, partly, strict=True)]
    logits = model(inputs)
    expected = torch.nn.functional.cross_entropy(logits[:, :, 20:], torch.stack(partly)[:, 20:])
    torch.testing.assert_close(model.loss(inputs, targets)["cross_entropy"], expected)
    nowhere = model.loss(inputs, [nothing(), nothing()])
    assert all(loss == 0 for loss in nowhere.values())


def test_a_prediction_never_depends_on_its_batch_mates(name: str) -> None:
    model = tiny(name).eval()
    small, large = pictures(2)[0], pictures(2, (80, 120))[0]
    images = [small[0], large[0], small[1], large[1]]
    together = infer(model, Preprocess(), images)
    for image, result in zip(images, together, strict=True):
        (alone,) = infer(model, Preprocess(), [image])
        # batches of other sizes take other kernels, whose last bits may tip a pixel between two equal scores
        assert (alone.label_map != result.label_map).float().mean() < 1e-3
    outputs = model(Preprocess().normalise(small))
    apart = torch.cat([model(Preprocess().normalise(image[None])) for image in small])
    torch.testing.assert_close(outputs, apart, rtol=1e-4, atol=1e-4)


def test_overfits_four_pictures(name: str) -> None:
    model = tiny(name)
    images, targets = pictures(4)
    inputs = Preprocess().normalise(images)
    truth = torch.stack([target.label_map for target in targets])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0)
    score = 0.0
    for step in range(400):
        optimizer.zero_grad()
        sum(model.train().loss(inputs, targets).values()).backward()
        optimizer.step()
        if step % 20 == 19:
            with torch.no_grad():
                results = model.eval().postprocess(model(inputs), [SIZE] * 4)
            score = mean_iou(truth, torch.stack([result.label_map for result in results]))
            if score >= 0.95:
                break
    assert score >= 0.95


def mean_iou(truth: Tensor, found: Tensor) -> float:
    """By its definition, apart from the package's own metrics."""
    ious = [((truth == k) & (found == k)).sum() / ((truth == k) | (found == k)).sum() for k in range(3)]
    return float(sum(ious) / 3)
