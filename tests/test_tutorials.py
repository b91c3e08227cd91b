"""The tutorials run, cell by cell, as they stand: they are small."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

TUTORIALS = sorted((Path(__file__).parents[1] / "docs" / "tutorials").glob("*.ipynb"))


def test_there_are_tutorials() -> None:
    index = (Path(__file__).parents[1] / "docs" / "index.md").read_text(encoding="utf-8")
    assert len(TUTORIALS) >= 3
    assert all(f"tutorials/{notebook.stem}" in index for notebook in TUTORIALS)


@pytest.mark.parametrize("notebook", TUTORIALS, ids=lambda notebook: notebook.stem)
def test_a_tutorial_runs_to_its_end(notebook: Path, tmp_path: Path) -> None:
    read = nbformat.read(notebook, as_version=4)
    assert not any(cell.get("outputs") for cell in read.cells), "clear its outputs before it is kept"
    NotebookClient(read, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
