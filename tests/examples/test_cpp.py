"""The C++ programs are compiled and run where a compiler, CMake and the headers of their runtime are at hand."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image
from tests.examples.exports import check_found, for_openvino, photo, sampled, small_system

from delineate.deploy import Predictor
from delineate.system.system import System

EXAMPLE = Path(__file__).parents[2] / "examples" / "cpp"
HEADERS = os.environ.get("ONNXRUNTIME_ROOT")
pytestmark = pytest.mark.skipif(not all(map(shutil.which, ("cmake", "g++"))), reason="needs cmake and g++")


def test_openvinos_program_finds_what_the_run_finds(ssd: dict[str, Path], tmp_path: Path) -> None:
    from openvino.utils import get_cmake_path

    program = compiled("predict_openvino", tmp_path, f"-DOpenVINO_DIR={get_cmake_path()}")
    export, system = sampled(tmp_path / "for_onnx")
    both = (ssd["openvino"], small_system("ssd")), (for_openvino(export, tmp_path / "sampled"), system)
    check(program, both, tmp_path)


@pytest.mark.skipif(HEADERS is None, reason="needs ONNXRUNTIME_ROOT, a folder with ONNX Runtime's headers")
def test_onnx_runtimes_program_finds_what_the_run_finds(ssd: dict[str, Path], tmp_path: Path) -> None:
    import onnxruntime

    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):  # that is found by the linker, this by the program
        (tmp_path / name).symlink_to(library)
    given = [f"-DONNXRUNTIME_ROOT={HEADERS}", f"-DONNXRUNTIME_LIBRARY={tmp_path / 'libonnxruntime.so'}"]
    both = (ssd["onnx"], small_system("ssd")), sampled(tmp_path / "sampled")
    check(compiled("predict_onnxruntime", tmp_path, *given), both, tmp_path)


def compiled(program: str, folder: Path, *given: str) -> Path:
    """Compile one of the programs."""
    succeed("cmake", "-S", EXAMPLE, "-B", folder / "build", *given)
    succeed("cmake", "--build", folder / "build", "--target", program)
    return folder / "build" / program


def check(program: Path, exports: Iterable[tuple[Path, System]], folder: Path) -> None:
    """The program finds what each run finds: they have both ways to resize a picture."""
    file = photo(folder / "a.png", (130, 171))
    Image.open(file).save(folder / "a.ppm")
    for export, system in exports:
        lines = [line.split(maxsplit=5) for line in succeed(program, export, folder / "a.ppm").splitlines()]
        scores, boxes = [float(line[0]) for line in lines], [[float(side) for side in line[1:5]] for line in lines]
        check_found([line[5] for line in lines], scores, boxes, Predictor(system)(file)[0])


def succeed(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
