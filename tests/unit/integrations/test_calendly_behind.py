"""Old answers served at once, refreshes behind them, and what a Calendly that hangs may cost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bookingapp.integrations.calendly import (
    CalendlyClient,
    CalendlyRateLimited,
    CalendlyUnauthorized,
    CalendlyUnavailable,
    PlatformTokens,
)
from bookingapp.integrations.calendly import client as client_module
from bookingapp.integrations.calendly.reader import Freshness
from bookingapp.integrations.circuit_breaker import CircuitBreaker
from bookingapp.integrations.concurrency import BackgroundWork

if TYPE_CHECKING:
    from tests.unit.integrations.conftest import Answer, Respond, Seen, StubServer

Published = Callable[[str], bytes]
HOUR = timedelta(hours=1)


def make_client(server: StubServer, **how: Any) -> CalendlyClient:
    how.setdefault("tokens", PlatformTokens("token"))
    return CalendlyClient(api_url=f"{server.url}/calendly-api", user_agent="bookingapp-tests/1", **how)


def state(client: CalendlyClient) -> str:
    return client.breaker_state


def user_of(server: StubServer, number: int = 0) -> str:
    return f"{server.url}/calendly-api/users/AAAAAAAAAAAA{number:04}"


@pytest.fixture
def always_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer is older than it should be as soon as it is there."""
    monkeypatch.setattr(client_module, "EVENT_TYPES", Freshness(fresh=timedelta(0), background=HOUR))


@pytest.fixture
def listing(published: Published) -> Respond:
    return lambda seen: (200, {}, published("calendly/event_types.page2.json"))


class Gate:
    """Lets the requests of a server wait until it is opened."""

    def __init__(self, respond: Callable[[Seen], Answer]) -> None:
        self.respond = respond
        self.open = threading.Event()

    def __call__(self, seen: Seen) -> Answer:
        self.open.wait(20)
        return self.respond(seen)


@pytest.mark.usefixtures("always_old")
def test_thirty_readers_of_an_old_answer_wait_for_nothing(server: StubServer, listing: Respond) -> None:
    """One refresh runs behind all of them, however long Calendly takes for it."""
    server.respond = listing
    client = make_client(server)
    first = client.list_event_types("platform", user_of(server))
    gate = Gate(listing)
    server.respond = gate
    started = time.monotonic()
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda _: client.list_event_types("platform", user_of(server)), range(30)))
    took = time.monotonic() - started
    assert answers == [first] * 30
    assert took < 1.5
    assert len(server.seen) <= 2
    gate.open.set()
    assert client.settle()
    assert len(server.seen) == 2
    server.respond = gate
    assert client.list_event_types("platform", user_of(server)).as_of > first.as_of


@pytest.mark.usefixtures("always_old")
def test_a_refresh_that_fails_is_told_to_the_next_reader(server: StubServer, listing: Respond) -> None:
    """Who reads before it has failed sees no notice, who reads after it does, and recovery ends it."""
    server.respond = listing
    client = make_client(server, breaker=CircuitBreaker(failure_threshold=1000))
    client.list_event_types("platform", user_of(server))
    server.respond = lambda seen: (503, {}, b"")
    assert not client.list_event_types("platform", user_of(server)).stale
    assert client.settle()
    told = client.list_event_types("platform", user_of(server))
    assert told.stale
    assert client.settle()
    server.respond = listing
    assert client.list_event_types("platform", user_of(server)).stale
    assert client.settle()
    assert not client.list_event_types("platform", user_of(server)).stale


def test_an_open_breaker_is_told_even_beside_a_fresh_answer(server: StubServer, listing: Respond) -> None:
    """And the first reader after its wait sends the one probe behind its back, which closes it."""
    server.respond = listing
    clock = [0.0]
    breaker = CircuitBreaker(failure_threshold=2, reset_after=30, clock=lambda: clock[0])
    client = make_client(server, breaker=breaker)
    assert not client.list_event_types("platform", user_of(server)).stale
    server.respond = lambda seen: (500, {}, b"")
    with pytest.raises(CalendlyUnavailable):
        client.current_user("platform")
    assert state(client) == "open"
    asked = len(server.seen)
    assert client.list_event_types("platform", user_of(server)).stale
    assert client.settle()
    assert len(server.seen) == asked
    clock[0] = 31.0
    server.respond = listing
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: client.list_event_types("platform", user_of(server)), range(10)))
    assert client.settle()
    assert len(server.seen) == asked + 1
    assert state(client) == "closed"
    assert not client.list_event_types("platform", user_of(server)).stale


