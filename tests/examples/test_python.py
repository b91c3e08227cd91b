"""The program that has no torch gives what delineate gives."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from faster_coco_eval.core import mask as coco_masks
from PIL import Image
from pydantic import TypeAdapter
from tests.examples.exports import export, photo, sampled, small_system
from tests.models.systems import CATEGORIES
from torch.nn import functional as F

from delineate.data.preprocess import Preprocess
from delineate.deploy import Predictor
from delineate.export.agreement import Agreement, Closeness
from delineate.models.contract import Rows
from delineate.models.two_stage.detector import TwoStageReader
from delineate.ops.masks import RLE
from delineate.system.system import System
from delineate.values import Detections, LabelMap

PROGRAM = Path(__file__).parents[2] / "examples" / "python" / "predict.py"
WITHOUT_TORCH = """
import runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
assert not {"torch", "delineate"} & set(sys.modules)
"""
CLOSE = Closeness(iou=0.98, score=0.02, mask_iou=0.95, keypoint=0.02, objects=0, pixels=0.01)
SIZES = [(130, 171), (150, 99)]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("fcn_full_resolution", ()),
        ("localizer", ("boxes",)),
        ("pose_regressor", ("boxes", "keypoints")),
        ("keypoint_rcnn", ("boxes", "rles", "keypoints")),
    ],
)
def test_a_system_of_each_kind_predicts_without_torch(name: str, fields: tuple[str, ...], tmp_path: Path) -> None:
    system = small_system(name)
    sizes = [(72, 96)] if name == "keypoint_rcnn" else SIZES  # a pixel of another shade turns NMS that learned nothing
    check(system, export(system, tmp_path / "export"), sizes, fields, tmp_path)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_boxes_are_found_without_torch_in_both_runtimes(runtime: str, ssd: dict[str, Path], tmp_path: Path) -> None:
    check(small_system("ssd"), ssd[runtime], SIZES, ("boxes",), tmp_path)


def test_boxes_are_found_without_torch_in_pictures_of_floats(tmp_path: Path) -> None:
    export, system = sampled(tmp_path / "export")
    check(system, export, SIZES, ("boxes",), tmp_path)


@pytest.mark.parametrize("size", [(130, 171), (50, 33), (73, 97)])
@pytest.mark.parametrize("resizing", ["smooth", "sampled"])
@pytest.mark.parametrize("sides", [{"short_side": 72, "long_side": 96}, {"size": (48, 60)}, {}])
def test_pictures_are_taken_as_the_run_takes_them(
    size: tuple[int, int], resizing: Literal["smooth", "sampled"], sides: dict[str, Any], tmp_path: Path
) -> None:
    preprocess = Preprocess(resizing=resizing, **sides)
    facts = json.loads(TypeAdapter(Preprocess).dump_json(preprocess))
    record = {"preprocess": facts, "pictures": "float32" if resizing == "sampled" else "uint8"}
    picture = Image.open(photo(tmp_path / "a.png", size))
    taken = runpy.run_path(str(PROGRAM))["taken"](picture, record)
    expected = preprocess.resize(torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)).numpy()
    assert taken.shape == expected.shape
    assert taken.dtype == expected.dtype == record["pictures"]
    assert np.abs(taken - expected.astype(float)).max() <= (1 if resizing == "smooth" else 0.01)


def check(system: System, folder: Path, sizes: list[tuple[int, int]], fields: tuple[str, ...], out: Path) -> None:
    """The program's lines say of pictures of these sizes what the system says, and have these fields."""
    files = [photo(out / f"{height}.png", (height, width)) for height, width in sizes]
    lines = predict(folder, *files, "--out", out)
    agreement = Agreement(close=CLOSE, thresholds=system.reader.thresholds, floor=0.0)
    for file, line, expected in zip(files, lines, Predictor(system)(files), strict=True):
        assert line["file"] == str(file)
        found = read(line)
        assert all(getattr(found, field) is not None for field in fields)
        agreement.add(found, expected, file.name)
        assert not isinstance(found, LabelMap) or len(found.label_map.unique()) > 1
    assert agreement.count >= len(fields[:1]) * len(files)
    assert max(agreement.shares.values()) <= (CLOSE.objects if fields else CLOSE.pixels), agreement.example


def predict(*given: str | Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-c", WITHOUT_TORCH, PROGRAM, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def read(line: dict[str, Any]) -> Detections | LabelMap:
    """What the program says of a picture, as delineate's own value."""
    if "label_map" in line:
        return LabelMap(label_map=torch.from_numpy(np.array(Image.open(line["label_map"]))).long())
    found, size = line["objects"], (line["size"][0], line["size"][1])
    keypoints = visibility = rles = None
    if any("keypoints" in one for one in found):
        nowhere = {name: [0.0, 0.0] for name in CATEGORIES.keypoint_names}
        keypoints = torch.tensor([list(one.get("keypoints", nowhere).values()) for one in found])
        visibility = torch.tensor([[2 * ("keypoints" in one)] * len(nowhere) for one in found])
    if any("mask" in one for one in found):
        compressed = [coco_masks.frPyObjects(one["mask"], *size) for one in found]
        rles = [RLE(size=list(size), counts=rle["counts"].decode()) for rle in compressed]
    return Detections(
        image_size=size,
        boxes=torch.tensor([one["box"] for one in found]).view(-1, 4),
        labels=torch.tensor([CATEGORIES.class_names.index(one["name"]) for one in found], dtype=torch.int64),
        scores=torch.tensor([one["score"] for one in found]),
        rles=rles,
        keypoints=keypoints,
        visibility=visibility,
    )


def test_rows_are_read_as_the_reader_reads_them() -> None:
    size, original = (60, 80), (90, 128)
    corners = torch.rand(12, 2) * torch.tensor([60.0, 40.0])
    boxes = torch.cat([corners, (corners + 0.2 + 40 * torch.rand(12, 2)).minimum(torch.tensor([80.0, 60.0]))], 1)
    smooth = F.interpolate(torch.rand(1, 12, 5, 5), (28, 28), mode="bicubic")[0].clamp(0, 1)
    rows = Rows(
        boxes=boxes,
        scores=torch.cat([torch.linspace(0.9, 0.1, 10), -torch.ones(2)]),
        labels=torch.arange(12) % 2,
        masks=smooth,
        heatmaps=torch.randn(12, 3, 14, 14),
        posed=torch.arange(12) % 3 > 0,
    )
    batch = Rows._make(None if value is None else value[None] for value in rows)
    expected = TwoStageReader().results(batch, size, [original])[0]
    arrays = {name: value.numpy() for name, value in rows._asdict().items() if value is not None}
    record = {"categories": {"class_names": CATEGORIES.class_names, "keypoint_names": CATEGORIES.keypoint_names}}
    objects = list(runpy.run_path(str(PROGRAM))["objects"](arrays, size, original, record))
    found = read({"size": original, "objects": objects})
    assert isinstance(found, Detections)
    assert found.masks is not None
    assert expected.masks is not None
    torch.testing.assert_close(found.boxes, expected.boxes)
    torch.testing.assert_close(found.keypoints, expected.keypoints)
    assert torch.equal(found.labels, expected.labels)
    assert (found.masks != expected.masks).sum((1, 2)).max() <= 2
    assert expected.masks.any()
