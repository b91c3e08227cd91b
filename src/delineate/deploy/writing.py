"""Results are written in the field's formats, picture by picture from their lines, so that any number will do.

results.json, results.csv               one file
labels/NAME.txt and classes.txt         YOLO
Annotations/NAME.xml                    Pascal VOC
"""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal

import torch
from faster_coco_eval.core import mask as coco_masks

from delineate.data.files import write_text
from delineate.data.formats.coco.writing import category_rows, object_rows
from delineate.data.formats.voc.writing import xml
from delineate.data.formats.yolo.writing import box_lines, polygon_lines
from delineate.deploy.coco_results import write_server_results
from delineate.io.files import written_beside
from delineate.ops.masks import decode_rle
from delineate.values import Categories, InputError, Target, Task

Format = Literal["coco", "yolo", "voc", "csv"]
Lines = Iterable[dict[str, Any]]
"""What `Results` gives, as often as it is asked."""


def check_format(layout: Format, task: Task, ids: Path | None = None) -> None:
    """Raise `InputError` for a format of objects where the results are label maps, and for numbers that it lacks."""
    if ids is not None and (layout != "coco" or "label_map" in task.needs):
        raise InputError(f"ids: {'label maps have none' if layout == 'coco' else f'{layout} has none'}; leave it out")
    if "label_map" in task.needs and layout in ("yolo", "voc"):
        raise InputError(f"format: {layout} holds objects, and this system finds {task.finds}; take coco or csv")


def write_results(
    lines: Lines, categories: Categories, folder: Path, layout: Format, task: Task, ids: Path | None = None
) -> tuple[Path, list[str]]:
    """Write the results of a system of some task below a folder.

    With `ids`, COCO's results have the numbers of that file, and are what COCO's server takes. Gives the file or the
    folder that was written, and a line for what the format cannot hold.
    """
    dense = "label_map" in task.needs
    if ids is not None:
        file = folder / "results.json"
        return file, list(write_server_results(lines, lambda line: _target(line, categories), file, ids))
    if layout == "coco":
        return _write_coco(lines, categories, folder / "results.json", dense), []
    if layout == "csv":
        return _write_csv(lines, folder / "results.csv", dense), []
    lost = _write_yolo(lines, categories, folder) if layout == "yolo" else _write_voc(lines, categories, folder)
    return folder / ("labels" if layout == "yolo" else "Annotations"), [
        line.format(count) for line, count in sorted((+lost).items())
    ]


def _write_coco(lines: Lines, categories: Categories, file: Path, dense: bool) -> Path:
    """Write COCO's JSON with a `score` for each annotation.

    Rows of pictures name their label maps; the numbers of the categories are then the values in these.
    """
    names = enumerate(categories.label_map_names)
    rows = [{"id": value, "name": name} for value, name in names] if dense else category_rows(categories)
    with written_beside(file) as beside, beside.open("w", encoding="utf-8") as out:
        for opening, values in (
            ('{"images": [', (_image(number, line, file.parent) for number, line in enumerate(lines, start=1))),
            ('],\n"annotations": [', () if dense else _annotations(lines, categories)),
            ('],\n"categories": [', rows),
        ):
            _write_rows(out, opening, values)
        out.write("]}\n")
    return file


def _write_rows(out: IO[str], opening: str, rows: Iterable[dict[str, Any]]) -> None:
    out.write(opening)
    for number, row in enumerate(rows):
        out.write((",\n" if number else "\n") + json.dumps(row))


def _image(number: int, line: dict[str, Any], folder: Path) -> dict[str, Any]:
    row = {"id": number, "file_name": line["file_name"], "height": line["height"], "width": line["width"]}
    if "label_map" not in line:
        return row
    return row | {"label_map": Path(line["label_map"]).relative_to(folder).as_posix(), "shares": line["shares"]}


