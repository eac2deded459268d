"""What a Calendly that hangs, is slow or limits us may cost: time, threads and requests, over real sockets."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bookingapp.integrations.calendly import CalendlyBadReply, CalendlyRateLimited, CalendlyUnavailable
from tests.unit.integrations.clients import (
    ONE_PAGE,
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
