"""A folder that no format recognises is named by the tool that wrote it, with the export of it that is read."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from delineate.data.folders import visible_files
from delineate.data.formats.kinds import kind_of
from delineate.data.images import SUFFIXES
from delineate.data.pairing import UNREAD
from delineate.values import counted, listed

NUM_FILES = 20_000
"""So many files of a folder are looked at."""
NUM_LOOKED_INTO = 20
"""So many files of a kind are looked into."""
NUM_NAMED = 8

ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})
COCO_OR_YOLO = "export it as COCO or YOLO"

TOOLS: dict[str, str] = {
    "VIA": "in VIA, export annotations as JSON",
    "VIA 3": "export it as COCO, or annotate with VIA 2",
    "Label Studio": COCO_OR_YOLO,
    "Labelbox": "convert it to COCO or YOLO",
    "Supervisely": "export it with one of Supervisely's apps, as COCO or YOLO",
    "Scale": "convert it to COCO or YOLO",
    "CreateML": COCO_OR_YOLO,
    "Datumaro": "convert it: `datum convert -if datumaro -f coco`",
    "BDD100K": "convert it to COCO: `python -m bdd100k.label.to_coco`",
    "Cityscapes": "only its label maps are: gtFine/**/*_labelIds.png beside leftImg8bit/",
    "CVAT for video": "export it as CVAT for images 1.1 or COCO 1.0",
    "OpenImages": "load it with FiftyOne and export it as COCO",
    "Roboflow's table": COCO_OR_YOLO,
    "TFRecord": COCO_OR_YOLO,
    "KITTI": "convert it: `datum convert -if kitti -f coco`",
    "DOTA": "its boxes are turned; convert it to COCO with upright ones",
    "MATLAB": "write boxes as COCO JSON, or masks as PNG label maps",
    "Parquet": "write the pictures as files, and their objects as COCO JSON",
    "NDJSON": COCO_OR_YOLO,
}
"""What other tools write is not read; each has a way out."""

SUFFIXES_OF_TOOLS = {
    ".tfrecord": "TFRecord",
    ".tfrecords": "TFRecord",
    ".record": "TFRecord",
    ".mat": "MATLAB",
    ".parquet": "Parquet",
    ".arrow": "Parquet",
    ".ndjson": "NDJSON",
    ".jsonl": "NDJSON",
}


def likely(root: Path) -> str:
    """Say in words what a folder or file probably is, and what to do, or nothing where that cannot be told."""
    files = _files(root)
    tool = next(_tools(files), "")
    if tool:
        return f"this looks like {tool}, which is not read; {TOOLS[tool]}"
    return _packed(files) or next(_incomplete(root, files), "")


def contents(root: Path) -> str:
    """Say what there is in words, where nothing is known of it but its pictures."""
    files = _files(root)
    pictures = [file for file in files if file.suffix.lower() in SUFFIXES]
    others = sorted({file.suffix for file in files if file.suffix.lower() in UNREAD})
    if pictures:
        count = counted(len(pictures), "picture")
        return f"{count} and no annotation that is read (`delineate predict` takes bare pictures)"
    if others:
        return f"pictures of kinds that are not read ({', '.join(others)}; save them as JPEG or PNG)"
    if not root.is_dir():
        return "this is no data set"
    return "no format is recognised" if files else "the folder is empty"


def what_is_there(root: Path) -> str:
    """List the first names in a folder that has any, as the end of a sentence."""
    names = (
        sorted(path.name + "/" * path.is_dir() for path in root.iterdir() if path.name[0] != ".")
        if root.is_dir()
        else []
    )
    more = ", ..." if len(names) > NUM_NAMED else ""
    return f"; there is {', '.join(names[:NUM_NAMED])}{more}" if names else ""


def _files(root: Path) -> list[Path]:
    return [root] if root.is_file() else visible_files(root)[:NUM_FILES]


def _of(files: Sequence[Path], suffix: str) -> Iterator[Path]:
    return islice((file for file in files if file.suffix.lower() == suffix), NUM_LOOKED_INTO)


def _tools(files: Sequence[Path]) -> Iterator[str]:
    """Name the tools whose files these are."""
    for suffix in (".json", ".xml", ".csv"):
        yield from (name for name in map(kind_of, _of(files, suffix)) if name in TOOLS)
    yield from (SUFFIXES_OF_TOOLS[file.suffix.lower()] for file in files if file.suffix.lower() in SUFFIXES_OF_TOOLS)
    folders = {file.parent.name.casefold() for file in files}
    if folders & {"label_2", "image_2"}:
        yield "KITTI"
    if "labeltxt" in folders:
        yield "DOTA"


def _packed(files: Sequence[Path]) -> str:
    packed = [file.name for file in files if file.suffix.lower() in ARCHIVES]
    return f"packed: {listed(packed)}; unpack, and give the folder" if packed and len(packed) == len(files) else ""


def _incomplete(root: Path, files: Sequence[Path]) -> Iterator[str]:
    """Name the format of which a part is there, and the part that is missing."""
    folders = {file.parent.name.casefold() for file in files}
    of_voc = [file for file in _of(files, ".xml") if kind_of(file) == "voc"]
    pictures = any(file.suffix.lower() in SUFFIXES for file in files)
    if of_voc and not pictures:
        yield "this looks like VOC, but its pictures are missing; put them into JPEGImages/ beside Annotations/"
    elif of_voc:
        yield f"this looks like VOC ({of_voc[0].name}); put XML files into Annotations/ and pictures into JPEGImages/"
    elif "jpegimages" in folders:
        yield "this looks like VOC, but Annotations/ (XML files) and SegmentationClass/ (PNGs) are missing"
    for file in _of(files, ".json"):
        if kind_of(file) == "coco" and file != root:
            yield f"this looks like COCO; give the file {file}, or put it into {root / 'annotations'}"
    if any(map(_is_yolo, _of(files, ".txt"))):
        yield "this looks like YOLO, but data.yaml is missing, a file with the lines train:, val: and names:"


def _is_yolo(path: Path) -> bool:
    """Tell whether the first line of a text file is a class and numbers in 0..1."""
    try:
        with path.open(encoding="utf-8") as file:
            label, *values = (float(word) for word in file.readline().split())
    except ValueError:
        return False
    return label.is_integer() and len(values) >= 4 and all(0 <= value <= 1 for value in values[:4])
