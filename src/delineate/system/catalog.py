"""Every system has a name in one explicit dictionary, from name to preset."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_type_hints

from delineate.models.contract import AnyModel
from delineate.models.one_stage.fcos import fcos
from delineate.models.one_stage.retinanet import retinanet
from delineate.models.one_stage.ssd import ssd, ssd300, ssd512
from delineate.models.one_stage.yolov1 import yolov1
from delineate.models.one_stage.yolov2 import yolov2
from delineate.models.options import defaults_of
from delineate.models.queries.detr import detr, detr_small
from delineate.models.queries.rtdetr import rtdetr
from delineate.models.regression.localizer import localizer
from delineate.models.regression.pose import pose_regressor
from delineate.models.segmentation.deeplab import deeplabv3, deeplabv3plus, lraspp
from delineate.models.segmentation.fcn import fcn8s, fcn16s, fcn32s
from delineate.models.segmentation.full_resolution import fcn_full_resolution
from delineate.models.segmentation.segformer import segformer
from delineate.models.segmentation.segnet import segnet, segnet_basic
from delineate.models.segmentation.sliding_window import sliding_window_segmenter
from delineate.models.segmentation.unet import unet
from delineate.models.two_stage.presets import (
    fast_rcnn,
    faster_rcnn,
    keypoint_rcnn,
    mask_rcnn,
    rcnn,
    sliding_window_detector,
)
from delineate.system.tasks import DETECT, INSTANCE, KEYPOINTS, LOCALIZE, POSE, SEGMENT
from delineate.values import Categories, Content, InputError, Task, nearest


@dataclass(frozen=True)
class Entry:
    """A preset has a task, and what a reader wants to know of it."""

    preset: Callable[..., AnyModel]
    task: Task
    title: str
    paper: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Settings of its training (`TrainingSettings`) that are not everyone's defaults."""
    fine_tuning: Mapping[str, Any] = field(default_factory=dict)
    """Settings in place of those where its backbone begins with weights."""
    light: Mapping[str, Any] = field(default_factory=dict)
    """Options and settings of a form that learns sooner, where minutes are few."""


DENSE_RECIPE = {"scale": (0.5, 2.0)}
SEGNET_RECIPE = {**DENSE_RECIPE, "class_weights": "median_frequency"}
"""Section 3.1: rare classes weigh more (Eigen & Fergus 2015)."""
SSD_RECIPE = {"augment": "ssd"}
DETR_RECIPE = {"augment": "detr", "scale": (0.6, 1.0), "colour": 0.0, "long_side": 1333}
"""Of 800 pixels these are the paper's 480 to 800 (appendix A.4)."""

MIRRORED = {"augment": "scale", "scale": (1.0, 1.0), "colour": 0.0, "batch_size": 4}
"""Where pictures are seen seldom, they vary enough by themselves."""
LIGHT_DENSE = {"short_side": 240, **MIRRORED}
LIGHT_SSD = {"backbone": "resnet10t", "image_size": 240, **MIRRORED}
LIGHT_PYRAMID = {"width": 128, "short_side": 320, **MIRRORED}
LIGHT_REGIONS = {"num_rois": 64, "width": 128, "short_side": 320, **MIRRORED}

