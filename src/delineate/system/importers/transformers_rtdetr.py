"""The weights of Transformers' RT-DETR, its second version, and D-FINE are read into our own.

What differs: nothing but names, and that D-FINE keeps two numbers of which its steps are made. No file says how many
queries there are, nor the size of pictures: published ones have 300, and 640 x 640.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from delineate.data.preprocess import Preprocess
from delineate.models.queries.distribution import step_sizes
from delineate.system.catalog import build
from delineate.system.importers.class_names import NO_CLASS
from delineate.system.importers.class_names import class_names as names_of_classes
from delineate.system.system import System
from delineate.values import Categories, InputError

MARK = "model.enc_score_head.weight"
"""DETR has no such weight."""
COCO = [name for name in FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"][1:] if name != NO_CLASS]
RESNETS = {(2, 2): "resnet18vd", (2, 6): "resnet34vd", (3, 6): "resnet50d", (3, 23): "resnet101d"}
"""The convolutions of a block and the blocks of the third stage tell which ResNet it is."""
HGNETS = {
    (16, 16, 64): "hgnetv2_b0",
    (24, 32, 64): "hgnetv2_b1",
    (24, 32, 96): "hgnetv2_b2",
    (24, 32, 128): "hgnetv2_b3",
    (32, 48, 128): "hgnetv2_b4",
    (32, 64, 128): "hgnetv2_b5",
    (48, 96, 192): "hgnetv2_b6",
}
"""Channels of the first and the last layer of the stem, and of the first stage, tell which HGNetV2 it is."""
STEM = {"0.convolution": "conv1.0", "0.normalization": "conv1.1", "1.convolution": "conv1.3"}
STEM |= {"1.normalization": "conv1.4", "2.convolution": "conv1.6", "2.normalization": "bn1"}

Rules = Sequence[tuple[str, str]]
"""Of patterns from the left of a name, all that are found are replaced, one after another."""
CURRENT: Rules = (
    (r"\.out_proj\.", ".o_proj."),
    (r"encoder\.encoder\.(\d+)\.layers", r"encoder.aifi.\1.layers"),
    (r"(layers\.\d+)\.fc1\.", r"\1.mlp.fc1."),
    (r"(layers\.\d+)\.fc2\.", r"\1.mlp.fc2."),
    (r"^(class|bbox)_embed\.", r"model.decoder.\1_embed."),
    (r"^model\.", ""),
)
"""What Transformers calls weights since version 5, without `model.`."""
HGNET: Rules = (
    (r"^backbone\.model\.embedder\.", "backbone.body.stem."),
    (r"^backbone\.model\.encoder\.stages\.(\d)\.", r"backbone.body.stages_\1."),
    (r"\.convolution\.", ".conv."),
    (r"\.normalization\.", ".bn."),
)
RESNET: Rules = (
    *((rf"^backbone\.model\.embedder\.embedder\.{old}\.", f"backbone.body.{new}.") for old, new in STEM.items()),
    *(
        (
            rf"^backbone\.model\.encoder\.stages\.{stage}\.layers\.(\d+)\.layer\.{i}\.{old}\.",
            rf"backbone.body.layer{stage + 1}.\1.{new}{i + 1}.",
        )
        for stage in range(4)
        for i in range(3)
        for old, new in (("convolution", "conv"), ("normalization", "bn"))
    ),
    *(
        (
            rf"^backbone\.model\.encoder\.stages\.{stage}\.layers\.0\.shortcut\.(1\.)?{old}\.",
            f"backbone.body.layer{stage + 1}.0.downsample.{new}.",
        )
        for stage in range(4)
        for old, new in (("convolution", 1), ("normalization", 2))
    ),
)
ENCODER: Rules = (
    (r"^encoder_input_proj\.", "encoder.project."),
    (r"^encoder\.aifi\.0\.layers\.0\.", "encoder.attend."),
    (r"^encoder\.lateral_convs\.", "encoder.before."),
    (r"^encoder\.fpn_blocks\.", "encoder.fuse_down."),
    (r"^encoder\.pan_blocks\.", "encoder.fuse_up."),
    (r"^encoder\.downsample_convs\.(\d)\.conv1\.", r"encoder.shrink.\1.0."),
    (r"^encoder\.downsample_convs\.(\d)\.conv2\.", r"encoder.shrink.\1.1."),
    (r"^encoder\.downsample_convs\.", "encoder.shrink."),
    (r"\.csp_rep1\.", ".steps.0.0."),
    (r"\.csp_rep2\.", ".steps.1.0."),
    (r"\.bottlenecks\.(\d)\.conv1\.", r".blocks.\1.wide."),
    (r"\.bottlenecks\.(\d)\.conv2\.", r".blocks.\1.narrow."),
)
FUSIONS: Mapping[str, Rules] = {
    "csp": ((r"^(encoder\.fuse_\w+\.\d)\.conv", r"\1.csp"),),
    "elan": (
        (r"^(encoder\.fuse_\w+\.\d)\.conv1\.", r"\1.split."),
        (r"^(encoder\.fuse_\w+\.\d)\.conv2\.", r"\1.steps.0.1."),
        (r"^(encoder\.fuse_\w+\.\d)\.conv3\.", r"\1.steps.1.1."),
        (r"^(encoder\.fuse_\w+\.\d)\.conv4\.", r"\1.join."),
        (r"(\.steps\.\d\.0)\.conv", r"\1.csp"),
    ),
}
REST: Rules = (
    *((rf"\.csp{i}\.", f".{name}.") for i, name in ((1, "long"), (2, "short"), (3, "out"))),
    (r"^(encoder\..*)\.conv\.", r"\1.0."),
    (r"^(encoder\..*)\.norm\.", r"\1.1."),
    *((rf"\.self_attn\.{new[0]}_proj\.", f".attention.{new}.") for new in ("query", "key", "value", "out")),
    (r"\.self_attn_layer_norm\.", ".attention_norm."),
    (r"\.encoder_attn_layer_norm\.", ".join.norm."),
    (r"\.gateway\.", ".join."),
    (r"\.encoder_attn\.sampling_offsets\.", ".look.offset."),
    (r"\.encoder_attn\.attention_weights\.", ".look.weigh."),
    (r"\.encoder_attn\.value_proj\.", ".look.value."),
    (r"\.encoder_attn\.output_proj\.", ".look.out."),
    (r"\.mlp\.(fc1|layers\.0)\.", ".feed_forward.enlarge."),
    (r"\.mlp\.(fc2|layers\.1)\.", ".feed_forward.shrink."),
    (r"\.final_layer_norm\.", ".feed_forward_norm."),
    (r"^denoising_class_embed\.", "denoising.labels."),
    (r"^enc_output\.", "selection.prepare."),
    (r"^enc_score_head\.", "selection.classify."),
    (r"^enc_bbox_head\.", "selection.regress."),
    (r"^decoder_input_proj\.", "bridge."),
    (r"^decoder\.query_pos_head\.", "decoder.place."),
    (r"^decoder\.pre_bbox_head\.", "decoder.begin."),
    (r"^decoder\.lqe_layers\.(\d)\.reg_conf\.", r"decoder.quality.\1.judge."),
    (r"^decoder\.class_embed\.", "decoder.classify."),
    (r"^decoder\.bbox_embed\.", "decoder.regress."),
)
UNUSED = re.compile(r"points_scale$|^decoder\.(up|reg_scale)$")


def import_rtdetr(file: Path, foreign: Mapping[str, Tensor], *, class_names: Sequence[str] | None = None) -> System:
    """Make a system of the weights that `file` has; raises `InputError` where they or the names do not fit."""
    theirs = {renamed(key, CURRENT): value for key, value in foreign.items()}
    names = names_of_classes(len(theirs["enc_score_head.bias"]), COCO, class_names)
    try:
        arguments = _arguments(file, theirs)
        model = build("rtdetr", Categories(class_names=tuple(names)), **arguments)
        rules = (*(HGNET if arguments["backbone"] in HGNETS.values() else RESNET), *ENCODER)
        rules = (*rules, *FUSIONS[arguments["fusion"]], *REST)
        counters = {key: value for key, value in model.state_dict().items() if key.endswith("num_batches_tracked")}
        weights = {renamed(key, rules): value for key, value in theirs.items() if not UNUSED.search(key)}
        model.load_state_dict({**counters, **_steps(theirs), **weights})
    except (KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[min(1, str(error).count("\n"))].strip()
        raise InputError(f"{file}: does not fit RT-DETR ({reason})") from error
    size = arguments["image_size"]
    return System(
        name="rtdetr",
        model=model.eval(),
        arguments=arguments,
        categories=Categories(class_names=tuple(names)),
        preprocess=Preprocess(size=(size, size), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    )


def renamed(key: str, rules: Rules) -> str:
    """Follow the rules from the first to the last."""
    for pattern, name in rules:
        key = re.sub(pattern, name, key)
    return key


def _arguments(file: Path, theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the options of the network from the sizes of the weights."""
    elan = "encoder.fpn_blocks.0.csp_rep1.conv1.conv.weight" in theirs
    fused = "encoder.fpn_blocks.0." + ("csp_rep1." if elan else "")
    return {
        "backbone": _backbone(file, theirs),
        "image_size": 640,
        "num_queries": 300,
        "width": len(theirs["enc_output.0.weight"]),
        "num_layers": _count(theirs, "decoder.layers."),
        "box_head": "distribution" if "decoder.pre_bbox_head.layers.0.weight" in theirs else "direct",
        "fusion": "elan" if elan else "csp",
        "fusion_width": len(theirs[f"{fused}conv1.conv.weight"]),
        "fusion_depth": _count(theirs, f"{fused}bottlenecks."),
        "frozen_norm": True,
    }


