"""What an hour of video takes: memory after each tenth of it, and frames a second.

    python benchmarks/long_video.py --out FOLDER [--minutes 60] [--no-track] [--json]

`Predictor.predict_video` of a synthetic video, with identities, results as lines and a drawn video, by an SSD on
ResNet-10-t at 96 x 96 with random weights: what is measured is memory. It is flat where the last row is the first one.
An hour of four small frames a second, 14,400, takes about 6 minutes on two cores. What is in the folder is not done
again: the film, and the figures; the hour itself is the memory of one process, and begins anew where that was stopped.
"""

import argparse
import json
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
from keeping import Figures, apart, kept, print_figures

RATE, SIZE, PARTS = 4.0, (120, 160), 10


def write_film(file: Path, num_frames: int) -> None:
    """Pan over a picture that is half as wide again."""
    wide = Synthetic(1, image_size=(SIZE[0], SIZE[1] * 3 // 2))[0].image
    with video_file(file, RATE) as write:
        for number in range(num_frames):
            left = number % (wide.shape[-1] - SIZE[1])
            write(wide[..., left : left + SIZE[1]], number / RATE)


def make_predictor() -> Predictor:
    """Build a small detector that finds a few things in every frame, as its weights are random."""
    torch.manual_seed(0)
    categories = Synthetic(1).categories
    arguments = {"backbone": "resnet10t", "image_size": 96}
    model = build("ssd", categories, **arguments)
    preprocess = Preprocess(size=model.input_size)
    return Predictor(System(name="ssd", model=model, categories=categories, preprocess=preprocess, arguments=arguments))


def predicted(out: Path, num_frames: int, track: bool) -> Figures:
    """Predict the film, and give the memory in MiB after each part of it."""
    film, process, predictor = out / f"film-{num_frames}.mp4", psutil.Process(), make_predictor()
    figures: Figures = {}
    began = time.perf_counter()
    with video_file(out / "drawn.mp4", RATE) as write, (out / "results.jsonl").open("w") as lines:
        for frame in predictor.predict_video(film, track=track, min_score=0.3):
            record = prediction_record(frame.prediction, predictor.categories, file="")
            lines.write(json.dumps(record) + "\n")
            write(draw_target(frame.image, frame.prediction, predictor.categories), frame.seconds)
            if (frame.number + 1) % (num_frames // PARTS) == 0:
                part = (frame.number + 1) // (num_frames // PARTS)
                figures[f"MiB after {part} of {PARTS}"] = process.memory_info().rss / 2**20
    return {"frames": num_frames, "frames a second": num_frames / (time.perf_counter() - began), **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the film and the results")
    parser.add_argument("--minutes", type=float, default=60.0, help="of the film")
    parser.add_argument("--track", action=argparse.BooleanOptionalAction, default=True, help="give objects identities")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    num_frames = max(2 * PARTS, round(60 * options.minutes * RATE))
    options.out.mkdir(parents=True, exist_ok=True)
    film = options.out / f"film-{num_frames}.mp4"
    if not film.exists():
        write_film(film.with_suffix(".part.mp4"), num_frames)
        film.with_suffix(".part.mp4").rename(film)
    name = f"{options.minutes:g}-minutes{'-tracked' * options.track}"
    figures = kept(options.out, name, lambda: apart(predicted, options.out, num_frames, options.track))
    rows = {key: {name: value} for key, value in figures.items()}
    print_figures(rows, (name,), {name: 1}, as_json=options.json)


if __name__ == "__main__":
    main()
