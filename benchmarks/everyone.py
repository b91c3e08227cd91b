"""Boxes, masks and joints of everyone in one pass: a Keypoint R-CNN with masks, small enough for two cores.

From a decoded 480 x 640 picture (short side 480) to results in its coordinates, with `--people` found in it, in each
form that a run may take. The weights are random: their values cost no time, and every row is a person. Pictures a
second are the answer; the lecture's figure for the whole, 5 a second, was a GPU's.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from delineate.artefact.loading import artefact_system
from delineate.artefact.sessions import open_session
from delineate.data.preprocess import Preprocess
from delineate.export.exporting import CPU, record_of, write_graph
from delineate.system.catalog import build
from delineate.system.system import System
from delineate.values import Categories, Detections, Thresholds
from region_vs_torchvision import in_use, picture

JOINTS = tuple(f"joint {number}" for number in range(17))
PERSON = Categories(class_names=("person",), keypoint_names=JOINTS)


def people(backbone: str, width: int, count: int) -> System:
    torch.manual_seed(0)
    options: dict[str, Any] = {"masks": True, "backbone": backbone, "width": width, "max_proposals": 2000}
    model = build("keypoint_rcnn", PERSON, **options)
    model.keypoint_classes.fill_(True)
    with torch.no_grad():
        model.box_head.classify.weight.mul_(100)
    return in_use(
        System(
            name="keypoint_rcnn",
            arguments=options,
            model=model.eval(),
            preprocess=Preprocess(short_side=480),
            categories=PERSON,
            thresholds=Thresholds(score=0.0, max_detections=count),
        )
    )


@torch.inference_mode()
def seconds(system: System, repeats: int) -> tuple[float, int]:
    images = [picture((480, 640)) for _ in range(4)]
    spent = []
    for turn in range(repeats + 1):
        for image in images:
            began = time.perf_counter()
            (found,) = system.infer([image])
            if turn:
                spent.append(time.perf_counter() - began)
    assert isinstance(found, Detections)
    return statistics.median(spent), len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="+", default=["resnet18", "resnet10t"])
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for backbone in arguments.backbones:
        system = people(backbone, arguments.width, arguments.people)
        with tempfile.TemporaryDirectory() as folder:
            graph = Path(folder) / "graph.xml"
            outputs = write_graph(system, graph, "openvino")
            forms = {"PyTorch": system}
            for precision in ("fp32", "bf16"):
                record = record_of(system, outputs, "openvino", precision, file=graph)
                forms[f"OpenVINO {precision}"] = artefact_system(
                    record, open_session(graph, "openvino", precision, CPU)
                )
            for form, its in forms.items():
                spent, found = seconds(its, arguments.repeats)
                rows.append({"backbone": backbone, "form": form, "people": found, "pictures_a_second": 1 / spent})
                if not arguments.json:
                    print(f"| {backbone} | {form} | {found} | {1 / spent:.1f} |", flush=True)
    if arguments.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
