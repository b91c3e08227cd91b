from pathlib import Path

import pytest
from tests.examples.exports import export, for_openvino, small_system


@pytest.fixture(scope="package")
def ssd(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An export of `small_system("ssd")` for each runtime."""
    folder = tmp_path_factory.mktemp("ssd")
    onnx = export(small_system("ssd"), folder / "onnx")
    return {"onnx": onnx, "openvino": for_openvino(onnx, folder / "openvino")}
