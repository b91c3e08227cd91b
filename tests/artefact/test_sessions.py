"""Graphs are opened in runtimes that leave the process as it was."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from delineate.artefact.sessions import import_openvino, open_session
from delineate.values import InputError

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


def test_a_graph_that_openvino_does_not_read_is_said_in_a_line_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "graph.xml").write_text("<net")
    with pytest.raises(InputError, match=r"^.*graph.xml: OpenVINO does not read it: (?!Exception from).*") as error:
        open_session(tmp_path / "graph.xml", "openvino", "fp32", torch.device("cpu"))
    assert "\n" not in str(error.value)
