import json

import pytest
from tests.models.systems import system_of

from delineate.deploy.export import read_reader, reader_record
from delineate.system.catalog import CATALOG
from delineate.values import InputError


@pytest.mark.parametrize("name", list(CATALOG))
def test_a_reader_is_written_as_json_and_read_again(name: str) -> None:
    system = system_of(name)
    if system.reader.thresholds is not None:
        system = system.with_thresholds(score=0.25, max_detections=7)
    record = json.loads(json.dumps(reader_record(system.reader)))
    assert read_reader(record) == system.reader
    assert type(read_reader(record)) is type(system.reader)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({}, r"^reader: 'None' is unknown; there are SegmenterReader, "),
        ({"reader": "SSDReader", "thresholds": {"score": 2}}, r"^reader: .* SSDReader: .*score: 2.* is outside 0\.\.1"),
        ({"reader": "YOLOv1Reader", "thresholds": {}}, r"^reader: .* does not fit YOLOv1Reader: "),
    ],
)
def test_a_record_that_is_no_readers_is_refused_in_one_line(record: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_reader(record)
    assert "\n" not in str(error.value)
