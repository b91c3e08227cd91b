"""Every call in the package is checked against the shapes in its signature while the tests run."""

import os
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")

import jaxtyping
import pytest
import torch

# structures check themselves, and say more than a shape checker can
ROOMS = (
    "ops",
    "io",
    "nn",
    "data",
    "metrics",
    "viz",
    "models",
    "system",
    "evaluation",
    "training",
    "deploy",
    "label",
    "study",
    "serve",
    "cli",
)
jaxtyping.install_import_hook([f"delineate.{room}" for room in ROOMS], "beartype.beartype")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture
def _without_shape_checks() -> Iterator[None]:
    """Shapes are symbols while a graph is traced."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
