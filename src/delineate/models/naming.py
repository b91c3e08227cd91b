"""Layers that say something of each class, or of each keypoint, go by its name from one network to another.

Where a network learned `cat dog` and the next one is for `dog bird`, the outputs of `dog` go on, at their new place,
those of `bird` begin anew, and what is of no class (a background, a box) goes on as it is.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

SHARED = -1
"""An output that is of no class has this number."""
Kind = Literal["class", "keypoint"]
Places = tuple[list[int], list[int]]
"""Rows of a weight, and the rows of an earlier one that go there."""


class Named(NamedTuple):
    """Each output of a layer (of a parameter: its first index) is of the class of this number, or `SHARED`.

    `inputs` say the same of what goes in; both are empty where they have no names.
    """

    outputs: Sequence[int] = ()
    inputs: Sequence[int] = ()
    of: Kind = "class"


class Naming(NamedTuple):
    """A network's parameters are named so, and the numbers in `parameters` mean these `names`."""

    parameters: Mapping[str, Named]
    names: Mapping[Kind, Sequence[str]]


def named_parameters(model: nn.Module, layers: Mapping[str, Named]) -> dict[str, Named]:
    """Say of each parameter of the named layers what its first two indices are of."""
    modules, parameters = dict(model.named_modules()), {}
    for key, named in layers.items():
        if key not in modules:
            parameters[key] = named
            continue
        turned = isinstance(modules[key], nn.ConvTranspose2d)
        parameters[f"{key}.weight"] = named._replace(outputs=named.inputs, inputs=named.outputs) if turned else named
        if named.outputs and modules[key].bias is not None:
            parameters[f"{key}.bias"] = named._replace(inputs=())
    return parameters


def carried(
    initial: Mapping[str, Tensor], naming: Naming, earlier: Mapping[str, Tensor], before: Naming
) -> dict[str, Tensor]:
    """Take of an earlier network's weights what fits: named ones name by name, put into copies of the `initial` ones.

    All others fit, or do not, by their shape. What has names in one of the networks alone does not fit.
    """
    taken = {}
    for key in initial.keys() & earlier.keys():
        value, weight = initial[key], earlier[key]
        to, start = naming.parameters.get(key), before.parameters.get(key)
        if to is not None and start is not None and to.of == start.of and value.ndim == weight.ndim:
            rows = _places(to.outputs, start.outputs, naming.names[to.of], before.names[to.of])
            columns = _places(to.inputs, start.inputs, naming.names[to.of], before.names[to.of])
            moved = _moved(value, weight, rows, columns)
            if moved is not None:
                taken[key] = moved
        elif to is None and start is None and value.shape == weight.shape:
            taken[key] = weight
    return taken


def _places(
    numbers: Sequence[int], earlier: Sequence[int], names: Sequence[str], before: Sequence[str]
) -> Places | None:
    """Pair the rows of each name that both have, as often; `None` where rows have no names."""
    if not numbers and not earlier:
        return None
    here, there = _rows(numbers, names), _rows(earlier, before)
    both = [name for name in here if len(here[name]) == len(there.get(name, []))]
    return [row for name in both for row in here[name]], [row for name in both for row in there[name]]


def _rows(numbers: Sequence[int], names: Sequence[str]) -> dict[str | None, list[int]]:
    """List the rows of each name, and under `None` those that are shared."""
    rows: dict[str | None, list[int]] = {}
    for row, number in enumerate(numbers):
        rows.setdefault(None if number == SHARED else names[number], []).append(row)
    return rows


def _moved(initial: Tensor, weight: Tensor, rows: Places | None, columns: Places | None) -> Tensor | None:
    """Put rows and columns of an earlier weight where they belong; `None` where none fits."""
    places = [rows, columns][: initial.ndim]
    fixed = [dim for dim in range(initial.ndim) if dim >= len(places) or places[dim] is None]
    if any(initial.shape[dim] != weight.shape[dim] for dim in fixed):
        return None
    pairs = [place or (list(range(size)),) * 2 for place, size in zip(places, initial.shape, strict=False)]
    if not all(here for here, _ in pairs):
        return None
    here, there = (torch.meshgrid(*map(torch.tensor, side), indexing="ij") for side in zip(*pairs, strict=True))
    value = initial.clone()
    value[here] = weight[there].to(value)
    return value
