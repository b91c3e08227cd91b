import pytest

from delineate.data.formats.coco import reading, slices


@pytest.fixture(autouse=True, params=["in memory", "in slices"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each test reads files as small ones are read, and as large ones are: entry by entry, and kept beside the data."""
    if request.param == "in slices":
        monkeypatch.setattr(reading, "LARGE", 0)
        monkeypatch.setattr(slices, "SLICE", 1)
    return str(request.param)
