"""Colours for the synthetic pictures: `(3, H, W)` float32, 0 to 255."""

import math

import numpy as np
from PIL import Image

from delineate.data.shapes import Field, to_segment

TEXTURES = ("plain", "stripes", "checker", "dots", "noise")


def background(rng: np.random.Generator, image_size: tuple[int, int]) -> Field:
    """Mix soft muted colours, a pattern over them, strokes that are no objects, and grain."""
    height, width = image_size
    hue, light = rng.random(), rng.uniform(70, 215)
    muted = np.stack([_colour(hue + rng.normal(0, 0.12), 0.35, light + rng.normal(0, 30)) for _ in range(16)])
    canvas = _smooth(muted.reshape(4, 4, 3), image_size)
    u, v = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    turn = rng.uniform(0, math.pi)
    scale = rng.uniform(6, 16) / min(image_size)
    pattern = _pattern(rng, u * scale * math.cos(turn) + v * scale * math.sin(turn), (v - u) * scale)
    canvas += (pattern - 0.5) * rng.uniform(0, 45)
    for _ in range(rng.integers(3, 12)):
        _stroke(rng, canvas)
    canvas += rng.standard_normal(image_size, dtype=np.float32) * np.float32(rng.uniform(1, 5))
    return canvas


def random_texture(rng: np.random.Generator, hue: float, u: Field, v: Field) -> Field:
    """Mix two colours near a hue (0..1 around the wheel) by a pattern that moves with the shape's coordinates."""
    light = rng.uniform(150, 240)
    one = _colour(hue + rng.normal(0, 0.03), rng.uniform(0.6, 1), light)
    other = _colour(hue + rng.normal(0, 0.06), rng.uniform(0.4, 1), light * rng.uniform(0.4, 0.8))
    pattern = _pattern(rng, u * np.float32(rng.uniform(2.5, 5)), v * np.float32(rng.uniform(2.5, 5)))
    return one[:, None, None] + (other - one)[:, None, None] * pattern


def paint(canvas: Field, distance: Field, colour: Field) -> None:
    """Lay a shape over a window of the canvas, in place: smooth edges, a rounded rim, and a soft shadow around it."""
    cover = np.clip(0.5 - distance, 0, 1)
    shadow = 1 - 0.4 * np.exp(-np.maximum(distance, 0) / 2)
    rim = 0.72 + 0.28 * np.clip(-distance / 4, 0, 1)
    canvas *= shadow * (1 - cover)
    canvas += colour * (rim * cover)


def _pattern(rng: np.random.Generator, u: Field, v: Field) -> Field:
    """Draw a random weight from 0 to 1 for each pixel."""
    match TEXTURES[rng.integers(len(TEXTURES))]:
        case "stripes":
            return _sharp(np.sin(2 * u))
        case "checker":
            return _sharp(np.sin(1.6 * u) * np.sin(1.6 * v))
        case "dots":
            return _sharp(np.cos(2 * u) + np.cos(2 * v) - 0.9)
        case "noise":
            blotches: Field = _smooth(rng.random((7, 7, 1)) * 255, u.shape)[0] / 255
            return blotches
        case _:
            return np.zeros_like(u)


def _sharp(wave: Field) -> Field:
    sharp: Field = np.clip(0.5 + 2.5 * wave, 0, 1)
    return sharp


def _smooth(colours: Field, image_size: tuple[int, ...]) -> Field:
    """Spread a few colours `(h, w, c)` over the picture; as whole numbers they are the same on any machine."""
    height, width = image_size
    channels = np.rint(colours.clip(0, 255)).astype(np.uint8).transpose(2, 0, 1)
    spread = [Image.fromarray(channel).resize((width, height), Image.Resampling.BICUBIC) for channel in channels]
    return np.stack([np.asarray(channel, dtype=np.float32) for channel in spread])


def _colour(hue: float, saturation: float, light: float) -> Field:
    wheel = [0.5 + 0.5 * math.cos(2 * math.pi * (hue + third / 3)) for third in range(3)]
    return np.array([light * (1 - saturation + 1.5 * saturation * part) for part in wheel], dtype=np.float32)


def _stroke(rng: np.random.Generator, canvas: Field) -> None:
    height, width = canvas.shape[1:]
    start = rng.random(2) * (width, height)
    end = start + rng.normal(0, 0.22, 2) * (width, height)
    half = rng.uniform(0.5, 0.014 * min(height, width) + 0.5)
    low = np.clip(np.floor(np.minimum(start, end) - half - 1), 0, (width, height)).astype(int)
    high = np.clip(np.ceil(np.maximum(start, end) + half + 1), 0, (width, height)).astype(int)
    u = np.arange(low[0], high[0], dtype=np.float32)[None, :] + np.float32(0.5)
    v = np.arange(low[1], high[1], dtype=np.float32)[:, None] + np.float32(0.5)
    cover = np.clip(half + 0.5 - to_segment(u, v, tuple(start), tuple(end)), 0, 1).astype(np.float32)
    window = canvas[:, low[1] : high[1], low[0] : high[0]]
    window += (_colour(rng.random(), 0.6, rng.uniform(40, 230))[:, None, None] - window) * cover
