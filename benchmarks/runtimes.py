"""Exported systems against the peers' in eager PyTorch, the same weights in both, in turns.

From a decoded 480 x 640 picture to results in its coordinates, one picture at a time, in each of `--precisions` of
OpenVINO. Faster, Mask and Keypoint R-CNN with ResNet-50 and FPN and SSD300 are torchvision's; of DETR and RT-DETR
(Transformers) and U-Net (segmentation_models_pytorch), which give no results of pictures, the network alone is the
peer. Any other system of the catalog (`--systems rtdetr ssd yolov2`) has itself in eager PyTorch as its peer. Weights
are random, scaled so that there is as much to do as with trained ones; what results agree is printed for float32. int8
is calibrated on eight of the same pictures, for its time alone.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nncf
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from transformers import RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

import detr_vs_transformers
import region_vs_torchvision
import ssd_vs_torchvision
from delineate.artefact.loading import artefact_system
from delineate.artefact.record import Precision
from delineate.artefact.sessions import import_openvino, open_session
from delineate.data.preprocess import Preprocess
from delineate.export.agreement import Agreement
from delineate.export.exporting import CPU, record_of, write_graph
from delineate.export.verdict import CLOSE
from delineate.models.segmentation import unet
from delineate.system.catalog import build
from delineate.system.importers import import_transformers
from delineate.system.system import System
from delineate.values import Categories
from region_vs_torchvision import in_use, picture
from timing import Row, interleaved, print_rows

SIZE = (480, 640)
REGIONS = region_vs_torchvision.ARCHITECTURES


def pairs(name: str) -> tuple[Callable[[Tensor], Callable[[], Any]], System]:
    """What the peer does with a picture, and our system."""
    if name in REGIONS or name == "ssd300_vgg16":
        peer, ours = region_vs_torchvision.pair(name) if name in REGIONS else ssd_vs_torchvision.pair()
        return lambda image: region_vs_torchvision.their_inference(peer, image), ours
    if name == "detr":
        peer, model = detr_vs_transformers.pair()
        names = tuple(f"class {number}" for number in range(detr_vs_transformers.NUM_CLASSES))
        system = System(
            name="detr",
            arguments={"backbone": "resnet50"},
            model=model,
            preprocess=Preprocess(short_side=800, long_side=1333),
            categories=Categories(class_names=names),
        )
        return lambda image: network(lambda images: peer(pixel_values=images), system, image), system
    if name == "rtdetr":
        peer, system = rtdetr()
        return lambda image: network(lambda images: peer(pixel_values=images), system, image), system
    torch.manual_seed(0)
    names = tuple(f"class {number}" for number in range(11))
    if name != "unet":
        categories = Categories(label_map_names=names, class_names=names)
        model = build(name, categories).eval()
        system = System(name=name, model=model, preprocess=Preprocess(size=model.input_size), categories=categories)
        run = in_use(system)
        return lambda image: lambda: run.infer([image]), system
    peer = smp.Unet("resnet34", encoder_weights=None, classes=11).eval()
    system = System(
        name="unet",
        arguments={"backbone": "resnet34"},
        model=unet(num_classes=11, backbone="resnet34").eval(),
        preprocess=Preprocess(),
        categories=Categories(label_map_names=names, class_names=names),
    )
    return lambda image: network(peer, system, image), system


def rtdetr() -> tuple[Any, System]:
    """RT-DETRv2 with ResNet-18, which is its smallest."""
    torch.manual_seed(0)
    body = RTDetrResNetConfig(
        depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic", out_indices=[2, 3, 4]
    )
    config = RTDetrV2Config(num_labels=80, hidden_expansion=0.5, decoder_layers=3, backbone_config=body)
    peer = RTDetrV2ForObjectDetection(config).eval()
    with torch.no_grad():  # as it is made, all queries say nearly the same
        for key, weight in peer.named_parameters():
            if weight.ndim == 2:
                weight.normal_(std=0.1 if "embed" in key or "enc_score" in key else 0.05)
        for module in peer.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.0)
    with tempfile.TemporaryDirectory() as folder:
        torch.save(peer.state_dict(), Path(folder) / "peer.pth")
        return peer, import_transformers(Path(folder) / "peer.pth")


def network(peer: Callable[[Tensor], Any], system: System, image: Tensor) -> Callable[[], Any]:
    """A peer that takes normalised pictures is given them by us."""

    @torch.inference_mode()
    def run() -> Any:
        resized = system.preprocess.resize(image)
        return peer(system.preprocess.normalise(resized[None]).contiguous())

    return run


@contextmanager
def exported(system: System, precision: Precision) -> Iterator[System]:
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "graph.xml"
        outputs = write_graph(system, graph, "openvino")
        if precision == "int8":
            openvino = import_openvino()
            inputs = [{"pictures": system.preprocess.resize(picture(SIZE))[None].numpy()} for _ in range(8)]
            model = nncf.quantize(openvino.Core().read_model(graph), nncf.Dataset(inputs), subset_size=8)
            graph = Path(folder) / "int8.xml"
            openvino.save_model(model, graph, compress_to_fp16=False)
        record = record_of(system, outputs, "openvino", precision, file=graph)
        yield artefact_system(record, open_session(graph, "openvino", precision, CPU))


def agreement(ours: System, run: System, image: Tensor) -> str:
    close = Agreement(close=CLOSE["fp32"], thresholds=run.reader.thresholds, floor=0.0)
    with torch.inference_mode():
        close.add(ours.infer([image])[0], run.infer([image])[0], "")
    return ", ".join(f"{100 * (1 - share):.4g} % of {what} equal" for what, share in close.shares.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--systems", nargs="+", default=[*REGIONS, "ssd300_vgg16", "detr", "unet"])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16", "int8"])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    rows: list[Row] = []
    for name in arguments.systems:
        theirs, ours = pairs(name)
        ours = in_use(ours)
        torch.manual_seed(1)
        image = picture(SIZE)
        for precision in arguments.precisions:
            with exported(ours, precision) as system:
                equal = f", {agreement(system, ours, image)}" if precision == "fp32" else ""
                rows.append(
                    interleaved(
                        f"{name}, OpenVINO {precision}{equal}, s",
                        lambda system=system, image=image: system.infer([image]),
                        theirs(image),
                        arguments.repeats,
                    )
                )
            print_rows(rows[-1:], as_json=False)
    if arguments.json:
        print_rows(rows, as_json=True)


if __name__ == "__main__":
    main()
