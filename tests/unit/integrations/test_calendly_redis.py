"""What processes share through a real Redis; and that a Redis in trouble costs a moment, once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import pytest
import redis

from bookingapp.core.settings import PROJECT_ROOT
from bookingapp.integrations.calendly import (
    CalendlyClient,
    CalendlyRateLimited,
    CalendlyUnavailable,
    PlatformTokens,
)
from bookingapp.integrations.calendly import client as client_module
from bookingapp.integrations.calendly.reader import Freshness
from bookingapp.integrations.redis_breaker import SharedBreaker
from bookingapp.integrations.redis_link import RedisAway, RedisLink
from bookingapp.integrations.resilience import CircuitOpen
from tests.servers import free_port, missing

if TYPE_CHECKING:
    from tests.unit.integrations.conftest import Answer, Seen, StubServer

Published = Callable[[str], bytes]


class Down(Exception):
    pass


@pytest.fixture
def prefix(redis_url: str) -> Iterator[str]:
    """Keys of this test alone, taken away at its end."""
    name = f"bookingapp-test:{uuid4().hex}"
    yield name
    with redis.Redis.from_url(redis_url) as one:
        for key in one.scan_iter(match=f"{name}:*"):
            one.delete(key)


@pytest.fixture
def links(redis_url: str, prefix: str) -> Iterator[Callable[[], RedisLink]]:
    """Makes links, each as another process would have it."""
    made: list[RedisLink] = []

    def make() -> RedisLink:
        made.append(RedisLink(redis_url, prefix=prefix))
        return made[-1]

    yield make
    for link in made:
        link.redis.close()


def make_client(server: StubServer, link: RedisLink | None, **how: Any) -> CalendlyClient:
    how.setdefault("tokens", PlatformTokens("token"))
    return CalendlyClient(
        api_url=f"{server.url}/calendly-api", user_agent="bookingapp-tests/1", link=link, **how
    )


def user_of(server: StubServer) -> str:
    return f"{server.url}/calendly-api/users/AAAAAAAAAAAAAAAA"


def state(breaker: SharedBreaker | CalendlyClient) -> str:
    """As another process would find it by now: what a process has seen is a quarter of a second old at most."""
    time.sleep(0.26)  # A fixed pause: what a process has seen counts for a quarter of a second.
    return breaker.state if isinstance(breaker, SharedBreaker) else breaker.breaker_state


def test_two_processes_of_cold_readers_ask_once(
    server: StubServer, published: Published, redis_url: str, prefix: str
) -> None:
    """Fifteen threads in each; Calendly takes a while; one question comes."""

    def slow_list(seen: Seen) -> Answer:
        deadline = time.monotonic() + 0.5
        while len(server.seen) == 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        return 200, {}, published("calendly/event_types.page2.json")

    server.respond = slow_list
    orders = {
        "api_url": f"{server.url}/calendly-api",
        "redis_url": redis_url,
        "prefix": prefix,
        "user": user_of(server),
        "threads": 15,
    }
    command = [sys.executable, "-m", "tests.unit.integrations.reading_process", json.dumps(orders)]
    processes = [
        subprocess.Popen(command, cwd=PROJECT_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        told = [json.loads(process.communicate(timeout=30)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait(timeout=10)
    assert told == [{"fared": {"4 types": 15}, "breaker": "closed"}] * 2
    assert len(server.seen) == 1


def test_an_answer_is_there_for_the_next_process(
    server: StubServer, published: Published, links: Callable[[], RedisLink]
) -> None:
    """With its age; for its tenant alone; and a token is nowhere in Redis."""
    server.respond = lambda seen: (200, {}, published("calendly/event_types.page2.json"))
    first, second = make_client(server, links()), make_client(server, links())
    kept = first.list_event_types("builder:1", user_of(server))
    assert second.list_event_types("builder:1", user_of(server)) == kept
    assert len(server.seen) == 1
    second.list_event_types("builder:12", user_of(server))
    assert len(server.seen) == 2
    first.invalidate("builder:1")
    make_client(server, links()).list_event_types("builder:12", user_of(server))
    assert len(server.seen) == 2
    make_client(server, links()).list_event_types("builder:1", user_of(server))
    assert len(server.seen) == 3
    link = links()
    stored = [
        bytes(cast("bytes", link.redis.dump(key))) for key in link.redis.scan_iter(match=f"{link.prefix}:*")
    ]
    assert len(stored) >= 2
    assert not any(b"Bearer" in value for value in stored)


def test_a_newer_answer_of_another_process_is_seen(
    server: StubServer,
    published: Published,
    links: Callable[[], RedisLink],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker renews; the web process, whose own answer is old, asks nobody."""
    server.respond = lambda seen: (200, {}, published("calendly/event_types.page2.json"))
    web, worker = make_client(server, links()), make_client(server, links()).patient()
    old = web.list_event_types("builder:1", user_of(server))
    new = worker.list_event_types("builder:1", user_of(server), at_most=timedelta(0))
    assert new.as_of > old.as_of
    age = new.as_of - old.as_of
    monkeypatch.setattr(client_module, "EVENT_TYPES", Freshness(fresh=age, behind=timedelta(hours=1)))
    assert web.list_event_types("builder:1", user_of(server)).as_of == new.as_of


