import json

import pytest
from tests.models.systems import system_of

from delineate.artefact.record import READERS, SEARCHES, kind_record, read_kind
from delineate.system.catalog import CATALOG
from delineate.values import InputError


@pytest.mark.parametrize("name", list(CATALOG))
def test_a_reader_and_a_search_are_written_as_json_and_read_again(name: str) -> None:
    system = system_of(name)
    if system.reader.thresholds is not None:
        system = system.with_thresholds(score=0.25, max_detections=7)
    for value, kinds in ((system.reader, READERS), (system.model.search, SEARCHES)):
        if value is not None:
            read = read_kind(json.loads(json.dumps(kind_record(value))), kinds, "reader")
            assert kind_record(read) == kind_record(value)
            assert type(read) is type(value)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({}, r"^reader: 'None' is unknown; there are SegmenterReader, "),
        ({"kind": "SSDReader", "thresholds": {"score": 2}}, r"^reader: .* SSDReader: .*score: 2.* is outside 0\.\.1"),
        ({"kind": "YOLOv1Reader", "thresholds": {}}, r"^reader: .* does not fit YOLOv1Reader: "),
    ],
)
def test_a_record_that_is_no_readers_is_refused_in_one_line(record: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_kind(record, READERS, "reader")
    assert "\n" not in str(error.value)