def test_a_decision_asks_for_an_answer_of_this_moment(server: StubServer, listing: Respond) -> None:
    """An answer that is fresh enough to be shown is asked for again; one that cannot be had is marked."""
    server.respond = listing
    client = make_client(server)
    shown = client.list_event_types("platform", user_of(server))
    decided = client.list_event_types("platform", user_of(server), at_most=timedelta(0))
    assert decided.as_of > shown.as_of
    assert len(server.seen) == 2
    assert client.list_event_types("platform", user_of(server), at_most=HOUR) == decided
    server.respond = lambda seen: (500, {}, b"")
    failed = client.list_event_types("platform", user_of(server), at_most=timedelta(0))
    assert failed.stale
    assert failed.as_of == decided.as_of


@pytest.mark.usefixtures("always_old")
def test_a_refresh_runs_in_a_context_of_its_own_and_under_the_guard(
    server: StubServer, listing: Respond, caplog: pytest.LogCaptureFixture
) -> None:
    """What the guard raises there reaches no reader, and the thread lives on."""
    entered: list[str] = []
    objections: list[Exception] = []

    @contextmanager
    def around() -> Iterator[None]:
        entered.append(threading.current_thread().name)
        yield

    def guard() -> None:
        if objections:
            raise objections.pop()

    server.respond = listing
    client = make_client(server, around=around, before_call=guard)
    first = client.list_event_types("platform", user_of(server))
    assert entered == []
    objections.append(RuntimeError("a transaction of somebody is open"))
    assert client.list_event_types("platform", user_of(server)) == first
    assert client.settle()
    assert "background work failed: RuntimeError" in caplog.text
    client.list_event_types("platform", user_of(server))
    assert client.settle()
    assert entered == ["background", "background"]
    assert len(server.seen) == 2


def test_work_behind_is_bounded() -> None:
    """Two threads, a queue with an end, and each key once."""
    behind, release, running = BackgroundWork(threads=2, room=3), threading.Event(), threading.Semaphore(0)

    def work() -> None:
        running.release()
        release.wait(10)

    assert behind.submit("a", work)
    assert behind.submit("b", work)
    assert running.acquire(timeout=10)
    assert running.acquire(timeout=10)
    assert not behind.submit("a", work)
    assert [behind.submit(key, work) for key in "cdef"] == [True, True, True, False]
    assert not behind.submit("c", work)
    assert not behind.settle(0.01)
    release.set()
    assert behind.settle(10)
    assert behind.submit("a", work)
    assert behind.settle(10)


def test_readers_of_a_calendly_that_hangs_do_not_take_every_thread(
    server: StubServer, listing: Respond
) -> None:
    """Two may wait for it; the others are told within a second or so, and none of it takes three."""
    gate = Gate(listing)
    server.respond = gate
    client = make_client(server, places=2, breaker=CircuitBreaker(failure_threshold=1000))

    def read(number: int) -> float:
        started = time.monotonic()
        with pytest.raises(CalendlyUnavailable):
            client.list_event_types("platform", user_of(server, number % 5))
        return time.monotonic() - started

    try:
        with ThreadPoolExecutor(20) as pool:
            waits = sorted(pool.map(read, range(20)))
    finally:
        gate.open.set()
    assert waits[-1] < 3.5
    assert len([wait for wait in waits if wait > 1.6]) <= 2 + 2
    assert len(server.seen) <= 4


def test_two_calls_that_hang_open_the_breaker(server: StubServer, listing: Respond) -> None:
    """A call that takes a reader's whole patience is dearer than five quick refusals."""
    gate = Gate(listing)
    server.respond = gate
    client = make_client(server)
    try:
        for _ in range(2):
            assert state(client) == "closed"
            with pytest.raises(CalendlyUnavailable):
                client.current_user("platform")
        assert state(client) == "open"
    finally:
        gate.open.set()


