"""Darknet's YOLOv1, YOLOv2 and their tiny forms are read into our own systems from a .cfg and a file of numbers.

The file is a header and then, layer by layer in the order of the .cfg, biases, the three other numbers of each batch
normalisation, and weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from delineate.data.files import read_text
from delineate.data.formats.voc.classes import VOC_NAMES
from delineate.data.preprocess import Preprocess
from delineate.models.one_stage import YOLOv1, YOLOv2
from delineate.models.one_stage.yolov1 import LocallyConnected
from delineate.system.catalog import build
from delineate.system.importers.class_names import NO_CLASS
from delineate.system.importers.class_names import class_names as names_of_classes
from delineate.system.system import System
from delineate.values import Categories, InputError

COCO = [name for name in FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"][1:] if name != NO_CLASS]
PUBLISHED = {len(VOC_NAMES): VOC_NAMES, len(COCO): COCO}
BACKBONES = {(7, 64): ("darknet24", "darknet24"), (3, 16): ("tiny_darknet", "tiny_darknet"), (3, 32): ("", "darknet19")}
"""Kernel size and channels of the first convolution tell the backbone of YOLOv1, and that of YOLOv2."""
UNLEARNED = ("maxpool", "route", "reorg", "dropout", "region", "detection")
LEARNED = ("convolutional", "local", "connected")


@dataclass(frozen=True)
class Section:
    """A .cfg has a `[kind]` with options on a line."""

    kind: str
    options: Mapping[str, str]
    line: int

    def number(self, option: str, default: int = 0) -> int:
        """Read a whole number; raises `InputError` naming line and option where it is none."""
        value = self.options.get(option, str(default))
        try:
            return int(value)
        except ValueError:
            raise InputError(f"line {self.line}: [{self.kind}] has {option}={value}, which is no number") from None


def import_darknet(cfg: Path, weights: Path, *, class_names: Sequence[str] | None = None) -> System:
    """Read Darknet's weights into our `yolov1` or `yolov2`.

    `class_names` are those of the file; if not given, VOC's where there are 20, COCO's where there are 80, else
    `class_1`, `class_2` and so on. Pictures are resized as a whole, which Darknet's later versions pad to a square.

    Raises `InputError` naming the file, and in the .cfg the line, for a network that is neither and for weights that do
    not fit it.
    """
    sections = read_cfg(cfg)
    try:
        return _import(sections, weights, class_names)
    except InputError as error:
        raise InputError(f"{cfg}: {error}" if str(error).startswith("line ") else str(error)) from None


def read_cfg(file: Path) -> list[Section]:
    """Read the sections of a .cfg; the first one is `[net]`."""
    sections: list[Section] = []
    for number, text in enumerate(read_text(file).splitlines(), 1):
        line = text.partition("#")[0].partition(";")[0].strip()
        if line.startswith("[") and line.endswith("]"):
            sections.append(Section(line[1:-1].strip(), {}, number))
        elif line:
            key, equals, value = line.partition("=")
            if not (sections and equals):
                raise InputError(f"{file}: line {number}, '{line[:40]}', is neither [section] nor option=value")
            assert isinstance(sections[-1].options, dict)
            sections[-1].options[key.strip()] = value.strip()
    if not sections or sections[0].kind not in ("net", "network"):
        raise InputError(f"{file}: does not begin with [net]; not a .cfg of Darknet")
    return sections


def _import(sections: Sequence[Section], weights: Path, class_names: Sequence[str] | None) -> System:
    net, layers, last = sections[0], sections[1:-1], sections[-1]
    if last.kind not in ("region", "detection"):
        raise InputError(
            f"line {last.line}: ends with [{last.kind}]; YOLOv1 ends with [detection], YOLOv2 with [region]"
        )
    for section in layers:
        if section.kind not in (*LEARNED, *UNLEARNED):
            raise InputError(f"line {section.line}: [{section.kind}] is no layer of YOLOv1 or YOLOv2")
    num_classes = last.number("classes", 20)
    names = names_of_classes(num_classes, PUBLISHED.get(num_classes, []), class_names)
    name, arguments = _arguments(net, layers, last)
    categories = Categories(class_names=tuple(names))
    model = build(name, categories, **arguments)
    _check_layers(model, [section for section in layers if section.kind in LEARNED])
    if isinstance(model, YOLOv2):
        model.anchors.copy_(_anchors(last, len(model.anchors)))
    _fill(model, weights)
    size = (net.number("height", 416), net.number("width", 416))
    return System(
        name=name,
        model=model.eval(),
        arguments=arguments,
        categories=categories,
        preprocess=Preprocess(size=size, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    )


def _arguments(net: Section, layers: Sequence[Section], last: Section) -> tuple[str, dict[str, Any]]:
    """Choose the system, and the options of the preset that give the .cfg's layers."""
    learned = [section for section in layers if section.kind in LEARNED]
    if len(learned) < 2 or learned[0].kind != "convolutional":
        raise InputError(f"line {last.line}: [{last.kind}] follows no convolutions")
    first = learned[0].number("size"), learned[0].number("filters")
    backbone = BACKBONES.get(first, ("", ""))[last.kind == "region"]
    if not backbone:
        raise InputError(
            f"line {learned[0].line}: begins with {first[1]} filters of size {first[0]}, as no published "
            f"YOLO{'v2' if last.kind == 'region' else 'v1'} does"
        )
    arguments: dict[str, Any] = {"backbone": backbone, "image_size": net.number("width", 416)}
    if last.kind == "region":
        passthrough = any(section.kind == "reorg" for section in layers)
        return "yolov2", {
            **arguments,
            "num_anchors": last.number("num", 5),
            "width": learned[-2].number("filters"),
            "passthrough": passthrough,
            "darknet_order": passthrough,
        }
    before = learned[-2]
    head = before.kind if before.kind in ("connected", "local") else "direct"
    arguments |= {"num_cells": last.number("side", 7), "num_boxes": last.number("num", 2), "head": head}
    if head != "direct":
        arguments["head_width"] = before.number("output" if head == "connected" else "filters")
    return "yolov1", arguments