def _annotations(lines: Lines, categories: Categories) -> Iterator[dict[str, Any]]:
    count = 0
    for number, line in enumerate(lines, start=1):
        for index, row in enumerate(object_rows(_target(line, categories))):
            count += 1
            if "masks" in line:
                rle = line["masks"][index]
                row |= {"segmentation": rle, "area": float(coco_masks.area([rle])[0])}
            if line.get("tracks"):
                row["track_id"] = line["tracks"][index]
            yield {"id": count, "image_id": number, **row, "score": line["scores"][index]}


def _write_csv(lines: Lines, file: Path, dense: bool) -> Path:
    """Write a row for each object; of label maps, for each class that has a pixel."""
    with written_beside(file) as beside, beside.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out, lineterminator="\n")
        head = ["file", "class", "share"] if dense else ["file", "class", "score", "x1", "y1", "x2", "y2"]
        rows.writerow([*head, *["track"] * ("tracks" in next(iter(lines), {}))])
        for line in lines:
            if dense:
                values = [[name, _short(share)] for name, share in line["shares"].items() if share]
            else:
                objects = zip(line["labels"], line["scores"], line["boxes"], strict=True)
                values = [[name, *map(_short, (score, *box))] for name, score, box in objects]
                values = [[*row, *track] for row, track in zip(values, _tracks(line), strict=True)]
            rows.writerows([line["file_name"], *row] for row in values)
    return file


def _tracks(line: dict[str, Any]) -> list[list[str]]:
    """Give a column of identities where objects are tracked, which is empty for one that has none yet."""
    if "tracks" not in line:
        return [[] for _ in line["boxes"]]
    return [["" if track is None else str(track)] for track in line["tracks"]]


def _write_yolo(lines: Lines, categories: Categories, folder: Path) -> Counter[str]:
    """Write polygons where there are masks, else poses where there are keypoints, else boxes; the score comes last."""
    lost: Counter[str] = Counter()
    for line in lines:
        target, scores = _target(line, categories), line["scores"]
        if "masks" in line:
            masks = decode_rle(line["masks"], target.image_size)
            drawn = masks.flatten(1).any(1)
            lost["masks: {} objects without a pixel are left out"] += int((~drawn).sum())
            lost["keypoints of {} objects: lines of polygons have none"] += len(line.get("keypoints", ()))
            texts = polygon_lines(_target(line, categories, masks)[drawn])
            scores = [score for score, kept in zip(scores, drawn.tolist(), strict=True) if kept]
        else:
            texts = box_lines(target, "keypoints" in line)
        rows = (f"{text} {_short(score)}\n" for text, score in zip(texts, scores, strict=True))
        write_text(folder / "labels" / f"{line['name']}.txt", "".join(rows))
    write_text(folder / "classes.txt", "".join(f"{name}\n" for name in categories.class_names))
    return lost


def _write_voc(lines: Lines, categories: Categories, folder: Path) -> Counter[str]:
    lost: Counter[str] = Counter()
    for line in lines:
        for kind in ("masks", "keypoints"):
            lost[kind + " of {} objects: VOC's XML has none"] += len(line.get(kind, ()))
        text = xml(Path(line["file_name"]), _target(line, categories), categories, line["scores"])
        write_text(folder / "Annotations" / f"{line['name']}.xml", text)
    return lost


def _target(line: dict[str, Any], categories: Categories, masks: torch.Tensor | None = None) -> Target:
    """Make objects of a record, as the writers of data sets take them."""
    numbers = {name: label for label, name in enumerate(categories.class_names)}
    keypoints, count = line.get("keypoints"), len(line["boxes"])
    num_keypoints = len(categories.keypoint_names)
    return Target(
        image_size=(line["height"], line["width"]),
        boxes=torch.tensor(line["boxes"]).view(-1, 4),
        labels=torch.tensor([numbers[name] for name in line["labels"]], dtype=torch.int64),
        masks=masks,
        keypoints=None if keypoints is None else torch.tensor(keypoints).view(count, num_keypoints, 2),
        visibility=None if keypoints is None else torch.tensor(line["visibility"]).long().view(count, num_keypoints),
    )


def _short(value: float) -> str:
    """Write seven digits, as many as a float32 has."""
    return f"{value:.7g}"
