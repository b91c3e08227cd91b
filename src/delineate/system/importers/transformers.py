"""The weights of Transformers' DETR are read into our own; `transformers_rtdetr` reads those of RT-DETR and D-FINE.

What differs: their class ids are COCO's, which begin at 1 and have gaps; here those classes go. Their batch norms are
frozen. "No object" is the last logit in both.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from delineate.data.preprocess import Preprocess
from delineate.nn.backbones import read_weights
from delineate.system.catalog import build
from delineate.system.importers.class_names import NO_CLASS
from delineate.system.importers.class_names import class_names as names_of_classes
from delineate.system.importers.transformers_rtdetr import MARK, import_rtdetr
from delineate.system.system import System
from delineate.values import Categories, InputError

COCO = [NO_CLASS, *FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"][1:]]
"""The ids are the rows; COCO's begin at 1."""
BLOCKS = {6: "resnet50", 23: "resnet101"}
"""The blocks of the third stage tell which ResNet it is."""
BODY = "model.backbone.conv_encoder.model."
ATTENTION = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "out"}
LAYER = {
    **{f"self_attn.{foreign}.": f"attention.{ours}." for foreign, ours in ATTENTION.items()},
    **{f"encoder_attn.{foreign}.": f"cross_attention.{ours}." for foreign, ours in ATTENTION.items()},
    "self_attn_layer_norm.": "attention_norm.",
    "encoder_attn_layer_norm.": "cross_attention_norm.",
    "fc1.": "feed_forward.enlarge.",
    "fc2.": "feed_forward.shrink.",
    "final_layer_norm.": "feed_forward_norm.",
}
RENAMED = {
    BODY: "backbone.body.",
    "model.input_projection.": "project.",
    "model.decoder.layernorm.": "transformer.norm.",
    "class_labels_classifier.": "classify.",
    **{f"bbox_predictor.layers.{i}.": f"regress.{i}." for i in range(3)},
}
QUERIES = "model.query_position_embeddings.weight"


def import_transformers(file: Path, *, class_names: Sequence[str] | None = None) -> System:
    """Read weights of Transformers in `file` (.safetensors or .bin) into our DETR or RT-DETR.

    They are those of `DetrForObjectDetection`, `RTDetrForObjectDetection`, `RTDetrV2ForObjectDetection` or
    `DFineForObjectDetection`. `class_names` are those of the file without "no object"; if not given, COCO's where there
    are 91 of them, in RT-DETR 80, else `class_1`, `class_2` and so on. Raises `InputError` for a file or names that do
    not fit.
    """
    foreign = read_weights(file)
    if MARK in foreign:
        return import_rtdetr(file, foreign, class_names=class_names)
    foreign = {_published_name(key): value for key, value in foreign.items()}
    needed = (QUERIES, "class_labels_classifier.bias", f"{BODY}conv1.weight")
    for key in needed:
        if key not in foreign:
            raise InputError(f"{file}: no weight '{key}'; not Transformers' DETR with a ResNet of timm")
    names = names_of_classes(len(foreign["class_labels_classifier.bias"]) - 1, COCO, class_names)
    kept = [row for row, name in enumerate(names) if name != NO_CLASS]
    categories = Categories(class_names=tuple(names[row] for row in kept))
    arguments = _arguments(file, foreign)
    model = build("detr", categories, **arguments)
    try:
        model.load_state_dict({**_counters(model), **_translated(foreign, kept)})
    except RuntimeError as error:
        raise InputError(f"{file}: does not fit DETR ({str(error).splitlines()[1].strip()})") from error
    return System(
        name="detr",
        model=model.eval(),
        arguments=arguments,
        categories=categories,
        preprocess=Preprocess(short_side=800, long_side=1333),
    )


def _published_name(key: str) -> str:
    """Find what the published files call a weight, which Transformers has renamed since version 5."""
    if key.startswith("model.backbone.model."):
        return BODY + key.removeprefix("model.backbone.model.")
    return key.replace(".o_proj.", ".out_proj.").replace(".mlp.fc", ".fc")


def _arguments(file: Path, foreign: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the options of the network from the sizes of the weights."""
    blocks = {key.removeprefix(f"{BODY}layer3.").split(".")[0] for key in foreign if key.startswith(f"{BODY}layer3.")}
    if len(blocks) not in BLOCKS:
        raise InputError(f"{file}: a backbone of {len(blocks)} blocks in its third stage is neither ResNet-50 nor -101")
    num_queries, width = foreign[QUERIES].shape
    layers = {key.split(".")[3] for key in foreign if key.startswith("model.decoder.layers.")}
    return {
        "backbone": BLOCKS[len(blocks)],
        "num_queries": num_queries,
        "width": width,
        "num_layers": len(layers),
        "frozen_norm": True,
    }


def _translated(foreign: Mapping[str, Tensor], kept: Sequence[int]) -> dict[str, Tensor]:
    """Put their weights under our names, of the classes that are kept."""
    weights = {"queries.weight": foreign[QUERIES].clone()}
    for key, value in foreign.items():
        name = _our_name(key)
        if name is not None:
            weights[name] = value.clone()
    for kind in ("weight", "bias"):
        scores = weights[f"classify.{kind}"]
        weights[f"classify.{kind}"] = scores[torch.tensor([*kept, len(scores) - 1])]
    return weights


def _our_name(key: str) -> str | None:
    for old, new in RENAMED.items():
        if key.startswith(old):
            return new + key.removeprefix(old)
    parts = key.split(".", 4)
    if len(parts) == 5 and parts[0] == "model" and parts[2] == "layers":
        part, number, rest = parts[1], parts[3], parts[4]
        for old, new in LAYER.items():
            if rest.startswith(old):
                return f"transformer.{part}.{number}.{new}{rest.removeprefix(old)}"
    return None if key == QUERIES else key


def _counters(model: torch.nn.Module) -> dict[str, Tensor]:
    """Take the batch norms' counts of steps, which frozen norms have not."""
    return {key: value for key, value in model.state_dict().items() if key.endswith("num_batches_tracked")}
