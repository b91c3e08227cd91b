"""Every system by its name: one explicit dictionary, from name to preset."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from delineate.models.contract import Model
from delineate.models.dense.fcn import fcn8s, fcn16s, fcn32s
from delineate.models.dense.full_resolution import fcn_full_resolution
from delineate.models.dense.segnet import segnet, segnet_basic
from delineate.models.dense.sliding_window import sliding_window_segmenter
from delineate.models.dense.unet import unet
from delineate.models.grid.ssd import ssd, ssd300, ssd512
from delineate.models.grid.yolov1 import yolov1
from delineate.models.grid.yolov2 import yolov2
from delineate.models.region.fast_rcnn import fast_rcnn
from delineate.models.region.faster_rcnn import faster_rcnn
from delineate.models.region.keypoint_rcnn import keypoint_rcnn
from delineate.models.region.mask_rcnn import mask_rcnn
from delineate.models.region.rcnn import rcnn
from delineate.models.region.sliding_window import sliding_window_detector
from delineate.models.sets.detr import detr, detr_small
from delineate.models.whole.localizer import localizer
from delineate.models.whole.pose import pose_regressor
from delineate.structures import Categories, InputError

Task = Literal["segment", "localize", "joints", "detect", "mask", "pose"]
"""What is found: the class of each pixel; the one object; the joints of one body; boxes; boxes and masks; boxes and
keypoints."""


@dataclass(frozen=True)
class System:
    """A preset with what a reader wants to know of it."""

    preset: Callable[..., Model[Any, Any]]
    task: Task
    title: str
    paper: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Settings of its training (`TrainingSettings`) that are not everyone's defaults."""


DENSE_RECIPE = {"scale": (0.5, 2.0)}
SSD_RECIPE = {"augment": "ssd"}

