"""The client over real sockets: time, connections, and one question for many readers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from bookingapp.integrations.calendly import (
    CalendlyBadReply,
    CalendlyClient,
    CalendlyNotFound,
    CalendlyUnauthorized,
    CalendlyUnavailable,
    PlatformTokens,
)
from bookingapp.integrations.circuit_breaker import CircuitBreaker

if TYPE_CHECKING:
    from tests.unit.integrations.conftest import Answer, Seen, StubServer

Published = Callable[[str], bytes]
MakeAnswer = Callable[..., "Answer"]


def make_client(server: StubServer, **how: Any) -> CalendlyClient:
    return CalendlyClient(
        api_url=f"{server.url}/calendly-api",
        tokens=PlatformTokens("token"),
        user_agent="bookingapp-tests/1",
        **how,
    )


def state(client: CalendlyClient) -> str:
    return client.breaker_state


def user_of(server: StubServer) -> str:
    return f"{server.url}/calendly-api/users/AAAAAAAAAAAAAAAA"


def event_of(server: StubServer) -> str:
    return f"{server.url}/calendly-api/scheduled_events/AAAAAAAAAAAAAAAA"


def test_thirty_cold_readers_ask_once(server: StubServer, published: Published) -> None:
    """The first asks, the others wait for its answer."""
    everybody = threading.Barrier(30, timeout=10)

    def slow_list(seen: Seen) -> Answer:
        # The answer waits for a second question, which must not come.
        deadline = time.monotonic() + 0.3
        while len(server.seen) == 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        return 200, {}, published("calendly/event_types.page2.json")

    server.respond = slow_list
    client = make_client(server)

    def read(_: int) -> int:
        everybody.wait()
        return len(client.list_event_types("platform", user_of(server)).value)

    with ThreadPoolExecutor(30) as pool:
        assert list(pool.map(read, range(30))) == [4] * 30
    assert len(server.seen) == 1
    assert server.seen[0].path.startswith("/calendly-api/event_types?")


def test_readers_share_a_failure_too(server: StubServer) -> None:
    """Ten readers in front of a broken Calendly are not ten time-outs in a row."""
    release = threading.Event()
    everybody = threading.Barrier(10, timeout=10)

    def hang(seen: Seen) -> Answer:
        release.wait(10)
        return 200, {}, b"{}"

    server.respond = hang
    client = make_client(server, page_timeout=(0.5, 0.5), total_timeout=0.6)

    def read(_: int) -> str:
        everybody.wait()
        try:
            client.list_event_types("platform", user_of(server))
        except CalendlyUnavailable as error:
            return error.category
        return "an answer"

    started = time.monotonic()
    try:
        with ThreadPoolExecutor(10) as pool:
            assert list(pool.map(read, range(10))) == ["unavailable"] * 10
    finally:
        release.set()
    assert time.monotonic() - started < 3
    assert len(server.seen) <= 2


def test_a_hanging_calendly_costs_a_page_three_seconds_at_most(server: StubServer) -> None:
    """With the defaults: one try of 2.5 s, and no second one that could not end in time."""
    release = threading.Event()
    server.respond = lambda seen: (200, {}, b"{}") if release.wait(20) else (500, {}, b"")
    started = time.monotonic()
    try:
        with pytest.raises(CalendlyUnavailable):
            make_client(server).scheduled_event("platform", event_of(server))
    finally:
        release.set()
    assert time.monotonic() - started < 3.3


def test_an_answer_that_trickles_is_cut_off(server: StubServer) -> None:
    """A read time-out alone starts anew with every byte."""
    stop = threading.Event()

    def one_byte_at_a_time(body: bytes) -> Iterator[bytes]:
        for byte in body:
            if stop.wait(0.02):
                return
            yield bytes([byte])

    server.pieces = one_byte_at_a_time
    server.respond = lambda seen: (200, {}, b" " * 1000)
    client = make_client(server, page_timeout=(0.5, 0.5), total_timeout=0.5)
    started = time.monotonic()
    try:
        with pytest.raises(CalendlyUnavailable, match="did not end in time"):
            client.scheduled_event("platform", event_of(server))
    finally:
        stop.set()
    assert time.monotonic() - started < 3


def test_connections_are_kept(server: StubServer, published: Published) -> None:
    """Twenty calls, one handshake; also after errors, whose bodies are read to the end."""
    bodies = [published("calendly/scheduled_event.json"), b'{"title": "Resource Not Found"}']

    def respond(seen: Seen) -> Answer:
        number = len(server.seen) % 2
        return (404 if number else 200), {}, bodies[number]

    server.respond = respond
    client = make_client(server)
    for _ in range(20):
        try:
            client.scheduled_event("platform", event_of(server))
        except CalendlyNotFound:
            continue
    assert len(server.seen) == 20
    assert server.connections == 1


def test_sixteen_threads_share_one_client(
    server: StubServer, answer: MakeAnswer, published: Published
) -> None:
    """Every thread gets its own answer."""
    event = json.loads(published("calendly/scheduled_event.json"))["resource"]

    def echo(seen: Seen) -> Answer:
        identifier = seen.path.rpartition("/")[2]
        return answer({"resource": {**event, "uri": f"{server.url}/scheduled_events/{identifier}"}})

    server.respond = echo
    # Patient: sixteen threads and a server in one process may have to wait for each other.
    client = make_client(server, page_timeout=(10.0, 20.0), total_timeout=60.0)

    def read(number: int) -> bool:
        uri = f"{server.url}/calendly-api/scheduled_events/E{number}"
        return client.scheduled_event("platform", uri).uri.endswith(f"/E{number}")

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(read, range(200)))
    assert server.connections <= 200 // 4


def test_a_dead_server_is_unavailable_at_once(server: StubServer) -> None:
    """Nothing listens on that port."""
    client = CalendlyClient(
        api_url="http://127.0.0.1:1",
        tokens=PlatformTokens("token"),
        user_agent="tests",
        breaker=CircuitBreaker(2),
    )
    with pytest.raises(CalendlyUnavailable):
        client.current_user("platform")
    assert state(client) == "open"


def test_a_redirect_is_not_followed(server: StubServer) -> None:
    """It would carry the token to an address of somebody else's choice."""
    server.respond = lambda seen: (302, {"Location": f"{server.url}/elsewhere"}, b"")
    with pytest.raises(CalendlyBadReply, match="GET /users/me: 302"):
        make_client(server).current_user("platform")
    assert [seen.path for seen in server.seen] == ["/calendly-api/users/me"]