def test_the_breaker_is_one_for_all_processes(links: Callable[[], RedisLink]) -> None:
    """It opens for both, lets one probe of all threads of both through, and closes for both."""
    both = [SharedBreaker(links(), "x", failure_threshold=3, reset_after=0.5) for _ in range(2)]

    def fail() -> None:
        raise Down

    for number in range(3):
        with pytest.raises(Down):
            both[number % 2].call(fail, counts=Down)
    for breaker in both:
        assert breaker.state == "open"
        with pytest.raises(CircuitOpen) as refused:
            breaker.call(lambda: None)
        assert 0 < refused.value.retry_after <= 0.5
    wait_until(lambda: state(both[0]) == "half_open")
    release, probes = threading.Event(), []

    def probe() -> str:
        probes.append(1)
        assert release.wait(10)
        return "answer"

    def attempt(number: int) -> str:
        try:
            return both[number % 2].call(probe, counts=Down)
        except CircuitOpen:
            return "refused"

    with ThreadPoolExecutor(20) as pool:
        attempts = [pool.submit(attempt, number) for number in range(20)]
        wait_until(lambda: sum(one.done() for one in attempts) == 19)
        release.set()
        assert sorted(one.result() for one in attempts) == ["answer"] + ["refused"] * 19
    assert len(probes) == 1
    assert [state(breaker) for breaker in both] == ["closed", "closed"]


def test_a_probe_that_fails_or_dies_opens_it_again(links: Callable[[], RedisLink]) -> None:
    """One failure is enough; and a process that took the probe with it holds the others up for its time only."""
    breaker = SharedBreaker(links(), "x", failure_threshold=2, reset_after=0.2, probe_patience=0.4)

    def fail() -> None:
        raise Down

    for _ in range(2):
        with pytest.raises(Down):
            breaker.call(fail, counts=Down)
    wait_until(lambda: state(breaker) == "half_open")
    with pytest.raises(Down):
        breaker.call(fail, counts=Down)
    with pytest.raises(CircuitOpen):
        breaker.call(lambda: None)
    wait_until(lambda: state(breaker) == "half_open")
    abandoned, other = breaker._enter(), SharedBreaker(links(), "x", reset_after=0.2, probe_patience=0.4)
    assert abandoned.probe
    with pytest.raises(CircuitOpen):
        other.call(lambda: None)

    def another_probe() -> bool:
        try:
            return other.call(lambda: True)
        except CircuitOpen:
            return False

    wait_until(another_probe)
    # What the abandoned one would still report comes too late.
    breaker._leave(abandoned, 1)
    assert state(other) == "closed"


def test_only_failures_in_a_row_count_across_processes(links: Callable[[], RedisLink]) -> None:
    """An answer to any process starts the count anew; a refusal is an answer."""
    one, two = (SharedBreaker(links(), "x", failure_threshold=3) for _ in range(2))

    def fail(error: type[Exception]) -> None:
        raise error

    for breaker in (one, two):
        with pytest.raises(Down):
            breaker.call(lambda: fail(Down), counts=Down)
    with pytest.raises(KeyError):
        two.call(lambda: fail(KeyError), counts=Down)
    for breaker in (one, two):
        with pytest.raises(Down):
            breaker.call(lambda: fail(Down), counts=Down)
    assert state(one) == "closed"


def test_the_rate_limit_is_respected_by_a_process_that_was_not_told(
    server: StubServer, published: Published, links: Callable[[], RedisLink]
) -> None:
    """Its own first call is not sent, because another process spent the minute."""
    headers = {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "40"}
    server.respond = lambda seen: (200, headers, published("calendly/user.json"))
    told, untold = make_client(server, links()), make_client(server, links())
    assert untold.budget_left("platform") == 1.0
    told.current_user("platform")
    assert untold.budget_left("platform") == pytest.approx(0.02)
    headers["X-RateLimit-Remaining"] = "0"
    untold.current_user("platform")
    for client in (told, untold):
        with pytest.raises(CalendlyRateLimited) as refused:
            client.current_user("platform")
        assert 35 < (refused.value.retry_after or 0) <= 40
    assert len(server.seen) == 2


