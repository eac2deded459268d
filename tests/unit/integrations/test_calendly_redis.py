"""What processes share through a real Redis (each client is one); a Redis in trouble costs a moment, once."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import cast
from uuid import uuid4

import pytest
import redis

from bookingapp.integrations.calendly import CalendlyRateLimited, CalendlyUnavailable
from bookingapp.integrations.calendly import client as client_module
from bookingapp.integrations.calendly.reader import Freshness
from bookingapp.integrations.circuit_breaker import CircuitOpen
from bookingapp.integrations.redis_breaker import SharedBreaker
from bookingapp.integrations.redis_link import RedisLink
from tests import servers
from tests.servers import OwnRedis
from tests.unit.integrations import clients
from tests.unit.integrations.breakers import Down, Refused, assert_one_probe, fail_times, refuse
from tests.unit.integrations.clients import ONE_PAGE, all_at_once, make_client, sample, user_of
from tests.unit.integrations.stub_server import StubServer
from tests.waiting import eventually

MakeLink = Callable[[], RedisLink]


@pytest.fixture
def links(redis_url: str) -> Iterator[MakeLink]:
    """Makes links, each as another process would have it, to keys of this test alone."""
    prefix = f"bookingapp-test:{uuid4().hex}"
    created: list[RedisLink] = []

    def create() -> RedisLink:
        created.append(RedisLink(redis_url, prefix=prefix))
        return created[-1]

    yield create
    with redis.Redis.from_url(redis_url) as one:
        for key in one.scan_iter(match=f"{prefix}:*"):
            one.delete(key)
    for link in created:
        link.redis.close()


def state(breaker: SharedBreaker) -> str:
    """As another process would find it by now: what a process has seen is a quarter of a second old at most."""
    time.sleep(0.26)  # A fixed pause: what a process has seen counts for a quarter of a second.
    return clients.state(breaker)


def test_cold_readers_of_two_processes_ask_once(server: StubServer, links: MakeLink) -> None:
    server.answer_late(ONE_PAGE, 0.5)
    both = [make_client(server, link=links()) for _ in range(2)]
    found = all_at_once(
        30, lambda number: both[number % 2].list_event_types("builder:1", user_of(server)).value
    )
    assert [len(types) for types in found] == [4] * 30
    assert len(server.seen) == 1


def test_an_answer_is_there_for_the_next_process(server: StubServer, links: MakeLink) -> None:
    server.answer(ONE_PAGE)
    first, second = make_client(server, link=links()), make_client(server, link=links())
    kept = first.list_event_types("builder:1", user_of(server))
    assert second.list_event_types("builder:1", user_of(server)) == kept
    assert len(server.seen) == 1
    second.list_event_types("builder:12", user_of(server))
    assert len(server.seen) == 2
    first.invalidate("builder:1")
    make_client(server, link=links()).list_event_types("builder:12", user_of(server))
    assert len(server.seen) == 2
    make_client(server, link=links()).list_event_types("builder:1", user_of(server))
    assert len(server.seen) == 3
    link = links()
    stored = [cast("bytes", link.redis.dump(key)) for key in link.redis.scan_iter(match=f"{link.prefix}:*")]
    assert len(stored) >= 2
    assert not any(b"Bearer" in value for value in stored)


def test_a_newer_answer_of_another_process_is_seen(
    server: StubServer, links: MakeLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker renews; the web process, whose own answer is old, does not ask Calendly."""
    server.answer(ONE_PAGE)
    web, worker = make_client(server, link=links()), make_client(server, link=links()).patient()
    old = web.list_event_types("builder:1", user_of(server))
    new = worker.list_event_types("builder:1", user_of(server), at_most=timedelta(0))
    assert new.as_of > old.as_of
    age = new.as_of - old.as_of
    monkeypatch.setattr(client_module, "EVENT_TYPES", Freshness(fresh=age, background=timedelta(hours=1)))
    assert web.list_event_types("builder:1", user_of(server)).as_of == new.as_of


def test_the_breaker_is_one_for_all_processes(links: MakeLink) -> None:
    both = [SharedBreaker(links(), "x", failure_threshold=3, reset_after=0.5) for _ in range(2)]
    for number in range(3):
        fail_times(both[number % 2], 1)
    for breaker in both:
        assert breaker.state == "open"
        with pytest.raises(CircuitOpen) as refused:
            breaker.call(lambda: None)
        assert 0 < refused.value.retry_after <= 0.5
    eventually(lambda: state(both[0]) == "half_open", "the end of the wait")
    assert_one_probe(both)
    assert [state(breaker) for breaker in both] == ["closed", "closed"]


def test_a_probe_that_fails_or_dies_opens_it_again(links: MakeLink) -> None:
    """One failure is enough; a process that dies with the probe blocks the others for the probe's time only."""
    breaker = SharedBreaker(links(), "x", failure_threshold=2, reset_after=0.2, probe_patience=0.4)
    fail_times(breaker, 2)
    eventually(lambda: state(breaker) == "half_open", "the end of the wait")
    fail_times(breaker, 1)
    with pytest.raises(CircuitOpen):
        breaker.call(lambda: None)
    eventually(lambda: state(breaker) == "half_open", "the end of the second wait")
    abandoned, other = breaker._admit(), SharedBreaker(links(), "x", reset_after=0.2, probe_patience=0.4)
    assert abandoned.probe
    with pytest.raises(CircuitOpen):
        other.call(lambda: None)

    def another_probe() -> bool:
        try:
            return other.call(lambda: True)
        except CircuitOpen:
            return False

    eventually(another_probe, "the end of the abandoned probe")
    # What the abandoned one would still report comes too late.
    breaker._report(abandoned, 1)
    assert state(other) == "closed"


