"""Results are written as JSON."""

from pathlib import Path
from typing import Any

from delineate.values import Categories, LabelMap, Prediction


def prediction_record(
    prediction: Prediction, categories: Categories, *, file: str, label_map_file: Path | None = None
) -> dict[str, Any]:
    """Write one picture's result as plain values, ready for JSON.

    Always `file, height, width`. Of objects, scores descending: `boxes` `[[x1, y1, x2, y2]]` in pixels, `labels` (class
    names), `scores`, and where the system gives them `masks` (COCO RLE), `keypoints` `[[[x, y]]]` and `visibility`
    `[[0|1|2]]`, and in a video that is tracked `tracks`, null for what has no identity yet. Of a label map:
    `label_map`, the PNG that it was written to, or null, and `shares`, the share of the picture's pixels of each class.
    """
    height, width = prediction.image_size
    record: dict[str, Any] = {"file": file, "height": height, "width": width}
    if isinstance(prediction, LabelMap):
        names = categories.label_map_names
        shares = prediction.shares(len(names)).tolist()
        label_map = None if label_map_file is None else str(label_map_file)
        return record | {"label_map": label_map, "shares": dict(zip(names, shares, strict=True))}
    record |= {
        "boxes": prediction.boxes.tolist(),
        "labels": [categories.class_names[label] for label in prediction.labels.tolist()],
        "scores": prediction.scores.tolist(),
    }
    if prediction.rles is not None:
        record["masks"] = list(prediction.rles)
    if prediction.keypoints is not None and prediction.visibility is not None:
        record |= {"keypoints": prediction.keypoints.tolist(), "visibility": prediction.visibility.tolist()}
    if prediction.tracks is not None:
        record["tracks"] = [None if track < 0 else track for track in prediction.tracks.tolist()]
    return record
