"""Faults to plant in a clean set: each has a layout, what is done to its files, and what is to be found of it."""

import base64
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tests.doctor.sets import BOXES, HEIGHT, SPLITS, WIDTH, picture, save, write, xml, yolo_line

Plant = Callable[[Path], object]


class Fault(NamedTuple):
    """The `found` are all findings that there may be, with their counts; `fixed` those that `--fix` mends."""

    layout: str
    plant: Plant
    found: dict[str, int]
    fixed: bool = False


# COCO


def annotations(change: Callable[[dict[str, Any]], object], split: str = "train") -> Plant:
    """Change the JSON of a split."""

    def plant(root: Path) -> None:
        path = root / f"annotations/instances_{split}.json"
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))

    return plant


def row(number: int = 0, **values: Any) -> Plant:
    """Change fields of an annotation."""
    return annotations(lambda document: document["annotations"][number].update(values))


def image(number: int = 0, **values: Any) -> Plant:
    return annotations(lambda document: document["images"][number].update(values))


def joints(change: Callable[[list[float]], list[float]], every: bool = False) -> Plant:
    def plant(document: dict[str, Any]) -> None:
        for entry in document["annotations"] if every else document["annotations"][:1]:
            entry["keypoints"] = change(entry["keypoints"])

    return annotations(plant)


def rename(old: str, new: str) -> Plant:
    return lambda root: (root / old).rename(root / new)


def twice_as_many(document: dict[str, Any]) -> None:
    """Put each body beside itself, half a pixel on, without masks."""
    document["annotations"] += [
        {**entry, "id": 100 + number, "bbox": [value + 0.5 for value in entry["bbox"]]}
        for number, entry in enumerate(list(document["annotations"]))
    ]
    for entry in document["annotations"]:
        entry.pop("segmentation")


def many_bodies(root: Path) -> None:
    """Exchange the hands in all of twelve bodies, in the numbers alone; the feet stay."""

    def exchange(document: dict[str, Any]) -> None:
        for entry in document["annotations"]:
            points = entry["keypoints"]
            entry["keypoints"] = [*points[:9], *points[12:15], *points[9:12], *points[15:]]
        twice_as_many(document)

    annotations(exchange)(root)


def all_sides(root: Path) -> None:
    """Exchange left and right in all of twelve bodies, in the numbers alone."""

    def exchange(document: dict[str, Any]) -> None:
        for entry in document["annotations"]:
            head, *pairs = (entry["keypoints"][start : start + 3] for start in range(0, 21, 3))
            entry["keypoints"] = [*head, *(value for place in range(6) for value in pairs[place ^ 1])]
        twice_as_many(document)

    annotations(exchange)(root)


def second_entry(document: dict[str, Any]) -> None:
    document["images"].append({**document["images"][0], "id": 9})


def mixed_ids(document: dict[str, Any]) -> None:
    for entry in document["annotations"]:
        entry["category_id"] -= 1
    for entry in document["categories"]:
        entry["id"] -= 1


def another_cat(name: str) -> Plant:
    """Give a category whose name differs little, to one object in both splits."""

    def change(document: dict[str, Any]) -> None:
        document["categories"].append({**document["categories"][0], "id": 3, "name": name})
        document["annotations"][0]["category_id"] = 3

    return lambda root: [annotations(change, split)(root) for split in SPLITS]


def rle(height: int, width: int) -> dict[str, Any]:
    return {"size": [height, width], "counts": [6, height * width - 6]}


# files


