"""Journals are closed when a test ends."""

from collections.abc import Iterator

import pytest
from tests.label import folders


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while folders.OPENED:
        folders.OPENED.pop().store.close()
