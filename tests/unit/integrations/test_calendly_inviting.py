"""Creating an invitee: what is sent, what each refusal means, and the limits that this endpoint has to itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import redis
from time_machine import Traveller

from bookingapp.integrations.calendly import (
    MOST_GUESTS,
    Answer,
    CalendlyClient,
    CalendlyForbidden,
    CalendlyNotFound,
    CalendlyRateLimited,
    CalendlyRejected,
    CalendlyUnavailable,
    NewInvitee,
    Place,
)
from bookingapp.integrations.calendly.invitee_limits import InviteeLimits, SharedInviteeLimits
from bookingapp.integrations.redis_link import RedisLink
from tests.unit.integrations.clients import API, EVENT, EVENT_TYPE, INVITEE, START, Wire, make_client, sample

MakeLink = Callable[[], RedisLink | None]
PATH, TIMES = f"{API}/invitees", f"{API}/event_type_available_times"
PERSON = NewInvitee(name="Grace Hall", email="grace@example.com", timezone="Europe/Berlin", utm_content="ref")
# The headers of the general limit, which come with every answer.
GENERAL = {"X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "480", "X-RateLimit-Reset": "2"}


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


def create(client: CalendlyClient, person: NewInvitee = PERSON) -> str:
    """Create the invitee; its URI."""
    return client.create_invitee("platform", EVENT_TYPE, START, person).uri


def refusal(**body: Any) -> dict[str, Any]:
    return {"title": "Invalid Argument", "message": "The supplied parameters are invalid.", **body}


def test_what_is_sent(wire: Wire) -> None:
    wire.post(PATH, body=sample("calendly/invitee.json"), status=201)
    assert create(make_client()) == INVITEE
    place = Place(kind="outbound_call", location="+49 30 1234567")
    answers = (Answer(question="Topic", answer="Code", position=1),)
    guests = ("ada@example.com",)
    create(
        make_client(),
        NewInvitee("Grace", "grace@example.com", "UTC", "ref", place=place, answers=answers, guests=guests),
    )
    least, most = (json.loads(call.request.body or "") for call in wire.calls)
    assert least == {
        "event_type": EVENT_TYPE,
        "start_time": "2026-11-25T10:42:00.000000Z",
        "invitee": {"name": "Grace Hall", "email": "grace@example.com", "timezone": "Europe/Berlin"},
        "tracking": {
            "utm_source": "bookingapp",
            "utm_medium": None,
            "utm_campaign": None,
            "utm_content": "ref",
            "utm_term": None,
            "salesforce_uuid": None,
        },
    }
    assert most["location"] == {"kind": "outbound_call", "location": "+49 30 1234567"}
    assert most["questions_and_answers"] == [{"question": "Topic", "answer": "Code", "position": 1}]
    assert most["event_guests"] == ["ada@example.com"]


def test_no_more_guests_than_calendly_takes() -> None:
    guests = tuple(f"g{number}@example.com" for number in range(MOST_GUESTS + 1))
    with pytest.raises(ValueError, match="10 guests"):
        NewInvitee("Grace", "grace@example.com", "UTC", "ref", guests=guests)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, refusal(details=[{"parameter": "start_time", "message": "is not available"}]), "slot_taken"),
        (400, refusal(details=[{"message": "no", "code": "already_filled"}]), "slot_taken"),
        (400, refusal(message="The selected time slot is no longer available."), "slot_taken"),
        (400, refusal(details=[{"message": "This time is unavailable"}]), "slot_taken"),
        (400, refusal(message="That spot is already booked"), "slot_taken"),
        (409, {"title": "Conflict", "message": "?"}, "slot_taken"),
        (409, None, "slot_taken"),
        (400, refusal(details=[{"parameter": "location", "message": "is not available"}]), "invalid"),
        (400, refusal(message="The event type is not available"), "invalid"),
        (400, refusal(details=[{"parameter": "location", "message": "This spot is taken"}]), "invalid"),
        (400, refusal(), "invalid"),
        (400, None, "invalid"),
    ],
)
def test_a_taken_start_is_told_from_a_bad_request(wire: Wire, status: int, body: Any, code: str) -> None:
    wire.post(PATH, json=body, status=status)
    with pytest.raises(CalendlyRejected) as refused:
        create(make_client())
    assert refused.value.code == code


def test_a_bad_request_names_its_parameters(wire: Wire) -> None:
    details = [
        {"parameter": "location", "message": "is missing"},
        {"parameter": "questions_and_answers[0].question", "message": "is missing"},
    ]
    wire.post(PATH, json=refusal(details=details), status=400)
    with pytest.raises(CalendlyRejected) as refused:
        create(make_client())
    assert refused.value.parameters == ("location", "questions_and_answers[0].question")
    assert len(wire.calls) == 1


def test_what_else_may_be_answered(wire: Wire) -> None:
    """A plan without the API, a missing scope, a type that is gone, no answer: each is sent once."""
    client = make_client()
    denied = {"title": "Permission Denied", "message": "Please upgrade your Calendly account"}
    wire.post(PATH, json=denied, status=403)
    with pytest.raises(CalendlyForbidden) as forbidden:
        create(client)
    assert forbidden.value.missing_scopes == ()
    named = {**denied, "message": "InsufficientScopeError", "required_scopes": ["scheduled_events:write"]}
    wire.replace("POST", PATH, json=named, status=403)
    with pytest.raises(CalendlyForbidden) as forbidden:
        create(client)
    assert forbidden.value.missing_scopes == ("scheduled_events:write",)
    for status, error in ((404, CalendlyNotFound), (503, CalendlyUnavailable)):
        wire.replace("POST", PATH, status=status)
        with pytest.raises(error):
            create(client)
    assert len(wire.calls) == 4
    assert client.seconds_until_bookable("platform") == 0.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({**GENERAL, "Retry-After": "900"}, 900),
        ({**GENERAL, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "40"}, 40),
        # Requests are left, so the end of that minute is no time to wait for.
        (GENERAL, 60),
        ({}, 60),
    ],
)
def test_the_limit_of_this_endpoint_stops_nothing_else(
    wire: Wire, make_link: MakeLink, headers: dict[str, str], seconds: int
) -> None:
    """And nothing is sent to it until it ends, by any process."""
    client = make_client(link=make_link())
    wire.post(PATH, status=429, headers=headers)
    with pytest.raises(CalendlyRateLimited) as limited:
        create(client)
    assert limited.value.retry_after == seconds
    processes = [client, client.patient()]
    if (link := make_link()) is not None:
        processes.append(make_client(link=link))
    for each in processes:
        assert seconds - 1 <= each.seconds_until_bookable("platform") <= seconds
        with pytest.raises(CalendlyRateLimited) as refused:
            create(each)
        assert seconds - 1 <= (refused.value.retry_after or 0) <= seconds
    assert len(wire.calls) == 1
    assert client.budget_left("platform") == 1.0
    assert client.may_send("platform")
    wire.get(EVENT, body=sample("calendly/scheduled_event.json"))
    assert client.scheduled_event("platform", EVENT).status == "active"


def test_a_success_says_nothing_about_the_general_limit(wire: Wire) -> None:
    """Its headers may be those of this endpoint's ten a minute."""
    headers = {"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"}
    wire.post(PATH, body=sample("calendly/invitee.json"), status=201, headers=headers)
    client = make_client()
    create(client)
    assert client.budget_left("platform") == 1.0
    assert client.seconds_until_bookable("platform") == 0.0