def cut_off(path: str) -> Plant:
    def plant(root: Path) -> None:
        data = (root / path).read_bytes()
        (root / path).write_bytes(data[: len(data) // 2])

    return plant


def content(path: str, data: bytes) -> Plant:
    return lambda root: (root / path).write_bytes(data)


def as_png(path: str) -> Plant:
    return lambda root: picture(Path(path).stem).save(root / path, format="PNG")


def turned(path: str, orientation: int) -> Plant:
    """Mark a picture as turned; its pixels, and so the size that it is read in, are turned, too."""

    def plant(root: Path) -> None:
        size = (WIDTH, HEIGHT) if orientation >= 5 else (HEIGHT, WIDTH)
        save(root / path, Path(path).stem, size, exif=_exif(orientation))

    return plant


def copied(source: str, target: str) -> Plant:
    return lambda root: (root / target).write_bytes((root / source).read_bytes())


def saved_again(source: str, target: str) -> Plant:
    return lambda root: Image.open(root / source).save(root / target, quality=60)


def removed(path: str) -> Plant:
    return lambda root: (root / path).unlink()


def decomposed(root: Path) -> None:
    """Write two names that are one letter in another form."""
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "é")
        save(root / f"images/train/{name}.jpg", form)
        write(root / f"labels/train/{name}.txt", "\n".join(yolo_line(*one) for one in enumerate(BOXES)))


def capitals(root: Path) -> None:
    save(root / "images/train/A.jpg", "A")
    write(root / "labels/train/A.txt", "\n".join(yolo_line(*one) for one in enumerate(BOXES)))


# VOC and YOLO


def of_xml(boxes: Any, names: Any = ("cat", "dog"), **more: Any) -> Plant:
    return lambda root: write(root / "Annotations/a.xml", xml("a", boxes, names, **more))


def in_xml(old: str, new: str) -> Plant:
    def plant(root: Path) -> None:
        path = root / "Annotations/a.xml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return plant


def lines(*rows: str, splits: tuple[str, ...] = ("train",)) -> Plant:
    """Write the label file of the first picture of each split."""
    return lambda root: [
        write(root / f"labels/{split}/{SPLITS[split][0]}.txt", "\n".join(rows) + "\n") for split in splits
    ]


CAT, DOG = (yolo_line(label, box) for label, box in enumerate(BOXES))


def counted_from_1(root: Path) -> None:
    for path in root.rglob("labels/*/*.txt"):
        path.write_text(_shifted(path.read_text()))


def _shifted(text: str) -> str:
    return "".join(f"{int(line[0]) + 1}{line[1:]}\n" for line in text.splitlines())


def only_dogs(root: Path) -> None:
    for path in (root / "labels/val").glob("*.txt"):
        path.write_text(DOG + "\n")


def no_labels(split: str) -> Plant:
    return lambda root: [path.write_text("") for path in (root / "labels" / split).glob("*.txt")]


def in_yaml(old: str, new: str) -> Plant:
    return lambda root: (root / "data.yaml").write_text((root / "data.yaml").read_text().replace(old, new))


def many_dogs(root: Path) -> None:
    """Write 120 dogs a cat in the split to learn from."""
    for stem in SPLITS["train"]:
        rows = [yolo_line(1, (x, y, x + 3, y + 3)) for x in range(0, 60, 3) for y in range(0, 18, 3)]
        write(root / f"labels/train/{stem}.txt", "\n".join([CAT, *rows]) + "\n")


def pose_line(change: Callable[[list[str]], list[str]]) -> Plant:
    def plant(root: Path) -> None:
        path = root / "labels/train/a.txt"
        first, second = path.read_text().splitlines()
        path.write_text("\n".join([" ".join(change(first.split())), second]) + "\n")

    return plant


def in_pixels(words: list[str]) -> list[str]:
    """Write a pose in pixels where shares are meant."""
    box = [float(word) * (WIDTH, HEIGHT)[place % 2] for place, word in enumerate(words[1:5])]
    points = [float(word) * (WIDTH, HEIGHT, 1)[place % 3] for place, word in enumerate(words[5:])]
    return [words[0], *(f"{value:g}" for value in (*box, *points))]


# drawings


def in_json(path: str, change: Callable[[Any], object]) -> Plant:
    def plant(root: Path) -> None:
        document = json.loads((root / path).read_text())
        change(document)
        (root / path).write_text(json.dumps(document))

    return plant


def labelme(**values: Any) -> Plant:
    """Change fields of the first shape."""
    return in_json("train/a.json", lambda document: document["shapes"][0].update(values))


def of_labelme(split: str, shapes: Callable[[list[Any]], list[Any]]) -> Plant:
    """Change the shapes on all pictures of a split."""
    paths = [f"{split}/{stem}.json" for stem in SPLITS[split]]
    changes = [in_json(path, lambda document: document.update(shapes=shapes(document["shapes"]))) for path in paths]
    return lambda root: [change(root) for change in changes]


def via(change: Callable[[list[Any]], object]) -> Plant:
    """Change the regions on the first picture."""
    return in_json("train/via_region_data.json", lambda document: change(next(iter(document.values()))["regions"]))


def via_shape(**values: Any) -> Plant:
    return via(lambda regions: regions[0]["shape_attributes"].update(values))


def cvat(old: str, new: str) -> Plant:
    def plant(root: Path) -> None:
        text = (root / "annotations.xml").read_text()
        assert old in text
        (root / "annotations.xml").write_text(text.replace(old, new, 1))

    return plant


def embedded(share: float) -> Plant:
    """Put the first share of a picture's file into its JSON, and remove it."""

    def plant(root: Path) -> None:
        data = (root / "train/a.jpg").read_bytes()
        text = base64.b64encode(data[: round(share * len(data))]).decode()
        in_json("train/a.json", lambda document: document.update(imageData=text))(root)
        (root / "train/a.jpg").unlink()

    return plant


CAT_BOX = '<box label="cat" xtl="4" ytl="6" xbr="24" ybr="30"></box>'

# label maps


def label_map(path: str, change: Callable[[Any], Any], **options: Any) -> Plant:
    def plant(root: Path) -> None:
        values = np.array(Image.open(root / path))
        Image.fromarray(change(values)).save(root / path, **options)

    return plant


def every_label_map(change: Callable[[Any], Any]) -> Plant:
    paths = [f"labels/{split}/{stem}.png" for split, stems in SPLITS.items() for stem in stems]
    return lambda root: [label_map(path, lambda values: change(values).astype(np.uint8))(root) for path in paths]


def with_value(value: int) -> Callable[[Any], Any]:
    def change(values: Any) -> Any:
        values[:20, :20] = value
        return values

    return change


def blended(values: Any) -> Any:
    """Blend the values of columns at the border of 1 and 2, as smoothing does."""
    values[24:, 38:42] = np.array([40, 80, 120, 160], dtype=np.uint8)
    return values


def a_step(values: Any) -> Any:
    """Put the class 1 at the border of 0 and 2, as smoothing does."""
    values[24, 40:] = 1
    return values


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


FAULTS: dict[str, Fault] = {
    # files
    "coco: no picture": Fault("coco", content("images/train/a.jpg", b"hello there"), {"unreadable": 1}, True),
    "voc: no picture": Fault("voc", content("JPEGImages/a.jpg", b""), {"unreadable": 1}, True),
    "yolo: no picture": Fault("yolo", content("images/train/a.jpg", b"<html>no</html>"), {"unreadable": 1}, True),
    "mask_folder: no picture": Fault("mask_folder", content("images/train/a.jpg", b"?"), {"unreadable": 1}, True),
    "coco: truncated": Fault("coco", cut_off("images/val/d.jpg"), {"truncated": 1}, True),
    "voc: truncated": Fault("voc", cut_off("JPEGImages/a.jpg"), {"truncated": 1}, True),
    "yolo: truncated": Fault("yolo", cut_off("images/train/b.jpg"), {"truncated": 1}, True),
    "mask_folder: truncated": Fault("mask_folder", cut_off("images/train/b.jpg"), {"truncated": 1}, True),
    "mask_folder: truncated label map": Fault("mask_folder", cut_off("labels/train/b.png"), {"truncated": 1}, True),
    "coco: PNG called jpg": Fault("coco", as_png("images/train/a.jpg"), {"wrong-suffix": 1}, True),
    "voc: PNG called jpg": Fault("voc", as_png("JPEGImages/a.jpg"), {"wrong-suffix": 1}, True),
    "yolo: PNG called jpg": Fault("yolo", as_png("images/train/a.jpg"), {"wrong-suffix": 1}, True),
    "mask_folder: PNG called jpg": Fault("mask_folder", as_png("images/train/a.jpg"), {"wrong-suffix": 1}, True),
    "coco: turned, and annotated so": Fault("coco", turned("images/train/a.jpg", 6), {}),
    "coco: turned after": Fault(
        "coco",
        lambda root: save(root / "images/train/a.jpg", "a", (HEIGHT, WIDTH), exif=_exif(6)),
        {"size-differs": 1},
        True,
    ),
    "voc: turned after": Fault(
        "voc",
        lambda root: save(root / "JPEGImages/a.jpg", "a", (HEIGHT, WIDTH), exif=_exif(8)),
        {"size-differs": 1},
        True,
    ),
    "mask_folder: turned after": Fault(
        "mask_folder",
        lambda root: save(root / "images/train/a.jpg", "a", (HEIGHT, WIDTH), exif=_exif(6)),
        {"size-differs": 1},
        True,
    ),
    "labelme: turned after": Fault(
        "labelme",
        lambda root: save(root / "train/a.jpg", "a", (HEIGHT, WIDTH), exif=_exif(6)),
        {"size-differs": 1},
        True,
    ),
    "mask_folder: upside down": Fault("mask_folder", turned("images/train/a.jpg", 3), {"turned": 1}),
    "voc_masks: upside down": Fault("voc_masks", turned("JPEGImages/a.jpg", 3), {"turned": 1}),
    "coco: upside down": Fault("coco", turned("images/train/a.jpg", 3), {"turned": 1}),
    "yolo: turned": Fault("yolo", turned("images/train/a.jpg", 6), {"turned": 1}),
    "coco: other size": Fault("coco", image(width=640, height=480), {"size-differs": 1}),
    "voc: other size": Fault("voc", of_xml(BOXES, size=(480, 640)), {"size-differs": 1}),
    "coco: sides exchanged": Fault("coco", image(width=HEIGHT, height=WIDTH), {"size-differs": 1}),
    "mask_folder: label map of other size": Fault(
        "mask_folder", label_map("labels/train/a.png", lambda values: values[::2, ::2]), {"size-differs": 1}
    ),
    "coco: picture in no file": Fault(
        "coco", lambda root: save(root / "images/train/z.jpg", "z"), {"picture-without-annotation": 1}
    ),
    "voc: picture without XML": Fault(
        "voc",
        lambda root: [save(root / "JPEGImages/z.jpg", "z"), (root / "ImageSets/Main/val.txt").write_text("d\ne\nz\n")],
        {"picture-without-annotation": 1},
    ),
    "yolo: picture without label file": Fault("yolo", removed("labels/train/a.txt"), {"picture-without-annotation": 1}),
    "mask_folder: picture without label map": Fault(
        "mask_folder", removed("labels/train/a.png"), {"picture-without-annotation": 1}
    ),
    "coco: entry without picture": Fault(
        "coco", removed("images/train/a.jpg"), {"annotation-without-picture": 1}, True
    ),
    "voc: XML without picture": Fault(
        "voc", lambda root: write(root / "Annotations/z.xml", xml("z")), {"annotation-without-picture": 1}
    ),
    "voc: listed and not there": Fault(
        "voc",
        lambda root: (root / "ImageSets/Main/train.txt").write_text("a\nb\nc\nz\n"),
        {"annotation-without-picture": 1},
    ),
    "yolo: label file without picture": Fault(
        "yolo", lambda root: write(root / "labels/train/z.txt", CAT), {"annotation-without-picture": 1}
    ),
    "mask_folder: label map without picture": Fault(
        "mask_folder", copied("labels/train/a.png", "labels/train/z.png"), {"annotation-without-picture": 1}
    ),
    "coco: annotation of no picture": Fault("coco", row(image_id=77), {"annotation-without-picture": 1}, True),
    "voc: in no list": Fault(
        "voc",
        lambda root: [save(root / "JPEGImages/z.jpg", "z"), write(root / "Annotations/z.xml", xml("z"))],
        {"in-no-split": 1},
    ),
    "yolo: folder of no split": Fault("yolo", lambda root: save(root / "images/test/z.jpg", "z"), {"in-no-split": 1}),
    "yolo: HEIC": Fault("yolo", lambda root: write(root / "images/train/z.heic", "?"), {"unread-kind": 1}),
    "yolo: dead link": Fault(
        "yolo", lambda root: (root / "images/train/z.jpg").symlink_to("nowhere.jpg"), {"dead-link": 1}, True
    ),
    "yolo: names that differ in capitals": Fault("yolo", capitals, {"names-alike": 1}),
    "yolo: names in two forms": Fault("yolo", decomposed, {"names-alike": 1}),
    "coco: other capitals": Fault(
        "coco", rename("images/train/a.jpg", "images/train/A.JPG"), {"other-capitals": 1}, True
    ),
    "yolo: one label file for two": Fault(
        "yolo", lambda root: save(root / "images/train/a.png", "z"), {"same-stem": 1}
    ),
    "coco: out of the folder": Fault(
        "coco",
        lambda root: [save(root.parent / "z.jpg", "z"), image(file_name="../../../z.jpg")(root)],
        {"outside-folder": 1, "picture-without-annotation": 1},
    ),
    "voc: listed twice": Fault(
        "voc", lambda root: (root / "ImageSets/Main/train.txt").write_text("a\nb\nc\na\n"), {"listed-twice": 1}, True
    ),
    "coco: no JSON": Fault("coco", cut_off("annotations/instances_train.json"), {"broken-annotation": 1}),
    "coco: no file name": Fault("coco", image(file_name=None), {"broken-annotation": 1}),
    "voc: no XML": Fault(
        "voc", lambda root: write(root / "Annotations/a.xml", "<annotation><obj"), {"broken-annotation": 1}
    ),
    # annotations
    "coco: box with null": Fault("coco", row(bbox=[1, 2, None, 4]), {"not-a-number": 1}, True),
    "coco: mask with NaN": Fault("coco", row(segmentation=[[1, 2, float("nan"), 4, 5, 6]]), {"not-a-number": 1}, True),
    "coco: keypoints with NaN": Fault(
        "coco", joints(lambda points: [float("nan"), *points[1:]]), {"not-a-number": 1}, True
    ),
    "voc: word for a number": Fault("voc", in_xml("<xmin>5</xmin>", "<xmin>left</xmin>"), {"not-a-number": 1}, True),
    "yolo: word for a number": Fault("yolo", lines(CAT, DOG, "0 0.5 half 0.1 0.1"), {"not-a-number": 1}, True),
    "yolo: infinity": Fault("yolo", lines(CAT, DOG, "0 0.5 inf 0.1 0.1"), {"not-a-number": 1}, True),
    "coco: numbers as texts": Fault("coco", row(bbox=["4", "6", "20", "24"]), {"number-as-text": 1}, True),
    "coco: a flag as text": Fault("coco", row(iscrowd="0"), {"number-as-text": 1}, True),
    "coco: three numbers": Fault("coco", row(bbox=[1, 2, 3]), {"broken-row": 1}, True),
    "voc: no bndbox": Fault(
        "voc",
        lambda root: [in_xml("<bndbox>", "<place>")(root), in_xml("</bndbox>", "</place>")(root)],
        {"broken-row": 1},
    ),
    "voc: no name": Fault("voc", in_xml("<name>cat</name>", ""), {"broken-row": 1}, True),
    "yolo: three numbers": Fault("yolo", lines(CAT, DOG, "0 0.5 0.5"), {"broken-row": 1}, True),
    "yolo: pose of four": Fault("yolo_poses", pose_line(lambda words: words[:-3]), {"broken-row": 1}, True),
    "coco: no width": Fault("coco", row(bbox=[4, 6, 0, 24], segmentation=[]), {"degenerate": 1}, True),
    "voc: no height": Fault("voc", of_xml(((4, 6, 24, 30), (30, 10, 58, 10))), {"degenerate": 1}, True),
    "yolo: no width": Fault("yolo", lines(CAT, DOG, "0 0.5 0.5 0 0.1"), {"degenerate": 1}, True),
    "coco: negative width": Fault("coco", row(bbox=[24, 6, -20, 24]), {"swapped": 1}, True),
    "voc: corners exchanged": Fault("voc", in_xml("<xmin>5</xmin>", "<xmin>60</xmin>"), {"swapped": 1}, True),
    "coco: outside": Fault("coco", row(bbox=[90, 6, 20, 24], segmentation=[]), {"outside": 1}),
    "voc: outside": Fault("voc", of_xml(((4, 6, 24, 30), (70, 10, 88, 40))), {"outside": 1}, True),
    "coco: reaches out": Fault(
        "coco", row(1, bbox=[30, 10, 50, 30], segmentation=[]), {"reaches-out": 1, "mask-missing": 1}
    ),
    "voc: reaches out": Fault("voc", of_xml(((4, 6, 24, 30), (30, 10, 70, 40))), {"reaches-out": 1}, True),
    "yolo: reaches out": Fault("yolo", lines(CAT, DOG, "1 0.9 0.5 0.4 0.2"), {"reaches-out": 1}, True),
    "coco: twice": Fault(
        "coco",
        annotations(lambda document: document["annotations"].append({**document["annotations"][0], "id": 99})),
        {"duplicated": 1},
        True,
    ),
    "voc: twice": Fault("voc", of_xml((*BOXES, BOXES[0]), ("cat", "dog", "cat")), {"duplicated": 1}, True),
    "yolo: twice": Fault("yolo", lines(CAT, DOG, CAT), {"duplicated": 1}, True),
    "coco: normalised": Fault(
        "coco", row(bbox=[0.1, 0.2, 0.3, 0.4], segmentation=[]), {"normalised": 1, "mask-missing": 1}
    ),
    "voc: normalised": Fault(
        "voc",
        in_xml(
            "<xmin>5</xmin><ymin>7</ymin><xmax>24</xmax><ymax>30</ymax>",
            "<xmin>0.1</xmin><ymin>0.2</ymin><xmax>0.4</xmax><ymax>0.6</ymax>",
        ),
        {"normalised": 1},
    ),
    "yolo: pixels": Fault("yolo", lines(CAT, "1 44 25 28 30"), {"not-normalised": 1}, True),
    "yolo: pose in pixels": Fault("yolo_poses", pose_line(in_pixels), {"not-normalised": 1}, True),
    "yolo: pose in pixels, visibility 3": Fault(
        "yolo_poses",
        pose_line(lambda words: [*in_pixels(words)[:-1], "3"]),
        {"not-normalised": 1, "visibility": 1},
        True,
    ),
    "coco: unknown category": Fault("coco", row(category_id=7), {"unknown-category": 1}, True),
    "yolo: unknown class": Fault("yolo", lines(CAT, DOG, "7 0.5 0.5 0.1 0.1"), {"unknown-category": 1}, True),
    "voc: not in the list": Fault(
        "voc",
        lambda root: [write(root / "classes.txt", "cat\ndog\n"), of_xml(BOXES, ("cow", "dog"))(root)],
        {"unknown-category": 1},
        True,
    ),
    "yolo: counted from 1": Fault("yolo", counted_from_1, {"ids-mixed": 5}),
    "coco: a category 0": Fault("coco", row(category_id=0), {"ids-mixed": 1}),
    "coco: val counted from 0": Fault("coco", annotations(mixed_ids, "val"), {"ids-mixed": 1}),
    "coco: Cat and cat": Fault("coco", another_cat("Cat"), {"class-names-alike": 1}, True),
    "coco: a blank behind": Fault("coco", another_cat("cat "), {"class-names-alike": 1}),
    "voc: a blank behind": Fault("voc", of_xml(BOXES, ("cat ", "dog")), {"class-names-alike": 1}, True),
    "voc: Cat and cat": Fault(
        "voc",
        lambda root: [write(root / f"Annotations/{stem}.xml", xml(stem, BOXES, ("Cat", "dog"))) for stem in "ad"],
        {"class-names-alike": 1},
        True,
    ),
    "coco: no name": Fault(
        "coco",
        lambda root: [
            annotations(lambda document: document["categories"][0].update(name=""), split)(root) for split in SPLITS
        ],
        {"nameless-category": 2},
    ),
    "yolo: names as a text": Fault("yolo", in_yaml("[cat, dog]", "cat, dog"), {"names-read-as": 1}),
    "yolo: nc differs": Fault("yolo", in_yaml("names", "nc: 3\nnames"), {"names-read-as": 1}),
    "coco: box off its mask": Fault("coco", row(bbox=[4, 6, 40, 24]), {"box-not-mask": 1}, True),
    "coco: two points": Fault(
        "coco",
        annotations(lambda document: document["annotations"][0]["segmentation"].append([1, 2, 3, 4])),
        {"short-polygon": 1},
        True,
    ),
    "coco: RLE of another size": Fault("coco", row(segmentation=rle(96, 64)), {"rle-size": 1}),
    "coco: RLE too short": Fault(
        "coco", row(segmentation={"size": [HEIGHT, WIDTH], "counts": [5, 6]}), {"broken-mask": 1}
    ),
    "coco: odd polygon": Fault("coco", row(segmentation=[[4, 6, 24, 6, 24, 30, 4]]), {"broken-mask": 1}),
    "coco: no mask": Fault("coco", row(segmentation=[]), {"mask-missing": 1}),
    "yolo: a box among polygons": Fault("yolo_polygons", lines(CAT, DOG), {"mask-missing": 2}),
    "coco: a crowd": Fault("coco", row(iscrowd=1), {"crowds": 1}),
    "voc: difficult": Fault("voc", in_xml("<difficult>0", "<difficult>1"), {"difficult": 1}),
    "coco: one id for two": Fault("coco", row(id=2), {"same-ids": 1}, True),
    "coco: two entries": Fault("coco", annotations(second_entry), {"picture-twice": 1}, True),
    "coco: visibility 3": Fault("coco", joints(lambda points: [*points[:2], 3, *points[3:]]), {"visibility": 1}, True),
    "yolo: visibility 3": Fault("yolo_poses", pose_line(lambda words: [*words[:-1], "3"]), {"visibility": 1}, True),
    "coco: keypoint out of the picture": Fault(
        "coco", joints(lambda points: [200, *points[1:]]), {"keypoints-outside": 1}, True
    ),
    "yolo: keypoint out of the picture": Fault(
        "yolo_poses", pose_line(lambda words: [*words[:5], "1.5", *words[6:]]), {"keypoints-outside": 1}, True
    ),
    "coco: keypoint off its box": Fault("coco", joints(lambda points: [60, *points[1:]]), {"keypoints-off-box": 1}),
    "coco: keypoint never": Fault(
        "coco", joints(lambda points: [0, 0, 0, *points[3:]], every=True), {"keypoint-never": 1}
    ),
    "coco: hands exchanged": Fault("coco", many_bodies, {"left-right": 1}),
    "coco: no sides": Fault(
        "coco",
        lambda root: [
            annotations(
                lambda document: [entry.update(keypoints=list("abcdefg")) for entry in document["categories"]], split
            )(root)
            for split in SPLITS
        ],
        {"no-sides": 2},
    ),
    "yolo: no flip_idx": Fault(
        "yolo_poses",
        lambda root: [in_yaml("flip_idx", "other")(root), in_yaml("kpt_names", "more")(root)],
        {"no-sides": 1},
    ),
    "coco: skeleton from 0": Fault(
        "coco",
        annotations(lambda document: [entry.update(skeleton=[[0, 1]]) for entry in document["categories"]]),
        {"skeleton-from-0": 2},
        True,
    ),
    "mask_folder: a value without name": Fault(
        "mask_folder", label_map("labels/train/a.png", with_value(9)), {"unnamed-value": 1}
    ),
    "mask_folder: blended into other classes": Fault(
        "mask_folder", label_map("labels/train/a.png", a_step), {"antialiased": 1}
    ),
    "mask_folder: blended": Fault("mask_folder", label_map("labels/train/a.png", blended), {"antialiased": 1}),
    "mask_folder: colours": Fault(
        "mask_folder",
        label_map("labels/train/a.png", lambda values: np.stack([values] * 3, -1)),
        {"label-map-kind": 1},
    ),
    "mask_folder: no names": Fault("mask_folder", removed("classes.txt"), {"values-unnamed": 1}),
    "coco: background as a category": Fault(
        "coco",
        lambda root: [
            annotations(lambda document: document["categories"].append({"id": 9, "name": "background"}), split)(root)
            for split in SPLITS
        ],
        {"unused-category": 2},
        True,
    ),
    "yolo: a polygon among boxes": Fault(
        "yolo", lines(CAT, DOG, "0 0.1 0.8 0.3 0.8 0.3 0.9 0.1 0.9"), {"shape-left-out": 1}
    ),
    "mask_folder: 0 and 255 alone": Fault(
        "mask_folder",
        lambda root: [
            write(root / "classes.txt", "road\nsky\n"),
            every_label_map(lambda values: (values > 0) * 255)(root),
        ],
        {"two-values": 1},
    ),
    "mask_folder: classes never seen": Fault(
        "mask_folder", every_label_map(lambda values: (values > 0) * 255), {"value-doubt": 1, "class-missing": 4}
    ),
    "mask_folder: another name of a split": Fault(
        "mask_folder", lambda root: (root / "labels/val").rename(root / "labels/valid"), {"guessed": 1}
    ),
    # splits
    "coco: in both": Fault("coco", copied("images/train/a.jpg", "images/val/d.jpg"), {"leak": 1}, True),
    "voc: in both": Fault("voc", saved_again("JPEGImages/a.jpg", "JPEGImages/d.jpg"), {"leak": 1}, True),
    "yolo: nearly in both": Fault("yolo", saved_again("images/train/a.jpg", "images/val/d.jpg"), {"leak": 1}, True),
    "mask_folder: in both": Fault(
        "mask_folder", saved_again("images/train/a.jpg", "images/val/d.jpg"), {"leak": 1}, True
    ),
    "voc: in both lists": Fault(
        "voc", lambda root: (root / "ImageSets/Main/val.txt").write_text("d\ne\na\n"), {"leak": 1}, True
    ),
    "yolo: a class missing": Fault("yolo", only_dogs, {"class-missing": 1}),
    "mask_folder: a class missing": Fault(
        "mask_folder",
        lambda root: [label_map(f"labels/val/{stem}.png", lambda values: values // 2)(root) for stem in "de"],
        {"class-missing": 1},
    ),
    "yolo: a rare class": Fault("yolo", many_dogs, {"imbalance": 1}),
    "coco: other classes": Fault(
        "coco",
        annotations(lambda document: document["categories"][0].update(name="cow"), "val"),
        {"categories-differ": 1},
    ),
    "yolo: nothing to learn": Fault("yolo", no_labels("train"), {"nothing-to-learn": 1}),
    "yolo: nothing to measure": Fault("yolo", no_labels("val"), {"nothing-to-measure": 1}),
    "yolo: a split that is not there": Fault(
        "yolo", in_yaml("val: ", "test: images/test\nval: "), {"split-missing": 1}
    ),
    # drawings
    "labelme: no picture": Fault("labelme", content("train/a.jpg", b"hello there"), {"unreadable": 1}, True),
    "labelme: truncated": Fault("labelme", cut_off("train/a.jpg"), {"truncated": 1}, True),
    "via: truncated": Fault("via", cut_off("val/d.jpg"), {"truncated": 1}, True),
    "cvat: truncated": Fault("cvat", cut_off("images/val/d.jpg"), {"truncated": 1}, True),
    "labelme: PNG called jpg": Fault("labelme", as_png("train/a.jpg"), {"wrong-suffix": 1}, True),
    "cvat: PNG called jpg": Fault("cvat", as_png("images/train/a.jpg"), {"wrong-suffix": 1}, True),
    "labelme: other size": Fault(
        "labelme", in_json("train/a.json", lambda document: document.update(imageHeight=480)), {"size-differs": 1}
    ),
    "cvat: other size": Fault("cvat", cvat('width="64"', 'width="640"'), {"size-differs": 1}),
    "labelme: upside down": Fault("labelme", turned("train/a.jpg", 3), {"turned": 1}),
    "via: turned, and annotated so": Fault("via", turned("train/a.jpg", 6), {}),
    "via: turned, with objects in both": Fault(
        "via",
        lambda root: [turned("train/a.jpg", 6)(root), via(lambda regions: regions.pop())(root)],
        {"turned": 1},
    ),
    "via: turned after": Fault(
        "via",
        lambda root: save(root / "train/a.jpg", "a", (HEIGHT, WIDTH), exif=_exif(6)),
        {"turned": 1, "reaches-out": 1},
        True,
    ),
    "coco: turned after, without sizes": Fault(
        "coco",
        lambda root: [
            save(root / "images/train/a.jpg", "a", (HEIGHT, WIDTH), exif=_exif(6)),
            image(width=0, height=0)(root),
        ],
        {"turned": 1, "reaches-out": 1, "keypoints-outside": 1},
        True,
    ),
    "labelme: entry without picture": Fault("labelme", removed("train/a.jpg"), {"annotation-without-picture": 1}, True),
    "via: entry without picture": Fault("via", removed("train/a.jpg"), {"annotation-without-picture": 1}, True),
    "cvat: entry without picture": Fault(
        "cvat", removed("images/train/a.jpg"), {"annotation-without-picture": 1}, True
    ),
    "labelme: picture without JSON": Fault(
        "labelme", lambda root: save(root / "train/z.jpg", "z"), {"picture-without-annotation": 1}
    ),
    "via: other capitals": Fault("via", rename("train/a.jpg", "train/A.JPG"), {"other-capitals": 1}, True),
    "labelme: no JSON": Fault("labelme", cut_off("train/a.json"), {"broken-annotation": 1}, True),
    "via: no JSON": Fault("via", cut_off("train/via_region_data.json"), {"broken-annotation": 1}),
    "cvat: no XML": Fault("cvat", cut_off("annotations.xml"), {"broken-annotation": 1}),
    "labelme: null": Fault("labelme", labelme(points=[[1, 2], [None, 4]]), {"not-a-number": 1}, True),
    "via: NaN": Fault("via", via_shape(x=float("nan")), {"not-a-number": 1}, True),
    "cvat: word for a number": Fault("cvat", cvat('xtl="4"', 'xtl="left"'), {"not-a-number": 1}, True),
    "labelme: two faults": Fault(
        "labelme",
        lambda root: [
            labelme(points=[[1, 2], [None, 4]])(root),
            in_json("train/b.json", lambda document: document["shapes"][0].update(points=[[90, 6], [110, 30]]))(root),
        ],
        {"not-a-number": 1, "outside": 1},
        True,
    ),
    "labelme: unknown shape": Fault("labelme", labelme(shape_type="hexagram"), {"broken-row": 1}, True),
    "labelme: no label": Fault("labelme", labelme(label=""), {"broken-row": 1}),
    "cvat: no label": Fault("cvat", cvat('label="cat"', 'label=""'), {"broken-row": 1}, True),
    "labelme: no width": Fault("labelme", labelme(points=[[4, 6], [4, 30]]), {"degenerate": 1}, True),
    "via: no width": Fault("via", via_shape(width=0), {"degenerate": 1}, True),
    "cvat: no width": Fault("cvat", cvat('xbr="24"', 'xbr="4"'), {"degenerate": 1}, True),
    "labelme: corners in any order": Fault("labelme", labelme(points=[[24, 30], [4, 6]]), {}),
    "via: negative width": Fault("via", via_shape(x=24, width=-20), {"swapped": 1}, True),
    "cvat: corners exchanged": Fault("cvat", cvat('xtl="4"', 'xtl="60"'), {"swapped": 1}, True),
    "labelme: outside": Fault("labelme", labelme(points=[[90, 6], [110, 30]]), {"outside": 1}, True),
    "via: outside": Fault("via", via_shape(x=90), {"outside": 1}, True),
    "cvat: reaches out": Fault("cvat", cvat('xbr="24"', 'xbr="90"'), {"reaches-out": 1}, True),
    "labelme: twice": Fault(
        "labelme", of_labelme("train", lambda shapes: [*shapes, shapes[0]]), {"duplicated": 3}, True
    ),
    "cvat: twice": Fault("cvat", cvat(CAT_BOX, CAT_BOX + CAT_BOX), {"duplicated": 1}, True),
    "labelme: normalised": Fault("labelme", labelme(points=[[0.1, 0.2], [0.4, 0.6]]), {"normalised": 1}, True),
    "labelme: not in the list": Fault(
        "labelme",
        lambda root: [write(root / "labels.txt", "cat\ndog\n"), labelme(label="cow")(root)],
        {"unknown-category": 1},
        True,
    ),
    "cvat: not in the list": Fault("cvat", cvat('label="cat"', 'label="cow"'), {"unknown-category": 1}, True),
    "via: Cat and cat": Fault(
        "via",
        via(lambda regions: regions[0]["region_attributes"].update({"class": "Cat"})),
        {"class-names-alike": 1},
        True,
    ),
    "labelme: two points": Fault(
        "labelme", labelme(shape_type="polygon", points=[[4, 6], [24, 30]]), {"short-polygon": 1}, True
    ),
    "cvat: two points": Fault(
        "cvat", cvat(CAT_BOX, '<polygon label="cat" points="1,2;3,4"/>'), {"short-polygon": 1}, True
    ),
    "cvat: mask of another size": Fault(
        "cvat",
        cvat(CAT_BOX, '<mask label="cat" left="4" top="6" width="10" height="10" rle="10,20"/>'),
        {"rle-size": 1},
        True,
    ),
    "cvat: a point": Fault(
        "cvat", cvat(CAT_BOX, CAT_BOX + '<points label="cat" points="1,2"/>'), {"shape-left-out": 1}
    ),
    "labelme: two files of a picture": Fault(
        "labelme", copied("train/a.json", "train/a2.json"), {"picture-twice": 1, "duplicated": 2}, True
    ),
    "labelme: in its JSON": Fault("labelme", embedded(1), {"guessed": 1}),
    "labelme: broken in its JSON": Fault("labelme", embedded(0.5), {"truncated": 1, "guessed": 1}, True),
    "labelme: in both": Fault("labelme", copied("train/a.jpg", "val/d.jpg"), {"leak": 1}, True),
    "cvat: in both": Fault("cvat", saved_again("images/train/a.jpg", "images/val/d.jpg"), {"leak": 1}, True),
    "labelme: a class missing": Fault("labelme", of_labelme("val", lambda shapes: shapes[1:]), {"class-missing": 1}),
    "labelme: nothing to learn": Fault("labelme", of_labelme("train", lambda shapes: []), {"nothing-to-learn": 1}),
    # masks of VOC, and more of the others
    "yolo: listed twice": Fault(
        "yolo",
        lambda root: [
            write(root / "train.txt", "".join(f"./images/train/{stem}.jpg\n" for stem in "abca")),
            in_yaml("train: images/train", "train: train.txt")(root),
        ],
        {"listed-twice": 1},
        True,
    ),
    "coco: PNG turned after": Fault(
        "coco",
        lambda root: [
            save(root / "images/train/a.png", "a", (HEIGHT, WIDTH), exif=_exif(6)),
            removed("images/train/a.jpg")(root),
            image(file_name="a.png")(root),
        ],
        {"size-differs": 1},
        True,
    ),
    "voc_masks: masks of another size": Fault(
        "voc_masks",
        label_map("SegmentationObject/a.png", lambda values: values[::2, ::2].copy()),
        {"size-differs": 1},
    ),
    "voc_masks: a number of no object": Fault(
        "voc_masks", label_map("SegmentationObject/a.png", with_value(9)), {"broken-mask": 1}
    ),
    "voc_masks: a value without name": Fault(
        "voc_masks", label_map("SegmentationClass/a.png", with_value(9)), {"unnamed-value": 1}
    ),
    "yolo: beside its picture": Fault("yolo", lines(CAT, DOG, "0 1.5 0.5 0.1 0.1"), {"outside": 1}, True),
    "yolo: a class below 0": Fault("yolo", lines(CAT, DOG, "-1 0.5 0.5 0.1 0.1"), {"unknown-category": 1}, True),
    "yolo: out of the folder": Fault(
        "yolo",
        lambda root: [
            save(root.parent / "z.jpg", "z"),
            write(root.parent / "z.txt", f"{CAT}\n{DOG}\n"),
            write(root / "train.txt", "".join(f"./images/train/{stem}.jpg\n" for stem in "abc") + "../z.jpg\n"),
            in_yaml("train: images/train", "train: train.txt")(root),
        ],
        {"outside-folder": 1},
    ),
    "coco: HEIC": Fault("coco", lambda root: write(root / "images/train/z.heic", "?"), {"unread-kind": 1}),
    "coco: no keypoint at all": Fault("coco", joints(lambda _: [0] * 21, every=True), {"keypoint-never": 7}),
    "coco: all sides exchanged": Fault("coco", all_sides, {"left-right": 1}),
}
