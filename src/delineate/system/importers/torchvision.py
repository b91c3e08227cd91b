"""torchvision's detectors are read into our own: the published ones, and those that users train.

What differs: the first class of theirs is background, ours is the last; theirs have a box for it, ours have not;
their class ids have gaps where COCO's names have. Their batch norms are frozen, and those of the published files have
no epsilon, which goes into the weights here.
"""

import hashlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from torch import Tensor
from torchvision.models import detection, segmentation

from delineate.data.preprocess import Preprocess
from delineate.nn.backbones import read_weights
from delineate.system.catalog import build, find_entry
from delineate.system.importers.class_names import NO_CLASS
from delineate.system.importers.class_names import class_names as names_of_classes
from delineate.system.importers.torchvision_deeplab import checked_deeplab, has_auxiliary, translate_deeplab
from delineate.system.importers.torchvision_lraspp import checked_lraspp, translate_lraspp
from delineate.system.importers.torchvision_pyramid import current_names as pyramid_names
from delineate.system.importers.torchvision_pyramid import translate_pyramid
from delineate.system.importers.torchvision_ssd import checked_ssd300, translate_ssd300
from delineate.system.importers.torchvision_two_stage import current_names, translate_two_stage
from delineate.system.system import System
from delineate.values import Categories, InputError

