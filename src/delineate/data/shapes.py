"""Shapes are signed distances: negative inside, zero on the edge, positive outside.

Every field takes two arrays of coordinates, `u` to the right and `v` downwards, in which the shape is about 2 wide.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating]
Point = tuple[float, float]
Distance = Callable[[Field, Field], Field]

POSE_NAMES = ("head", "neck", "hips", "left_hand", "right_hand", "left_foot", "right_foot")
POSE_SKELETON = ((0, 1), (1, 2), (1, 3), (1, 4), (2, 5), (2, 6))
HEAD, THICKNESS = 0.28, (0.2, 0.4, 0.22, 0.22, 0.26, 0.26)
"""Radii of the head and of what joins the points. A figure fills about half of its box, as people do."""


def to_segment(u: Field, v: Field, start: Point, end: Point) -> Field:
    """Measure the distance from the segment between two points that differ."""
    du, dv = u - start[0], v - start[1]
    along, down = end[0] - start[0], end[1] - start[1]
    share = np.clip((du * along + dv * down) / (along * along + down * down), 0, 1)
    distance: Field = np.sqrt((du - share * along) ** 2 + (dv - share * down) ** 2)
    return distance


def polygon(u: Field, v: Field, corners: Sequence[Point]) -> Field:
    """Measure the distance from a closed polygon; inside is where a ray crosses an odd number of edges."""
    nearest = np.full_like(u, np.inf)
    inside = np.zeros(u.shape, dtype=bool)
    for start, end in zip(corners, (*corners[1:], corners[0]), strict=True):
        np.minimum(nearest, to_segment(u, v, start, end), out=nearest)
        if start[1] != end[1]:
            crossing = start[0] + (v - start[1]) * ((end[0] - start[0]) / (end[1] - start[1]))
            inside ^= ((v < start[1]) != (v < end[1])) & (u < crossing)
    return np.where(inside, -nearest, nearest)


def disk(u: Field, v: Field) -> Field:
    """A disk has a radius of 0.95."""
    return np.sqrt(u * u + v * v) - 0.95


def ring(u: Field, v: Field) -> Field:
    """A ring is a disk with a hole of half its width."""
    return np.abs(np.sqrt(u * u + v * v) - 0.74) - 0.26


def square(u: Field, v: Field) -> Field:
    """A square has four equal sides."""
    return np.maximum(np.abs(u), np.abs(v)) - 0.8


def triangle(u: Field, v: Field) -> Field:
    """A triangle has three equal sides."""
    return polygon(u, v, _on_circle(3, 1.1))


def star(u: Field, v: Field) -> Field:
    """A star has five points."""
    corners = zip(_on_circle(5, 1.1), _on_circle(5, 0.48, shift=0.5), strict=True)
    return polygon(u, v, [corner for outer_and_inner in corners for corner in outer_and_inner])


def cross(u: Field, v: Field) -> Field:
    """A cross has two bars."""
    return np.minimum(
        np.maximum(np.abs(u) - 0.3, np.abs(v) - 0.95),
        np.maximum(np.abs(u) - 0.95, np.abs(v) - 0.3),
    )


def figure(u: Field, v: Field, pose: Sequence[Point]) -> Field:
    """Draw a figure: an edge of the skeleton is a limb, the trunk or the neck, and there is a head."""
    head = np.sqrt((u - pose[0][0]) ** 2 + (v - pose[0][1]) ** 2) - HEAD
    edges = zip(POSE_SKELETON, THICKNESS, strict=True)
    limbs = [to_segment(u, v, pose[start], pose[end]) - radius for (start, end), radius in edges]
    body: Field = np.minimum.reduce([head, *limbs])
    return body


def random_pose(rng: np.random.Generator) -> list[Point]:
    """Place the seven points of an upright figure that faces us: its left is on our right."""
    lean = rng.uniform(-0.2, 0.2)
    left_arm, right_arm = rng.uniform(0.15 * math.pi, 0.85 * math.pi, 2)  # from hanging down
    left_leg, right_leg = rng.uniform(0.03 * math.pi, 0.25 * math.pi, 2)
    head, neck, hips = (lean * 1.3, -0.88), (lean, -0.42), (0.0, 0.2)
    return [
        head,
        neck,
        hips,
        (neck[0] + 0.72 * math.sin(left_arm), neck[1] + 0.72 * math.cos(left_arm)),
        (neck[0] - 0.72 * math.sin(right_arm), neck[1] + 0.72 * math.cos(right_arm)),
        (hips[0] + 0.73 * math.sin(left_leg), hips[1] + 0.73 * math.cos(left_leg)),
        (hips[0] - 0.73 * math.sin(right_leg), hips[1] + 0.73 * math.cos(right_leg)),
    ]


def _on_circle(count: int, radius: float, shift: float = 0.0) -> list[Point]:
    angles = [2 * math.pi * (corner + shift) / count for corner in range(count)]
    return [(radius * math.sin(angle), -radius * math.cos(angle)) for angle in angles]
