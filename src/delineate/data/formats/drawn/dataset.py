"""The drawings of a tool are a data set, once their pictures are found: COCO's reader does the rest."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from faster_coco_eval.core import mask as coco_masks

from delineate.data.folders import home_of
from delineate.data.formats.coco import Coco
from delineate.data.formats.coco.objects import read_objects
from delineate.data.formats.coco.pictures import own_size
from delineate.data.formats.coco.rows import Document, Row
from delineate.data.formats.drawn.files import Pictures
from delineate.data.formats.drawn.shapes import Drawing, Shape
from delineate.data.formats.polygons import area
from delineate.data.formats.split_names import split_of
from delineate.data.pairing import unread
from delineate.values import Content, InputError, counted, listed


def dataset(
    root: Path,
    split: str,
    needs: frozenset[Content],
    drawings: Iterable[Drawing],
    class_names: Sequence[str] = (),
    kind: type[Coco] = Coco,
) -> Coco:
    """Make the drawings of one split a data set; the classes are those named, or all that occur in any split, sorted.

    Raises `InputError` where no picture is found, and the first of what is broken in any split.
    """
    drawings = list(drawings)
    for error in (error for drawing in drawings for error in drawing.broken):
        raise error
    names = _class_names(drawings, class_names)
    chosen = [drawing for drawing in drawings if drawing.split == split]
    folder = home_of(root)
    pictures = Pictures(folder)
    by_file, problems = _found(chosen, pictures, root)
    unused = [file for file in pictures.files if file not in by_file and split_of(file.relative_to(folder)) == split]
    if unused:
        problems.append(f"{root}: left out {counted(len(unused), 'picture')} without annotation: {_names(unused)}")
    given = (next((one.image_size for one in several if one.image_size), None) for several in by_file.values())
    sizes = [size or own_size(file) for file, size in zip(by_file, given, strict=True)]
    objects = read_objects(_document(by_file, sizes, names), sizes, root)
    problems += [*_remarks(chosen, root), *unread(folder), *objects.problems]
    return kind(
        needs=needs,
        files=list(by_file),
        sizes=sizes,
        source=root,
        problems=problems,
        objects=objects,
        sources=[several[0].source for several in by_file.values()],
    )


def _class_names(drawings: Sequence[Drawing], given: Sequence[str]) -> Sequence[str]:
    of_names = {shape.name: (drawing.source, shape.where) for drawing in drawings for shape in drawing.shapes}
    for name in of_names.keys() - set(given or of_names):
        source, where = of_names[name]
        where = where.removeprefix(f"{source.name}: ")
        raise InputError(f"{source}: {where} is a {name!r}, which is not in the list of classes; add it there")
    return given or sorted(of_names)


def _document(
    by_file: Mapping[Path, Sequence[Drawing]], sizes: Sequence[tuple[int, int]], names: Sequence[str]
) -> Document:
    """Write the drawings as a COCO file has them."""
    labels = {name: label for label, name in enumerate(names)}
    annotations = [
        {"image_id": number, "category_id": labels[parts[0].name], **row_of(parts, size)}
        for number, (several, size) in enumerate(zip(by_file.values(), sizes, strict=True))
        for parts in objects_of(shape for drawing in several for shape in drawing.shapes)
    ]
    return {
        "images": [{"id": number, "file_name": file.name} for number, file in enumerate(by_file)],
        "annotations": annotations,
        "categories": [{"id": label, "name": name} for name, label in labels.items()],
    }


def _found(drawings: Sequence[Drawing], pictures: Pictures, root: Path) -> tuple[dict[Path, list[Drawing]], list[str]]:
    """Sort drawings by the picture's file, and say in a line which have none, and which share one."""
    by_file: dict[Path, list[Drawing]] = defaultdict(list)
    missing, embedded = [], []
    for drawing in drawings:
        file, name = file_of(drawing, pictures), written_name(drawing)
        if file is None:
            missing.append(name)
        else:
            by_file[file].append(drawing)
            embedded += [name] * (file not in pictures.there)
    if missing and not by_file:
        raise InputError(f"{root}: its pictures ({listed(missing)}) are nowhere in this folder; put them there")
    doubled = [file for file, several in by_file.items() if len(several) > 1]
    lines = (
        (missing, f"left out the annotations of pictures that are not there ({len(missing)}): {listed(missing)}"),
        (embedded, f"pictures that are no files are read from their JSON ({len(embedded)}): {listed(embedded)}"),
        (doubled, f"pictures that are annotated more than once are merged ({len(doubled)}): {_names(doubled)}"),
    )
    return by_file, [f"{root}: {line}" for names, line in lines if names]


def file_of(drawing: Drawing, pictures: Pictures) -> Path | None:
    """Find the picture of a drawing, or name what it would be where the annotation file holds it."""
    file = next(filter(None, (pictures.find(name, drawing.source) for name in drawing.names)), None)
    if file is None and drawing.embedded:
        return drawing.source.with_suffix(PurePosixPath(written_name(drawing)).suffix or ".png")
    return file


def written_name(drawing: Drawing) -> str:
    """Give the picture's name as the annotation file has it, without folders."""
    return PurePosixPath(drawing.names[0].replace("\\", "/")).name


def _names(files: Sequence[Path]) -> str:
    return listed(file.name for file in files)


def _remarks(drawings: Sequence[Drawing], root: Path) -> list[str]:
    """Say in a line what is left out or changed, with a count."""
    places: dict[str, list[str]] = defaultdict(list)
    for drawing in drawings:
        for what, where in drawing.remarks.items():
            places[what] += where
    return [f"{root}: {what} ({len(where)}): {listed(where)}" for what, where in places.items()]


def objects_of(shapes: Iterable[Shape]) -> list[list[Shape]]:
    """Put the parts of one object together."""
    parts: dict[Hashable, list[Shape]] = defaultdict(list)
    for place, shape in enumerate(shapes):
        parts[place if shape.group is None else (shape.name, shape.group)].append(shape)
    return list(parts.values())


def row_of(parts: Sequence[Shape], image_size: tuple[int, int]) -> Row:
    """Write one object as COCO's id, box, and segmentation with its area, of which boxes have none."""
    row: Row = {"id": parts[0].where}
    polygons = [list(part.corners) for part in parts if part.mask is None]
    masks = [part.mask for part in parts if part.mask is not None]
    if masks:
        filled = coco_masks.frPyObjects(polygons, *image_size) if polygons else []
        rle = coco_masks.merge([*masks, *filled])
        segmentation = {"size": list(image_size), "counts": rle["counts"].decode()}
        return row | {"bbox": coco_masks.toBbox(rle).tolist(), "segmentation": segmentation}
    xs, ys = ([value for polygon in polygons for value in polygon[axis::2]] for axis in (0, 1))
    row["bbox"] = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    if not all(part.is_box for part in parts):
        row |= {"segmentation": polygons, "area": sum(map(area, polygons))}
    return row
