"""What a model takes and gives is described as KServe's protocol does, with what a page needs beside it."""

from collections.abc import Sequence
from typing import Any

from delineate.models.two_stage.detector import TwoStageDetector
from delineate.serve.models import Loaded


def model_facts(name: str, loaded: Loaded) -> dict[str, Any]:
    """Describe a model: KServe's `name, versions, platform, inputs, outputs`, and what is ours.

    `predict` takes a picture's file as bytes, and gives JSON: `outputs` are its fields, -1 the number of objects.
    """
    system = loaded.system
    categories, model = system.categories, system.model
    return {
        "name": name,
        "versions": [loaded.version],
        "platform": "delineate_export" if system.exported else "delineate_pytorch",
        "inputs": [_tensor("picture", "BYTES", 1)],
        "outputs": _outputs(loaded),
        "system": system.name,
        "task": system.task.name,
        "classes": list(categories.class_names),
        "label_map_names": list(categories.label_map_names),
        "keypoint_names": list(categories.keypoint_names),
        "skeleton": [list(pair) for pair in categories.skeleton],
        "thresholds": loaded.scores,
        "can_prompt": isinstance(model, TwoStageDetector) and model.mask_head is not None,
    }


def _outputs(loaded: Loaded) -> list[dict[str, Any]]:
    needs, categories = loaded.system.needs, loaded.system.categories
    if "label_map" in needs:
        return [_tensor("label_map", "BYTES", 1), _tensor("shares", "FP32", len(categories.label_map_names))]
    joints = len(categories.keypoint_names)
    return [
        _tensor("boxes", "FP32", -1, 4),
        _tensor("labels", "BYTES", -1),
        _tensor("scores", "FP32", -1),
        *([_tensor("masks", "BYTES", -1)] if "masks" in needs else []),
        *(
            [_tensor("keypoints", "FP32", -1, joints, 2), _tensor("visibility", "INT64", -1, joints)]
            if "keypoints" in needs
            else []
        ),
    ]


def _tensor(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    sizes: Sequence[int] = shape
    return {"name": name, "datatype": datatype, "shape": list(sizes)}
