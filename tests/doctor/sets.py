"""Small clean data sets, one a layout, to plant faults in: three pictures to learn from and two to measure on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 48, 64
SPLITS = {"train": ("a", "b", "c"), "val": ("d", "e")}
NAMES = ("cat", "dog")
JOINTS = ("head", "left_eye", "right_eye", "left_hand", "right_hand", "left_foot", "right_foot")
BOXES = ((4, 6, 24, 30), (30, 10, 58, 40))
"""Every picture has a cat and a dog here, x1 y1 x2 y2."""


def picture(seed: str, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Image.Image:
    """Make a picture of large random squares, which no other resembles."""
    rng = np.random.default_rng(list(seed.encode()))
    small = rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size[::-1], Image.Resampling.NEAREST)


def save(path: Path, seed: str, size: tuple[int, int] = (HEIGHT, WIDTH), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, size).save(path, **options)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def corners(box: tuple[float, float, float, float]) -> list[float]:
    x1, y1, x2, y2 = box
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def pose(box: tuple[float, float, float, float]) -> list[float]:
    """Place the joints of a body that faces us: its left is on our right."""
    x1, y1, x2, y2 = box
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    points = [
        (x, y1 + 2),
        (x + 1, y1 + 1),
        (x - 1, y1 + 1),
        (x2 - 2, y),
        (x1 + 2, y),
        (x2 - 4, y2 - 2),
        (x1 + 4, y2 - 2),
    ]
    return [value for px, py in points for value in (px, py, 2)]


def coco(root: Path) -> Path:
    for split, stems in SPLITS.items():
        images, rows = [], []
        for number, stem in enumerate(stems, start=1):
            save(root / "images" / split / f"{stem}.jpg", stem)
            images.append({"id": number, "file_name": f"{stem}.jpg", "height": HEIGHT, "width": WIDTH})
            for label, (x1, y1, x2, y2) in enumerate(BOXES, start=1):
                rows.append(
                    {
                        "id": len(rows) + 1,
                        "image_id": number,
                        "category_id": label,
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "area": (x2 - x1) * (y2 - y1),
                        "iscrowd": 0,
                        "segmentation": [corners((x1, y1, x2, y2))],
                        "keypoints": pose((x1, y1, x2, y2)),
                        "num_keypoints": len(JOINTS),
                    }
                )
        categories = [{"id": label, "name": name, "keypoints": list(JOINTS)} for label, name in enumerate(NAMES, 1)]
        document = {"images": images, "annotations": rows, "categories": categories}
        write(root / f"annotations/instances_{split}.json", json.dumps(document))
    return root


def xml(stem: str, boxes: Any = BOXES, names: Any = NAMES, size: tuple[int, int] = (HEIGHT, WIDTH)) -> str:
    objects = "".join(
        f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for name, (x1, y1, x2, y2) in zip(names, boxes, strict=True)
    )
    sides = f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>"
    return f"<annotation><filename>{stem}.jpg</filename>{sides}{objects}</annotation>"


def voc(root: Path) -> Path:
    for split, stems in SPLITS.items():
        for stem in stems:
            save(root / "JPEGImages" / f"{stem}.jpg", stem)
            write(root / "Annotations" / f"{stem}.xml", xml(stem))
        write(root / "ImageSets" / "Main" / f"{split}.txt", "".join(f"{stem}\n" for stem in stems))
    return root


def yolo_line(label: int, box: tuple[float, float, float, float]) -> str:
    x1, y1, x2, y2 = box
    numbers = ((x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT, (x2 - x1) / WIDTH, (y2 - y1) / HEIGHT)
    return " ".join([str(label), *(f"{value:.6f}" for value in numbers)])


def _yolo(root: Path, line: Callable[[int, Any], str], more: str = "") -> Path:
    for split, stems in SPLITS.items():
        for stem in stems:
            save(root / "images" / split / f"{stem}.jpg", stem)
            lines = [line(label, box) for label, box in enumerate(BOXES)]
            write(root / "labels" / split / f"{stem}.txt", "\n".join(lines) + "\n")
    write(root / "data.yaml", f"train: images/train\nval: images/val\nnames: [{', '.join(NAMES)}]\n{more}")
    return root


def yolo(root: Path) -> Path:
    return _yolo(root, yolo_line)


def yolo_poses(root: Path) -> Path:
    def line(label: int, box: Any) -> str:
        values = pose(box)
        shares = [value / (WIDTH, HEIGHT, 1)[place % 3] for place, value in enumerate(values)]
        return " ".join([yolo_line(label, box), *(f"{value:.6f}" for value in shares)])

    names = ", ".join(JOINTS)
    return _yolo(root, line, f"kpt_shape: [{len(JOINTS)}, 3]\nkpt_names: [{names}]\nflip_idx: [0, 2, 1, 4, 3, 6, 5]\n")


def yolo_polygons(root: Path) -> Path:
    def line(label: int, box: Any) -> str:
        values = [value / (WIDTH, HEIGHT)[place % 2] for place, value in enumerate(corners(box))]
        return " ".join([str(label), *(f"{value:.6f}" for value in values)])

    return _yolo(root, line)


def label_map() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Make a label map of three classes in blocks."""
    values = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    values[:, 20:40] = 1
    values[24:, 40:] = 2
    return values


