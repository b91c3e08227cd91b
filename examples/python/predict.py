"""Predict with an export in a process without torch: numpy, Pillow and onnxruntime (or openvino) are all it takes.

    python predict.py EXPORT PICTURE... [--score 0.5] [--out FOLDER]

Each picture gives one line of JSON, in pixels of the original picture: `objects` with name, score, box x1 y1 x2 y2 and,
where the system finds them, a mask (COCO's run lengths, uncompressed) and keypoints; or `label_map`, the PNG with the
class of every pixel that was written into FOLDER.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

Array = NDArray[Any]
Size = tuple[int, int]
"""A size is `(height, width)`, always."""


def open_graph(export: Path, record: dict[str, Any]) -> Callable[[Array], dict[str, Array]]:
    """Open the graph in its runtime: pictures `(B, 3, H, W)`, RGB, go in, and arrays come out by name."""
    if record["search"]:
        raise SystemExit(f"{export}: it needs proposals of {record['search']['kind']}; use delineate.deploy.Predictor")
    if record["target"] == "openvino":
        import openvino

        precision = "f32" if record["precision"] == "fp32" else "bf16"  # of int8 what is left in floating point
        model = openvino.Core().compile_model(export / "graph.xml", "CPU", {"INFERENCE_PRECISION_HINT": precision})
        return lambda pictures: {port.any_name: array for port, array in model({"pictures": pictures}).items()}
    import onnxruntime

    session = onnxruntime.InferenceSession(export / "graph.onnx", providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda pictures: dict(zip(names, session.run(names, {"pictures": pictures}), strict=True))


def resized(size: Size, preprocess: dict[str, Any]) -> Size:
    """Compute the size in which the graph takes a picture of `size`."""
    if preprocess["size"]:
        return preprocess["size"][0], preprocess["size"][1]
    scale = 1.0 if preprocess["short_side"] is None else preprocess["short_side"] / min(size)
    if preprocess["long_side"] is not None:
        scale = min(scale, preprocess["long_side"] / max(size))
    rounded = int if preprocess["resizing"] == "sampled" else round
    return max(1, rounded(size[0] * scale)), max(1, rounded(size[1] * scale))


def taken(picture: Image.Image, record: dict[str, Any]) -> Array:
    """Resize a picture as the graph takes it, `(3, H, W)`: `smooth` with antialiasing, `sampled` without."""
    height, width = size = resized((picture.height, picture.width), record["preprocess"])
    if record["preprocess"]["resizing"] == "smooth":
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    planes = np.asarray(picture).transpose(2, 0, 1)
    values = planes if planes.shape[1:] == size else enlarged(planes, size)
    return values.astype(np.float32) if record.get("pictures") == "float32" else (values + 0.5).astype(np.uint8)


def enlarging(length: int, side: int, cubic: bool = False) -> Array:
    """Weigh `side` values, spread evenly over `length` pixels, at each pixel's centre; the outermost ones continue."""
    place = (np.arange(length) + 0.5) * (side / length) - 0.5
    weights = np.zeros((length, side), np.float32)
    for tap in (-1, 0, 1, 2) if cubic else (0, 1):
        value = np.floor(place) + tap
        distance = np.abs(place - value)
        if not cubic:
            weight = 1 - distance
        elif tap in (0, 1):
            weight = (1.25 * distance - 2.25) * distance**2 + 1
        else:
            weight = -0.75 * (((distance - 5) * distance + 8) * distance - 4)
        np.add.at(weights, (np.arange(length), value.clip(0, side - 1).astype(int)), weight)
    return weights


def enlarged(values: Array, size: Size, cubic: bool = False) -> Array:
    """Enlarge maps `(..., h, w)` to `size`, or sample them where that is smaller."""
    rows, columns = (enlarging(length, side, cubic) for length, side in zip(size, values.shape[-2:], strict=True))
    return rows @ values @ columns.T


