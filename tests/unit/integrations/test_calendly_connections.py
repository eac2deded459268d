"""The client over real sockets: one request for many readers, connections that are reused, and no detours."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from bookingapp.integrations.calendly import CalendlyNotFound, CalendlyUnauthorized, CalendlyUnavailable
from tests.factories import published
from tests.unit.integrations.clients import (
    ONE_PAGE,
    all_at_once,
    at_most,
    event_of,
    make_client,
    sample,
    user_of,
)
from tests.unit.integrations.stub_server import Answer, Seen, StubServer


def test_thirty_cold_readers_ask_once(server: StubServer) -> None:
    server.answer_late(ONE_PAGE, 0.3)
    client = make_client(server)
    found = all_at_once(30, lambda _: client.list_event_types("platform", user_of(server)).value)
    assert [len(types) for types in found] == [4] * 30
    assert len(server.seen) == 1
    assert server.seen[0].path.startswith("/calendly-api/event_types?")


def test_ten_readers_of_a_broken_calendly_share_its_failure(server: StubServer) -> None:
    client = make_client(server, page_timeout=(0.5, 0.5), total_timeout=0.6)

    def read(_: int) -> None:
        with pytest.raises(CalendlyUnavailable):
            client.list_event_types("platform", user_of(server))

    with server.hanging(), at_most(3):
        all_at_once(10, read)
    assert len(server.seen) <= 2


def test_connections_are_kept(server: StubServer) -> None:
    event = sample("calendly/scheduled_event.json")
    server.respond = lambda seen: (
        (200, {}, event) if len(server.seen) % 2 else (404, {}, b'{"title": "Not Found"}')
    )
    client = make_client(server)
    for _ in range(20):
        with suppress(CalendlyNotFound):
            client.scheduled_event("platform", event_of(server))
    assert len(server.seen) == 20
    assert server.connections == 1


def test_sixteen_threads_share_one_client(server: StubServer) -> None:
    event = published("calendly/scheduled_event.json")["resource"]

    def echo(seen: Seen) -> Answer:
        uri = f"{server.url}/scheduled_events/{seen.path.rpartition('/')[2]}"
        return 200, {}, json.dumps({"resource": {**event, "uri": uri}}).encode()

    server.respond = echo
    # Patient: sixteen threads and a server in one process may have to wait for each other.
    client = make_client(server, page_timeout=(10.0, 20.0), total_timeout=60.0)

    def read(number: int) -> bool:
        uri = f"{server.url}/calendly-api/scheduled_events/E{number}"
        return client.scheduled_event("platform", uri).uri.endswith(f"/E{number}")

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(read, range(200)))
    assert server.connections <= 200 // 4


def test_no_proxy_and_no_cookie_is_used(server: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A company's proxy cannot reach this machine, and a cookie would be shared by all tenants."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.answer(b"{}", 401, Set_Cookie="front-door=1; Path=/")
    client = make_client(server)
    for _ in range(2):
        with pytest.raises(CalendlyUnauthorized):
            client.current_user("platform")
    assert len(server.seen) == 2
    assert all("Cookie" not in seen.headers for seen in server.seen)
