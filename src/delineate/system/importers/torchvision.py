"""torchvision's published detectors are read into our own.

What differs: the first class of theirs is background, ours is the last; theirs have a box for it, ours have not;
their class ids have gaps where COCO's names have. Their batch norms are frozen, and those of the published files have
no epsilon, which goes into the weights here.
"""

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torchvision.models import detection

from delineate.data.preprocess import Preprocess
from delineate.nn.backbones import read_weights
from delineate.system.catalog import build
from delineate.system.importers.class_names import NO_CLASS
from delineate.system.importers.class_names import class_names as names_of_classes
from delineate.system.importers.torchvision_ssd import translate_ssd300
from delineate.system.importers.torchvision_two_stage import translate_two_stage
from delineate.system.system import System
from delineate.values import Categories, InputError

BACKBONE = {"backbone": "resnet50", "frozen_norm": True}
SKELETON = (
    *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8)),
    *((7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
)
"""COCO's 17 keypoints have these limbs."""


@dataclass(frozen=True)
class Architecture:
    """A detector of torchvision has a function that makes it, published weights, and our system in its place.

    `scores` is the bias of its class scores, of which there is one for background and each class at `places` boxes;
    `translate(weights, rows of the classes that are kept, published=)` names its weights as ours are.
    """

    make: Callable[..., nn.Module]
    published: Any
    system: str
    arguments: Mapping[str, Any] = field(default_factory=lambda: BACKBONE)
    preprocess: Preprocess = field(default_factory=lambda: Preprocess(short_side=800, long_side=1333))
    scores: str = "roi_heads.box_predictor.cls_score.bias"
    places: int = 1
    translate: Callable[..., dict[str, Tensor]] = translate_two_stage

    def num_classes(self, weights: Mapping[str, Tensor]) -> int:
        """Count those of the file, background included."""
        return len(weights[self.scores]) // self.places


ARCHITECTURES: Mapping[str, Architecture] = {
    "fasterrcnn_resnet50_fpn": Architecture(
        detection.fasterrcnn_resnet50_fpn, detection.FasterRCNN_ResNet50_FPN_Weights.COCO_V1, "faster_rcnn"
    ),
    "maskrcnn_resnet50_fpn": Architecture(
        detection.maskrcnn_resnet50_fpn, detection.MaskRCNN_ResNet50_FPN_Weights.COCO_V1, "mask_rcnn"
    ),
    "keypointrcnn_resnet50_fpn": Architecture(
        detection.keypointrcnn_resnet50_fpn, detection.KeypointRCNN_ResNet50_FPN_Weights.COCO_V1, "keypoint_rcnn"
    ),
    "ssd300_vgg16": Architecture(
        detection.ssd300_vgg16,
        detection.SSD300_VGG16_Weights.COCO_V1,
        "ssd300",
        arguments={},
        preprocess=Preprocess(size=(300, 300), mean=(0.48235, 0.45882, 0.40784), std=(1 / 255, 1 / 255, 1 / 255)),
        scores="head.classification_head.module_list.0.bias",
        places=4,
        translate=translate_ssd300,
    ),
}


def import_torchvision(
    architecture: str, file: Path | None = None, *, class_names: Sequence[str] | None = None
) -> System:
    """Read the weights of a torchvision detector into our system: of a state dict in `file`, or the published ones.

    Without `file` torchvision downloads them. `class_names` are those of the file without background; if not given,
    COCO's where their number is that of the published weights, else `class_1`, `class_2` and so on. Raises
    `InputError` for an unknown architecture, a file or names that do not fit it, and when there is nothing to download
    from.
    """
    if architecture not in ARCHITECTURES:
        near = get_close_matches(architecture, ARCHITECTURES, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"architecture: '{architecture}' is unknown; {hint}there are {', '.join(ARCHITECTURES)}")
    chosen = ARCHITECTURES[architecture]
    foreign = _download(chosen) if file is None else read_weights(file)
    published = file is None or _is_published(chosen, file)
    foreign = _current_names(chosen, foreign, file or Path(architecture))
    names = names_of_classes(chosen.num_classes(foreign) - 1, chosen.published.meta["categories"][1:], class_names)
    kept = [row for row, name in enumerate(names) if name != NO_CLASS]
    categories = Categories(class_names=tuple(names[row] for row in kept), **_keypoints(chosen, foreign))
    model = build(chosen.system, categories, **chosen.arguments)
    model.load_state_dict(chosen.translate(foreign, kept, published=published))
    return System(
        name=chosen.system,
        model=model.eval(),
        arguments=dict(chosen.arguments),
        categories=categories,
        preprocess=chosen.preprocess,
    )


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


def _current_names(architecture: Architecture, weights: dict[str, Tensor], source: Path) -> dict[str, Tensor]:
    """Name the weights as the installed torchvision does: older files have other names, which it translates."""
    if architecture.scores not in weights:
        raise InputError(f"{source}: no weight '{architecture.scores}'; not a detector of torchvision")
    options: dict[str, Any] = {"num_classes": architecture.num_classes(weights)}
    heatmaps = weights.get("roi_heads.keypoint_predictor.kps_score_lowres.bias")
    if heatmaps is not None:
        options["num_keypoints"] = len(heatmaps)
    model = architecture.make(weights=None, weights_backbone=None, **options)
    counted = {key: value for key, value in weights.items() if not key.endswith("num_batches_tracked")}
    missing = {key: value for key, value in model.state_dict().items() if key.endswith("num_batches_tracked")}
    try:
        model.load_state_dict({**missing, **counted})
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise InputError(f"{source}: does not fit {architecture.system} ({reason})") from error
    state: dict[str, Tensor] = model.state_dict()
    return state


def _keypoints(architecture: Architecture, foreign: Mapping[str, Tensor]) -> dict[str, Any]:
    """Name the file's keypoints and limbs, as `Categories` takes them."""
    heatmaps = foreign.get("roi_heads.keypoint_predictor.kps_score_lowres.bias")
    if heatmaps is None:
        return {}
    published: list[str] = architecture.published.meta["keypoint_names"]
    if len(heatmaps) == len(published):
        return {"keypoint_names": tuple(published), "skeleton": SKELETON}
    return {"keypoint_names": tuple(f"keypoint_{number}" for number in range(1, len(heatmaps) + 1))}