CATALOG: dict[str, System] = {
    "sliding_window_segmenter": System(
        sliding_window_segmenter,
        "segment",
        "a patch classifier at every window, or its fully convolutional form with the same weights",
        "Farabet et al. 2013, Learning hierarchical features for scene labeling",
        DENSE_RECIPE,
    ),
    "fcn_full_resolution": System(
        fcn_full_resolution,
        "segment",
        "a stack of convolutions that never downsample",
        "the baseline that encoder-decoders improve on",
        DENSE_RECIPE,
    ),
    "fcn32s": System(
        fcn32s, "segment", "scores at stride 32, upsampled at once", "Long et al. 2015, FCN, section 4", DENSE_RECIPE
    ),
    "fcn16s": System(
        fcn16s, "segment", "FCN-32s with a skip from stride 16", "Long et al. 2015, FCN, section 4", DENSE_RECIPE
    ),
    "fcn8s": System(
        fcn8s, "segment", "FCN-16s with a skip from stride 8", "Long et al. 2015, FCN, section 4", DENSE_RECIPE
    ),
    "segnet": System(
        segnet,
        "segment",
        "VGG-16 encoder and its mirror, fed by the encoder's max-pooling indices",
        "Badrinarayanan et al. 2017, SegNet, section 3",
        DENSE_RECIPE,
    ),
    "segnet_basic": System(
        segnet_basic,
        "segment",
        "four encoders and four decoders of one 7x7 convolution each",
        "Badrinarayanan et al. 2017, SegNet, section 3.1",
        DENSE_RECIPE,
    ),
    "unet": System(
        unet,
        "segment",
        "contracting and expanding path joined by concatenated skips",
        "Ronneberger et al. 2015, U-Net, section 2",
        DENSE_RECIPE,
    ),
    "localizer": System(
        localizer,
        "localize",
        "the class and the box of the one object, or of the largest, by regression",
        "Sermanet et al. 2014, OverFeat, section 4",
    ),
    "pose_regressor": System(
        pose_regressor,
        "joints",
        "the joints of one body in its crop, by regression",
        "Toshev & Szegedy 2014, DeepPose, section 3",
        {"scale": (0.8, 1.25)},
    ),
    "sliding_window_detector": System(
        sliding_window_detector,
        "detect",
        "a crop classifier at windows of every place, size and shape",
        "the baseline that proposals improve on; its classifier is R-CNN's",
    ),
    "rcnn": System(
        rcnn,
        "detect",
        "a network over each warped proposal, linear SVMs and box regression on its features",
        "Girshick et al. 2014, R-CNN, section 2",
    ),
    "fast_rcnn": System(
        fast_rcnn,
        "detect",
        "features once a picture, proposals pooled from them, classes and boxes learned at once",
        "Girshick 2015, Fast R-CNN, section 2",
    ),
    "faster_rcnn": System(
        faster_rcnn,
        "detect",
        "Fast R-CNN whose proposals come from a network on the same features",
        "Ren et al. 2015, Faster R-CNN, section 3; Lin et al. 2017, FPN",
    ),
    "yolov1": System(
        yolov1,
        "detect",
        "one look at the whole picture: every cell of a grid says which class it holds, and where",
        "Redmon et al. 2016, YOLO, section 2",
    ),
    "yolov2": System(
        yolov2,
        "detect",
        "a fully convolutional grid whose anchors are clustered from the training boxes",
        "Redmon & Farhadi 2017, YOLO9000, section 2",
        {"multi_scale": True},
    ),
    "ssd": System(
        ssd,
        "detect",
        "default boxes over six levels of any backbone, classified and moved at once",
        "Liu et al. 2016, SSD, section 2",
        SSD_RECIPE,
    ),
    "ssd300": System(
        ssd300, "detect", "the paper's SSD of 300 x 300 pictures, on VGG-16", "Liu et al. 2016, SSD", SSD_RECIPE
    ),
    "ssd512": System(
        ssd512, "detect", "the paper's SSD of 512 x 512 pictures, on VGG-16", "Liu et al. 2016, SSD", SSD_RECIPE
    ),
    "detr": System(
        detr,
        "detect",
        "a transformer whose queries answer for the objects one to one",
        "Carion et al. 2020, DETR, section 3",
        {"learning_rate": 1e-4, "weight_decay": 1e-4, "clip_gradient": 0.1},
    ),
    "detr_small": System(
        detr_small,
        "detect",
        "DETR for few pictures, from scratch: queries that stand on a grid, two narrow layers",
        "Carion et al. 2020, DETR, section 3; Wang et al. 2022, Anchor DETR; Jia et al. 2023, H-DETR",
        {"learning_rate": 7e-4, "weight_decay": 1e-4, "batch_size": 4},
    ),
    "mask_rcnn": System(
        mask_rcnn, "mask", "Faster R-CNN with a mask for each box", "He et al. 2017, Mask R-CNN, section 3"
    ),
    "keypoint_rcnn": System(
        keypoint_rcnn, "pose", "Faster R-CNN with a pose for each box", "He et al. 2017, Mask R-CNN, section 5"
    ),
}


def find_system(name: str) -> System:
    """The system of that name; raises `InputError` with the nearest names."""
    if name not in CATALOG:
        near = difflib.get_close_matches(name, CATALOG, n=3) or list(CATALOG)
        raise InputError(
            f"model: '{name}' is not in the catalog; near: {', '.join(near)} (`delineate models` lists all)"
        )
    return CATALOG[name]


def options(name: str) -> dict[str, inspect.Parameter]:
    """The arguments of a system's preset, but for the numbers of classes and of keypoints, which the data gives."""
    parameters = inspect.signature(find_system(name).preset).parameters
    return {key: parameter for key, parameter in parameters.items() if key not in ("num_classes", "num_keypoints")}


def build(name: str, categories: Categories, **arguments: Any) -> Model[Any, Any]:
    """A freshly initialised system for data of these categories; raises `InputError` for an unknown name or argument.

    A dense system tells apart the values of label maps, every other one the classes of objects.
    """
    system = find_system(name)
    unknown = sorted(set(arguments) - set(options(name)))
    if unknown:
        raise InputError(f"{name}: has no option {', '.join(unknown)}; it has {', '.join(options(name))}")
    names = categories.label_map_names if system.task == "segment" else categories.class_names
    given = {"num_classes": len(names), "num_keypoints": len(categories.keypoint_names)}
    parameters = inspect.signature(system.preset).parameters
    return system.preset(**{key: count for key, count in given.items() if key in parameters}, **arguments)
