"""The C++ program is compiled and run where a compiler and CMake are at hand."""

import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from openvino.utils import get_cmake_path
from PIL import Image
from tests.examples.exports import photo, small_system
from tests.models.systems import CATEGORIES

from delineate.deploy import Predictor
from delineate.values import Detections

EXAMPLE = Path(__file__).parents[2] / "examples" / "cpp"
needs_compiler = pytest.mark.skipif(not all(map(shutil.which, ("cmake", "g++"))), reason="needs cmake and g++")


@needs_compiler
def test_openvinos_program_finds_what_the_run_finds(ssd: dict[str, Path], tmp_path: Path) -> None:
    succeed("cmake", "-S", EXAMPLE, "-B", tmp_path, f"-DOpenVINO_DIR={get_cmake_path()}")
    succeed("cmake", "--build", tmp_path, "--target", "predict_openvino")
    Image.open(photo(tmp_path / "a.png", (130, 171))).save(tmp_path / "a.ppm")
    said = succeed(tmp_path / "predict_openvino", ssd["openvino"], tmp_path / "a.ppm")
    found = [line.split(maxsplit=5) for line in said.splitlines()]
    expected = Predictor(small_system("ssd"))(tmp_path / "a.png")[0]
    assert isinstance(expected, Detections)
    assert [name for *_, name in found] == [CATEGORIES.class_names[label] for label in expected.labels]
    scores = torch.tensor([float(score) for score, *_ in found])
    boxes = torch.tensor([[float(side) for side in sides] for _, *sides, _ in found])
    assert (scores - expected.scores).abs().max() < 0.02
    assert (boxes - expected.boxes).abs().max() < 1


def succeed(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
