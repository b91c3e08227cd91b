"""OpenVINO's form of a graph is made of ONNX's."""

from pathlib import Path

from delineate.artefact.sessions import import_openvino


def write_openvino(onnx: Path, graph: Path) -> None:
    """Write `graph` (.xml, with a .bin beside it) of an ONNX file, its weights as they are."""
    openvino = import_openvino()
    openvino.save_model(openvino.Core().read_model(onnx), graph, compress_to_fp16=False)
