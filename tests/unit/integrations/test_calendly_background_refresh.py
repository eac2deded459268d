"""Old answers that are served at once while Calendly is asked in the background."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import Mock

import pytest

from bookingapp.integrations.calendly import CalendlyUnauthorized, CalendlyUnavailable
from bookingapp.integrations.calendly import client as client_module
from bookingapp.integrations.calendly.reader import Freshness
from bookingapp.integrations.circuit_breaker import CircuitBreaker
from bookingapp.integrations.concurrency import BackgroundWork
from tests.unit.integrations.clients import (
    ONE_PAGE,
    OneToken,
    at_most,
    make_client,
    never_opens,
    sample,
    state,
    user_of,
)
from tests.unit.integrations.stub_server import StubServer

HOUR = timedelta(hours=1)


@pytest.fixture
def always_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer is older than it should be as soon as it is there."""
    monkeypatch.setattr(client_module, "EVENT_TYPES", Freshness(fresh=timedelta(0), background=HOUR))


@pytest.mark.usefixtures("always_old")
def test_thirty_readers_of_an_old_answer_wait_for_nothing(server: StubServer) -> None:
    server.answer(ONE_PAGE)
    client = make_client(server)
    first = client.list_event_types("platform", user_of(server))
    with server.hanging(ONE_PAGE), at_most(1.5), ThreadPoolExecutor(30) as pool:
        answers = pool.map(lambda _: client.list_event_types("platform", user_of(server)), range(30))
        assert list(answers) == [first] * 30
        assert len(server.seen) <= 2
    assert client.settle()
    assert len(server.seen) == 2
    assert client.list_event_types("platform", user_of(server)).as_of > first.as_of


@pytest.mark.usefixtures("always_old")
def test_a_refresh_that_fails_marks_the_answer_as_stale(server: StubServer) -> None:
    client = make_client(server, breaker=never_opens())

    def read_and_refresh() -> bool:
        stale = client.list_event_types("platform", user_of(server)).stale
        assert client.settle()
        return stale

    server.answer(ONE_PAGE)
    assert not read_and_refresh()
    server.answer(status=503)
    assert [read_and_refresh(), read_and_refresh()] == [False, True]
    server.answer(ONE_PAGE)
    assert not read_and_refresh(), "the first reader after the outage gets the new answer"


def test_an_open_breaker_marks_even_a_fresh_answer_as_stale(server: StubServer) -> None:
    """The first reader after its wait has the one probe sent in the background, which closes it."""
    server.answer(ONE_PAGE)
    clock = [0.0]
    breaker = CircuitBreaker(failure_threshold=2, reset_after=30, clock=lambda: clock[0])
    client = make_client(server, breaker=breaker)
    assert not client.list_event_types("platform", user_of(server)).stale
    server.answer(status=500)
    with pytest.raises(CalendlyUnavailable):
        client.current_user("platform")
    assert state(client) == "open"
    asked = len(server.seen)
    assert client.list_event_types("platform", user_of(server)).stale
    assert client.settle()
    assert len(server.seen) == asked
    clock[0] = 31.0
    # The probe is answered once all readers were here: whoever comes after it finds a closed breaker.
    with server.hanging(ONE_PAGE) as released:
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(lambda _: client.list_event_types("platform", user_of(server)), range(10)))
        released.set()
        assert client.settle()
    assert len(server.seen) == asked + 1
    assert state(client) == "closed"
    server.answer(ONE_PAGE)
    assert not client.list_event_types("platform", user_of(server)).stale


def test_the_first_reader_after_an_open_breaker_gets_the_new_answer(server: StubServer) -> None:
    """The probe has half a second; one that hangs keeps a reader no longer than that."""
    server.answer(ONE_PAGE)
    clock = [0.0]
    breaker = CircuitBreaker(failure_threshold=1, reset_after=30, clock=lambda: clock[0])
    client = make_client(server, breaker=breaker)
    old = client.list_event_types("platform", user_of(server))
    server.answer(status=500)
    with pytest.raises(CalendlyUnavailable):
        client.current_user("platform")
    clock[0] = 31.0
    with server.hanging(ONE_PAGE) as released:
        with at_most(1.5):
            assert client.list_event_types("platform", user_of(server)).stale
        released.set()
        assert client.settle()
    server.answer(status=500)
    with pytest.raises(CalendlyUnavailable):
        client.current_user("platform")
    server.answer(ONE_PAGE)
    clock[0] = 62.0
    new = client.list_event_types("platform", user_of(server))
    assert (new.stale, new.as_of > old.as_of) == (False, True)


def test_a_decision_asks_for_an_answer_of_this_moment(server: StubServer) -> None:
    """Even where the cached one is fresh enough to be shown; where Calendly fails, that one is marked."""
    server.answer(ONE_PAGE)
    client = make_client(server)
    shown = client.list_event_types("platform", user_of(server))
    decided = client.list_event_types("platform", user_of(server), at_most=timedelta(0))
    assert decided.as_of > shown.as_of
    assert len(server.seen) == 2
    assert client.list_event_types("platform", user_of(server), at_most=HOUR) == decided
    server.answer(status=500)
    failed = client.list_event_types("platform", user_of(server), at_most=timedelta(0))
    assert (failed.stale, failed.as_of) == (True, decided.as_of)


@pytest.mark.usefixtures("always_old")
def test_a_refresh_runs_in_its_own_context(server: StubServer, caplog: pytest.LogCaptureFixture) -> None:
    """What the guard before a call raises there reaches no reader, and the thread lives on."""
    entered: list[str] = []

    @contextmanager
    def around() -> Iterator[None]:
        entered.append(threading.current_thread().name)
        yield

    server.answer(ONE_PAGE)
    guard = Mock()
    client = make_client(server, around=around, before_call=guard)
    first = client.list_event_types("platform", user_of(server))
    assert entered == []
    guard.side_effect = [RuntimeError("a transaction is open"), None]
    assert client.list_event_types("platform", user_of(server)) == first
    assert client.settle()
    assert "background work failed: RuntimeError" in caplog.text
    client.list_event_types("platform", user_of(server))
    assert client.settle()
    assert entered == ["background", "background"]
    assert len(server.seen) == 2


def test_background_work_is_bounded() -> None:
    background, release = BackgroundWork(threads=2, room=3), threading.Event()
    running = threading.Semaphore(0)

    def work() -> None:
        running.release()
        release.wait(10)

    assert background.submit("a", work)
    assert background.submit("b", work)
    assert running.acquire(timeout=10)
    assert running.acquire(timeout=10)
    assert not background.submit("a", work)
    assert [background.submit(key, work) for key in "cdef"] == [True, True, True, False]
    assert not background.submit("c", work)
    assert not background.settle(0.01)
    release.set()
    assert background.settle(10)
    assert background.submit("a", work)
    assert background.settle(10)


def test_the_account_of_a_token_is_known_for_an_hour(server: StubServer) -> None:
    """To this process, and for this token: the next token may be another account's."""
    server.answer(sample("calendly/user.json"))
    tokens = OneToken()
    client = make_client(server, tokens=tokens)
    known = client.known_user("builder:1")
    assert client.known_user("builder:1") == known
    assert len(server.seen) == 1
    tokens.token = "second"
    server.answer(b"{}", 401)
    with pytest.raises(CalendlyUnauthorized):
        client.known_user("builder:1")
    tokens.token = OneToken().token
    assert client.known_user("builder:1") == known
    client.invalidate("builder:1")
    with pytest.raises(CalendlyUnauthorized):
        client.known_user("builder:1")
