import asyncio
import logging

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send
from tests.serve.serving import picture

from delineate.serve import Limits, ServedModels, make_app
from delineate.serve.guards import Guards
from delineate.serve.limits import Refused
from delineate.serve.running import is_loopback, token_for
from delineate.values import InputError

PREDICT = "/v2/models/cells/predict"
TOKEN = "0123456789abcdef-_.~"


@pytest.fixture
def guarded(models: ServedModels) -> TestClient:
    """The same models behind a token; without its lifespan, which would end them."""
    return TestClient(make_app(models, token=TOKEN, hosts=["cells.example.org"]), base_url="http://cells.example.org")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000", "192.168.0.7", "LOCALHOST"]
)
def test_addresses_and_localhost_are_ours(client: TestClient, host: str) -> None:
    assert client.get("/v2/models", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example.org", "localhost.evil.org", "127.0.0.1.evil.org", "", "localhost:x", "a b"]
)
def test_other_names_are_refused_as_dns_can_lead_them_here(client: TestClient, host: str) -> None:
    for path in ("/", "/v2/models", "/metrics", "/docs"):
        answer = client.get(path, headers={"host": host})
        assert answer.status_code == 403
        assert answer.json()["error"].startswith("host: ")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example.org"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9000"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_pages_of_other_sites_send_nothing_here(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.post(PREDICT, content=picture(), headers=headers)
    assert answer.status_code == 403
    assert client.post("/v2/models/cells/reload", headers=headers).status_code == 403


@pytest.mark.parametrize("headers", [{"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}, {}])
def test_our_own_page_and_programs_do(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post(PREDICT, content=picture(), headers=headers).status_code == 200


def test_a_token_lets_in_by_header_alone_or_cookie(guarded: TestClient) -> None:
    for path in ("/", "/v2/models", "/docs", "/openapi.json", "/metrics", "/nothing"):
        answer = guarded.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert guarded.post(PREDICT, content=picture()).status_code == 401
    for health in ("live", "ready"):
        assert guarded.get(f"/v2/health/{health}").status_code == 200
    for wrong in (f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer", "Bearer é"):
        assert guarded.get("/v2/models", headers={"authorization": wrong.encode("latin-1")}).status_code == 401
    assert guarded.get("/v2/models", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert guarded.get("/v2/models", headers={"cookie": f"delineate_token={TOKEN}"}).status_code == 200
    assert guarded.get("/v2/models", headers={"cookie": "delineate_token=x"}).status_code == 401
    assert guarded.get(f"/v2/models?token={TOKEN}").status_code == 401, "only the page takes it from its address"


def test_the_pages_address_becomes_a_cookie(guarded: TestClient) -> None:
    assert guarded.get("/?token=wrong", follow_redirects=False).status_code == 401
    answer = guarded.get(f"/?token={TOKEN}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert guarded.get("/v2/models").status_code == 200, "the client has kept the cookie"


@pytest.mark.parametrize("path", ["/", "/v2/models", "/v2/nothing", "/docs", "/metrics"])
def test_every_answer_has_a_strict_policy(client: TestClient, path: str) -> None:
    for answer in (client.get(path), client.get(path, headers={"host": "evil"}), client.post(path)):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in answer.headers


def test_lines_of_the_log_have_no_token_query_or_content(guarded: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    guarded.get(f"/?token={TOKEN}", follow_redirects=False)
    guarded.post(
        PREDICT, files={"pictures": ("secret-name.png", picture())}, headers={"authorization": f"Bearer {TOKEN}"}
    )
    guarded.get("/v2/models/a%0d%0ab", headers={"authorization": f"Bearer {TOKEN}"})
    said = [one.getMessage() for one in caplog.records if one.name == "delineate.serve"]
    assert [line.split()[1:4] for line in said] == [
        ["GET", "/", "303"],
        ["POST", PREDICT, "200"],
        ["GET", "/v2/models/a%0D%0Ab", "404"],
    ]
    assert not [line for line in said if TOKEN in line or "secret-name" in line]


def test_a_body_that_does_not_come_is_408_and_who_waits_for_an_answer_is_not_hurried() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        assert await request.body() == b"whole"
        assert await receive() == {"type": "http.disconnect"}

    async def run(*messages: tuple[float, Message]) -> None:
        left = iter(messages)

        async def receive() -> Message:
            seconds, message = next(left)
            await asyncio.sleep(seconds)
            return message

        async def send(message: Message) -> None:
            raise AssertionError(message)

        scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"host", b"localhost")]}
        await Guards(app, limits=Limits(seconds=0.1), token=None, hosts=[])(scope, receive, send)

    begun: tuple[float, Message] = (0, {"type": "http.request", "body": b"who", "more_body": True})
    rest: Message = {"type": "http.request", "body": b"le", "more_body": False}
    asyncio.run(run(begun, (0, rest), (0.3, {"type": "http.disconnect"})))
    with pytest.raises(Refused, match=r"body: it did not come in 0\.1 seconds") as refused:
        asyncio.run(run(begun, (5, rest)))
    assert refused.value.status == 408


def test_a_token_is_made_where_others_reach_the_address() -> None:
    assert token_for("127.0.0.1", None) is None
    assert token_for("::1", None) is None
    made = token_for("0.0.0.0", None)
    assert made is not None
    assert len(made) >= 32
    assert made != token_for("0.0.0.0", None)
    assert token_for("0.0.0.0", TOKEN) == TOKEN
    for weak in ("short", "with space in it 123", "ünïcode-ünïcode-ünïcode"):
        with pytest.raises(InputError, match="token: "):
            token_for("127.0.0.1", weak)
    assert [is_loopback(host) for host in ("localhost", "127.8.9.1", "10.0.0.1", "::")] == [True, True, False, False]
