"""On PostgreSQL and Redis, where several machines may share the work, and either server may go away."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import redis
import requests
import sqlalchemy as sa

from bookingapp.core.queue import Job, WorkState
from bookingapp.webhooks.models import InboxEvent
from tests.e2e.stack import Stack
from tests.e2e.visitor import Visitor
from tests.waiting import eventually

from . import paying_first, proofs
from .conftest import Estate
from .crowd import AT_ONCE, BOOKINGS, Crowd, assert_said_in_words
from .ledgers import assert_books_agree, until_quiet
from .signed import Delivery, payment_begun, stranger_canceled

BACKLOG = 90
# GET /my-bookings/link/… may be asked for so often in a minute from one address.
LIMIT = 60
NOWHERE = "/my-bookings/link/nothing"


def test_processes_killed_under_load_lose_nothing_and_repeat_nothing(estate: Estate) -> None:
    proofs.kills_lose_nothing_and_repeat_nothing(estate.stack)


def test_scenario_61_the_last_time_is_sold_once(estate: Estate) -> None:
    paying_first.the_last_time_is_sold_once(estate.stack)


def test_the_same_delivery_at_once_is_one_row(estate: Estate) -> None:
    proofs.the_same_delivery_at_once_is_one_row(estate.stack)


def test_an_idle_worker_hears_at_once(estate: Estate) -> None:
    proofs.an_idle_worker_hears_at_once(estate.stack)


def test_scenario_13_the_database_goes_away_under_load(estate: Estate) -> None:
    """Once in order and once by a crash. Everything says 503 in words meanwhile, and goes on by itself after it."""
    stack = estate.stack
    crowd, seen = Crowd(stack, proofs.SEED, first=1000), []
    with ThreadPoolExecutor(AT_ONCE) as threads:
        walking = crowd.begin(threads, BOOKINGS)
        for mode, so_far in (("fast", BOOKINGS // 4), ("immediate", BOOKINGS // 2)):
            _await_clients(walking, so_far)
            estate.postgresql.stop(mode)
            try:
                seen += _look_around_without_a_database(stack)
            finally:
                estate.postgresql.start()
            for url in stack.urls:
                eventually(partial(_is_ready, url), what=f"{url} to be ready")
        for one in walking:
            one.result()
    until_quiet(stack)
    assert_books_agree(stack, crowd)
    # What was answered with 503 comes again, and is news then.
    for delivery in seen:
        assert delivery.kept(stack) == []
        assert delivery.send(stack.url).json() == {"received": True, "duplicate": False}
    _all_still_run(stack)
    stack.check_logs()


def _await_clients(walking: list[Future[None]], count: int) -> None:
    """Until so many have come to the end of their way."""

    def arrived() -> int:
        done = [one for one in walking if one.done()]
        for one in done:
            one.result()
        return len(done)

    eventually(arrived, what=f"{count} clients", seconds=60, good=count.__le__)


def _is_ready(url: str) -> bool:
    return requests.get(f"{url}/readyz", timeout=10).ok


def _look_around_without_a_database(stack: Stack) -> list[Delivery]:
    """At every process; returns the deliveries that could not be kept."""
    refused = []
    client = Visitor(stack)
    for url in stack.urls:
        for delivery in (stranger_canceled(), payment_begun()):
            answer = delivery.send(url)
            assert answer.status_code == 503, answer.text
            assert "send it again" in answer.json()["message"]
            assert int(answer.headers["Retry-After"]) > 0
            refused.append(delivery)
        for path in (
            "/",
            "/builders/ada-okonkwo",
            "/builders/ada-okonkwo/session-types",
            f"/bookings/{'0' * 32}",
        ):
            page = client.get(f"{url}{path}")
            assert page.status == 503, (path, page.status)
            assert_said_in_words(page)
        assert client.get(f"{url}/bookings/{'0' * 32}/status", headers={"HX-Request": "true"}).status == 503
        assert client.get(f"{url}/healthz").status == 200
        assert client.get(f"{url}/readyz").status == 503
    client.http.close()
    _all_still_run(stack)
    return refused


def _all_still_run(stack: Stack) -> None:
    assert all(stack.is_running(name) for name in (*stack.webs, *stack.workers))


def test_redis_goes_away_under_load(estate: Estate) -> None:
    """Nothing needs it: pages and webhooks go on, limits are counted by each process, and later by all again."""
    stack = estate.stack
    crowd = Crowd(stack, proofs.SEED, first=2000)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        walking = crowd.begin(threads, BOOKINGS // 2)
        _await_clients(walking, 1)
        estate.redis.stop()
        try:
            for url in stack.urls:
                assert Visitor(stack).get(url).status == 200
                assert payment_begun().send(url).status_code == 200
                assert _allowed(stack, [url]) == LIMIT
        finally:
            estate.redis.start()
        for one in walking:
            one.result()
    assert set(crowd.answers) == {200, 303}, crowd.answers
    until_quiet(stack)
    assert_books_agree(stack, crowd)
    for name, url in zip(stack.webs, stack.urls, strict=True):
        eventually(partial(_is_counted_in_redis, estate, url), what="counting in Redis", seconds=60)
        eventually(partial(_has_found_redis, stack, name, url), what="Redis to be found")
    _all_still_run(stack)
    stack.check_logs()


def _is_counted_in_redis(estate: Estate, url: str) -> bool:
    client = Visitor(estate.stack)
    assert client.get(f"{url}{NOWHERE}").status == 410
    client.http.close()
    with redis.Redis.from_url(estate.redis.url) as database:
        return any(key.endswith(b"/1/minute") for key in database.keys(f"*{client.address}*"))


def _has_found_redis(stack: Stack, name: str, url: str) -> bool:
    """The process has logged that Redis is back as often as that it was away. Reading its breaker makes it try."""
    assert requests.get(f"{url}/metrics", timeout=10).ok
    said = (stack.instance / f"{name}.log").read_text()
    return said.count("Redis is away") == said.count("Redis is back")


def _allowed(stack: Stack, urls: list[str]) -> int:
    """How many requests one client may send, in turns to each address, before the first 429."""
    client = Visitor(stack)
    try:
        for number in range(LIMIT * len(urls) + 1):
            page = client.get(f"{urls[number % len(urls)]}{NOWHERE}")
            if page.status == 429:
                return number
            assert page.status == 410
    finally:
        client.http.close()
    raise AssertionError("there is no limit")


def test_workers_share_the_work_and_do_each_row_once(estate: Estate) -> None:
    """Each row is claimed once, by one of the three, and its effect exists once."""
    stack = estate.stack
    until_quiet(stack)
    newest = max((row.id for row in stack.query(sa.select(InboxEvent.id))), default=0)
    newest_job = max(row.id for row in stack.query(sa.select(Job.id)))
    backlog = [stranger_canceled() for _ in range(BACKLOG)]
    crowd = Crowd(stack, proofs.SEED, first=3000)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        walking = crowd.begin(threads, AT_ONCE)
        answers = list(threads.map(lambda one: one.send(stack.urls[int(one.mark[0], 16) % 2]), backlog))
        for one in walking:
            one.result()
    assert {answer.status_code for answer in answers} == {200}
    until_quiet(stack)
    assert_books_agree(stack, crowd)
    rows = stack.query(sa.select(InboxEvent.id, InboxEvent.attempts).where(InboxEvent.id > newest))
    assert len(rows) > BACKLOG
    assert {row.attempts for row in rows} == {1}
    jobs = sa.select(Job.name, Job.attempts).where(Job.id > newest_job, Job.state == WorkState.DONE)
    assert {row.attempts for row in stack.query(jobs)} == {1}
    by_whom = {
        name: {line["inbox"] for line in stack.log_lines(name, "inbox_applied") if line["inbox"] > newest}
        for name in stack.workers
    }
    applied = Counter(inbox for rows_of_one in by_whom.values() for inbox in rows_of_one)
    assert {inbox for delivery in backlog for inbox in [delivery.kept(stack)[0].id]} <= set(applied)
    assert set(applied.values()) == {1}
    assert all(by_whom.values()), {name: len(found) for name, found in by_whom.items()}
    stack.check_logs()


def test_limits_are_shared_by_the_web_processes(estate: Estate) -> None:
    """One client asks both in turns, and is stopped after as many as for one."""
    assert _allowed(estate.stack, estate.stack.urls) == LIMIT


def test_the_breaker_is_shared_by_the_web_processes(estate: Estate) -> None:
    """Five failures in all open it for all processes."""
    stack = estate.stack
    client = Visitor(stack)
    address = "/builders/ada-okonkwo/session-types/ETADACONSULT0060"
    client.token = str(client.get(address).one("form[action$=book] [name=csrf_token]")["value"])
    stack.fault("calendly", "500")
    stack.control("reset-requests", {})
    try:
        for number in range(12):
            page = client.post(
                f"{stack.urls[number % 2]}{address}/book", {"name": client.name, "email": client.email}
            )
            assert page.status == 503
            assert "Calendly is not answering, so you cannot book here right now." in page.soup.get_text()
        calls = int(stack.control("requests?path=/calendly-api/")["total"])
        # A worker may have been asking at the same moment; each process for itself would have had five.
        assert 5 <= calls < 5 + len(stack.urls)
        for url in stack.urls:
            assert "bookingapp_calendly_breaker_closed 0.0" in client.get(f"{url}/metrics").response.text
    finally:
        stack.clear_faults()
        # The half minute of the breaker goes by.
        with redis.Redis.from_url(estate.redis.url) as database:
            database.flushall()
    for url in stack.urls:
        eventually(partial(_can_book, client, f"{url}{address}"), what="booking to be open again")
    client.http.close()


def _can_book(client: Visitor, address: str) -> bool:
    return bool(client.get(address).soup.select("form[action$=book]"))