def test_an_answer_that_stops_halfway_costs_a_page_its_time_and_no_more(server: StubServer) -> None:
    """Headers come late, half a body comes, then nothing: connecting, waiting and reading share three seconds."""
    stop = threading.Event()

    def half(body: bytes) -> Iterator[bytes]:
        yield body[:10]
        stop.wait(20)
        yield body[10:]

    server.respond = lambda seen: (200, {}, b" " * 100)
    server.pieces = half
    started = time.monotonic()
    try:
        with pytest.raises(CalendlyUnavailable):
            make_client(server, page_timeout=(0.5, 1.0), total_timeout=1.2).current_user("platform")
    finally:
        stop.set()
    assert time.monotonic() - started < 2.0


def test_all_calls_of_one_page_share_its_time(server: StubServer, listing: Respond) -> None:
    """The second question of a page has what the first has left."""
    gate = Gate(listing)
    server.respond = gate
    end = time.monotonic() + 1.0
    client = make_client(
        server, page_timeout=(0.7, 0.7), left_of_page=lambda seconds: max(end - time.monotonic(), 0.0)
    )
    started = time.monotonic()
    try:
        for _ in range(4):
            with pytest.raises(CalendlyUnavailable):
                client.current_user("platform")
    finally:
        gate.open.set()
    assert time.monotonic() - started < 1.6


def test_a_patient_client_shares_what_is_known_and_waits_longer(server: StubServer, listing: Respond) -> None:
    """The worker's answer is the page's, and the other way round; the breaker is one."""
    server.respond = listing
    client = make_client(server, page_timeout=(0.2, 0.2), total_timeout=0.2)
    patient = client.patient(page_timeout=(2.0, 5.0), total_timeout=8.0)
    kept = patient.list_event_types("platform", user_of(server))
    assert client.list_event_types("platform", user_of(server)) == kept
    assert len(server.seen) == 1

    def slow(seen: Seen) -> Answer:
        threading.Event().wait(0.6)
        return listing(seen)

    server.respond = slow
    with pytest.raises(CalendlyUnavailable):
        client.list_event_types("platform", user_of(server, 2))
    assert patient.list_event_types("platform", user_of(server, 2)).value
    for _ in range(5):
        server.respond = lambda seen: (500, {}, b"")
        with pytest.raises(CalendlyUnavailable):
            patient.current_user("platform")
        if state(client) == "open":
            break
    assert (state(client), state(patient)) == ("open", "open")


def test_the_account_behind_a_token_is_known_for_an_hour(server: StubServer, published: Published) -> None:
    """By this process, and not beyond the token: the next token may be another account's."""
    server.respond = lambda seen: (200, {}, published("calendly/user.json"))

    class Rotating:
        token = "first"

        def token_for(self, tenant: str) -> str:
            return self.token

    tokens = Rotating()
    client = make_client(server, tokens=tokens)
    known = client.known_user("builder:1")
    assert client.known_user("builder:1") == known
    assert len(server.seen) == 1
    tokens.token = "second"
    server.respond = lambda seen: (401, {}, b"{}")
    with pytest.raises(CalendlyUnauthorized):
        client.known_user("builder:1")
    tokens.token = "first"
    assert client.known_user("builder:1") == known
    client.invalidate("builder:1")
    with pytest.raises(CalendlyUnauthorized):
        client.known_user("builder:1")


def test_threads_do_not_spend_the_last_requests_twice(server: StubServer, published: Published) -> None:
    """Three requests are left; of ten that are asked for at once three are sent."""
    headers = {"X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "3", "X-RateLimit-Reset": "60"}
    server.respond = lambda seen: (200, headers, published("calendly/user.json"))
    client = make_client(server)
    client.current_user("platform")
    gate = Gate(lambda seen: (200, {}, published("calendly/user.json")))
    server.respond = gate
    everybody = threading.Barrier(10, timeout=10)

    def ask(_: int) -> bool:
        everybody.wait()
        try:
            client.current_user("platform")
        except CalendlyRateLimited as refused:
            return not 0 < (refused.retry_after or 0) <= 60
        return True

    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(ask, number) for number in range(10)]
        deadline = time.monotonic() + 10
        while sum(answer.done() for answer in answers) < 7 and time.monotonic() < deadline:
            time.sleep(0.01)
        gate.open.set()
        assert sorted(answer.result() for answer in answers) == [False] * 7 + [True] * 3
    assert len(server.seen) == 4
    assert client.budget_left("platform") == 0.0
