"""What never making a mask of the picture's size buys: from masks of boxes straight to run lengths.

Ours is `paste_masks`; the peer is torchvision's `paste_masks_in_image`, `> 0.5`, and the encoder of faster-coco-eval.
The same `--num` smooth 28 x 28 masks, boxes log-uniform between 32 and 600 pixels, on a picture of `--size`. Memory is
the peak of one call over what a process of its own held after a call on a small picture; below 1 MiB is called 1.
"""

import argparse
import math
import multiprocessing
import resource
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.models.detection.roi_heads import paste_masks_in_image

from delineate.ops import RLE, decode_rle, encode_rle
from delineate.ops.pasting import paste_masks
from timing import Row, interleaved, print_rows


def paste_as_torchvision(probabilities: Tensor, boxes: Tensor, size: tuple[int, int]) -> list[RLE]:
    return encode_rle(paste_masks_in_image(probabilities[:, None], boxes, size)[:, 0] > 0.5)


SIDES: dict[str, Callable[[Tensor, Tensor, tuple[int, int]], list[RLE]]] = {
    "ours": paste_masks,
    "peer": paste_as_torchvision,
}


def instances(num: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    coarse = torch.randn(num, 1, 7, 7, generator=draw)
    probabilities = F.interpolate(coarse, size=(28, 28), mode="bicubic").mul(2).sigmoid()[:, 0].contiguous()
    sides = torch.empty(num, 2).uniform_(math.log(32), math.log(600), generator=draw).exp()
    sides = sides.minimum(torch.tensor(size[::-1]))
    corners = torch.rand(num, 2, generator=draw) * (torch.tensor(size[::-1]) - sides)
    return probabilities, torch.cat([corners, corners + sides], dim=1)


def measure(side: str, num: int, size: tuple[int, int], pipe: Any) -> None:
    SIDES[side](*instances(2, (64, 64)), (64, 64))
    inputs = instances(num, size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    SIDES[side](*inputs, size)
    pipe.send(max((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, 1.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=100)
    parser.add_argument("--size", type=int, nargs=2, default=(1080, 1920), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    size = tuple(arguments.size)

    # Memory first: a process begins with the peak of the one that started it.
    context = multiprocessing.get_context("spawn")
    memory: dict[str, float] = {}
    for side in SIDES:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=measure, args=(side, arguments.num, size, sender))
        process.start()
        memory[side] = receiver.recv()
        process.join()
    probabilities, boxes = instances(arguments.num, size)
    results = {side: run(probabilities, boxes, size) for side, run in SIDES.items()}
    differing = sum(
        int((decode_rle([ours], size) != decode_rle([peer], size)).sum())
        for ours, peer in zip(results["ours"], results["peer"], strict=True)
    )
    rows = [
        interleaved(
            f"{arguments.num} masks, s",
            lambda: SIDES["ours"](probabilities, boxes, size),
            lambda: SIDES["peer"](probabilities, boxes, size),
            arguments.repeats,
        ),
        Row(name="peak memory, MiB", **memory, ratio=memory["peer"] / memory["ours"]),
    ]
    if not arguments.json:
        print(f"pixels that differ: {differing} of {arguments.num * math.prod(size)}")
    print_rows(rows, as_json=arguments.json)


if __name__ == "__main__":
    main()
