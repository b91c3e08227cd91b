import io
from collections import Counter
from collections.abc import Iterator
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
    data = (tmp_path / "a.png").read_bytes()
    kinds = [image, array, Image.fromarray(array), tmp_path / "a.png", str(tmp_path / "a.png"), tmp_path, data]
    [expected] = label_maps(predictor, image)
    assert expected.shape == (30, 40)
    assert expected.unique().numel() > 1
    for kind in kinds:
        [result] = label_maps(predictor, kind)
        assert torch.equal(result, expected)
    with (tmp_path / "a.png").open("rb") as file:
        assert torch.equal(label_maps(predictor, file)[0], expected)
    for result in label_maps(predictor, [*kinds, io.BytesIO(data)]):
        assert torch.equal(result, expected)


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


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"\0no picture", "picture 2: this is no picture"),
        (np.zeros((4, 4, 3), np.float32), "picture 2: array float32"),
        ("https://example.com/a.jpg", r"https://example\.com/a\.jpg: URLs are not fetched; pass a file, or the"),
        (Path("https://example.com/a.jpg"), "URLs are not fetched"),
    ],
)
@pytest.mark.parametrize("workers", [0, 2])
def test_errors_name_which_of_the_pictures(predictor: Predictor, bad: object, message: str, workers: int) -> None:
    mixed = [picture(8, 8), bad, picture(8, 8)]
    with pytest.raises(InputError, match=message):
        predictor(mixed, workers=workers)
    errors: list[InputError] = []
    assert len(predictor(mixed, workers=workers, unreadable=errors.append)) == 2
    assert len(errors) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_pictures_of_mixed_sizes_fill_batches_and_come_in_order(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    pictures = [picture(30, 40, number) if number % 2 else picture(40, 30, number) for number in range(16)]
    alone = [label_maps(predictor, image)[0] for image in pictures]
    sizes: list[tuple[int, ...]] = []
    find = System.find
    monkeypatch.setattr(System, "find", lambda self, inputs: sizes.append(inputs.images.shape) or find(self, inputs))
    found = list(predictor.predict(pictures, batch_size=4, workers=workers))
    assert Counter(sizes) == {(4, 3, 32, 24): 2, (4, 3, 24, 32): 2}, "batches are full"
    assert all(torch.equal(each.prediction.label_map, label_map) for each, label_map in zip(found, alone, strict=True))
    assert all(torch.equal(each.image, image) for each, image in zip(found, pictures, strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_few_pictures_are_in_memory_however_many_there_are(predictor: Predictor, workers: int) -> None:
    asked: list[int] = []

    def pictures() -> Iterator[Tensor]:
        for number in range(200):
            asked.append(number)
            yield picture(8, 9 if number else 30)  # the first one is of another size, and the others wait for it

    results = predictor.predict(pictures(), batch_size=2, workers=workers)
    for taken in range(1, 60):
        next(results)
        assert len(asked) <= taken + 4 * 2 + 2 + workers + 2 * 2
    results.close()


def test_threads_that_read_ahead_change_nothing(predictor: Predictor, tmp_path: Path) -> None:
    for number in range(7):
        Image.fromarray(picture(8, 9, number).permute(1, 2, 0).numpy()).save(tmp_path / f"{number}.png")
    alone = list(predictor.predict(tmp_path))
    ahead = list(predictor.predict(tmp_path, workers=2, batch_size=3))
    assert [each.file for each in ahead] == [each.file for each in alone]
    assert all(torch.equal(a.image, b.image) for a, b in zip(ahead, alone, strict=True))
    first = predictor.predict([*tmp_path.iterdir(), "nowhere.png"], workers=2)
    next(first)
    first.close()


@pytest.mark.parametrize("name", ["unet", "ssd", "mask_rcnn", "detr"])
def test_bfloat16_finds_nearly_the_same_in_float32(tmp_path: Path, name: str) -> None:
    arguments: dict[str, object] = {"backbone": "resnet10t"}
    arguments |= {"image_size": 64} if name == "ssd" else {"width": 32} if name != "unet" else {}
    model = build(name, CATEGORIES, **arguments)
    preprocess = Preprocess(size=model.input_size)
    system = System(name=name, model=model, arguments=arguments, categories=CATEGORIES, preprocess=preprocess)
    system.save(tmp_path / "best.safetensors")
    full, half = (Predictor.load(tmp_path, device="cpu", precision=kind) for kind in ("fp32", "bf16"))
    image = picture(64, 64)
    if name == "unet":
        assert (label_maps(full, image)[0] == label_maps(half, image)[0]).float().mean() > 0.9
    else:
        [exact], [near] = full(image, min_score=0.0), half(image, min_score=0.0)
        assert near.boxes.dtype == near.scores.dtype == torch.float32
        assert float(near.scores[0]) == pytest.approx(float(exact.scores[0]), abs=0.02)
        assert not torch.equal(near.boxes, exact.boxes), "it did compute in bfloat16"


def test_the_fastest_form_is_one_of_a_cpu(tmp_path: Path) -> None:
    for options in ({"device": "cuda"}, {"precision": "bf16"}):
        with pytest.raises(InputError, match=r"^optimise: it looks among every precision on a CPU"):
            Predictor.load(tmp_path, optimise="auto", **options)  # type: ignore[arg-type]
