"""A JSON, XML or CSV file says by its first and last words which tool wrote it."""

import re
from pathlib import Path

SNIFFED = 2**13
"""So many bytes are read at each end of a file, whatever its size."""

JSON_KINDS: tuple[tuple[str, frozenset[str]], ...] = (
    ("labelme", frozenset({"shapes", "imagePath"})),
    ("labelme", frozenset({"shapes", "imageHeight"})),
    ("via", frozenset({"_via_img_metadata"})),
    ("via", frozenset({"filename", "regions"})),
    ("VIA 3", frozenset({"project", "config", "attribute", "view"})),
    ("Label Studio", frozenset({"result", "from_name"})),
    ("Label Studio", frozenset({"annotations", "completed_by"})),
    ("Label Studio", frozenset({"annotator", "annotation_id"})),
    ("Labelbox", frozenset({"data_row"})),
    ("Labelbox", frozenset({"Labeled Data", "Label"})),
    ("Supervisely", frozenset({"objects", "classTitle"})),
    ("Supervisely", frozenset({"classes", "projectType"})),
    ("Supervisely", frozenset({"objects", "tags", "size"})),
    ("Scale", frozenset({"task_id", "response"})),
    ("CreateML", frozenset({"annotations", "coordinates"})),
    ("CreateML", frozenset({"annotation", "coordinates"})),
    ("Datumaro", frozenset({"items", "categories", "infos"})),
    ("Datumaro", frozenset({"dm_format_version"})),
    ("Datumaro", frozenset({"annotations", "label_id"})),
    ("Cityscapes", frozenset({"imgHeight", "imgWidth", "objects"})),
    ("BDD100K", frozenset({"labels", "box2d"})),
    ("coco", frozenset({"images", "annotations"})),
    ("coco", frozenset({"image_id", "category_id"})),
    ("coco", frozenset({"images", "file_name"})),
)
"""The first of these whose keys are all there is the file's: of several tools, COCO has the most common keys."""


def kind_of(path: Path) -> str:
    """Name the tool that wrote a file, in small letters where it is read (`coco`, `voc`, ...); "" if unknown."""
    kinds = {".json": _of_json, ".xml": _of_xml, ".csv": _of_csv}
    return kinds[path.suffix.lower()](path)


def is_cut(path: Path) -> bool:
    """Tell whether a JSON or XML file lacks its last bracket: nobody can read it, nor say whose it is."""
    return not _ends(path).rstrip().endswith(("}", "]", ">"))


def _of_json(path: Path) -> str:
    keys = set(re.findall(r'"([^"\\{}\[\]]{1,40})"\s*:', _ends(path)))
    return next((kind for kind, needed in JSON_KINDS if needed <= keys), "")


def _of_xml(path: Path) -> str:
    text = re.sub(r"<\?.*?\?>|<!--.*?-->", "", _ends(path), flags=re.DOTALL)
    root = re.search(r"<(?:\w+:)?(\w+)", text)
    match root.group(1).lower() if root else "":
        case "annotation":
            return "voc"
        case "annotations" if re.search(r"</?track\b", text) and not re.search(r"</?image\b", text):
            return "CVAT for video"
        case "annotations" if re.search(r"</?(image|meta)\b", text):
            return "cvat"
    return ""


def _of_csv(path: Path) -> str:
    head = _ends(path).split("\n", 1)[0].lower()
    if "region_shape_attributes" in head:
        return "VIA"
    if head.startswith("imageid") and "labelname" in head:
        return "OpenImages"
    return "Roboflow's table" if path.name.startswith(("_annotations", "_classes")) else ""


def _ends(path: Path) -> str:
    """Read the beginning and the end of a file; one that cannot be read is empty."""
    try:
        with path.open("rb") as file:
            head = file.read(SNIFFED)
            file.seek(max(len(head), path.stat().st_size - SNIFFED))
            data = head + file.read()
    except OSError:
        return ""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return data.decode(encoding, errors="replace")
