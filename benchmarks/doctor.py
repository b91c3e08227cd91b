"""Pictures a minute that the doctor looks through, with and without decoding, and the memory that it takes.

    python benchmarks/doctor.py [--num-images 5000] [--size 480 640] [--json]

A synthetic COCO set is written, of pictures as large as common ones, and as VOC and YOLO, too. Of each, the time of
`examine` is taken, after a small one to warm up; ours is without decoding, the peer with. The
memory is what the process has at most after the largest set, less what it had before.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

from delineate.data import convert, synthesise
from delineate.doctor import examine
from timing import Row, print_rows


def pictures_a_minute(root: Path, *, decode: bool) -> float:
    """Examine a set, and give its pictures a minute."""
    start = time.perf_counter()
    findings = examine(root, decode=decode)
    return findings.num_pictures / (time.perf_counter() - start) * 60


def peak_mib() -> float:
    """Read the largest memory of this process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-images", type=int, default=5000)
    parser.add_argument("--size", type=int, nargs=2, default=(480, 640), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        small, coco = Path(folder) / "small", Path(folder) / "coco"
        synthesise(small, num_images=10, image_size=(64, 64))
        synthesise(coco, num_images=options.num_images, image_size=tuple(options.size))
        sets = {"coco": coco} | {layout: Path(folder) / layout for layout in ("voc", "yolo")}
        for layout in ("voc", "yolo"):
            convert(coco, sets[layout], layout)
        examine(small)
        before = peak_mib()
        for layout, root in sets.items():
            decoded, headers = (pictures_a_minute(root, decode=decode) for decode in (True, False))
            name = f"{layout}, without decoding against with, pictures a minute"
            rows.append(Row(name=name, ours=headers, peer=decoded, ratio=headers / decoded))
        print(f"memory beyond {before:.0f} MiB: {peak_mib() - before:.0f} MiB", file=sys.stderr)
    print_rows(rows, as_json=options.json)


if __name__ == "__main__":
    main()
