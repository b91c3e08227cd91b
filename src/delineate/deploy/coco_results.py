"""COCO's server takes a list of results, whose numbers are those of its own file of pictures and categories."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from delineate.data.formats.coco.writing import object_rows
from delineate.io.files import written_beside
from delineate.values import InputError, Target

FIELDS = ("category_id", "bbox", "keypoints")
"""Of an annotation, results have these; `segmentation` and `score` come from the prediction."""


def write_server_results(
    lines: Iterable[dict[str, Any]], target_of: Callable[[dict[str, Any]], Target], file: Path, ids: Path
) -> Iterator[str]:
    """Write `[{image_id, category_id, bbox, score, segmentation?, keypoints?}]`, and give lines of what is left out.

    `ids` is a COCO file, with or without annotations: pictures have its numbers by their file names, and categories by
    their names. Raises `InputError` where it is none, or names neither a picture nor a class of these.
    """
    pictures, classes = _numbers(ids, "images", "file_name"), _numbers(ids, "categories", "name")
    lost: Counter[str] = Counter()
    with written_beside(file) as beside, beside.open("w", encoding="utf-8") as out:
        count = 0
        for row in _rows(lines, target_of, pictures, classes, lost):
            out.write((",\n" if count else "[") + json.dumps(row))
            count += 1
        if not count and lost:
            raise InputError(f"{ids}: names none of these pictures and classes; take the file that they belong to")
        out.write("]\n" if count else "[]\n")
    for what, number in sorted(lost.items()):
        yield f"{ids}: {what} is not in it; {number} results are left out"


def _numbers(ids: Path, kind: str, name: str) -> dict[str, int]:
    try:
        document = json.loads(ids.read_text(encoding="utf-8"))
        return {row[name]: row["id"] for row in document[kind]}
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{ids}: no COCO file with {kind} that have {name} and id; give the data set's own") from None


def _rows(
    lines: Iterable[dict[str, Any]],
    target_of: Callable[[dict[str, Any]], Target],
    pictures: Mapping[str, int],
    classes: Mapping[str, int],
    lost: Counter[str],
) -> Iterator[dict[str, Any]]:
    for line in lines:
        name = line["file_name"]
        picture = pictures.get(name, pictures.get(Path(name).name))
        if picture is None:
            lost[f"the picture {name}"] += len(line["boxes"])
            continue
        for index, row in enumerate(object_rows(target_of(line))):
            label = line["labels"][index]
            if label not in classes:
                lost[f"the category {label}"] += 1
                continue
            kept = {key: value for key, value in row.items() if key in FIELDS} | {"category_id": classes[label]}
            masks = {"segmentation": line["masks"][index]} if "masks" in line else {}
            yield {"image_id": picture, **kept, **masks, "score": line["scores"][index]}
