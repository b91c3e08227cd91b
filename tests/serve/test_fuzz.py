"""Whatever comes, the answer is one that the reference names, and nobody's fault but the sender's."""

from pathlib import Path

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from tests.label.folders import opened, raw
from tests.serve.serving import picture

from delineate.serve import Limits, ServedModels, make_app

PREDICT = "/v2/models/cells/predict"
KINDS = ("png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm")
FILES = {kind: picture(kind=kind) for kind in KINDS}
CHANGES = st.lists(st.tuples(st.integers(0, 4000), st.binary(max_size=8)), max_size=6)
TYPES = ["image/png", "multipart/form-data; boundary=x", "a/b", "\x7f"]
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@QUIET
@given(kind=st.sampled_from(KINDS), changes=CHANGES)
def test_broken_pictures_are_answered(client: TestClient, kind: str, changes: list[tuple[int, bytes]]) -> None:
    data = FILES[kind]
    for place, change in changes:
        place %= len(data)
        data = data[:place] + change + data[place + len(change) // 2 :]
    answer = client.post(PREDICT, content=data)
    assert answer.status_code in (200, 400, 413, 415), answer.text
    assert "error" in answer.json() or "boxes" in answer.json()


@QUIET
@given(data=st.binary(max_size=300), kind=st.sampled_from(TYPES))
def test_any_bytes_of_any_type_are_answered(client: TestClient, data: bytes, kind: str) -> None:
    answer = client.post(PREDICT, content=data, headers={"content-type": kind})
    assert answer.status_code in (400, 413, 415), answer.text
    assert list(answer.json()) == ["error"]


def test_the_server_does_what_its_reference_says(cells: Path, roads: Path) -> None:
    """A server of its own, as this one is started and ended by schemathesis."""
    limits = Limits(num_bytes=200_000, num_pixels=100_000, num_pictures=4, queue=8)
    models = ServedModels({"cells": cells, "roads": roads}, limits=limits, device="cpu")
    schema = schemathesis.openapi.from_asgi("/openapi.json", make_app(models, hosts=["testserver"]))
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 7
    for operation in operations:

        @settings(QUIET, max_examples=8)
        @given(case=operation.as_strategy())
        def holds(case: schemathesis.Case) -> None:
            case.call_and_validate(excluded_checks=[positive_data_acceptance])  # what a model takes goes by its task

        holds()


def test_labels_are_served_as_the_reference_says(models: ServedModels, tmp_path: Path) -> None:
    """What goes on behind labels is not begun: nothing looks at pictures, and four are too few to train on."""
    labels = opened(raw(tmp_path, 4), models, task="instance")
    app, numbers = make_app(models, labels, hosts=["testserver"]), [one.id for one in labels.collection.pictures]

    async def without_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] != "lifespan"
        await app(scope, receive, send)

    schema = schemathesis.openapi.from_asgi("/openapi.json", without_lifespan)
    operations = [found.ok() for found in schema.get_all_operations()]
    asked = [one for one in operations if one.path.startswith("/api") and one.path != "/api/events"]  # which never ends
    assert len(asked) >= 14
    for operation in asked:

        @settings(QUIET, max_examples=8)
        @given(case=operation.as_strategy(), number=st.sampled_from([*numbers, None]))
        def holds(case: schemathesis.Case, number: int | None) -> None:
            if number is not None and "id" in case.path_parameters:
                case.path_parameters["id"] = number
            # Numbers may be written as text; and what may be edited goes by the picture and its version.
            case.call_and_validate(excluded_checks=[positive_data_acceptance, negative_data_rejection])

        holds()
