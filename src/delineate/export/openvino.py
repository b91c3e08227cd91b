"""OpenVINO's form of a graph is made of ONNX's."""

from pathlib import Path

from delineate.values import InputError


def write_openvino(onnx: Path, graph: Path) -> None:
    """Write `graph` (.xml, with a .bin beside it) of an ONNX file, its weights as they are."""
    try:
        import openvino
    except ImportError as error:
        raise InputError(f"openvino: {error.name} is not installed; pip install 'delineate[export]'") from error
    openvino.save_model(openvino.Core().read_model(onnx), graph, compress_to_fp16=False)
