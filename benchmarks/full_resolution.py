"""What never downsampling costs: time and memory of `fcn_full_resolution` against FCN-32s and U-Net.

At the same picture size: the forward pass, the training step, and the most memory that a training step takes, each
measured in a process of its own. Here "ours" is the encoder-decoder and "peer" the stack at full resolution, so a
ratio above 1 is what downsampling buys. The networks do not have the same capacity: see their FLOPs and parameters.
"""

import argparse
import multiprocessing
import resource
import statistics
import time
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from delineate.models.contract import Inputs
from delineate.models.segmentation import fcn32s, fcn_full_resolution, unet
from delineate.values import Target, truths_of
from timing import Row, print_rows

SYSTEMS = {"fcn_full_resolution": fcn_full_resolution, "fcn32s": fcn32s, "unet": unet}


def measure(name: str, size: tuple[int, int], repeats: int, pipe: Any) -> None:
    torch.manual_seed(0)
    model = SYSTEMS[name](num_classes=11).to(memory_format=torch.channels_last)
    images = torch.randn(1, 3, *size).contiguous(memory_format=torch.channels_last)
    targets = [Target(image_size=size, label_map=torch.randint(0, 11, size))]
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model.eval()(images)
    forwards, steps = [], []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(repeats):
        begin = time.perf_counter()
        sum(model.train().loss(Inputs(images), truths_of(targets)).values()).backward()
        steps.append(time.perf_counter() - begin)
        model.zero_grad()
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    with torch.inference_mode():
        model.eval()
        for _ in range(repeats):
            begin = time.perf_counter()
            model(images)
            forwards.append(time.perf_counter() - begin)
    pipe.send(
        {
            "forward, s": statistics.median(forwards),
            "forward and backward, s": statistics.median(steps),
            "memory of forward and backward, MiB": memory,
            "GFLOPs of a forward": counter.get_total_flops() / 1e9,
            "million parameters": sum(parameter.numel() for parameter in model.parameters()) / 1e6,
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=(360, 480), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    context = multiprocessing.get_context("spawn")
    found: dict[str, dict[str, float]] = {}
    for name in SYSTEMS:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=measure, args=(name, tuple(arguments.size), arguments.repeats, sender))
        process.start()
        found[name] = receiver.recv()
        process.join()
    full = found.pop("fcn_full_resolution")
    rows = [
        Row(name=f"{name} against full resolution: {what}", ours=value, peer=full[what], ratio=full[what] / value)
        for name, values in found.items()
        for what, value in values.items()
    ]
    print_rows(rows, as_json=arguments.json)


if __name__ == "__main__":
    main()