def _backbone(file: Path, theirs: Mapping[str, Tensor]) -> str:
    """Name the backbone in timm."""
    body = "backbone.model."
    if f"{body}embedder.stem1.convolution.weight" in theirs:
        layers = ("embedder.stem1", "embedder.stem4", "encoder.stages.0.blocks.0.aggregation.1")
        channels = tuple(len(theirs[f"{body}{layer}.convolution.weight"]) for layer in layers)
        if channels in HGNETS:
            return HGNETS[channels]
        raise InputError(f"{file}: a backbone of {', '.join(map(str, channels))} channels is no HGNetV2 of timm")
    depth = tuple(_count(theirs, f"{body}encoder.stages.{layers}.") for layers in ("0.layers.0.layer", "2.layers"))
    if depth in RESNETS:
        return RESNETS[depth]
    raise InputError(f"{file}: its backbone is none of {', '.join((*RESNETS.values(), *HGNETS.values()))}")


def _count(theirs: Mapping[str, Tensor], prefix: str) -> int:
    return len({key.removeprefix(prefix).split(".")[0] for key in theirs if key.startswith(prefix)})


def _steps(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Make the steps of D-FINE's edges of the two numbers that it keeps."""
    if "decoder.up" not in theirs:
        return {}
    farthest, scale = (float(theirs[f"decoder.{name}"].flatten()[0].abs()) for name in ("up", "reg_scale"))
    return {"decoder.steps": step_sizes(farthest, scale), "decoder.scale": torch.tensor(scale)}