def pasted(mask: Array, box: Array, size: Size) -> Array:
    """Enlarge the probabilities in a box, with zeros around them, and cut them at a half, in a picture of `size`."""
    padded = np.pad(mask, 1)
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * (len(padded) / len(mask))
    left, top, right, bottom = np.concatenate([centre - half, centre + half]).astype(int)
    inside = enlarged(padded, (max(bottom - top + 1, 1), max(right - left + 1, 1))) > 0.5
    picture = np.zeros(size, bool)
    part = inside[max(-top, 0) : size[0] - top, max(-left, 0) : size[1] - left]
    picture[max(top, 0) :, max(left, 0) :][: part.shape[0], : part.shape[1]] = part
    return picture


def run_lengths(mask: Array) -> dict[str, Any]:
    """Write a mask as COCO's run lengths: pixels outside and inside in turn, down the columns."""
    flips = np.flatnonzero(np.diff(mask.T.ravel(), prepend=False))
    return {"size": mask.shape, "counts": np.diff(flips, prepend=0, append=mask.size).tolist()}


def peaks(heatmaps: Array, box: Array) -> Array:
    """Find where each heatmap `(K, s, s)`, enlarged bicubically to its box, is highest; all in pixels of the graph."""
    sides = np.maximum(box[2:] - box[:2], 1)
    width, height = pixels = np.ceil(sides).astype(int)
    highest = enlarged(heatmaps, (height, width), cubic=True).reshape(len(heatmaps), -1).argmax(1)
    return box[:2] + (np.stack([highest % width, highest // width], 1) + 0.5) * (sides / pixels)


def objects(rows: dict[str, Array], size: Size, original: Size, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Read the rows of one picture, which the graph took at `size`: those that are nothing score -1."""
    names, joints = record["categories"]["class_names"], record["categories"]["keypoint_names"]
    ratio = np.array([original[1] / size[1], original[0] / size[0]], np.float32)
    for row in range(int((rows["scores"] >= 0).sum())):
        box = np.minimum(rows["boxes"][row] * np.tile(ratio, 2), np.tile(original[::-1], 2).astype(np.float32))
        found = {"name": names[rows["labels"][row]], "score": float(rows["scores"][row]), "box": box.tolist()}
        if "masks" in rows:
            found["mask"] = run_lengths(pasted(rows["masks"][row], box, original))
        if "posed" in rows and rows["posed"][row]:
            places = peaks(rows["heatmaps"][row], rows["boxes"][row]) if "heatmaps" in rows else rows["keypoints"][row]
            found["keypoints"] = dict(zip(joints, (places * ratio).tolist(), strict=True))
        yield found


def label_map(logits: Array, original: Size) -> Array:
    """Interpolate logits `(C, h, w)` to the original size, where the highest wins."""
    return (logits if logits.shape[1:] == original else enlarged(logits, original)).argmax(0).astype(np.uint8)


def main() -> None:
    """Read the arguments, and print a line a picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path, help="a folder that `delineate export` wrote")
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--score", type=float, default=0.0, help="leave out objects that score less")
    parser.add_argument("--out", type=Path, default=Path(), help="where label maps are written")
    asked = parser.parse_args()
    record = json.loads((asked.export / "system.json").read_text(encoding="utf-8"))
    run = open_graph(asked.export, record)
    for file in asked.pictures:
        picture = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
        original = picture.height, picture.width
        given = taken(picture, record)
        outputs = {name: array[0] for name, array in run(given[None]).items()}
        line: dict[str, Any] = {"file": str(file), "size": original}
        if "logits" in outputs:
            line["label_map"] = str(asked.out / f"{file.stem}_labels.png")
            Image.fromarray(label_map(outputs["logits"], original)).save(line["label_map"])
        else:
            found = objects(outputs, given.shape[1:], original, record)
            line["objects"] = [one for one in found if one["score"] >= asked.score]
        print(json.dumps(line))


if __name__ == "__main__":
    main()