def test_only_failures_in_a_row_count_across_processes(links: MakeLink) -> None:
    one, two = (SharedBreaker(links(), "x", failure_threshold=3) for _ in range(2))
    fail_times(one, 1)
    fail_times(two, 1)
    with pytest.raises(Refused):
        two.call(refuse, counts=Down)
    fail_times(one, 1)
    fail_times(two, 1)
    assert state(one) == "closed"


def test_the_rate_limit_is_counted_by_all_processes_together(server: StubServer, links: MakeLink) -> None:
    user, limit = sample("calendly/user.json"), {"X_RateLimit_Limit": "50", "X_RateLimit_Reset": "40"}
    server.answer(user, 200, X_RateLimit_Remaining="1", **limit)
    first, second = make_client(server, link=links()), make_client(server, link=links())
    assert second.budget_left("platform") == 1.0
    first.current_user("platform")
    assert second.budget_left("platform") == pytest.approx(0.02)
    server.answer(user, 200, X_RateLimit_Remaining="0", **limit)
    second.current_user("platform")
    for client in (first, second):
        with pytest.raises(CalendlyRateLimited) as refused:
            client.current_user("platform")
        assert 35 < (refused.value.retry_after or 0) <= 40
    assert len(server.seen) == 2


def test_the_worker_knows_what_was_viewed(links: MakeLink) -> None:
    """The latest first, each once, for half an hour; a name that is noted again within a minute costs nothing."""
    web, worker = make_client(link=links()), make_client(link=links())
    for name in ("1", "2", "1", "3"):
        web.note_interest(name)
    half_an_hour = timedelta(minutes=30)
    assert worker.interesting(within=half_an_hour, most=2) == ("3", "2")
    assert worker.interesting(within=half_an_hour, most=9) == ("3", "2", "1")
    assert worker.interesting(within=timedelta(0), most=9) == ()


# A Redis in trouble


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    with servers.own_redis() as own:
        yield own


def test_redis_that_hangs(server: StubServer, own_redis: OwnRedis, caplog: pytest.LogCaptureFixture) -> None:
    """It costs a third of a second once: readers get answers from memory until Redis is back."""
    server.answer(ONE_PAGE)
    link = RedisLink(own_redis.url, prefix="test", pause=0.2)
    client = make_client(server, link=link)
    kept = client.list_event_types("builder:1", user_of(server))
    assert own_redis._running is not None
    own_redis._running.send_signal(signal.SIGSTOP)
    waits = []
    for number in range(20):
        started = time.monotonic()
        client.note_interest(str(number))
        assert client.list_event_types("builder:1", user_of(server), at_most=timedelta(0)).as_of > kept.as_of
        assert client.breaker_state == "closed"
        waits.append(time.monotonic() - started)
    assert 0.25 < waits[0] < 0.8
    assert max(waits[1:]) < 0.25
    assert len(server.seen) == 21
    assert "Redis is away (TimeoutError)" in caplog.text
    assert own_redis.url not in caplog.text
    own_redis._running.send_signal(signal.SIGCONT)

    def back() -> bool:
        client.list_event_types("builder:1", user_of(server), at_most=timedelta(0))
        return not link.is_away

    eventually(back, "Redis to be used again")
    assert "Redis is back" in caplog.text
    newest = client.list_event_types("builder:1", user_of(server), at_most=timedelta(0))
    other = make_client(server, link=RedisLink(own_redis.url, prefix="test"))
    assert other.list_event_types("builder:1", user_of(server)).as_of == newest.as_of


def test_a_redis_that_is_gone_is_no_error(server: StubServer, own_redis: OwnRedis) -> None:
    """Before it is there, and when it dies between two calls; breaker and rate limits go on alone."""
    server.answer(ONE_PAGE, X_RateLimit_Limit="50", X_RateLimit_Remaining="49", X_RateLimit_Reset="40")
    own_redis.stop()
    link = RedisLink(own_redis.url, prefix="test", pause=0.1)
    client = make_client(server, link=link)
    assert client.list_event_types("builder:1", user_of(server)).value
    assert link.is_away
    own_redis.start()
    eventually(lambda: link.attempt(lambda one: one.ping()), "Redis to answer")
    assert client.list_event_types("builder:2", user_of(server)).value
    own_redis.stop()
    assert client.list_event_types("builder:3", user_of(server)).value
    assert client.list_event_types("builder:1", user_of(server)).value
    assert len(server.seen) == 3
    assert client.budget_left("builder:1") == pytest.approx(0.98)
    server.answer(status=500)
    for _ in range(3):
        with pytest.raises(CalendlyUnavailable):
            client.current_user("platform")
    assert client.breaker_state == "open"


def test_a_redis_that_refuses_or_has_foreign_bytes_is_a_miss(own_redis: OwnRedis, server: StubServer) -> None:
    server.answer(ONE_PAGE)
    link = RedisLink(own_redis.url, prefix="test", pause=60)
    client = make_client(server, link=link)
    client.list_event_types("builder:1", user_of(server))
    for key in link.redis.scan_iter(match="test:answers:*"):
        link.redis.set(key, b"not what was put there")
    other = make_client(server, link=RedisLink(own_redis.url, prefix="test"))
    assert other.list_event_types("builder:1", user_of(server)).value
    link.redis.config_set("maxmemory", "1")
    assert client.list_event_types("builder:2", user_of(server)).value
    assert link.is_away
