"""Pictures a minute that the doctor looks through, with and without decoding, and the memory that it takes.

    python benchmarks/doctor.py --out FOLDER [--num-images 1500] [--size 480 640] [--json]

A synthetic COCO set of JPEGs as large as common ones is written into the folder (twenty pictures a second), and as VOC,
YOLO (polygons of some 400 corners, and once more boxes) and a mask folder, too. Each is examined in a process of its
own, after a small set to warm up. The memory is what that process has at most, less what it had after the small set.
With 1,500 pictures, which a layout's row decodes for a quarter of a minute, all takes about 5 minutes on two cores,
most of which writes the sets. What is in the folder is not done again, each set and each row.
"""

import argparse
import json
import os
import shutil
import time
from pathlib import Path

from PIL import Image

from delineate.data import convert, synthesise
from delineate.doctor import examine
from keeping import Figures, apart, kept, peak_mib, print_figures

BOXES = "yolo_boxes"
LAYOUTS = ("coco", "voc", "yolo", BOXES, "mask_folder")
COLUMNS = ("pictures", "seconds", "pictures a minute", "memory MiB")


def write_jpegs(root: Path, num_images: int, size: tuple[int, int]) -> None:
    """Write a synthetic set, and each of its PNGs as a JPEG in place of it."""
    synthesise(root, num_images=num_images, image_size=size)
    for file in sorted((root / "images").rglob("*.png")):
        Image.open(file).convert("RGB").save(file.with_suffix(".jpg"), quality=90)
        file.unlink()
    for source in (root / "annotations").glob("*.json"):
        document = json.loads(source.read_text())
        for image in document["images"]:
            image["file_name"] = str(Path(image["file_name"]).with_suffix(".jpg"))
        source.write_text(json.dumps(document))


def write_boxes(polygons: Path, root: Path) -> None:
    """Write a YOLO set once more, with the same pictures, its polygons as the boxes around them."""
    shutil.copytree(polygons, root, copy_function=os.link)
    for file in (root / "labels").rglob("*.txt"):
        lines = []
        for row in file.read_text().splitlines():
            label, *corners = row.split()
            x1, y1, x2, y2 = (choose(map(float, corners[axis::2])) for choose in (min, max) for axis in (0, 1))
            lines.append(f"{label} {(x1 + x2) / 2:.6f} {(y1 + y2) / 2:.6f} {x2 - x1:.6f} {y2 - y1:.6f}\n")
        file.unlink()  # it is the other's, too
        file.write_text("".join(lines))


def examined(root: Path, small: Path, decode: bool) -> Figures:
    """Examine the small set, and then the one that is measured."""
    examine(small)
    before, start = peak_mib(), time.perf_counter()
    findings = examine(root, decode=decode)
    seconds = time.perf_counter() - start
    return {
        "pictures": findings.num_pictures,
        "seconds": seconds,
        "pictures a minute": findings.num_pictures / seconds * 60,
        "memory MiB": peak_mib() - before,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the sets and the results")
    parser.add_argument("--num-images", type=int, default=1500)
    parser.add_argument("--size", type=int, nargs=2, default=(480, 640), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    stem = f"{options.num_images}-{options.size[0]}x{options.size[1]}"
    small, coco = options.out / "small", options.out / f"coco-{stem}"
    for root, num_images, size in ((small, 10, (64, 64)), (coco, options.num_images, tuple(options.size))):
        if not (root / "done").exists():
            shutil.rmtree(root, ignore_errors=True)
            write_jpegs(root, num_images, size)
            (root / "done").touch()
    rows = {}
    for layout in LAYOUTS:
        root = options.out / f"{layout}-{stem}"
        if not root.exists():
            beside = root.with_suffix(".part")
            shutil.rmtree(beside, ignore_errors=True)
            if layout == BOXES:
                write_boxes(options.out / f"yolo-{stem}", beside)
            else:
                convert(coco, beside, layout)
            beside.rename(root)
        for decode in (True, False):
            name = f"{layout}-{stem}-{'decoded' if decode else 'not-decoded'}"
            rows[name] = kept(options.out, name, lambda root=root, decode=decode: apart(examined, root, small, decode))
    digits = {"pictures": 0, "seconds": 1, "pictures a minute": 0, "memory MiB": 0}
    print_figures(rows, COLUMNS, digits, as_json=options.json)


if __name__ == "__main__":
    main()
