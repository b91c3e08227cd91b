"""What every system of the catalog must do: a new paper gets these tests by its line in the catalog."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from delineate.catalog import CATALOG, build
from delineate.models.contract import Model
from delineate.models.inference import infer
from delineate.structures import IGNORE, Categories, Preprocess, Target
from delineate.weights import Checkpoint, load_checkpoint, save_checkpoint

TINY: dict[str, dict[str, Any]] = {
    "sliding_window_segmenter": {"width": 16},
    "fcn_full_resolution": {"width": 16, "depth": 5},
    "fcn32s": {"backbone": "resnet10t"},
    "fcn16s": {"backbone": "resnet10t"},
    "fcn8s": {"backbone": "resnet10t"},
    "segnet": {"backbone": "vgg11_bn"},
    "segnet_basic": {"width": 16},
    "unet": {"backbone": "resnet10t"},
}
"""The smallest form of each system; one without an entry here runs as its preset is."""

CATEGORIES = Categories(class_names=("disk", "box"), label_map_names=("disk", "box", "background"))
SIZE = (66, 91)


def tiny(name: str) -> Model[Any, Any]:
    return build(name, num_classes=3, **TINY.get(name, {}))


def pictures(count: int, size: tuple[int, int] = SIZE) -> tuple[Tensor, list[Target]]:
    """Coloured disks and boxes on gray, large enough for the coarsest system to tell apart."""
    height, width = size
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    images, targets = [], []
    for i in range(count):
        image = torch.full((3, height, width), 110) + torch.randint(-25, 25, (3, height, width))
        label_map = torch.full(size, 2)
        cy, cx = height * (0.35 + 0.1 * (i % 3)), width * (0.3 + 0.05 * (i % 4))
        disk = (y - cy) ** 2 + (x - cx) ** 2 < (height * 0.28) ** 2
        box = (y > height * 0.1 * i) & (y < height * (0.5 + 0.1 * i)) & (x > width * 0.62) & (x < width * 0.95)
        for value, (shape, colour) in enumerate(((disk, (220, 60, 40)), (box, (40, 90, 220)))):
            label_map[shape] = value
            image[:, shape] += (torch.tensor(colour) - 110)[:, None]
        images.append(image.clamp(0, 255).to(torch.uint8))
        targets.append(Target(image_size=size, label_map=label_map, categories=CATEGORIES))
    return torch.stack(images), targets


@pytest.fixture(params=list(CATALOG))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_results_have_the_original_sizes(name: str) -> None:
    model = tiny(name).eval()
    images, _ = pictures(2)
    outputs = model(Preprocess().normalise(images))
    results = model.postprocess(outputs, [(40, 33), (100, 120)])
    assert [result.image_size for result in results] == [(40, 33), (100, 120)]
    assert all(result.label_map.min() >= 0 and result.label_map.max() < 3 for result in results)


def test_gradients_reach_all_parameters(name: str) -> None:
    model = tiny(name)
    images, targets = pictures(2)
    sum(model.loss(Preprocess().normalise(images), targets).values()).backward()
    without = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert without == []
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_losses_are_named_finite_scalars(name: str) -> None:
    images, targets = pictures(2)
    losses = tiny(name).loss(Preprocess().normalise(images), targets)
    assert losses
    assert all(loss.shape == () and loss.isfinite() for loss in losses.values())


def test_a_target_without_anything_to_learn_is_ordinary(name: str) -> None:
    model = tiny(name)
    images, targets = pictures(2)
    empty = [replace(target, label_map=torch.full(SIZE, IGNORE)) for target in targets]
    losses = model.loss(Preprocess().normalise(images), empty)
    sum(losses.values()).backward()
    assert all(loss == 0 for loss in losses.values())
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


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


def test_returns_do_not_depend_on_the_mode(name: str) -> None:
    model = tiny(name)
    images, _ = pictures(2)
    inputs = Preprocess().normalise(images)
    assert type(model.train()(inputs)) is type(model.eval()(inputs))


def test_saved_and_loaded_gives_identical_outputs(name: str, tmp_path: Path) -> None:
    model = tiny(name).eval()
    checkpoint = Checkpoint(
        model=model,
        system=name,
        arguments=TINY.get(name, {}),
        num_classes=3,
        categories=CATEGORIES,
        preprocess=Preprocess(short_side=70),
        metrics={"mIoU": 0.5},
    )
    save_checkpoint(tmp_path / "best.safetensors", checkpoint)
    loaded = load_checkpoint(tmp_path / "best.safetensors")
    images, _ = pictures(2)
    inputs = Preprocess().normalise(images)
    assert torch.equal(loaded.model(inputs), model(inputs))
    for field in ("system", "arguments", "num_classes", "categories", "preprocess", "metrics", "versions"):
        assert getattr(loaded, field) == getattr(checkpoint, field)


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