def test_an_endless_answer_is_refused(server: StubServer) -> None:
    """Nine megabytes of blanks are no event."""
    server.respond = lambda seen: (200, {}, b" " * 9_000_000)
    with pytest.raises(CalendlyBadReply, match="too long"):
        make_client(server).current_user("platform")


def test_neither_a_proxy_nor_a_cookie_gets_between_us(
    server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company's proxy cannot reach this machine, and a cookie would be shared by all tenants."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.respond = lambda seen: (401, {"Set-Cookie": "front-door=1; Path=/"}, b"{}")
    client = make_client(server)
    for _ in range(2):
        with pytest.raises(CalendlyUnauthorized):
            client.current_user("platform")
    assert len(server.seen) == 2
    assert all("Cookie" not in seen.headers for seen in server.seen)


def test_after_the_wait_one_probe_of_many_readers_reaches_calendly(
    server: StubServer, published: Published
) -> None:
    """Half-open over HTTP."""
    clock = [0.0]
    client = make_client(
        server, breaker=CircuitBreaker(failure_threshold=2, reset_after=30, clock=lambda: clock[0])
    )
    server.respond = lambda seen: (503, {}, b"")
    with pytest.raises(CalendlyUnavailable):
        client.scheduled_event("platform", event_of(server))
    assert state(client) == "open"
    clock[0] = 30.0
    server.seen.clear()
    release = threading.Event()

    def slow(seen: Seen) -> Answer:
        release.wait(10)
        return 200, {}, published("calendly/scheduled_event.json")

    server.respond = slow

    def read(_: int) -> str:
        try:
            return client.scheduled_event("platform", event_of(server)).status
        except CalendlyUnavailable:
            refused.release()
            return "refused"

    refused = threading.Semaphore(0)
    with ThreadPoolExecutor(10) as pool:
        results = [pool.submit(read, number) for number in range(10)]
        for _ in range(9):
            assert refused.acquire(timeout=5)
        release.set()
        assert sorted(result.result(timeout=5) for result in results) == ["active"] + ["refused"] * 9
    assert len(server.seen) == 1
    assert state(client) == "closed"
