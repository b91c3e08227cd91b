"""Darknet's files: the same numbers give what an independent reader of them gives."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.system.importers import darknet_reference as reference
from torch import Tensor

from delineate.models.one_stage import YOLOv1, YOLOv2
from delineate.models.one_stage.yolov2 import STRIDE, decode
from delineate.system.importers import import_darknet
from delineate.values import InputError, Thresholds

SIDE, CLASSES, ANCHORS = 128, 3, "1.08,1.19,  3.42,4.41,  6.63,11.38,  9.42,5.11,  16.62,10.52"


def conv(filters: int, size: int = 3, stride: int = 1, *, last: bool = False) -> str:
    normalised = "" if last else "batch_normalize=1\n"
    activation = "linear" if last else "leaky"
    options = f"filters={filters}\nsize={size}\nstride={stride}\npad=1\nactivation={activation}\n"
    return f"[convolutional]\n{normalised}{options}"


def pool(stride: int = 2) -> str:
    return f"[maxpool]\nsize=2\nstride={stride}\n"


def region() -> str:
    return f"[region]\nanchors = {ANCHORS}\nclasses={CLASSES}\ncoords=4\nnum=5\nsoftmax=1\nbias_match=1\nabsolute=1\n"


def detection(side: int, num: int) -> str:
    return f"[detection]\nclasses={CLASSES}\ncoords=4\nside={side}\nnum={num}\nsqrt=1\n"


def connected(output: int, activation: str = "linear") -> str:
    return f"[connected]\noutput= {output}\nactivation={activation}\n"


NET = f"[net]\n# Testing\nbatch=1\nheight={SIDE}\nwidth={SIDE}\nchannels=3\n"
NARROW = "".join(conv(width) + pool() for width in (16, 32, 64, 128, 256))
TURNS = {"128": [128, 64, 128], "256": [256, 128, 256], "512": [512, 256] * 2 + [512], "1024": [1024, 512] * 2 + [1024]}
DARKNET19 = (
    conv(32) + pool() + conv(64) + pool()
    + pool().join("".join(conv(w, 1 if i % 2 else 3) for i, w in enumerate(widths)) for widths in TURNS.values())
)  # fmt: skip
DARKNET24 = (
    conv(64, 7, 2) + pool() + conv(192) + pool()
    + conv(128, 1) + conv(256) + conv(256, 1) + conv(512) + pool()
    + (conv(256, 1) + conv(512)) * 4 + conv(512, 1) + conv(1024) + pool()
    + (conv(512, 1) + conv(1024)) * 2 + conv(1024) + conv(1024, 3, 2) + conv(1024) + conv(1024)
)  # fmt: skip
VALUES = 5 * (5 + CLASSES)
LOCAL = "[local]\nsize=3\nstride=1\npad=1\nfilters=32\nactivation=leaky\n[dropout]\nprobability=.5\n"
CFGS = {
    "yolov2": NET + DARKNET19 + conv(1024) * 2 + "[route]\nlayers=-9\n" + conv(64, 1) + "[reorg]\nstride=2\n"
    + "[route]\nlayers=-1,-4\n" + conv(1024) + conv(VALUES, 1, last=True) + region(),
    "tiny yolov2": NET + NARROW + conv(512) + pool(1) + conv(1024) + conv(512) + conv(VALUES, 1, last=True) + region(),
    "yolov1": NET + DARKNET24 + LOCAL + connected(4 * (CLASSES + 15)) + detection(2, 3),
    "the paper's yolov1": NET + DARKNET24 + connected(64, "leaky") + "[dropout]\nprobability=.5\n"
    + connected(4 * (CLASSES + 10)) + detection(2, 2),
    "tiny yolov1": NET + NARROW + conv(512) + pool() + conv(1024) + conv(256) + connected(4 * (CLASSES + 10))
    + detection(2, 2),
}  # fmt: skip


def picture(batch: int = 1) -> Tensor:
    coarse = torch.rand(batch, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    return torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear")


@pytest.fixture(scope="module", params=list(CFGS))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Tensor, Any]:
    """A .cfg, what the independent reader makes of a picture at random weights, and our system with those."""
    folder = tmp_path_factory.mktemp("darknet")
    text, numbers = CFGS[request.param], reference.Numbers(5)
    with torch.no_grad():
        values = reference.run(text, picture(), numbers)
    (folder / "yolo.cfg").write_text(text)
    numbers.write(folder / "yolo.weights")
    ours = import_darknet(folder / "yolo.cfg", folder / "yolo.weights").model.eval()
    (folder / "yolo.weights").unlink()  # hundreds of megabytes
    return text, values, ours


def test_the_network_gives_the_same_values(pair: tuple[str, Tensor, Any]) -> None:
    _, expected, ours = pair
    assert float(expected.std()) > 0.05
    with torch.no_grad():
        outputs = ours(picture())
    if isinstance(ours, YOLOv2):
        values = torch.cat([outputs.deltas, outputs.objectness[..., None], outputs.logits], 2)
        values = values.view(1, SIDE // STRIDE, SIDE // STRIDE, -1).permute(0, 3, 1, 2)
    else:
        assert isinstance(ours, YOLOv1)
        values = torch.cat([part.flatten(1) for part in outputs], 1)
    torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-4)


def test_the_detections_are_the_same(pair: tuple[str, Tensor, Any]) -> None:
    text, values, ours = pair
    options = reference.parse(text)[-1][1]
    if isinstance(ours, YOLOv2):
        theirs = reference.region(values[0], options, (SIDE // STRIDE, SIDE // STRIDE))
    else:
        theirs = reference.detection(values[0], options)
    thresholds = Thresholds(score=0.01, nms_iou=1.0, max_detections=10**5)
    reader, size = replace(ours.reader, thresholds=thresholds), (SIDE, SIDE)
    with torch.no_grad():
        (detections,) = reader.results(reader.find(ours(picture()), size), size, [size])
    expected = []
    for one in theirs:
        x, y, width, height = (SIDE * value for value in one["box"])
        corners = torch.tensor([x - width / 2, y - height / 2, x + width / 2, y + height / 2]).clamp(0, SIDE)
        if (corners[2:] - corners[:2] >= 1e-2).all():
            for label, score in enumerate(one["scores"].tolist()):
                if score > 0.01:
                    expected.append((score, label, corners.tolist()))
    assert len(detections) == len(expected) > 2
    expected.sort(key=lambda one: -one[0])
    torch.testing.assert_close(detections.scores, torch.tensor([one[0] for one in expected]), rtol=1e-4, atol=1e-5)
    mine = sorted(zip(detections.labels.tolist(), detections.boxes.round(decimals=1).tolist(), strict=True))
    sorted_expected = sorted((label, torch.tensor(box).round(decimals=1).tolist()) for _, label, box in expected)
    for (label, box), (expected_label, expected_box) in zip(mine, sorted_expected, strict=True):
        assert label == expected_label
        assert box == pytest.approx(expected_box, abs=0.21)


def opencv() -> Any:
    cv2 = pytest.importorskip("cv2")
    if not hasattr(cv2.dnn, "readNetFromDarknet"):
        pytest.skip("this OpenCV reads no Darknet files; its version 4 does")
    return cv2


@pytest.mark.parametrize("name", ["yolov2", "tiny yolov2"])
def test_the_same_as_opencv(name: str, tmp_path: Path) -> None:
    cv2 = opencv()
    numbers = reference.Numbers(11)
    with torch.no_grad():
        reference.run(CFGS[name], picture(), numbers)
    (tmp_path / "yolo.cfg").write_text(CFGS[name])
    numbers.write(tmp_path / "yolo.weights")
    theirs = cv2.dnn.readNetFromDarknet(str(tmp_path / "yolo.cfg"), str(tmp_path / "yolo.weights"))
    theirs.setInput(picture().numpy())
    rows = torch.from_numpy(theirs.forward())
    ours = import_darknet(tmp_path / "yolo.cfg", tmp_path / "yolo.weights").model.eval()
    assert isinstance(ours, YOLOv2)
    with torch.no_grad():
        outputs = ours(picture())
    boxes = decode(outputs)[0] / SIDE
    torch.testing.assert_close(rows[:, :2], (boxes[:, :2] + boxes[:, 2:]) / 2, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(rows[:, 2:4], boxes[:, 2:] - boxes[:, :2], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(rows[:, 4], outputs.objectness[0].sigmoid(), rtol=1e-3, atol=1e-3)
    scores = outputs.objectness[0].sigmoid()[:, None] * outputs.logits[0].softmax(-1)
    kept = rows[:, 5:] > 0  # theirs are thinned out
    assert kept.any()
    torch.testing.assert_close(rows[:, 5:][kept], scores[kept], rtol=1e-3, atol=1e-3)


TINY_V1 = CFGS["tiny yolov1"]


def files(folder: Path, text: str, numbers: reference.Numbers | None = None) -> tuple[Path, Path]:
    if numbers is None:
        numbers = reference.Numbers(0)
        with torch.no_grad():
            reference.run(TINY_V1, picture(), numbers)
    (folder / "yolo.cfg").write_text(text)
    numbers.write(folder / "yolo.weights")
    return folder / "yolo.cfg", folder / "yolo.weights"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("filters=512", "filters=500"), "of 500, size 3, stride 1 with batch_normalize, where this network has"),
        (("filters=16\n", "filters=24\n"), "begins with 24 filters of size 3, as no published YOLOv1 does"),
        (("[connected]", "[crop]"), r"\[crop\] is no layer of YOLOv1 or YOLOv2"),
        (("filters=512", "filters=many"), "filters=many, which is no number"),
        (("[net]", "[network2]"), r"does not begin with \[net\]"),
        (("stride=2", "stride"), r"'stride', is neither \[section\] nor option=value"),
        (("[detection]", "[yolo]"), r"ends with \[yolo\]; YOLOv1 ends with \[detection\]"),
    ],
)
def test_another_network_is_refused_with_file_and_line(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    cfg, weights = files(tmp_path, TINY_V1.replace(*change, 1))
    with pytest.raises(InputError, match=rf"yolo\.cfg: .*{message}"):
        import_darknet(cfg, weights)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    cfg, weights = files(tmp_path, TINY_V1)
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"yolo\.weights: [\d,]+ numbers, where the network of the \.cfg has"):
        import_darknet(cfg, weights)
    weights.write_bytes(b"abc")
    with pytest.raises(InputError, match=r"yolo\.weights: 0 numbers"):
        import_darknet(cfg, weights)


def test_an_older_header_and_class_names(tmp_path: Path) -> None:
    numbers = reference.Numbers(0)
    with torch.no_grad():
        expected = reference.run(TINY_V1, picture(), numbers)
    cfg, weights = files(tmp_path, TINY_V1)
    numbers.write(weights, (0, 1, 0))
    system = import_darknet(cfg, weights, class_names=["cat", "dog", "owl"])
    with torch.no_grad():
        outputs = system.model(picture())
    torch.testing.assert_close(outputs.classes.flatten(), expected[0, : 4 * CLASSES], rtol=1e-4, atol=1e-4)
    assert system.categories.class_names == ("cat", "dog", "owl")
    assert system.preprocess.size == (SIDE, SIDE)


def test_versions_above_1000_have_transposed_layers_and_a_short_header(tmp_path: Path) -> None:
    numbers = reference.Numbers(0)
    with torch.no_grad():
        expected = reference.run(TINY_V1, picture(), numbers)
    cfg, weights = files(tmp_path, TINY_V1)
    last = numbers.taken[-1].reshape(4 * (CLASSES + 10), -1)
    numbers.taken[-1] = last.T.ravel()
    numbers.write(weights, (1001, 0, 0))
    with torch.no_grad():
        outputs = import_darknet(cfg, weights).model(picture())
    torch.testing.assert_close(outputs.classes.flatten(), expected[0, : 4 * CLASSES], rtol=1e-4, atol=1e-4)


def test_another_activation_is_refused(tmp_path: Path) -> None:
    cfg, weights = files(tmp_path, TINY_V1.replace("leaky", "relu", 1))
    with pytest.raises(
        InputError, match=r"yolo\.cfg: line \d+: \[convolutional\] is relu, where this network is leaky"
    ):
        import_darknet(cfg, weights)


def test_a_cfg_of_nothing_is_refused(tmp_path: Path) -> None:
    cfg, weights = files(tmp_path, "[net]\n; nothing\n")
    with pytest.raises(InputError, match=r"yolo\.cfg: line 1: ends with \[net\]"):
        import_darknet(cfg, weights)
