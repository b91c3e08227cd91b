from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from delineate.data.preprocess import Preprocess
from delineate.deploy import Predictor
from delineate.deploy.pictures import to_image
from delineate.system.catalog import build
from delineate.system.system import System
from delineate.values import Categories, InputError

NAMES = ("car", "tree", "sky")
CATEGORIES = Categories(class_names=NAMES, label_map_names=NAMES)
ARGUMENTS = {"width": 4, "depth": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    for name in ("best", "last"):
        model = build("fcn_full_resolution", CATEGORIES, **ARGUMENTS)
        torch.nn.init.zeros_(model.network[-1].bias)  # else one class wins everywhere
        System(
            name="fcn_full_resolution",
            model=model,
            arguments=ARGUMENTS,
            categories=CATEGORIES,
            preprocess=Preprocess(short_side=24),
        ).save(folder / f"{name}.safetensors")
    return folder


@pytest.fixture(scope="module")
def predictor(run: Path) -> Predictor:
    return Predictor.load(run, device="cpu")


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def label_maps(predictor: Predictor, pictures: object) -> list[Tensor]:
    return [prediction.label_map for prediction in predictor(pictures)]


def test_every_kind_of_picture_gives_the_same_result(predictor: Predictor, tmp_path: Path) -> None:
    image = picture(30, 40)
    array = image.permute(1, 2, 0).numpy()
    Image.fromarray(array).save(tmp_path / "a.png")
    kinds = [image, array, Image.fromarray(array), tmp_path / "a.png", str(tmp_path / "a.png"), tmp_path]
    [expected] = label_maps(predictor, image)
    assert expected.shape == (30, 40)
    assert expected.unique().numel() > 1
    for kind in kinds:
        [result] = label_maps(predictor, kind)
        assert torch.equal(result, expected)
    assert len(label_maps(predictor, kinds)) == len(kinds)


def test_gray_is_rgb_of_equal_channels(predictor: Predictor) -> None:
    gray = picture(20, 30)[0]
    [result] = label_maps(predictor, gray.numpy())
    [expected] = label_maps(predictor, gray.expand(3, -1, -1).contiguous())
    assert torch.equal(result, expected)


def test_results_come_in_order_and_do_not_depend_on_batch_mates(predictor: Predictor) -> None:
    pictures = [picture(30, 40, 1), picture(40, 30, 2), picture(30, 40, 3), picture(17, 90, 4), picture(60, 80, 5)]
    together = [predicted.prediction.label_map for predicted in predictor.predict(pictures, batch_size=4)]
    for image, result in zip(pictures, together, strict=True):
        assert torch.equal(result, label_maps(predictor, image)[0])


def test_a_folder_is_gone_through_lazily_sorted_and_deep(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("c.png", "a.png", "deep/b.png"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "z.jpg").write_bytes(b"broken, and never reached")
    results = predictor.predict(tmp_path)
    assert [Path(next(results).file).name for _ in range(3)] == ["a.png", "c.png", "b.png"]


def test_unreadable_pictures_raise_or_are_handed_over(predictor: Predictor, tmp_path: Path) -> None:
    Image.fromarray(picture(64, 64).permute(1, 2, 0).numpy()).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:2000])
    with pytest.raises(InputError, match=r"cut\.png"):
        predictor(tmp_path)
    errors: list[InputError] = []
    pictures = [tmp_path, tmp_path / "missing.png"]
    results = [Path(predicted.file).name for predicted in predictor.predict(pictures, unreadable=errors.append)]
    assert results == ["whole.png"]
    assert "cut.png" in str(errors[0])
    assert "missing.png" in str(errors[1])


def test_best_and_last_are_different_weights(predictor: Predictor, run: Path) -> None:
    last = Predictor.load(run, weights="last", device="cpu")
    by_file = Predictor.load(run / "last.safetensors", device="cpu")
    image = picture(30, 40)
    assert torch.equal(label_maps(last, image)[0], label_maps(by_file, image)[0])
    assert not torch.equal(label_maps(last, image)[0], label_maps(predictor, image)[0])


def test_a_picture_of_one_tile_is_not_tiled(predictor: Predictor) -> None:
    image = picture(40, 50)
    [tiled] = predictor(image, tile=(40, 64), overlap=8)
    assert torch.equal(tiled.label_map, label_maps(predictor, image)[0])


def test_a_label_map_has_no_scores(predictor: Predictor) -> None:
    with pytest.raises(
        InputError, match="score: fcn_full_resolution finds the class of every pixel, without scores; leave it out"
    ):
        predictor(picture(30, 40), min_score=0.5)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((4, 4, 4), np.uint8), r"\(4, 4, 4\)"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (torch.zeros(3, 4, 4), r"float32 \(3, 4, 4\)"),
    ],
)
def test_what_is_no_picture_is_refused(predictor: Predictor, bad: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        predictor(bad)


def test_what_is_no_run_is_refused(tmp_path: Path, run: Path) -> None:
    with pytest.raises(InputError, match="no such run"):
        Predictor.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"looked for best\.safetensors"):
        Predictor.load(tmp_path)
    with pytest.raises(InputError, match="warp"):
        Predictor.load(run, device="warp")


def test_an_empty_folder_is_said(predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no pictures in this folder.*\.jpg"):
        predictor(tmp_path)


def test_arrays_may_be_views_and_read_only() -> None:
    array = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    array.flags.writeable = False
    assert torch.equal(to_image(array[..., ::-1]), to_image(array).flip(0))
