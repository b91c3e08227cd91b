"""Each task of the field is one value."""

from dataclasses import replace

from delineate.metrics import (
    COCO_PROTOCOL,
    LOCALIZATION_PROTOCOL,
    POSE_PROTOCOL,
    SEGMENTATION_PROTOCOL,
    CocoEvaluation,
    LocalizationEvaluation,
    PoseEvaluation,
    SegmentationEvaluation,
)
from delineate.values import InputError, Task

SEGMENT = Task(
    name="segment",
    title="Semantic segmentation",
    finds="the class of every pixel",
    needs=frozenset({"label_map"}),
    labels="label_map_names",
    rows="label_map_names",
    metric="mIoU",
    protocol=SEGMENTATION_PROTOCOL,
    tally=lambda categories: SegmentationEvaluation(len(categories.label_map_names)),
)
LOCALIZE = Task(
    name="localize",
    title="Localization",
    finds="the class and the box of the one object",
    needs=frozenset({"boxes"}),
    labels="class_names",
    rows="class_names",
    metric="localization_accuracy",
    protocol=LOCALIZATION_PROTOCOL,
    tally=lambda categories: LocalizationEvaluation(categories.num_classes),
)
POSE = Task(
    name="pose",
    title="Pose estimation",
    finds="the joints of one body",
    needs=frozenset({"boxes", "keypoints"}),
    labels="class_names",
    rows="keypoint_names",
    metric="PCK@0.2",
    protocol=POSE_PROTOCOL,
    tally=lambda categories: PoseEvaluation(categories.keypoint_names),
    crops=True,
)
DETECT = Task(
    name="detect",
    title="Object detection",
    finds="the boxes of all objects",
    needs=frozenset({"boxes"}),
    labels="class_names",
    rows="class_names",
    metric="AP",
    protocol=COCO_PROTOCOL,
    tally=lambda _: CocoEvaluation(),
    finds_many=True,
)
INSTANCE = replace(
    DETECT,
    name="instance",
    title="Instance segmentation",
    finds="the boxes and the masks of all objects",
    needs=frozenset({"boxes", "masks"}),
)
KEYPOINTS = replace(
    DETECT,
    name="keypoints",
    title="Keypoint detection",
    finds="the boxes and the poses of all bodies",
    needs=frozenset({"boxes", "keypoints"}),
)
TASKS = (SEGMENT, LOCALIZE, POSE, DETECT, INSTANCE, KEYPOINTS)


def find_task(name: str) -> Task:
    """Find the task of that name; raises `InputError` with all names."""
    for task in TASKS:
        if task.name == name:
            return task
    raise InputError(f"task: '{name}' is none; there are {', '.join(task.name for task in TASKS)}")