def test_what_people_look_at_is_known_to_the_worker(links: Callable[[], RedisLink]) -> None:
    """The latest first, each once, for half an hour; a name that is noted again within a minute costs nothing."""
    server_url = "http://127.0.0.1:1"
    clients = [
        CalendlyClient(api_url=server_url, tokens=PlatformTokens("t"), user_agent="tests", link=links())
        for _ in range(2)
    ]
    for name in ("1", "2", "1", "3"):
        clients[0].note_interest(name)
    half_an_hour = timedelta(minutes=30)
    assert clients[1].interesting(within=half_an_hour, most=2) == ("3", "2")
    assert clients[1].interesting(within=half_an_hour, most=9) == ("3", "2", "1")
    assert clients[1].interesting(within=timedelta(0), most=9) == ()


# A Redis in trouble


def wait_until(look: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


class OwnRedis:
    """A Redis of this test, to be stopped, continued and killed."""

    def __init__(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            missing("no redis-server on this machine")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [str(program), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def pongs() -> bool:
            try:
                with redis.Redis.from_url(self.url, socket_timeout=1) as one:
                    return bool(one.ping())
            except redis.RedisError:
                return False

        wait_until(pongs, 20)

    def send(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    one = OwnRedis()
    yield one
    one.end()


def test_a_redis_that_hangs_costs_a_third_of_a_second_once(
    server: StubServer, published: Published, own_redis: OwnRedis, caplog: pytest.LogCaptureFixture
) -> None:
    """Readers get their answers from this process's memory; when Redis is back it is used again."""
    server.respond = lambda seen: (200, {}, published("calendly/event_types.page2.json"))
    own_redis.start()
    link = RedisLink(own_redis.url, prefix="test", pause=0.2)
    client = make_client(server, link)
    kept = client.list_event_types("builder:1", user_of(server))
    own_redis.send(signal.SIGSTOP)
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
    own_redis.send(signal.SIGCONT)

    def back() -> bool:
        client.list_event_types("builder:1", user_of(server), at_most=timedelta(0))
        return not link.is_away

    wait_until(back)
    assert "Redis is back" in caplog.text
    newest = client.list_event_types("builder:1", user_of(server), at_most=timedelta(0))
    other = make_client(server, RedisLink(own_redis.url, prefix="test"))
    assert other.list_event_types("builder:1", user_of(server)).as_of == newest.as_of


def test_a_redis_that_is_gone_is_an_error_of_nobody(
    server: StubServer, published: Published, own_redis: OwnRedis
) -> None:
    """Before it ever was there, and while it dies between two calls; breaker and rate limits go on alone."""
    headers = {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "49", "X-RateLimit-Reset": "40"}
    server.respond = lambda seen: (200, headers, published("calendly/event_types.page2.json"))
    link = RedisLink(own_redis.url, prefix="test", pause=0.1)
    client = make_client(server, link)
    assert client.list_event_types("builder:1", user_of(server)).value
    assert link.is_away
    own_redis.start()
    wait_until(lambda: asks_again(link))
    assert client.list_event_types("builder:2", user_of(server)).value
    own_redis.end()
    assert client.list_event_types("builder:3", user_of(server)).value
    assert client.list_event_types("builder:1", user_of(server)).value
    assert len(server.seen) == 3
    assert client.budget_left("builder:1") == pytest.approx(0.98)
    server.respond = lambda seen: (500, {}, b"")
    for _ in range(3):
        with pytest.raises(CalendlyUnavailable):
            client.current_user("platform")
    assert client.breaker_state == "open"


def asks_again(link: RedisLink) -> bool:
    try:
        link.do(lambda one: one.ping())
    except RedisAway:
        return False
    return True


def test_it_ends_with_a_redis_that_refuses(
    own_redis: OwnRedis, server: StubServer, published: Published
) -> None:
    """Out of memory, read-only, or somebody else's bytes under our name: a miss, never an error."""
    server.respond = lambda seen: (200, {}, published("calendly/event_types.page2.json"))
    own_redis.start()
    link = RedisLink(own_redis.url, prefix="test", pause=60)
    client = make_client(server, link)
    client.list_event_types("builder:1", user_of(server))
    for key in link.redis.scan_iter(match="test:answers:*"):
        link.redis.set(key, b"not what was put there")
    assert make_client(server, RedisLink(own_redis.url, prefix="test")).list_event_types(
        "builder:1", user_of(server)
    )
    link.redis.config_set("maxmemory", "1")
    assert client.list_event_types("builder:2", user_of(server)).value
    assert link.is_away
