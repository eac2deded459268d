"""One budget of requests for each token, and what of it is kept for which calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import pytest
import redis

from bookingapp.integrations.calendly import CalendlyClient, CalendlyRateLimited, Purpose, ScheduledEvent
from bookingapp.integrations.calendly.ratelimits import RateLimits, SharedRateLimits
from bookingapp.integrations.calendly.seen_events import SeenEvents
from bookingapp.integrations.redis_link import RedisLink
from tests.unit.integrations.clients import EVENT, START, make_client, sample
from tests.unit.integrations.stub_server import StubServer

MakeLink = Callable[[], RedisLink | None]
TOKEN = "a-token"
MINUTE = {"X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "500", "X-RateLimit-Reset": "60"}
LESS_URGENT_FIRST = tuple(reversed(Purpose))


@pytest.fixture(params=["memory", "redis"])
def make_link(request: pytest.FixtureRequest) -> Iterator[MakeLink]:
    """Makes the link of one more process; None without Redis."""
    if request.param == "memory":
        yield lambda: None
        return
    url, prefix = str(request.getfixturevalue("redis_url")), f"bookingapp-test:{uuid4().hex}"
    yield lambda: RedisLink(url, prefix=prefix)
    with redis.Redis.from_url(url) as one:
        for key in one.scan_iter(match=f"{prefix}:*"):
            one.delete(key)


def make_limits(link: RedisLink | None) -> RateLimits:
    """A process's rate limits after an answer that began the minute."""
    limits = RateLimits() if link is None else SharedRateLimits(link)
    limits.record(TOKEN, MINUTE)
    return limits


def send(limits: RateLimits, purpose: Purpose) -> int:
    """Send until it is refused; how many were sent."""
    sent = 0

    def send_all() -> None:
        nonlocal sent
        while sent < 1000:
            limits.check(TOKEN, "GET /x", purpose)
            sent += 1

    with pytest.raises(CalendlyRateLimited) as refused:
        send_all()
    assert 50 < (refused.value.retry_after or 0) <= 60
    return sent


def test_each_purpose_stops_where_more_urgent_calls_have_their_share(make_link: MakeLink) -> None:
    """However often the less urgent ones try, the more urgent ones still have theirs; owed work can use all."""
    limits = make_limits(make_link())
    sent = {purpose: send(limits, purpose) for purpose in LESS_URGENT_FIRST}
    assert sent == {
        Purpose.BACKGROUND: 150,
        Purpose.VERIFICATION: 100,
        Purpose.BOOKING: 150,
        Purpose.OWED: 100,
    }


def test_a_small_budget_has_the_same_shares(make_link: MakeLink) -> None:
    """Calendly's free plan permits fifty requests a minute."""
    limits = make_limits(make_link())
    limits.record(TOKEN, {**MINUTE, "X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "50"})
    assert [send(limits, purpose) for purpose in LESS_URGENT_FIRST] == [15, 10, 15, 10]


def test_without_calendlys_limit_nothing_is_kept_back(make_link: MakeLink) -> None:
    """Its answers may lack that header."""
    limits = make_limits(make_link())
    limits.record(TOKEN, {"X-RateLimit-Remaining": "3", "X-RateLimit-Reset": "60"})
    assert send(limits, Purpose.BACKGROUND) == 3


def test_a_client_is_derived_for_a_purpose(server: StubServer) -> None:
    """It shares everything but its share; what is refused was never sent."""
    client = make_client(server)
    answer = {"X_RateLimit_Limit": "500", "X_RateLimit_Remaining": "250", "X_RateLimit_Reset": "60"}
    server.answer(sample("calendly/user.json"), 200, **answer)
    client.current_user("platform")
    clients = {purpose: client.patient().for_purpose(purpose) for purpose in Purpose}
    assert [purpose for purpose, one in clients.items() if one.may_send("platform")] == [
        Purpose.OWED,
        Purpose.BOOKING,
    ]

    def is_sent(one: CalendlyClient) -> bool:
        before = len(server.seen)
        with suppress(CalendlyRateLimited):
            one.current_user("platform")
        return len(server.seen) > before

    assert [purpose for purpose, one in clients.items() if is_sent(one)] == [Purpose.OWED, Purpose.BOOKING]


def listed(**how: object) -> ScheduledEvent:
    """An event as Calendly lists it."""
    counter = {"total": 1, "active": 1, "limit": 4}
    return ScheduledEvent.model_validate(
        {
            "uri": EVENT,
            "status": "active",
            "start_time": START,
            "end_time": START + timedelta(hours=1),
            "invitees_counter": counter,
            **how,
        }
    )


def test_an_event_is_seen_until_somebody_books_or_cancels_in_it(make_link: MakeLink) -> None:
    """By every process where there is a Redis. One who comes in the place of another is a change too."""
    link = make_link()
    one = SeenEvents(link)
    two = one if link is None else SeenEvents(make_link())
    assert not two.has(listed())
    one.note(listed())
    assert two.has(listed())
    changes: list[dict[str, object]] = [
        {"invitees_counter": {"total": 2, "active": 2, "limit": 4}},
        {"invitees_counter": {"total": 2, "active": 1, "limit": 4}},
        {"invitees_counter": {"total": 1, "active": 0, "limit": 4}},
        {"status": "canceled"},
        {"start_time": START + timedelta(hours=1)},
        {"uri": f"{EVENT}X"},
    ]
    assert not any(two.has(listed(**change)) for change in changes)