CATALOG: dict[str, Entry] = {
    "sliding_window_segmenter": Entry(
        sliding_window_segmenter,
        SEGMENT,
        "a patch classifier at every window, or its fully convolutional form with the same weights",
        "Farabet et al. 2013, Learning hierarchical features for scene labeling",
        DENSE_RECIPE,
        light=LIGHT_DENSE,
    ),
    "fcn_full_resolution": Entry(
        fcn_full_resolution,
        SEGMENT,
        "a stack of convolutions that never downsample",
        "the baseline that encoder-decoders improve on",
        DENSE_RECIPE,
        light={"width": 32, **LIGHT_DENSE, "short_side": 180},
    ),
    "fcn32s": Entry(
        fcn32s,
        SEGMENT,
        "scores at stride 32, upsampled at once",
        "Long et al. 2015, FCN, section 4",
        DENSE_RECIPE,
        light=LIGHT_DENSE,
    ),
    "fcn16s": Entry(
        fcn16s,
        SEGMENT,
        "FCN-32s with a skip from stride 16",
        "Long et al. 2015, FCN, section 4",
        DENSE_RECIPE,
        light=LIGHT_DENSE,
    ),
    "fcn8s": Entry(
        fcn8s,
        SEGMENT,
        "FCN-16s with a skip from stride 8",
        "Long et al. 2015, FCN, section 4",
        DENSE_RECIPE,
        light=LIGHT_DENSE,
    ),
    "segnet": Entry(
        segnet,
        SEGMENT,
        "VGG-16 encoder and its mirror, fed by the encoder's max-pooling indices",
        "Badrinarayanan et al. 2017, SegNet, section 3",
        SEGNET_RECIPE,
        light={"backbone": "vgg11_bn", **LIGHT_DENSE, "short_side": 180},
    ),
    "segnet_basic": Entry(
        segnet_basic,
        SEGMENT,
        "four encoders and four decoders of one 7x7 convolution each",
        "Badrinarayanan et al. 2017, SegNet, section 3.1",
        SEGNET_RECIPE,
        light={"width": 32, **LIGHT_DENSE},
    ),
    "unet": Entry(
        unet,
        SEGMENT,
        "contracting and expanding path joined by concatenated skips",
        "Ronneberger et al. 2015, U-Net, section 2",
        {**DENSE_RECIPE, "elastic": 0.02},
        light=LIGHT_DENSE,
    ),
    "deeplabv3": Entry(
        deeplabv3,
        SEGMENT,
        "a dilated backbone's map, looked at from several distances at once",
        "Chen et al. 2017, DeepLabv3, section 3",
        DENSE_RECIPE,
        light=LIGHT_DENSE,
    ),
    "deeplabv3plus": Entry(
        deeplabv3plus,
        SEGMENT,
        "DeepLabV3 with a decoder that sees the map of stride 4",
        "Chen et al. 2018, DeepLabv3+, section 3",
        DENSE_RECIPE,
        light=LIGHT_DENSE,
    ),
    "lraspp": Entry(
        lraspp,
        SEGMENT,
        "two levels of a light backbone, one gated by the mean of the picture",
        "Howard et al. 2019, MobileNetV3, section 6.4",
        DENSE_RECIPE,
        light=LIGHT_DENSE,
    ),
    "segformer": Entry(
        segformer,
        SEGMENT,
        "four levels of a transformer, joined by linear layers alone",
        "Xie et al. 2021, SegFormer, section 3",
        DENSE_RECIPE,
        light=LIGHT_DENSE,
    ),
    "localizer": Entry(
        localizer,
        LOCALIZE,
        "the class and the box of the one object, or of the largest, by regression",
        "Sermanet et al. 2014, OverFeat, section 4",
        light={"backbone": "resnet10t", "image_size": 128, "batch_size": 16},
    ),
    "pose_regressor": Entry(
        pose_regressor,
        POSE,
        "the joints of one body in its crop, by regression",
        "Toshev & Szegedy 2014, DeepPose, section 3",
        {"scale": (0.8, 1.25)},
        light={"backbone": "resnet10t", "image_size": 128, "batch_size": 16, "dropout": 0.0},
    ),
    "sliding_window_detector": Entry(
        sliding_window_detector,
        DETECT,
        "a crop classifier at windows of every place, size and shape",
        "the baseline that proposals improve on; its classifier is R-CNN's",
        light={"warp_size": 32, "num_rois": 16, **MIRRORED},
    ),
    "rcnn": Entry(
        rcnn,
        DETECT,
        "a network over each warped proposal, linear SVMs and box regression on its features",
        "Girshick et al. 2014, R-CNN, section 2",
        light={"warp_size": 64, "max_proposals": 300, **MIRRORED},
    ),
    "fast_rcnn": Entry(
        fast_rcnn,
        DETECT,
        "features once a picture, proposals pooled from them, classes and boxes learned at once",
        "Girshick 2015, Fast R-CNN, section 2",
        light=LIGHT_REGIONS,
    ),
    "faster_rcnn": Entry(
        faster_rcnn,
        DETECT,
        "Fast R-CNN whose proposals come from a network on the same features",
        "Ren et al. 2015, Faster R-CNN, section 3; Lin et al. 2017, FPN",
        light=LIGHT_REGIONS,
    ),
    "yolov1": Entry(
        yolov1,
        DETECT,
        "one look at the whole picture: every cell of a grid says which class it holds, and where",
        "Redmon et al. 2016, YOLO, section 2",
        {"augment": "yolo"},
        # each cell has weights of its own, which see all objects only where pictures move
        light={"image_size": 224, "colour": 0.0, "batch_size": 4},
    ),
    "yolov2": Entry(
        yolov2,
        DETECT,
        "a fully convolutional grid whose anchors are clustered from the training boxes",
        "Redmon & Farhadi 2017, YOLO9000, section 2",
        {"multi_scale": True},
        light={"image_size": 320, "multi_scale": False, **MIRRORED},
    ),
    "ssd": Entry(
        ssd,
        DETECT,
        "default boxes over six levels of any backbone, classified and moved at once",
        "Liu et al. 2016, SSD, section 2",
        SSD_RECIPE,
        light=LIGHT_SSD,
    ),
    "ssd300": Entry(
        ssd300,
        DETECT,
        "the paper's SSD of 300 x 300 pictures, on VGG-16",
        "Liu et al. 2016, SSD",
        SSD_RECIPE,
        light={"backbone": "vgg11_bn", **MIRRORED},
    ),
    "ssd512": Entry(
        ssd512,
        DETECT,
        "the paper's SSD of 512 x 512 pictures, on VGG-16",
        "Liu et al. 2016, SSD",
        SSD_RECIPE,
        light={"backbone": "vgg11_bn", **MIRRORED},
    ),
    "retinanet": Entry(
        retinanet,
        DETECT,
        "anchors of a pyramid's every level, and a loss that easy background does not drown",
        "Lin et al. 2017b, RetinaNet, sections 3 and 4",
        light={**LIGHT_PYRAMID, "anchor_size": 24},
    ),
    "fcos": Entry(
        fcos,
        DETECT,
        "no anchors: each place of a pyramid says how far the sides of its object are",
        "Tian et al. 2019, FCOS, section 3",
        light=LIGHT_PYRAMID,
    ),
    "detr": Entry(
        detr,
        DETECT,
        "a transformer whose queries answer for the objects one to one",
        "Carion et al. 2020, DETR, section 3",
        {"learning_rate": 1e-4, "weight_decay": 1e-4, "clip_gradient": 0.1, **DETR_RECIPE},
        fine_tuning={"backbone_rate": 0.1},
        light={"backbone": "resnet18", "short_side": 320, **MIRRORED},
    ),
    "detr_small": Entry(
        detr_small,
        DETECT,
        "DETR for few pictures, from scratch: queries that stand on a grid, two narrow layers",
        "Carion et al. 2020, DETR, section 3; Wang et al. 2022, Anchor DETR; Jia et al. 2023, H-DETR",
        {"learning_rate": 7e-4, "weight_decay": 1e-4, "batch_size": 4, "long_side": 640},
        light={"short_side": 320, **MIRRORED},
    ),
    "rtdetr": Entry(
        rtdetr,
        DETECT,
        "queries chosen from an encoder of three levels, at the speed of grids, or as D-FINE has them",
        "Zhao et al. 2024, RT-DETR, section 4; Lv et al. 2024, RT-DETRv2; Peng et al. 2024, D-FINE",
        {"learning_rate": 1e-4, "weight_decay": 1e-4, "clip_gradient": 0.1, "augment": "ssd", "multi_scale": True},
        fine_tuning={"backbone_rate": 0.1},
        light={"image_size": 320, "multi_scale": False, "learning_rate": 1e-3, **MIRRORED},
    ),
    "mask_rcnn": Entry(
        mask_rcnn,
        INSTANCE,
        "Faster R-CNN with a mask for each box",
        "He et al. 2017, Mask R-CNN, section 3",
        light=LIGHT_REGIONS,
    ),
    "keypoint_rcnn": Entry(
        keypoint_rcnn,
        KEYPOINTS,
        "Faster R-CNN with a pose for each box",
        "He et al. 2017, Mask R-CNN, section 5",
        light=LIGHT_REGIONS,
    ),
}


