from pathlib import Path

import pytest
from tests.training.conftest import write_split


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mask folder of three 32 x 40 pictures in which the colour is the class."""
    root = tmp_path_factory.mktemp("data")
    write_split(root, "val", 3, seed=1)
    return root
