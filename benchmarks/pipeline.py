"""`delineate predict` goes through many pictures beside its network alone: as fast as that, and with flat memory.

The command goes through `--num` JPEGs of 480 x 640; the peer is the network alone, of the same system, which is given
batches that are read, resized and normalised already. The command's first row begins with its first picture and the
second one with its start, importing torch included. Its memory is the most that the process has while the last hundred
pictures are done, and, as the peer, the first hundred. The system is `--run`, or an untrained SSD with a small
backbone. Pictures are synthetic ones with the noise of a camera, of which `--distinct` differ.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
import torch
from PIL import Image

from delineate.data import Synthetic, read_image
from delineate.data.preprocess import Preprocess
from delineate.deploy import Predictor
from delineate.system.catalog import build
from delineate.system.system import System
from timing import Row

SIZE = (480, 640)
NOISE = 12
BOTH_ENDS = 100
LOOK_EVERY = 0.05
MB = 2**20


class Look(NamedTuple):
    """So many pictures were done at a time, in seconds, and the process had so many bytes."""

    done: int
    at: float
    memory: int


def write_pictures(folder: Path, num: int, num_distinct: int) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{number:06d}.jpg" for number in range(num)]
    for file, sample in zip(files[:num_distinct], Synthetic(num_distinct, image_size=SIZE), strict=True):
        noisy = sample.image.float() + NOISE * torch.randn(sample.image.shape)
        pixels = noisy.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
        Image.fromarray(pixels.numpy()).save(file, quality=90)
    for number, file in enumerate(files[num_distinct:]):
        shutil.copyfile(files[number % num_distinct], file)
    return files


def write_system(folder: Path, backbone: str) -> Path:
    categories, arguments = Synthetic(1).categories, {"backbone": backbone}
    model = build("ssd", categories, **arguments)
    preprocess = Preprocess(size=model.input_size)
    file = folder / "best.safetensors"
    System(name="ssd", model=model, arguments=arguments, categories=categories, preprocess=preprocess).save(file)
    return file


@torch.inference_mode()
def network_rate(system: System, files: Sequence[Path], batch_size: int, seconds: float) -> float:
    """Measure the pictures a second of the network alone."""
    resized = [system.preprocess.resize(read_image(file)) for file in files]
    batches = [
        system.inputs(torch.stack(resized[first : first + batch_size]))
        for first in range(0, len(resized) - batch_size + 1, batch_size)
    ]
    for inputs in batches[:2]:
        system.find(inputs)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        found = system.find(batches[count % len(batches)])
        float(found[0].flatten()[:1].sum())  # a GPU is waited for
        count += 1
    return count * batch_size / (time.perf_counter() - start)


def watch(command: Sequence[str], results: Path) -> list[Look]:
    """Run the command, and look how far it is; the first line of its results is no picture."""
    looks, lines, read, start = [], 0, 0, time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        seen = psutil.Process(process.pid)
        while process.poll() is None:
            if results.exists():
                with results.open("rb") as opened:
                    opened.seek(read)
                    new = opened.read()
                lines, read = lines + new.count(b"\n"), read + len(new)
            looks.append(Look(max(0, lines - 1), time.perf_counter() - start, seen.memory_info().rss))
            time.sleep(LOOK_EVERY)
        looks.append(looks[-1]._replace(at=time.perf_counter() - start))
    if process.returncode:
        raise SystemExit(f"the command ended with {process.returncode}")
    return looks


def compared(looks: Sequence[Look], network: float, num: int) -> list[Row]:
    first = next(look for look in looks if look.done)
    last = next(look for look in looks if look.done == looks[-1].done)
    rate, whole = (last.done - first.done) / (last.at - first.at), num / looks[-1].at
    early = max(look.memory for look in looks if 0 < look.done <= max(BOTH_ENDS, first.done)) / MB
    late = max(look.memory for look in looks if look.done >= num - BOTH_ENDS and look.at <= last.at) / MB
    return [
        {"name": "pictures a second, once begun", "ours": rate, "peer": network, "ratio": rate / network},
        {"name": "pictures a second, with the start", "ours": whole, "peer": network, "ratio": whole / network},
        {"name": "memory of the last hundred, MB", "ours": late, "peer": early, "ratio": early / late},
    ]


def print_markdown(rows: Sequence[Row]) -> None:
    print("| | ours | peer | ratio |\n|---|---:|---:|---:|")
    for row in rows:
        print(f"| {row['name']} | {row['ours']:.4g} | {row['peer']:.4g} | {row['ratio']:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run, or an export, with boxes or label maps")
    parser.add_argument("--backbone", default="mobilenetv3_large_100", help="of the untrained SSD")
    parser.add_argument("--num", type=int, default=2000, help="pictures")
    parser.add_argument("--distinct", type=int, default=50)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--workers", type=int, help="the command's own choice if not given")
    parser.add_argument("--seconds", type=float, default=10, help="of the network alone, before and after")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_pictures(folder / "pictures", arguments.num, min(arguments.distinct, arguments.num))
        run = arguments.run or write_system(folder, arguments.backbone)
        system = Predictor.load(run).system
        command = [sys.executable, "-m", "delineate", "predict", str(run), str(folder / "pictures"), "--no-overlays"]
        command += ["--out", str(folder / "out"), "--batch-size", str(arguments.batch_size)]
        command += [] if arguments.workers is None else ["--workers", str(arguments.workers)]

        def alone() -> float:
            sample = files[: max(16, 2 * arguments.batch_size)]
            return network_rate(system, sample, arguments.batch_size, arguments.seconds)

        before, looks, after = alone(), watch(command, folder / "out" / "results.jsonl"), alone()

    rows = compared(looks, (before + after) / 2, arguments.num)
    if arguments.json:
        print(json.dumps(rows, indent=1))
    else:
        print_markdown(rows)


if __name__ == "__main__":
    main()
