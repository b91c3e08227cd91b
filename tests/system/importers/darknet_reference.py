"""A Darknet network run straight from its .cfg, one section after the other: an independent reader for the tests.

It shares nothing with the package: layers are functions, weights are read where they are needed, loops are loops.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Sections = list[tuple[str, dict[str, str]]]


def parse(text: str) -> Sections:
    sections: Sections = []
    for raw in text.splitlines():
        line = raw.split("#")[0].strip()
        if line.startswith("["):
            sections.append((line.strip("[]"), {}))
        elif line:
            key, value = line.split("=", 1)
            sections[-1][1][key.strip()] = value.strip()
    return sections


class Numbers:
    """Random numbers that are kept, to be written as a .weights file: it has as many as the network asks for."""

    def __init__(self, seed: int) -> None:
        self.random, self.taken = np.random.default_rng(seed), []

    def take(self, *shape: int, low: float, high: float) -> Tensor:
        values = self.random.uniform(low, high, shape).astype("<f4")
        self.taken.append(values.ravel())
        return torch.from_numpy(values)

    def write(self, file: Path, version: tuple[int, int, int] = (0, 2, 0)) -> None:
        large = 10 * version[0] + version[1] >= 2 and max(version[:2]) < 1000
        seen = np.array([7], "<u8" if large else "<u4")
        file.write_bytes(np.array(version, "<i4").tobytes() + seen.tobytes() + np.concatenate(self.taken).tobytes())


def run(text: str, image: Tensor, numbers: Numbers) -> Tensor:
    """What the layer before the last section gives for pictures `(B, 3, H, W)`."""
    outputs: list[Tensor] = []
    x = image
    for place, (kind, options) in enumerate(parse(text)[1:-1]):
        if kind == "convolutional":
            x = convolution(x, options, numbers)
        elif kind == "maxpool":
            x = max_pool(x, int(options["size"]), int(options["stride"]))
        elif kind == "route":
            sources = [int(value) for value in options["layers"].split(",")]
            x = torch.cat([outputs[place + source if source < 0 else source] for source in sources], 1)
        elif kind == "reorg":
            x = reorg(x, int(options["stride"]))
        elif kind == "local":
            x = local(x, options, numbers)
        elif kind == "connected":
            count = int(options["output"])
            flat = x.flatten(1)
            bias = numbers.take(count, low=-0.5, high=0.5)
            scale = (3 / flat.shape[1]) ** 0.5
            weights = numbers.take(count, flat.shape[1], low=-scale, high=scale)
            x = activated(flat @ weights.T + bias, options)
        elif kind != "dropout":
            raise AssertionError(kind)
        outputs.append(x)
    return x


def convolution(x: Tensor, options: dict[str, str], numbers: Numbers) -> Tensor:
    count, size, channels = int(options["filters"]), int(options["size"]), x.shape[1]
    bias = numbers.take(count, low=-0.3, high=0.3)
    normalised = options.get("batch_normalize") == "1"
    if normalised:
        scales = numbers.take(count, low=0.7, high=1.3)
        mean = numbers.take(count, low=-0.2, high=0.2)
        variance = numbers.take(count, low=0.7, high=1.3)
    scale = (4 / (channels * size * size)) ** 0.5
    weights = numbers.take(count, channels, size, size, low=-scale, high=scale)
    x = F.conv2d(x, weights, stride=int(options["stride"]), padding=size // 2)
    if normalised:
        shape = (1, count, 1, 1)
        x = (x - mean.view(shape)) / torch.sqrt(variance.view(shape) + 1e-5) * scales.view(shape)
    return activated(x + bias.view(1, count, 1, 1), options)


def activated(x: Tensor, options: dict[str, str]) -> Tensor:
    return torch.where(x > 0, x, 0.1 * x) if options["activation"] == "leaky" else x


def max_pool(x: Tensor, size: int, stride: int) -> Tensor:
    """Padded at the right and at the bottom by `size - 1`."""
    padded = F.pad(x, (0, size - 1, 0, size - 1), value=-1e30)
    rows, columns = ((side + size - 1 - size) // stride + 1 for side in x.shape[-2:])
    windows = padded.unfold(2, size, stride).unfold(3, size, stride)[:, :, :rows, :columns]
    return windows.amax((-2, -1))


def reorg(x: Tensor, stride: int) -> Tensor:
    batch, channels, height, width = x.shape
    flat, out_channels = x.flatten().numpy(), channels // stride**2
    b, k, j, i = np.meshgrid(*(np.arange(side) for side in x.shape), indexing="ij")
    offset, channel = k // out_channels, k % out_channels
    column, row = i * stride + offset % stride, j * stride + offset // stride
    target = column + width * stride * (row + height * stride * (channel + out_channels * b))
    return torch.from_numpy(flat[target.ravel()]).view(batch, channels * stride**2, height // stride, width // stride)


def local(x: Tensor, options: dict[str, str], numbers: Numbers) -> Tensor:
    count, size, (channels, height, width) = int(options["filters"]), int(options["size"]), x.shape[1:]
    bias = numbers.take(count, height * width, low=-0.3, high=0.3)
    scale = (4 / (channels * size * size)) ** 0.5
    weights = numbers.take(height * width, count, channels, size, size, low=-scale, high=scale)
    padded = F.pad(x, (size // 2,) * 4)
    made = torch.zeros(len(x), count, height, width)
    for place in range(height * width):
        row, column = divmod(place, width)
        window = padded[:, :, row : row + size, column : column + size]
        made[:, :, row, column] = torch.einsum("bchw,nchw->bn", window, weights[place]) + bias[:, place]
    return activated(made, options)


def region(values: Tensor, options: dict[str, str], grid: tuple[int, int]) -> list[dict[str, Any]]:
    """The boxes of one picture's values `(A (5 + C), rows, columns)`: `cx cy w h` as shares, and class scores."""
    anchors = [float(value) for value in options["anchors"].split(",")]
    classes, boxes = int(options["classes"]), []
    for row in range(grid[0]):
        for column in range(grid[1]):
            for number in range(int(options["num"])):
                own = values[number * (5 + classes) : (number + 1) * (5 + classes), row, column]
                x, y = (column + torch.sigmoid(own[0])) / grid[1], (row + torch.sigmoid(own[1])) / grid[0]
                width = torch.exp(own[2]) * anchors[2 * number] / grid[1]
                height = torch.exp(own[3]) * anchors[2 * number + 1] / grid[0]
                scores = torch.sigmoid(own[4]) * torch.softmax(own[5:], 0)
                boxes.append({"box": [float(v) for v in (x, y, width, height)], "scores": scores})
    return boxes


def detection(values: Tensor, options: dict[str, str]) -> list[dict[str, Any]]:
    """The boxes of one picture's values, as `region` gives them."""
    side, num, classes = (int(options[key]) for key in ("side", "num", "classes"))
    boxes, cells = [], side * side
    for cell in range(cells):
        row, column = divmod(cell, side)
        for number in range(num):
            confidence = values[cells * classes + cell * num + number].clamp(0, 1)  # ours cuts both to 0..1
            start = cells * (classes + num) + (cell * num + number) * 4
            x, y, width, height = values[start : start + 4].tolist()
            box = [(column + x) / side, (row + y) / side, width**2, height**2]
            boxes.append({"box": box, "scores": confidence * values[cell * classes : (cell + 1) * classes].clamp(0, 1)})
    return boxes