def _anchors(region: Section, count: int) -> Tensor:
    try:
        values = torch.tensor([float(value) for value in region.options.get("anchors", "").split(",")])
        return values.view(count, 2)
    except (ValueError, RuntimeError):
        raise InputError(f"line {region.line}: anchors are not {count} pairs of numbers") from None


def _learned(model: nn.Module) -> Iterator[tuple[nn.Module, nn.BatchNorm2d | None]]:
    """List the layers with weights in Darknet's order, each with the batch normalisation behind it."""
    assert isinstance(model, YOLOv1 | YOLOv2)
    parts: list[nn.Module | None] = [model.backbone]
    if isinstance(model, YOLOv1):
        parts += [model.reduce, model.head]
    else:
        parts += [model.deep, model.passthrough, model.join, model.predict]
    modules = [module for part in parts if part is not None for module in part.modules()]
    for place, module in enumerate(modules):
        if isinstance(module, nn.Conv2d | nn.Linear | LocallyConnected):
            following = modules[place + 1] if place + 1 < len(modules) else None
            yield module, following if isinstance(following, nn.BatchNorm2d) else None


def _check_layers(model: nn.Module, sections: Sequence[Section]) -> None:
    """Raise `InputError` naming the first layer that is another one than our system has."""
    ours = [_described(module, norm) for module, norm in _learned(model)]
    for section, expected in zip(sections, ours, strict=False):
        normalised = " with batch_normalize" * bool(section.number("batch_normalize"))
        activation = section.options.get("activation", "logistic")
        linear = section is sections[-1]
        if activation != ("linear" if linear else "leaky"):
            ours_is = "linear" if linear else "leaky"
            raise InputError(f"line {section.line}: [{section.kind}] is {activation}, where this network is {ours_is}")
        layer = f"[{section.kind}] of {section.number('output' if section.kind == 'connected' else 'filters', 1)}"
        if section.kind == "convolutional":
            layer += f", size {section.number('size', 1)}, stride {section.number('stride', 1)}{normalised}"
        if layer != expected:
            raise InputError(f"line {section.line}: {layer}, where this network has {expected}")
    if len(sections) != len(ours):
        raise InputError(f"line {sections[-1].line}: {len(sections)} layers with weights, where ours has {len(ours)}")


def _described(module: nn.Module, norm: nn.BatchNorm2d | None) -> str:
    if isinstance(module, nn.Linear):
        return f"[connected] of {module.out_features}"
    if isinstance(module, LocallyConnected):
        return f"[local] of {len(module.bias)}"
    assert isinstance(module, nn.Conv2d)
    normalised = " with batch_normalize" if norm is not None else ""
    return (
        f"[convolutional] of {module.out_channels}, size {module.kernel_size[0]}, stride {module.stride[0]}{normalised}"
    )


def _fill(model: nn.Module, file: Path) -> None:
    """Put the file's numbers into the model; raises `InputError` where there are too few or too many."""
    if not file.is_file():
        raise InputError(f"{file}: no such file; give Darknet's .weights")
    raw = file.read_bytes()
    major, minor, _ = np.frombuffer(raw[:12].ljust(12, b"\0"), "<i4").tolist()
    transposed = major >= 1000 or minor >= 1000
    seen = 8 if 10 * major + minor >= 2 and not transposed else 4  # pictures seen, in 64 bits since version 0.2
    raw = raw[: len(raw) // 4 * 4]
    numbers = torch.from_numpy(np.frombuffer(raw, "<f4", offset=min(12 + seen, len(raw))).copy())
    targets = [target for module, norm in _learned(model) for target in _tensors(module, norm)]
    needed = sum(target.numel() for target in targets)
    if len(numbers) != needed:
        raise InputError(f"{file}: {len(numbers):,} numbers, where the network of the .cfg has {needed:,}")
    position = 0
    linear = {id(module.weight) for module in model.modules() if isinstance(module, nn.Linear)}
    for target in targets:
        values = numbers[position : position + target.numel()]
        position += target.numel()
        with torch.no_grad():
            if transposed and id(target) in linear:
                target.copy_(values.view(target.shape[1], target.shape[0]).T)
            else:
                target.copy_(values.view(target.shape))


def _tensors(module: nn.Module, norm: nn.BatchNorm2d | None) -> list[Tensor]:
    """List what Darknet keeps of a layer, in the order of the file."""
    assert isinstance(module.weight, Tensor)
    if norm is None:
        assert isinstance(module.bias, Tensor)
        return [module.bias, module.weight]
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return [norm.bias, norm.weight, norm.running_mean, norm.running_var, module.weight]
