"""Weights go from one network to another by the names of classes and keypoints, in every system of the catalog."""

from dataclasses import replace

import pytest
import torch
from tests.models.systems import CATEGORIES, TINY, batch, pictures, size_for
from torch import Tensor, nn

from delineate.models.contract import AnyModel
from delineate.models.naming import SHARED, Named, Naming, carried, named_parameters
from delineate.system.catalog import CATALOG, build
from delineate.values import Categories, Target

OTHERS = Categories(
    class_names=("box", "disk"),
    label_map_names=("box", "disk", "background"),
    keypoint_names=("top", "right", "centre"),
)
KEYPOINTS = [CATEGORIES.keypoint_names.index(name) for name in OTHERS.keypoint_names]
MORE = Categories(
    class_names=("new", "disk", "box"),
    label_map_names=("new", "disk", "box", "background"),
    keypoint_names=("centre", "new", "top", "right"),
)


@pytest.fixture(params=list(CATALOG))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def built(name: str, categories: Categories) -> AnyModel:
    """A tiny system whose weights are all random, in evaluation mode."""
    arguments = {**TINY.get(name, {}), **({"class_specific": True} if name == "localizer" else {})}
    model = build(name, categories, **arguments).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.05)
    for key, buffer in model.named_buffers():
        if key.startswith("refinements.") and key.endswith((".mean", ".variance")):
            buffer.uniform_(0.01, 0.05)
    return model


def naming(name: str, model: AnyModel, categories: Categories) -> Naming:
    names = {"class": getattr(categories, CATALOG[name].task.labels), "keypoint": categories.keypoint_names}
    return Naming(named_parameters(model, model.named_layers()), names)


def carry(name: str, start: AnyModel, to: AnyModel, categories: Categories) -> dict[str, Tensor]:
    before = naming(name, start, CATEGORIES)
    return carried(to.state_dict(), naming(name, to, categories), start.state_dict(), before)


def renamed(target: Target) -> Target:
    """The same objects, by the numbers of `OTHERS`."""
    assert target.keypoints is not None
    assert target.visibility is not None
    assert target.label_map is not None
    return replace(
        target,
        labels=1 - target.labels,
        keypoints=target.keypoints[:, KEYPOINTS],
        visibility=target.visibility[:, KEYPOINTS],
        label_map=torch.tensor([1, 0, 2])[target.label_map],
        categories=OTHERS,
    )


def test_the_same_names_in_another_order_lose_nothing(name: str) -> None:
    """What is learned of the same objects, whose numbers were exchanged, is the same."""
    start, to = built(name, CATEGORIES), built(name, OTHERS)
    for key, buffer in start.named_buffers():
        if key.startswith("refinements.") and key.endswith(".variance"):
            buffer.zero_()  # what is drawn by chance is drawn in the order of the joints
    weights = carry(name, start, to, OTHERS)
    assert set(weights) == set(start.state_dict())
    to.load_state_dict(weights)
    images, targets = pictures(2, size_for(start))
    losses = []
    for model, truths in ((start, targets), (to, [renamed(target) for target in targets])):
        inputs, learned = batch(model, images, truths)
        torch.manual_seed(0)
        losses.append(model.loss(inputs, learned))
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-4, atol=1e-5)


def test_new_names_begin_anew_and_others_keep_what_they_had(name: str) -> None:
    """The named layers are those whose shapes follow from the number of names, and no others."""
    start, to = built(name, CATEGORIES), built(name, MORE)
    initial, weights = to.state_dict(), carry(name, start, to, MORE)
    named = named_parameters(to, to.named_layers())
    shapes = {key: parameter.shape for key, parameter in start.named_parameters()}
    buffers = dict(to.named_buffers())
    assert {key for key, parameter in to.named_parameters() if parameter.shape != shapes[key]} == {*named} - {*buffers}
    assert all(initial[key].shape != start.state_dict()[key].shape for key in {*named} & {*buffers})
    for key, parameter in named.items():
        new = (MORE.keypoint_names if parameter.of == "keypoint" else MORE.class_names).index("new")
        rows, columns = (
            torch.tensor([number == new for number in numbers] or [False])
            for numbers in (parameter.outputs, parameter.inputs)
        )
        is_new = rows if initial[key].ndim == 1 else (rows[:, None] | columns).expand(initial[key].shape[:2])
        same = weights[key] == initial[key]
        assert same[is_new].all()
        assert not same[~is_new].any()


def test_rows_go_by_name_and_what_is_of_none_stays() -> None:
    """An anchor has a box of one number, which is of no class, and the logits of its classes."""
    layer, later = nn.Linear(2, 6), nn.Linear(2, 8)
    names = {"class": ("cat", "dog")}, {"class": ("dog", "bird", "cat")}
    before = Naming(named_parameters(nn.Sequential(layer), {"0": Named([SHARED, 0, 1] * 2)}), names[0])
    naming = Naming(named_parameters(nn.Sequential(later), {"0": Named([SHARED, 0, 1, 2] * 2)}), names[1])
    start, initial = nn.Sequential(layer).state_dict(), nn.Sequential(later).state_dict()
    weight = carried(initial, naming, start, before)["0.weight"]
    assert torch.equal(weight[[0, 1, 3, 4, 5, 7]], layer.weight[[0, 2, 1, 3, 5, 4]])
    assert torch.equal(weight[[2, 6]], later.weight[[2, 6]])


def test_a_layer_of_which_no_name_stays_begins_anew() -> None:
    layer = nn.Sequential(nn.Linear(2, 2))
    parameters = named_parameters(layer, {"0": Named(range(2))})
    naming, before = (Naming(parameters, {"class": names}) for names in (("a", "b"), ("c", "d")))
    assert carried(layer.state_dict(), naming, layer.state_dict(), before) == {}