def mask_folder(root: Path) -> Path:
    for split, stems in SPLITS.items():
        for stem in stems:
            save(root / "images" / split / f"{stem}.jpg", stem)
            path = root / "labels" / split / f"{stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(label_map()).save(path)
    write(root / "classes.txt", "road\nsky\ntree\n")
    return root


def labelme(root: Path) -> Path:
    for split, stems in SPLITS.items():
        for stem in stems:
            save(root / split / f"{stem}.jpg", stem)
            shapes = [
                {"label": name, "shape_type": "rectangle", "points": [[x1, y1], [x2, y2]], "group_id": None}
                for name, (x1, y1, x2, y2) in zip(NAMES, BOXES, strict=True)
            ]
            sides = {"imageHeight": HEIGHT, "imageWidth": WIDTH}
            document = {"shapes": shapes, "imagePath": f"{stem}.jpg", "imageData": None, **sides}
            write(root / split / f"{stem}.json", json.dumps(document))
    return root


def via(root: Path) -> Path:
    for split, stems in SPLITS.items():
        document = {}
        for stem in stems:
            size = save(root / split / f"{stem}.jpg", stem).stat().st_size
            regions = [
                {
                    "shape_attributes": {"name": "rect", "x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1},
                    "region_attributes": {"class": name},
                }
                for name, (x1, y1, x2, y2) in zip(NAMES, BOXES, strict=True)
            ]
            document[f"{stem}.jpg{size}"] = {"filename": f"{stem}.jpg", "size": size, "regions": regions}
        write(root / split / "via_region_data.json", json.dumps(document))
    return root


def cvat(root: Path) -> Path:
    images = []
    for split, stems in SPLITS.items():
        for stem in stems:
            save(root / "images" / split / f"{stem}.jpg", stem)
            boxes = "".join(
                f'<box label="{name}" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}"></box>'
                for name, (x1, y1, x2, y2) in zip(NAMES, BOXES, strict=True)
            )
            head = f'id="{len(images)}" name="{stem}.jpg" subset="{split}" width="{WIDTH}" height="{HEIGHT}"'
            images.append(f"<image {head}>{boxes}</image>")
    labels = "".join(f"<label><name>{name}</name></label>" for name in NAMES)
    meta = f"<meta><task><labels>{labels}</labels></task></meta>"
    write(root / "annotations.xml", f"<annotations><version>1.1</version>{meta}{''.join(images)}</annotations>")
    return root


def voc_masks(root: Path) -> Path:
    """Write VOC's folders with both kinds of masks, a class and an object the same number."""
    voc(root)
    values = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    for number, (x1, y1, x2, y2) in enumerate(BOXES, start=1):
        values[y1:y2, x1:x2] = number
    for kind in ("SegmentationClass", "SegmentationObject"):
        (root / kind).mkdir()
        for stem in (stem for stems in SPLITS.values() for stem in stems):
            Image.fromarray(values).save(root / kind / f"{stem}.png")
    write(root / "classes.txt", "".join(f"{name}\n" for name in NAMES))
    return root


CLEAN: dict[str, Callable[[Path], Path]] = {
    "coco": coco,
    "voc": voc,
    "yolo": yolo,
    "yolo_poses": yolo_poses,
    "yolo_polygons": yolo_polygons,
    "mask_folder": mask_folder,
    "labelme": labelme,
    "via": via,
    "cvat": cvat,
    "voc_masks": voc_masks,
}
