"""The YAML file of a YOLO set with poses says how many keypoints there are, what they are called, and which mirror."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from delineate.data.numbers import whole
from delineate.values import InputError

KptShape = tuple[int, int]


def kpt_shape(said: Mapping[str, Any], source: Path) -> KptShape | None:
    """Read the number of keypoints and the numbers each has (2 or 3), where the set has poses."""
    if "kpt_shape" not in said:
        return None
    where = f"{source}: kpt_shape"
    shape = _wholes(said["kpt_shape"], where)
    if len(shape) != 2 or shape[0] < 1 or shape[1] not in (2, 3):
        raise InputError(f"{where}: {said['kpt_shape']} is not [number of keypoints, 2 or 3]")
    return shape[0], shape[1]


def keypoint_names(said: Mapping[str, Any], num_keypoints: int, source: Path) -> tuple[str, ...]:
    """Read `kpt_names`, a list or one for each class; keypoints without names are numbered."""
    names = said.get("kpt_names")
    if isinstance(names, dict):
        names = next(iter(names.values()), None)
    names = names or [f"keypoint_{number}" for number in range(num_keypoints)]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{source}: kpt_names: {names} is no list of names")
    if len(names) != num_keypoints:
        raise InputError(f"{source}: kpt_names: {len(names)} names for the {num_keypoints} of kpt_shape")
    return tuple(names)


def flip_order(said: Mapping[str, Any], source: Path) -> tuple[int, ...]:
    """Read `flip_idx`: the keypoint that each becomes in a mirrored picture."""
    return tuple(_wholes(said.get("flip_idx") or [], f"{source}: flip_idx"))


def skeleton(said: Mapping[str, Any], source: Path) -> tuple[tuple[int, int], ...]:
    """Read the pairs of keypoints between which there is a limb."""
    where = f"{source}: skeleton"
    rows = said.get("skeleton") or []
    edges = [_wholes(row, where) for row in rows] if isinstance(rows, list) else [[]]
    if not all(len(edge) == 2 for edge in edges):
        raise InputError(f"{where}: {rows} is no list of pairs of keypoints, as in [[0, 1], [1, 2]]")
    return tuple((edge[0], edge[1]) for edge in edges)


def _wholes(values: Any, where: str) -> list[int]:
    if not isinstance(values, list):
        raise InputError(f"{where}: {values} is not a list of whole numbers")
    return [whole(value, where) for value in values]
