"""What an hour of video takes: memory after each part of it, and frames a second.

Ours is `Predictor.predict_video` of a synthetic video, with results as lines and as a drawn video: the memory of the
process at its end. The peer is the same process after a tenth of the video; the ratio is 1 where memory is flat.
`--minutes 60` is an hour.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import psutil
import torch

from delineate.data import Synthetic
from delineate.data.preprocess import Preprocess
from delineate.deploy import Predictor, prediction_record
from delineate.deploy.video import video_file
from delineate.system.catalog import build
from delineate.system.system import System
from delineate.viz import draw_target
from timing import Row, print_rows


def write_film(file: Path, num_frames: int, rate: float, size: tuple[int, int]) -> None:
    """Pan over a picture that is half as wide again."""
    wide = Synthetic(1, image_size=(size[0], size[1] * 3 // 2))[0].image
    with video_file(file, rate) as write:
        for number in range(num_frames):
            left = number % (wide.shape[-1] - size[1])
            write(wide[..., left : left + size[1]], number / rate)


def make_predictor(name: str) -> Predictor:
    categories = Synthetic(1).categories
    model = build(name, categories)
    return Predictor(
        System(name=name, model=model, categories=categories, preprocess=Preprocess(size=model.input_size))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", default="ssd")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--rate", type=float, default=25.0)
    parser.add_argument("--size", type=int, nargs=2, default=(240, 320), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--track", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    num_frames = max(20, round(60 * arguments.minutes * arguments.rate))
    process, memory = psutil.Process(), []
    predictor = make_predictor(arguments.system)
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        write_film(film, num_frames, arguments.rate, tuple(arguments.size))
        began = time.perf_counter()
        with (
            video_file(Path(folder) / "drawn.mp4", arguments.rate) as write,
            (Path(folder) / "lines").open("w") as lines,
        ):
            for frame in predictor.predict_video(film, track=arguments.track):
                lines.write(json.dumps(prediction_record(frame.prediction, predictor.categories, file="")) + "\n")
                write(draw_target(frame.image, frame.prediction, predictor.categories), frame.seconds)
                if frame.number % (num_frames // 10) == num_frames // 10 - 1:
                    memory.append(process.memory_info().rss / 2**20)
        seconds = time.perf_counter() - began
    rate, nan = num_frames / seconds, float("nan")
    rows: list[Row] = [
        {"name": "memory at the end MiB", "ours": memory[-1], "peer": memory[0], "ratio": memory[0] / memory[-1]},
        {"name": f"{arguments.system} frames/s", "ours": rate, "peer": nan, "ratio": nan},
    ]
    print_rows(rows, as_json=arguments.json)


if __name__ == "__main__":
    main()