def test_the_longer_wait_counts_and_ends(make_link: MakeLink) -> None:
    """For one token: another is another user's."""
    link = make_link()
    limits = InviteeLimits() if link is None else SharedInviteeLimits(link)
    assert [limits.close("one", seconds) for seconds in (300, 0)] == [300, 1]
    assert 298 < limits.seconds_left("one") <= 300
    assert limits.seconds_left("two") == 0.0
    limits.check("two", "POST /invitees")


def test_it_opens_again(clock: Traveller) -> None:
    limits = InviteeLimits(time.time)
    limits.close("one", 60)
    clock.shift(59)
    assert limits.seconds_left("one") == pytest.approx(1)
    clock.shift(1)
    assert limits.seconds_left("one") == 0.0


def test_a_limit_that_stays_spent_closes_for_longer(clock: Traveller) -> None:
    """Calendly names the next minute even where the day's limit is spent. An invitee that it accepts ends that."""
    limits, waits = InviteeLimits(time.time), []
    for _ in range(3):
        waits.append(limits.close("one", 60))
        clock.shift(waits[-1] + 1)
    assert waits == [60, 600, 3600]
    limits.note_created("one")
    assert limits.close("one", 60) == 60


def test_times_for_a_decision_are_asked_for_again(wire: Wire, clock: Traveller) -> None:
    """Where the cached answer is older than the decision permits; if Calendly fails, it says that it is stale."""
    client, window = make_client(), (START, START + timedelta(days=8))
    wire.get(TIMES, body=sample("calendly/available_times.json"))

    def fetch(at_most: timedelta | None) -> bool:
        return client.available_times("platform", EVENT_TYPE, *window, at_most=at_most).stale

    fetch(None)
    clock.shift(10)
    fetch(None)
    fetch(timedelta(seconds=30))
    assert len(wire.calls) == 1
    fetch(timedelta(seconds=5))
    assert len(wire.calls) == 2
    clock.shift(1)
    wire.replace("GET", TIMES, status=503)
    assert fetch(timedelta(0))
