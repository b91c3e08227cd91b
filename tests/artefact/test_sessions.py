"""Graphs are opened in runtimes that leave the process as it was."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from delineate.artefact.sessions import import_openvino

SCRIPT = """
import os, signal, sys
from pathlib import Path
import torch
from delineate.artefact.sessions import open_session
signal.signal(signal.SIGCHLD, lambda *_: None)
first, second = (open_session(Path(sys.argv[1]), "openvino", "fp32", torch.device("cpu")) for _ in range(2))
del first
del second
os.kill(os.getpid(), signal.SIGCHLD)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="OpenVINO sets a signal stack on Linux alone")
def test_a_signal_is_handled_after_graphs_of_openvino_were_let_go_in_the_order_in_which_they_were_opened(
    tmp_path: Path,
) -> None:
    openvino = import_openvino()
    given = openvino.opset13.parameter([1, 3], np.float32)
    openvino.save_model(openvino.Model([openvino.opset13.relu(given)], [given]), tmp_path / "graph.xml")
    done = subprocess.run([sys.executable, "-c", SCRIPT, tmp_path / "graph.xml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