def find_entry(name: str) -> Entry:
    """Find the entry of that name; raises `InputError` with the nearest names."""
    if name not in CATALOG:
        near = nearest(name, CATALOG) or list(CATALOG)
        raise InputError(
            f"model: '{name}' is not in the catalog; near: {', '.join(near)} (`delineate models` lists all)"
        )
    return CATALOG[name]


def options(name: str) -> dict[str, inspect.Parameter]:
    """List the arguments of a system's preset but the numbers of classes and of keypoints, which the data gives.

    An option list that several presets share, `**options: Unpack[...]`, stands as its options: each has its default in
    its annotation.
    """
    listed: dict[str, inspect.Parameter] = {}
    for key, parameter in inspect.signature(find_entry(name).preset).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            listed |= _shared(parameter.annotation)
        elif key not in ("num_classes", "num_keypoints"):
            listed[key] = parameter
    return listed


def light_form(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the lighter form of a system in its own options and the settings of its training."""
    own, settings = options(name), dict(find_entry(name).light)
    return {key: settings.pop(key) for key in list(settings) if key in own}, settings


def _shared(unpacked: Any) -> dict[str, inspect.Parameter]:
    (shared,) = get_args(unpacked)
    hints = get_type_hints(shared, include_extras=True)
    return {
        key: inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[key])
        for key, default in defaults_of(shared).items()
    }


def needs(name: str, arguments: Mapping[str, Any]) -> frozenset[Content]:
    """List the annotations that a system with these arguments learns from."""
    return find_entry(name).task.needs | ({"masks"} if arguments.get("masks") else set())


def build(name: str, categories: Categories, **arguments: Any) -> AnyModel:
    """Initialise a system for data of these categories; raises `InputError` for an unknown name or argument.

    A dense system tells apart the values of label maps, every other one the classes of objects.
    """
    entry = find_entry(name)
    unknown = sorted(set(arguments) - set(options(name)))
    if unknown:
        raise InputError(f"{name}: has no option {', '.join(unknown)}; it has {', '.join(options(name))}")
    names = getattr(categories, entry.task.labels)
    given = {"num_classes": len(names), "num_keypoints": len(categories.keypoint_names)}
    parameters = inspect.signature(entry.preset).parameters
    return entry.preset(**{key: count for key, count in given.items() if key in parameters}, **arguments)
