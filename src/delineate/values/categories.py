"""Categories: the names behind the numbers of a data set or a checkpoint."""

from dataclasses import dataclass

from delineate.values.errors import InputError

BACKGROUND = "background"


@dataclass(frozen=True, kw_only=True)
class Categories:
    """What the labels, the pixels and the keypoints of a data set are called.

    `class_names[i]` is the class of label `i`. `label_map_names[i]` is the class of value `i` in a label map: either
    the same names (every pixel has a class, as in CamVid), or those names followed by `"background"` (as in VOC), or
    nothing where there are no label maps. So one number means one class everywhere, and background is the last.

    `skeleton` holds pairs of indices into `keypoint_names`. `flip_order[k]` is the keypoint that keypoint `k` becomes
    in a mirrored picture; where it is not given, names say what is left and right.
    """

    class_names: tuple[str, ...]
    label_map_names: tuple[str, ...] = ()
    keypoint_names: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()
    flip_order: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for field in ("class_names", "label_map_names", "keypoint_names"):
            names = getattr(self, field)
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise InputError(f"{field}: {', '.join(twice)} appears twice; give every entry its own name")
        if self.label_map_names not in ((), self.class_names, (*self.class_names, BACKGROUND)):
            raise InputError(
                f"label_map_names: {list(self.label_map_names)} is neither class_names nor class_names + ['background']"
            )
        for row, edge in enumerate(self.skeleton):
            if not all(0 <= joint < len(self.keypoint_names) for joint in edge):
                raise InputError(f"skeleton: row {row} is {edge}, outside 0..{len(self.keypoint_names) - 1}")
        if not self.flip_order:
            object.__setattr__(self, "flip_order", _by_names(self.keypoint_names))
        if any(self.flip_order[other] != index for index, other in _pairs(self.flip_order, len(self.keypoint_names))):
            raise InputError(
                f"flip_order: {list(self.flip_order)} does not exchange {len(self.keypoint_names)} keypoints in pairs"
            )

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def has_background(self) -> bool:
        """Whether label maps have a background class, which is the last value."""
        return len(self.label_map_names) > len(self.class_names)


def _pairs(flip_order: tuple[int, ...], num_keypoints: int) -> list[tuple[int, int]]:
    """Pair each keypoint with what it becomes; raises `InputError` unless there is one number of 0.. for each."""
    if sorted(flip_order) != list(range(num_keypoints)):
        raise InputError(f"flip_order: {list(flip_order)} is not each of 0..{num_keypoints - 1} once")
    return list(enumerate(flip_order))


def _by_names(names: tuple[str, ...]) -> tuple[int, ...]:
    """Exchange `left_x` and `right_x`."""
    order = {name: index for index, name in enumerate(names)}
    return tuple(order.get(_other_side(name), index) for index, name in enumerate(names))


def _other_side(name: str) -> str:
    for side, other in (("left", "right"), ("right", "left"), ("Left", "Right"), ("Right", "Left")):
        if side in name:
            return name.replace(side, other)
    if name[:2] in ("l_", "r_"):
        return ("r" if name[0] == "l" else "l") + name[1:]
    return name
