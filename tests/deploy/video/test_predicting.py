import gc
import weakref
from pathlib import Path

import pytest
import torch
from torch import Tensor

from delineate.data.preprocess import Preprocess
from delineate.deploy import Predictor, open_video
from delineate.deploy.video import reading
from delineate.system.catalog import build
from delineate.system.system import System
from delineate.values import Categories, Detections, InputError, LabelMap

from .films import film

CATEGORIES = Categories(class_names=("cat", "dog"), label_map_names=("cat", "dog"))


def made(name: str, **arguments: object) -> Predictor:
    torch.manual_seed(0)
    model = build(name, CATEGORIES, **arguments)
    system = System(
        name=name, model=model, arguments=arguments, categories=CATEGORIES, preprocess=Preprocess(size=model.input_size)
    )
    return Predictor(system)


@pytest.mark.parametrize("workers", [0, 2])
def test_frames_have_the_results_of_their_pictures(tmp_path: Path, workers: int) -> None:
    predictor = made("fcn_full_resolution", width=4, depth=2)
    torch.nn.init.zeros_(predictor.system.model.network[-1].bias)
    file = film(tmp_path / "film.mp4", 9)
    with open_video(file) as video:
        pictures = [frame.image for frame in video.frames()]
    found = list(predictor.predict_video(file, batch_size=2, workers=workers))
    assert [frame.number for frame in found] == list(range(9))
    for frame, picture, alone in zip(found, pictures, predictor(pictures), strict=True):
        assert torch.equal(frame.image, picture)
        assert isinstance(frame.prediction, LabelMap)
        assert torch.equal(frame.prediction.label_map, alone.label_map)


def test_objects_of_a_video_have_identities(tmp_path: Path) -> None:
    predictor = made("ssd", backbone="resnet10t", image_size=64)
    file = film(tmp_path / "film.mp4", 5)
    found = [frame.prediction for frame in predictor.predict_video(file, track=True, min_score=0.3, max_detections=3)]
    assert all(isinstance(frame, Detections) and frame.tracks is not None for frame in found)
    assert all(len(frame) <= 3 for frame in found)
    assert any(int(track) >= 0 for frame in found for track in frame.tracks)
    before = [frame.prediction for frame in predictor.predict_video(file, min_score=0.3)]
    assert all(frame.tracks is None for frame in before)


def test_label_maps_have_no_identities(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="track: identities are those of many objects, and this system finds the cl"):
        next(iter(made("fcn_full_resolution", width=4).predict_video(film(tmp_path / "a.mp4", 2), track=True)))


def test_memory_is_flat_over_a_long_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of frames and of results as many are there after hundreds as after tens."""
    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()
    upright = reading._upright

    def watched(frame: object) -> Tensor:
        image = upright(frame)  # type: ignore[arg-type]
        alive.add(image)
        return image

    monkeypatch.setattr(reading, "_upright", watched)
    predictor = made("fcn_full_resolution", width=2, depth=1)
    file = film(tmp_path / "film.mp4", 400, size=(32, 32))
    counts = []
    for frame in predictor.predict_video(file, workers=2):
        if frame.number % 100 == 50:
            gc.collect()
            counts.append(len(alive))
    assert len(counts) == 4
    assert max(counts) <= 2 * reading.AHEAD + 12
