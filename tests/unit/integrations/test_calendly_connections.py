"""The client over real sockets: connections, and what a Calendly that hangs, is slow or limits us may cost."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from bookingapp.integrations.calendly import (
    CalendlyBadReply,
    CalendlyNotFound,
    CalendlyRateLimited,
    CalendlyUnauthorized,
    CalendlyUnavailable,
)
from tests.factories import published
from tests.unit.integrations.clients import (
    ONE_PAGE,
    all_at_once,
    at_most,
    event_of,
    make_client,
    never_opens,
    sample,
    state,
    user_of,
)
from tests.unit.integrations.stub_server import Answer, Seen, StubServer


def test_readers_of_a_calendly_that_hangs_do_not_hold_every_thread(server: StubServer) -> None:
    client = make_client(server, places=2, breaker=never_opens())

    def read(number: int) -> float:
        started = time.monotonic()
        with pytest.raises(CalendlyUnavailable):
            client.list_event_types("platform", user_of(server, number % 5))
        return time.monotonic() - started

    with server.hanging(), ThreadPoolExecutor(20) as pool:
        waits = sorted(pool.map(read, range(20)))
    assert waits[-1] < 3.5
    assert len([wait for wait in waits if wait > 1.6]) <= 2 + 2
    assert len(server.seen) <= 4


def test_each_call_that_hangs_costs_a_page_three_seconds_and_two_open_the_breaker(server: StubServer) -> None:
    """With the defaults one try takes 2.5 s, and a second one could not end in time."""
    client = make_client(server)
    with server.hanging():
        for _ in range(2):
            assert state(client) == "closed"
            with at_most(3.3), pytest.raises(CalendlyUnavailable):
                client.current_user("platform")
    assert state(client) == "open"


def test_an_answer_that_trickles_is_cut_off(server: StubServer) -> None:
    """A read time-out alone begins anew with every byte."""
    stop = threading.Event()

    def one_byte_at_a_time(body: bytes) -> Iterator[bytes]:
        for byte in body:
            if stop.wait(0.02):
                return
            yield bytes([byte])

    server.pieces = one_byte_at_a_time
    server.answer(b" " * 1000)
    client = make_client(server, page_timeout=(0.5, 0.5), total_timeout=0.5)
    with at_most(3), pytest.raises(CalendlyUnavailable, match="did not end in time"):
        client.scheduled_event("platform", event_of(server))
    stop.set()


def test_an_answer_that_stops_halfway_costs_a_page_its_time_and_no_more(server: StubServer) -> None:
    """Half a body comes, then nothing: connecting, waiting and reading share the page's time."""
    stop = threading.Event()

    def half(body: bytes) -> Iterator[bytes]:
        yield body[:10]
        stop.wait(20)

    server.pieces = half
    server.answer(b" " * 100)
    client = make_client(server, page_timeout=(0.5, 1.0), total_timeout=1.2)
    with at_most(2), pytest.raises(CalendlyUnavailable):
        client.current_user("platform")
    stop.set()


def test_an_endless_answer_is_refused(server: StubServer) -> None:
    server.answer(b" " * 9_000_000)
    with pytest.raises(CalendlyBadReply, match="too long"):
        make_client(server).current_user("platform")


def test_all_calls_of_one_page_share_its_time(server: StubServer) -> None:
    end = time.monotonic() + 1.0
    client = make_client(
        server, page_timeout=(0.7, 0.7), left_of_page=lambda seconds: max(end - time.monotonic(), 0.0)
    )
    with server.hanging(), at_most(1.6):
        for _ in range(4):
            with pytest.raises(CalendlyUnavailable):
                client.current_user("platform")


def test_a_patient_client_shares_what_is_known_and_waits_longer(server: StubServer) -> None:
    """The worker's answer is the page's, and the other way round; the breaker is one."""
    server.answer(ONE_PAGE)
    client = make_client(server, page_timeout=(0.2, 0.2), total_timeout=0.2)
    patient = client.patient(page_timeout=(2.0, 5.0), total_timeout=8.0)
    cached = patient.list_event_types("platform", user_of(server))
    assert client.list_event_types("platform", user_of(server)) == cached
    assert len(server.seen) == 1

    def slow(seen: Seen) -> Answer:
        time.sleep(0.6)  # A fixed pause: Calendly is slow, and only one of the clients waits so long.
        return 200, {}, ONE_PAGE

    server.respond = slow
    with pytest.raises(CalendlyUnavailable):
        client.list_event_types("platform", user_of(server, 2))
    assert patient.list_event_types("platform", user_of(server, 2)).value
    server.answer(status=500)
    for _ in range(3):
        with pytest.raises(CalendlyUnavailable):
            patient.current_user("platform")
    assert (state(client), state(patient)) == ("open", "open")


def test_threads_do_not_spend_the_last_requests_twice(server: StubServer) -> None:
    user = sample("calendly/user.json")
    server.answer(user, X_RateLimit_Limit="500", X_RateLimit_Remaining="3", X_RateLimit_Reset="60")
    client = make_client(server)
    client.current_user("platform")
    all_ready = threading.Barrier(10, timeout=10)
    refused = threading.Semaphore(0)

    def ask(_: int) -> bool:
        all_ready.wait()
        try:
            client.current_user("platform")
        except CalendlyRateLimited as error:
            refused.release()
            return not 0 < (error.retry_after or 0) <= 60
        return True

    with ThreadPoolExecutor(10) as pool, server.hanging(user) as released:
        answers = [pool.submit(ask, number) for number in range(10)]
        for _ in range(7):
            assert refused.acquire(timeout=10)
        released.set()
        assert sorted(answer.result() for answer in answers) == [False] * 7 + [True] * 3
    assert len(server.seen) == 4
    assert client.budget_left("platform") == 0.0


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
