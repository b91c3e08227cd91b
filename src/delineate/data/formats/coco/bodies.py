"""What a COCO category says of bodies: the names of keypoints, the skeleton, and what is left and right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from delineate.data.formats.coco.rows import Row, Said, places, said_of
from delineate.data.numbers import identifier, table, whole
from delineate.values import InputError


@dataclass(frozen=True, kw_only=True)
class Body:
    """The keypoints that all categories with keypoints have; the fields are those of `Categories`."""

    keypoint_names: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()
    flip_order: tuple[int, ...] = ()


def read_body(categories: Iterable[Row], rows: Iterable[Row], source: Path) -> tuple[Body, list[str]]:
    """Read the body of the categories, with lines that say what was guessed.

    Keypoints without names are numbered. A skeleton counts from 1, or from 0 where it has one, or names the keypoints.
    """
    bodies: set[Body] = set()
    problems: list[str] = []
    for category in categories:
        where = f"{source}: category {category['id']}"
        if category.get("keypoints"):
            names = _names(category["keypoints"], f"{where}: keypoints")
            skeleton, said = _skeleton(category.get("skeleton"), names, f"{where}: skeleton")
            order = category.get("flip_order") or ()
            flip_order = tuple(whole(number, f"{where}: flip_order") for number in order)
            bodies.add(Body(keypoint_names=names, skeleton=skeleton, flip_order=flip_order))
            problems += [line for line in said if line not in problems]
    if len(bodies) > 1:
        raise InputError(f"{source}: categories: the keypoints of several differ; keep those of one")
    return (bodies.pop() if bodies else _numbered(rows, source, problems)), problems


def read_keypoints(rows: Sequence[Row], names: Sequence[str], source: Path) -> Float[Tensor, "n k 3"] | None:
    """Take every annotation's `keypoints` (x, y, visibility, ...), zeros where it has none; `None` if all lack them."""
    given = [index for index, row in enumerate(rows) if row.get("keypoints")]
    if not given:
        return None
    lists = [rows[index]["keypoints"] for index in given]
    place = places([rows[index] for index in given], "keypoints", source)
    for number, values in enumerate(lists):
        if isinstance(values, list) and len(values) != 3 * len(names):
            raise InputError(
                f"{place(number)}: {len(values)} numbers, but its category names {len(names)} keypoints of 3 each"
            )
    found = table(lists, lambda number: f"{place(number)} (0, 0, 0 if not annotated)", 3 * len(names)).reshape(
        len(lists), len(names), 3
    )
    for number, joint in np.argwhere(~np.isin(found[..., 2], (0, 1, 2)))[:1].tolist():
        raise InputError(
            f"{place(number)}: the visibility of {names[joint]} is {found[number, joint, 2]:g}; it is 0 (not "
            "annotated), 1 (hidden) or 2 (visible)"
        )
    keypoints = torch.zeros(len(rows), len(names), 3)
    keypoints[given] = torch.from_numpy(found).float()
    return keypoints


def outside(keypoints: Float[Tensor, "n k 3"] | None, ids: Sequence[Any], sizes: NDArray[np.float64]) -> list[Said]:
    """Say which annotations have keypoints more than a pixel out of their pictures of `(height, width)`, 0 if unknown.

    A training takes them for not annotated.
    """
    if keypoints is None:
        return []
    limits = torch.from_numpy(np.where(sizes > 0, sizes, np.inf)[:, None, ::-1] + 1)
    positions, annotated = keypoints[..., :2], keypoints[..., 2] > 0
    found = (((positions < -1) | (positions > limits)).any(-1) & annotated).any(-1).numpy()
    return said_of(ids, found, "{} with keypoints out of the picture; are they pixels of this picture?")


def _names(values: Any, where: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(name, str | int) for name in values):
        raise InputError(f"{where}: {values!r:.80} is not a list of names")
    return tuple(str(name) for name in values)


def _skeleton(edges: Any, names: Sequence[str], where: str) -> tuple[tuple[tuple[int, int], ...], list[str]]:
    if not isinstance(edges or [], list) or not all(isinstance(edge, list) and len(edge) == 2 for edge in edges or ()):
        raise InputError(f"{where}: {edges!r:.80} is not a list of pairs of keypoints")
    ends = [[identifier(end, where) for end in edge] for edge in edges or ()]
    first = 0 if any(0 in edge for edge in ends) else 1
    order = {name: number for number, name in enumerate(names)} | {
        number + first: number for number in range(len(names))
    }
    for edge in ends:
        for end in edge:
            if end not in order:
                raise InputError(f"{where}: {end!r:.40} is no keypoint; there are {len(names)}, the first is {first}")
    counted_from_0 = f"{where} counts keypoints from 0, COCO from 1; it was read as it is"
    return tuple((order[a], order[b]) for a, b in ends), [] if first else [counted_from_0]


def _numbered(rows: Iterable[Row], source: Path, problems: list[str]) -> Body:
    """Number the keypoints of annotations whose categories name none."""
    lengths = {len(row["keypoints"]) for row in rows if isinstance(row.get("keypoints"), list) and row["keypoints"]}
    if len(lengths) != 1 or (length := lengths.pop()) % 3:
        return Body()
    names = tuple(f"keypoint_{number + 1}" for number in range(length // 3))
    problems.append(f"{source}: no category names its keypoints; they are called {names[0]} to {names[-1]}")
    return Body(keypoint_names=names)