BACKBONE = {"backbone": "resnet50", "frozen_norm": True}
ON_A_PYRAMID = re.compile("(fasterrcnn|maskrcnn|keypointrcnn|retinanet|fcos)_(.+)_fpn")
BACKGROUND = "background"
SKELETON = (
    *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8)),
    *((7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
)
"""COCO's 17 keypoints have these limbs."""


@dataclass(frozen=True)
class Architecture:
    """A detector of torchvision has published weights, and our system in its place.

    `scores` is the bias of its class scores, of which there is one for background and each class at `places` boxes.
    `seen(weights)` are further arguments, which only the file tells.
    `current(weights, model, number of classes)` names weights as the installed torchvision does, and
    `translate(weights, model, rows of the classes that are kept, published=)` as ours are.
    """

    published: Any
    system: str
    arguments: Mapping[str, Any] = field(default_factory=lambda: BACKBONE)
    preprocess: Preprocess = field(
        default_factory=lambda: Preprocess(short_side=800, long_side=1333, resizing="sampled")
    )
    scores: str = "roi_heads.box_predictor.cls_score.bias"
    places: int = 1
    current: Callable[..., dict[str, Tensor]] = current_names
    translate: Callable[..., dict[str, Tensor]] = translate_two_stage
    seen: Callable[[Mapping[str, Tensor]], dict[str, Any]] = lambda weights: {}

    def num_classes(self, weights: Mapping[str, Tensor], source: Path) -> int:
        """Count those of the file, background included; raises `InputError` where it is no such detector."""
        if self.scores not in weights:
            raise InputError(f"{source}: no weight '{self.scores}'; not a detector of torchvision")
        return len(weights[self.scores]) // self.places


def _pyramid(published: Any, system: str, places: int = 1, **arguments: Any) -> Architecture:
    """Describe a detector whose heads look at every place of a pyramid."""
    return Architecture(
        published,
        system,
        arguments={**BACKBONE, **arguments},
        scores="head.classification_head.cls_logits.bias",
        places=places,
        current=pyramid_names,
        translate=translate_pyramid,
    )


def _deeplab(published: Any, backbone: str) -> Architecture:
    """Describe a DeepLabV3."""
    return Architecture(
        published,
        "deeplabv3",
        arguments={"backbone": backbone, "output_stride": 8},
        preprocess=Preprocess(short_side=520),
        scores="classifier.4.bias",
        current=checked_deeplab,
        translate=translate_deeplab,
        seen=has_auxiliary,
    )


ARCHITECTURES: Mapping[str, Architecture] = {
    "fasterrcnn_resnet50_fpn": Architecture(detection.FasterRCNN_ResNet50_FPN_Weights.COCO_V1, "faster_rcnn"),
    "maskrcnn_resnet50_fpn": Architecture(detection.MaskRCNN_ResNet50_FPN_Weights.COCO_V1, "mask_rcnn"),
    "keypointrcnn_resnet50_fpn": Architecture(detection.KeypointRCNN_ResNet50_FPN_Weights.COCO_V1, "keypoint_rcnn"),
    "ssd300_vgg16": Architecture(
        detection.SSD300_VGG16_Weights.COCO_V1,
        "ssd300",
        arguments={},
        preprocess=Preprocess(
            size=(300, 300), resizing="sampled", mean=(0.48235, 0.45882, 0.40784), std=(1 / 255, 1 / 255, 1 / 255)
        ),
        scores="head.classification_head.module_list.0.bias",
        places=4,
        current=checked_ssd300,
        translate=translate_ssd300,
    ),
    "retinanet_resnet50_fpn": _pyramid(
        detection.RetinaNet_ResNet50_FPN_Weights.COCO_V1, "retinanet", places=9, improved=False
    ),
    "retinanet_resnet50_fpn_v2": _pyramid(
        detection.RetinaNet_ResNet50_FPN_V2_Weights.COCO_V1, "retinanet", places=9, improved=True
    ),
    "fcos_resnet50_fpn": _pyramid(detection.FCOS_ResNet50_FPN_Weights.COCO_V1, "fcos"),
    "deeplabv3_resnet50": _deeplab(segmentation.DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1, "resnet50"),
    "deeplabv3_resnet101": _deeplab(segmentation.DeepLabV3_ResNet101_Weights.COCO_WITH_VOC_LABELS_V1, "resnet101"),
    "lraspp_mobilenet_v3_large": Architecture(
        segmentation.LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1,
        "lraspp",
        arguments={"torchvision_form": True},
        preprocess=Preprocess(short_side=520),
        scores="classifier.low_classifier.bias",
        current=checked_lraspp,
        translate=translate_lraspp,
    ),
}
"""These have published weights."""


def import_torchvision(
    architecture: str,
    file: Path | None = None,
    *,
    class_names: Sequence[str] | None = None,
    anchor_size: int | None = None,
    preprocess: Mapping[str, Any] = {},
) -> System:
    """Read the weights of a torchvision detector into our system: of a state dict in `file`, or the published ones.

    Without `file` torchvision downloads them. Of a file, the architecture may have another backbone than the published
    one, by its name in `timm`, which is torchvision's for ResNets: `fasterrcnn_resnet18_fpn`,
    `maskrcnn_tf_efficientnet_lite0_fpn`. `class_names` are those of the file without background; if not given, COCO's
    where their number is that of the published weights, else `class_1`, `class_2` and so on.

    A state dict does not hold all that its detector was made with. Where that was not torchvision's default, say it:
    `anchor_size`, the side of the smallest anchors, and values of `Preprocess`, its `min_size`, `max_size`,
    `image_mean` and `image_std`: `{"short_side": 320, "long_side": 640, "mean": (0.5, 0.5, 0.5)}`.

    Raises `InputError` for an unknown architecture, a file or names that do not fit it, and when there is nothing to
    download from.
    """
    chosen = _find(architecture, file)
    source = file or Path(architecture)
    foreign = _download(chosen) if file is None else read_weights(file)
    published = file is None or _is_published(chosen, file)
    count = chosen.num_classes(foreign, source)
    pixels = find_entry(chosen.system).task.labels == "label_map_names"
    first = not pixels  # of objects theirs is background, which is one of the values of a label map
    known = [name.strip("_") for name in chosen.published.meta["categories"][first:]]
    names = names_of_classes(count - first, known, class_names)
    kept = [row for row, name in enumerate(names) if name not in (NO_CLASS, BACKGROUND)]
    of_classes = tuple(names[row] for row in kept)
    kept += [row for row, name in enumerate(names) if name == BACKGROUND]  # ours is the last
    of_values = tuple(names[row] for row in kept) if pixels else ()
    categories = Categories(class_names=of_classes, label_map_names=of_values, **_keypoints(chosen, foreign))
    arguments = {**chosen.arguments, **chosen.seen(foreign)} | (
        {} if anchor_size is None else {"anchor_size": anchor_size}
    )
    model = build(chosen.system, categories, **arguments)
    if model.input_size is not None and preprocess:
        raise InputError(f"{next(iter(preprocess))}: {architecture} takes pictures in one way; leave it out")
    try:
        foreign = chosen.current(foreign, model, count)
        model.load_state_dict(chosen.translate(foreign, model, kept, published=published))
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise InputError(f"{source}: does not fit {architecture} ({reason})") from error
    return System(
        name=chosen.system,
        model=model.eval(),
        arguments=arguments,
        categories=categories,
        preprocess=replace(chosen.preprocess, **preprocess),
    )


def _find(architecture: str, file: Path | None) -> Architecture:
    """Find the architecture of that name, which for a file may have any backbone."""
    if architecture in ARCHITECTURES:
        return ARCHITECTURES[architecture]
    named = ON_A_PYRAMID.fullmatch(architecture)
    if named and file is not None:
        known = ARCHITECTURES[f"{named[1]}_resnet50_fpn"]
        return replace(known, arguments={**known.arguments, "backbone": named[2]})
    near = get_close_matches(architecture, ARCHITECTURES, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}? " if near else ""
    listed = f"there are {', '.join(ARCHITECTURES)}, and with a file other backbones in place of resnet50"
    raise InputError(f"architecture: '{architecture}' is {'not published' if named else 'unknown'}; {hint}{listed}")


def _download(architecture: Architecture) -> dict[str, Tensor]:
    try:
        with redirect_stdout(sys.stderr):  # where torch announces downloads
            weights: dict[str, Tensor] = architecture.published.get_state_dict(progress=True, check_hash=True)
    except Exception as error:
        raise InputError(
            f"{architecture.published.url} could not be fetched ({error}); connect, or give the downloaded file"
        ) from error
    return weights


def _is_published(architecture: Architecture, file: Path) -> bool:
    """Tell whether the file is the published one, whose name ends with the beginning of the hash."""
    beginning = Path(architecture.published.url).stem.rpartition("-")[2]
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest().startswith(beginning)


def _keypoints(architecture: Architecture, foreign: Mapping[str, Tensor]) -> dict[str, Any]:
    """Name the file's keypoints and limbs, as `Categories` takes them."""
    heatmaps = foreign.get("roi_heads.keypoint_predictor.kps_score_lowres.bias")
    if heatmaps is None:
        return {}
    published: list[str] = architecture.published.meta["keypoint_names"]
    if len(heatmaps) == len(published):
        return {"keypoint_names": tuple(published), "skeleton": SKELETON}
    return {"keypoint_names": tuple(f"keypoint_{number}" for number in range(1, len(heatmaps) + 1))}
