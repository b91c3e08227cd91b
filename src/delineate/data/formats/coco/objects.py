"""The annotations of a COCO file are sorted by picture, and their numbers made tensors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from delineate.data.formats.coco.bodies import read_body
from delineate.data.formats.coco.boxes import said_before
from delineate.data.formats.coco.categories import in_use, read_categories
from delineate.data.formats.coco.large import Large
from delineate.data.formats.coco.pieces import Known, Piece, joined, read_piece
from delineate.data.formats.coco.rows import Document, Row, lines, said_of
from delineate.data.formats.coco.segmentations import is_mask, rasterise
from delineate.data.formats.coco.shapes import Shapes
from delineate.values import Categories, Content, counted


@dataclass(frozen=True, kw_only=True, eq=False)
class Objects:
    """The annotations of a file; those of picture `i` are the rows `starts[i]` up to `starts[i + 1]`."""

    categories: Categories
    contents: frozenset[Content]
    problems: Sequence[str]
    starts: Sequence[int] | NDArray[np.int64]
    ids: Any
    segmentations: Shapes
    boxes: Float[Tensor, "n 4"]
    labels: Int64[Tensor, " n"]
    crowd: Bool[Tensor, " n"]
    difficult: Bool[Tensor, " n"]
    areas: Float[Tensor, " n"]
    keypoints: Float[Tensor, "n k 3"] | None

    def masks(self, rows: range, image_size: tuple[int, int], source: Path) -> Bool[Tensor, "n h w"]:
        """Rasterise some annotations of one picture as COCO does; the box where there is no mask."""
        shapes = [self.segmentations[row] for row in rows]
        for number, row in enumerate(rows):
            if not is_mask(shapes[number]):
                x1, y1, x2, y2 = self.boxes[row].tolist()
                shapes[number] = [[x1, y1, x2, y1, x2, y2, x1, y2]]
        ids = [self.ids[row] for row in rows]
        return rasterise(shapes, image_size, lambda row: f"{source}: annotation {ids[row]}: segmentation")


def read_objects(
    document: Document,
    sizes: Sequence[tuple[int, int]],
    source: Path,
    large: Large | None = None,
) -> Objects:
    """Sort the annotations of pictures of the given `(height, width)`; labels follow the category ids' order.

    The annotations are those of a `large` file where the document does not hold them. Where a size is not known (0),
    boxes are not cut. Raises `InputError` naming the file, the annotation and the field.
    """
    body, _ = read_body(document["categories"], _with_keypoints(document, large), source)
    known = Known(
        pictures={image["id"]: place for place, image in enumerate(document["images"])}
        if large is None
        else large.places,
        categories={category["id"]: place for place, category in enumerate(document["categories"])},
        sizes=np.array(sizes, dtype=np.float64).reshape(-1, 2),
        keypoint_names=body.keypoint_names,
        source=source,
    )
    pieces = [read_piece(document["annotations"], known)] if large is None else [*large.pieces(known)]
    found = joined(pieces or [read_piece([], known)], len(body.keypoint_names))
    used = [
        {"category_id": document["categories"][place]["id"]}
        for place in np.bincount(found.category).nonzero()[0].tolist()
    ]
    category_rows, problems = in_use(document["categories"], used, source)
    labels = np.zeros(len(known.categories), dtype=np.int64)
    labels[[known.categories[row["id"]] for row in category_rows]] = np.arange(len(category_rows))
    repeated = said_before(found.picture, found.category, found.boxes, found.others)
    order = np.flatnonzero(~repeated)
    order = order[np.argsort(found.picture[order], kind="stable")]
    columns = {field.name: getattr(found, field.name) for field in fields(found) if field.name != "all_ids"}
    said = [*found.said, *said_of(found.ids, repeated, "left out {} that say the same as another one")]
    of_one_id = _of_one_id(found, source)
    del found  # each column is given back as soon as it is in order
    ids, picture = columns.pop("ids"), columns.pop("picture")[order]
    ids = ids[order] if isinstance(ids, np.ndarray) else [ids[row] for row in order.tolist()]
    starts = np.searchsorted(picture, np.arange(len(sizes) + 1)).tolist()
    shapes = columns.pop("shapes").ordered(order)
    bare = shapes.bare
    has_masks = not bare.all()
    said += said_of(ids, bare & has_masks, "{} without mask; the box stands for it")
    problems += [*of_one_id, *lines(said, source)]
    categories, guessed = read_categories(category_rows, _with_keypoints(document, large), source, has_masks=has_masks)
    points = columns.pop("keypoints")
    keypoints = None if points is None else torch.from_numpy(points[order])
    return Objects(
        categories=categories,
        contents=_contents(categories, keypoints, has_masks=has_masks),
        problems=[*problems, *guessed, *lines(columns["outside"], source)],
        starts=starts,
        ids=ids,
        segmentations=shapes,
        labels=torch.from_numpy(labels[columns.pop("category")[order]]),
        keypoints=keypoints,
        **{name: torch.from_numpy(columns.pop(name)[order]) for name in ("boxes", "crowd", "difficult", "areas")},
    )


def _with_keypoints(document: Document, large: Large | None) -> Iterable[Row]:
    """Give the annotations where some may have keypoints, which tell how many there are."""
    if large is None:
        return document["annotations"]
    return (row for rows in large for row in rows) if large.has_keypoints else ()


def _contents(categories: Categories, keypoints: Tensor | None, *, has_masks: bool) -> frozenset[Content]:
    given: dict[Content, bool] = {
        "boxes": True,
        "masks": has_masks,
        "keypoints": keypoints is not None,
        "label_map": bool(categories.label_map_names),
    }
    return frozenset(content for content, is_given in given.items() if is_given)


def _of_one_id(found: Piece, source: Path) -> list[str]:
    """Say how many annotations share their ids, which name them in such lines, and nothing else."""
    count = found.num_rows - found.num_ids
    return [f"{source}: {counted(count, 'annotation')} with the id of another one, read as any other"] if count else []
