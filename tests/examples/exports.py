"""Tiny exports of systems that nobody trained, and pictures for them: what the tests of the examples share."""

import shutil
from dataclasses import replace
from pathlib import Path

import jaxtyping
import torch
from PIL import Image
from tests.export.test_graph import decided
from tests.models.systems import CATEGORIES, TINY, Disks, pictures, system_of

from delineate.artefact.record import GRAPHS, VERDICT, read_record
from delineate.data.preprocess import Preprocess
from delineate.export.exporting import record_of, write_files, write_graph
from delineate.export.openvino import write_openvino
from delineate.system.catalog import build
from delineate.system.system import System
from delineate.values import Detections, Prediction

THRESHOLDS = {"score": 0.01, "nms_iou": 0.3, "max_detections": 5}
"""Each picture has a few objects."""


def small_system(name: str) -> System:
    """A tiny system, whose scores are far apart; where it takes any size, pictures are resized by their sides."""
    torch.manual_seed(0)
    model = None
    preprocess = Preprocess(short_side=72, long_side=96)
    if name == "keypoint_rcnn":  # boxes, masks and keypoints in one
        model = build(name, CATEGORIES, masks=True, fpn=False, **TINY[name])
        model.begin(Disks())
        model.keypoint_classes.fill_(True)  # untrained, it finds what it finds
        model.input_size = 72, 96  # a graph for any size takes far longer to write
    system = system_of(name, model)
    if system.model.input_size is None:
        system = system_of(name, system.model, preprocess)
    system, _ = decided(system)
    if system.task.labels == "label_map_names":  # no class wins everywhere
        last = system.model.get_submodule(next(iter(system.model.named_layers())))
        with torch.no_grad():
            last.bias -= system.model.eval()(*system.inputs(pictures(1)[0])).logits.mean((0, 2, 3))
    return system.with_thresholds(**THRESHOLDS) if system.reader.thresholds else system


def export(system: System, folder: Path) -> Path:
    """Write an export for ONNX Runtime, with a verdict that says nothing."""
    folder.mkdir()
    jaxtyping.config.update("jaxtyping_disable", True)  # shapes are symbols while a graph is traced
    try:
        outputs = write_graph(system, folder / GRAPHS["onnx"], "onnx")
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
    write_files(folder, record_of(system, outputs, "onnx", "fp32", file=folder / "best.safetensors"))
    (folder / VERDICT).write_text("{}", encoding="utf-8")
    return folder


def for_openvino(onnx: Path, folder: Path) -> Path:
    """Write the same export for OpenVINO."""
    folder.mkdir()
    write_openvino(onnx / GRAPHS["onnx"], folder / GRAPHS["openvino"])
    write_files(folder, read_record(onnx).model_copy(update={"target": "openvino"}))
    shutil.copy(onnx / VERDICT, folder)
    return folder


def sampled(folder: Path) -> tuple[Path, System]:
    """An export of a system that resizes pictures as torchvision's detectors have it, into floats, and the system."""
    system = small_system("ssd")
    system = replace(system, preprocess=replace(system.preprocess, resizing="sampled"))
    return export(system, folder), system


def check_found(names: list[str], scores: list[float], boxes: list[list[float]], expected: Prediction) -> None:
    """What a program finds in a picture is what is expected."""
    assert isinstance(expected, Detections)
    assert len(expected) > 0
    assert names == [CATEGORIES.class_names[label] for label in expected.labels]
    assert (torch.tensor(scores) - expected.scores).abs().max() < 0.02
    assert (torch.tensor(boxes) - expected.boxes).abs().max() < 1


def photo(file: Path, size: tuple[int, int]) -> Path:
    """Write a picture of `(height, width)`."""
    torch.manual_seed(1)
    Image.fromarray(pictures(1, size)[0][0].permute(1, 2, 0).numpy()).save(file)
    return file
