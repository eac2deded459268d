"""The client against Calendly's published answers: what is asked, what is read, which error it becomes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
import requests
import responses
from responses import matchers

from bookingapp.integrations.calendly import (
    CalendlyBadReply,
    CalendlyClient,
    CalendlyError,
    CalendlyForbidden,
    CalendlyNotFound,
    CalendlyRateLimited,
    CalendlyRejected,
    CalendlyUnauthorized,
    CalendlyUnavailable,
    PlatformTokens,
)
from bookingapp.integrations.circuit_breaker import CircuitBreaker
from tests.unit.integrations.clients import (
    API,
    EVENT,
    EVENT_TYPE,
    INVITEE,
    ORGANIZATION,
    TOKEN,
    USER,
    Wire,
    make_client,
    sample,
    state,
)


def error_body(title: str, message: str, **more: object) -> dict[str, object]:
    return {"title": title, "message": message, **more}


def test_current_user(wire: Wire) -> None:
    """Asked with our token (without the blanks that come with copying it) and our name; unknown fields are ignored."""
    wire.get(f"{API}/users/me", body=sample("calendly/user.json"))
    user = make_client(tokens=PlatformTokens(f" {TOKEN}\n", "  ")).current_user("platform")
    assert (user.uri, user.current_organization, user.timezone) == (USER, ORGANIZATION, "Europe/London")
    sent = wire.calls[0].request.headers
    assert sent["Authorization"] == f"Bearer {TOKEN}"
    assert sent["User-Agent"] == "bookingapp-tests/1"
    assert not [name for name in sent if "tenant" in name.lower()]


def test_a_password_file_is_ignored(wire: Wire, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """requests prefers ~/.netrc to a header that was merely set."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine api.calendly.com login someone password wrong\n")
    monkeypatch.setenv("NETRC", str(netrc))
    wire.get(f"{API}/users/me", body=sample("calendly/user.json"))
    make_client().current_user("platform")
    assert wire.calls[0].request.headers["Authorization"] == f"Bearer {TOKEN}"


def test_event_types_are_read_to_the_last_page(wire: Wire) -> None:
    first = {"user": USER, "count": "100"}
    second = {**first, "page_token": "sNjq4TvMDfUHEl7zHRR0k0E1PCEJWvdi"}
    for number, query in ((1, first), (2, second)):
        body = sample(f"calendly/event_types.page{number}.json")
        wire.get(f"{API}/event_types", body=body, match=[matchers.query_param_matcher(query)])
    fetched = make_client().list_event_types("platform", USER)
    assert [event_type.name for event_type in fetched.value] == [
        "30 Minute Consultation",
        "Group Build",
        "Pick a Time Together",
        "Office Hours",
        "Old Workshop",
        None,
    ]
    assert not fetched.stale
    assert abs(fetched.as_of - datetime.now(UTC)) < timedelta(seconds=30)


def test_pages_that_do_not_end_are_a_bad_reply(wire: Wire) -> None:
    """The same next page again and again would hold a worker for ever."""
    wire.get(f"{API}/event_types", body=sample("calendly/event_types.page1.json"))
    with pytest.raises(CalendlyBadReply, match="do not end"):
        make_client().list_event_types("platform", USER)
    assert len(wire.calls) == 2


def test_scheduled_event_and_invitee(wire: Wire) -> None:
    wire.get(EVENT, body=sample("calendly/scheduled_event.json"))
    wire.get(INVITEE, body=sample("calendly/invitee.json"))
    client = make_client()
    event = client.scheduled_event("platform", EVENT.replace(API, "https://calendly.com"))
    assert event.hosts == (USER,)
    assert event.end_time - event.start_time == timedelta(minutes=30)
    for _ in range(2):
        invitee = client.invitee("platform", INVITEE)
        assert invitee.tracking.utm_content == "signed-reference"
        assert invitee.scheduled_event is None
    assert len(wire.calls) == 3


def test_lists_of_events_and_invitees(wire: Wire) -> None:
    expected = {
        "user": USER,
        "organization": ORGANIZATION,
        "status": "active",
        "min_start_time": "2026-12-01T00:00:00.000000Z",
        "max_start_time": "2026-12-02T00:00:00.000000Z",
        "sort": "start_time:asc",
        "count": "100",
    }
    wire.get(
        f"{API}/scheduled_events",
        body=sample("calendly/scheduled_events.json"),
        match=[matchers.query_param_matcher(expected)],
    )
    wire.get(f"{EVENT}/invitees", body=sample("calendly/invitees.json"))
    client = make_client()
    start = datetime.fromisoformat("2026-12-01T02:00:00+02:00")
    events = client.scheduled_events(
        "platform", USER, start, start + timedelta(days=1), "active", organization=ORGANIZATION
    )
    assert [event.status for event in events] == ["active", "canceled"]
    assert [invitee.email for invitee in client.invitees("platform", EVENT)] == ["grace@example.com"]


def test_available_times(wire: Wire) -> None:
    """The documentation's hour 24 included; asked from an even minute in the future."""
    wire.get(f"{API}/event_type_available_times", body=sample("calendly/available_times.json"))
    now = datetime.now(UTC)
    fetched = make_client().available_times("builder:7", EVENT_TYPE, now, now + timedelta(days=31))
    assert [time.start_time.hour for time in fetched.value] == [14, 0]
    params = wire.calls[0].request.params  # type: ignore[attr-defined]
    start = datetime.fromisoformat(params["start_time"])
    assert params["event_type"] == EVENT_TYPE
    assert now < start < now + timedelta(minutes=2, seconds=25)
    assert (start.minute % 2, start.second, start.microsecond) == (0, 0, 0)


@pytest.mark.parametrize(("start", "end"), [(0, 32), (2, 1), (-2, -1)])
def test_windows_that_calendly_would_refuse_are_not_sent(start: int, end: int) -> None:
    now = datetime.now(UTC)
    with pytest.raises(ValueError, match=r"window|31 days"):
        make_client().available_times("platform", EVENT_TYPE, now + timedelta(start), now + timedelta(end))


def test_cancel(wire: Wire) -> None:
    wire.post(f"{EVENT}/cancellation", body=sample("calendly/cancellation.json"), status=201)
    cancellation = make_client().cancel_event("platform", EVENT, "x" * 20_000)
    assert cancellation.canceler_type == "host"
    assert json.loads(wire.calls[0].request.body or b"") == {"reason": "x" * 10_000}


@pytest.mark.parametrize("message", ["Event is already canceled", "Some wording of next year"])
def test_canceled_already_is_success(wire: Wire, message: str) -> None:
    wire.post(f"{EVENT}/cancellation", json=error_body("Permission Denied", message), status=403)
    wire.get(EVENT, body=sample("calendly/scheduled_event.canceled.json"))
    cancellation = make_client().cancel_event("platform", EVENT, "")
    assert cancellation.canceled_by == "Ada Okonkwo"
    assert json.loads(wire.calls[0].request.body or b"") == {}


@pytest.mark.parametrize(
    ("message", "error", "code"),
    [
        ("Event in the past", CalendlyRejected, "event_in_past"),
        ("You are not allowed to cancel this event", CalendlyRejected, "not_allowed"),
        ("Event is already canceled", CalendlyRejected, "already_canceled"),
        ("You do not have permission", CalendlyForbidden, None),
    ],
)
def test_a_refused_cancellation_says_why(
    wire: Wire, message: str, error: type[CalendlyError], code: str | None
) -> None:
    wire.post(f"{EVENT}/cancellation", json=error_body("Permission Denied", message), status=403)
    wire.get(EVENT, body=sample("calendly/scheduled_event.json"))
    with pytest.raises(error) as refused:
        make_client().cancel_event("platform", EVENT, "why")
    assert getattr(refused.value, "code", None) == code
    assert refused.value.status == 403


def test_webhook_subscriptions_of_a_user(wire: Wire) -> None:
    wire.get(f"{API}/webhook_subscriptions", body=sample("calendly/webhook_subscriptions.json"))
    (known,) = make_client().webhook_subscriptions("platform", ORGANIZATION, "user", USER)
    assert known.state == "disabled"
    asked = {"organization": ORGANIZATION, "user": USER, "scope": "user", "count": "100"}
    assert wire.calls[0].request.params == asked  # type: ignore[attr-defined]


def test_a_single_use_link(wire: Wire) -> None:
    link = {"booking_url": "https://calendly.com/d/abc-123/x", "owner": EVENT_TYPE, "owner_type": "EventType"}
    wire.post(f"{API}/scheduling_links", json={"resource": link}, status=201)
    made = make_client().create_single_use_link("platform", EVENT_TYPE)
    assert made.booking_url == link["booking_url"]
    sent = {"max_event_count": 1, "owner": EVENT_TYPE, "owner_type": "EventType"}
    assert json.loads(wire.calls[0].request.body or b"") == sent


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, error_body("Invalid Argument", "x", details=[{"parameter": "user"}]), CalendlyRejected),
        (400, error_body("Invalid Argument", "The supplied parameters are invalid."), CalendlyRejected),
        (401, error_body("Unauthenticated", "The access token was revoked"), CalendlyUnauthorized),
        (403, error_body("Permission Denied", "You do not have permission"), CalendlyForbidden),
        (404, error_body("Resource Not Found", "x"), CalendlyNotFound),
        (409, error_body("Already Exists", "Hook with this url already exists"), CalendlyRejected),
        (410, None, CalendlyNotFound),
        (422, "text", CalendlyRejected),
        (429, None, CalendlyRateLimited),
        (408, None, CalendlyUnavailable),
        (500, error_body("Internal Server Error", "x"), CalendlyUnavailable),
        (503, "<html>", CalendlyUnavailable),
        (302, None, CalendlyBadReply),
        (200, "<html>captive portal</html>", CalendlyBadReply),
        (200, [1, 2], CalendlyBadReply),
        (200, {"resource": None}, CalendlyBadReply),
        (200, {"resource": {"uri": 7}}, CalendlyBadReply),
        (200, {}, CalendlyBadReply),
    ],
)
def test_each_answer_is_one_error(wire: Wire, status: int, body: object, error: type[CalendlyError]) -> None:
    data = body if isinstance(body, str) else ("" if body is None else json.dumps(body))
    headers = {"Location": "https://evil.example/"} if status == 302 else {}
    wire.get(EVENT, body=data, status=status, headers=headers)
    with pytest.raises(CalendlyError) as raised:
        make_client().scheduled_event("platform", EVENT)
    assert type(raised.value) is error
    assert raised.value.retryable is (error in {CalendlyRateLimited, CalendlyUnavailable})
    assert raised.value.user_message.endswith(".")
    assert len(wire.calls) == (2 if error is CalendlyUnavailable else 1)


def test_a_refusal_names_the_scope_that_is_missing(wire: Wire) -> None:
    message = "InsufficientScopeError: the token needs scheduled_events:read"
    wire.get(EVENT, json=error_body("Permission Denied", message), status=403)
    with pytest.raises(CalendlyForbidden) as refused:
        make_client().scheduled_event("platform", EVENT)
    assert refused.value.missing_scopes == ("scheduled_events:read",)
    assert "scheduled_events:read" in str(refused.value)


def test_a_bad_parameter_is_named_and_its_value_is_not(wire: Wire) -> None:
    """What Calendly repeats of our input stays out of the log."""
    named = {"parameter": "user", "message": "grace@example.com is no URI"}
    body = error_body("Invalid Argument", "grace@example.com", details=[named, {}, {"parameter": "<b>"}])
    wire.get(EVENT, json=body, status=400)
    with pytest.raises(CalendlyRejected) as refused:
        make_client().scheduled_event("platform", EVENT)
    assert refused.value.parameters == ("user",)
    assert str(refused.value) == "GET /scheduled_events/{id}: 400 (user)"


@pytest.mark.parametrize(
    "failure",
    [
        requests.ConnectionError(f"Max retries exceeded with url: /scheduled_events/x/invitees/{TOKEN}"),
        requests.ReadTimeout("Read timed out."),
        requests.exceptions.ChunkedEncodingError("broken"),
        requests.exceptions.InvalidHeader(f"bad value: Bearer {TOKEN}"),
    ],
)
def test_errors_carry_no_secret(wire: Wire, caplog: pytest.LogCaptureFixture, failure: Exception) -> None:
    """An invitee's id cancels the booking on Calendly's page, so it is as good as a password."""
    caplog.set_level(logging.INFO)
    wire.get(INVITEE, body=failure)
    with pytest.raises(CalendlyUnavailable) as raised:
        make_client().invitee("platform", INVITEE)
    text = f"{raised.value!r} {raised.value} {caplog.text}"
    assert "GET /scheduled_events/{id}/invitees/{id}" in text
    assert "no answer" in caplog.text
    assert TOKEN not in text
    assert INVITEE.rpartition("/")[2] not in text
    # A traceback shows a cause, and that would show the address.
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_a_write_is_never_repeated(wire: Wire) -> None:
    wire.post(f"{API}/scheduling_links", status=503)
    with pytest.raises(CalendlyUnavailable):
        make_client().create_single_use_link("platform", EVENT_TYPE)
    assert len(wire.calls) == 1


def test_a_429_is_waited_for_only_where_it_says_how_long(wire: Wire) -> None:
    """Within the time that a page has; the usual 60 seconds are left to the caller."""
    wire.get(EVENT, status=429, headers={"Retry-After": "0"})
    wire.get(EVENT, body=sample("calendly/scheduled_event.json"))
    assert make_client().scheduled_event("platform", EVENT).status == "active"
    wire.get(INVITEE, status=429, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"})
    with pytest.raises(CalendlyRateLimited) as limited:
        make_client().invitee("platform", INVITEE)
    assert limited.value.retry_after == 60
    assert len(wire.calls) == 3


def test_a_spent_budget_stops_us_before_calendly_does(wire: Wire) -> None:
    """The last permitted answer says so; another token has a budget of its own."""
    headers = {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"}
    wire.get(EVENT, body=sample("calendly/scheduled_event.json"), headers=headers)

    class TokenOfTenant(PlatformTokens):
        def token_for(self, tenant: str) -> str:
            return f"token of {tenant}"

    client = make_client(tokens=TokenOfTenant(""))
    client.scheduled_event("builder:1", EVENT)
    with pytest.raises(CalendlyRateLimited) as limited:
        client.scheduled_event("builder:1", EVENT)
    assert limited.value.retry_after is not None
    assert 50 < limited.value.retry_after <= 60
    assert len(wire.calls) == 1
    client.scheduled_event("builder:2", EVENT)
    assert len(wire.calls) == 2


def test_a_refused_token_gives_way_to_the_second(wire: Wire) -> None:
    """Also for a write, which a 401 did not do; and for good."""
    old, new = ([matchers.header_matcher({"Authorization": f"Bearer {name}"})] for name in ("old", "new"))
    wire.post(f"{EVENT}/cancellation", status=401, match=old)
    wire.post(f"{EVENT}/cancellation", body=sample("calendly/cancellation.json"), status=201, match=new)
    wire.get(EVENT, body=sample("calendly/scheduled_event.json"), match=new)
    client = make_client(tokens=PlatformTokens("old", "new"))
    assert client.cancel_event("platform", EVENT, "why").canceler_type == "host"
    client.scheduled_event("platform", EVENT)
    assert len(wire.calls) == 3


@pytest.mark.parametrize("token", ["", "tökén", "to\nken", "to\x00ken"])
def test_a_token_that_is_missing_or_cannot_be_one_is_not_sent(token: str) -> None:
    """A fault of the configuration is neither a crash nor Calendly's outage."""
    client = make_client(tokens=PlatformTokens(token), breaker=CircuitBreaker(failure_threshold=1))
    with pytest.raises(CalendlyUnauthorized) as refused:
        client.current_user("platform")
    assert not token or token not in str(refused.value)
    assert state(client) == "closed"


def test_foreign_addresses_are_refused_before_anything_is_sent() -> None:
    client = make_client()
    evil = INVITEE.replace("api.calendly.com", "evil.example")
    now = datetime.now(UTC)
    calls: list[Callable[[], object]] = [
        lambda: client.scheduled_event("platform", evil),
        lambda: client.invitee("platform", evil),
        lambda: client.invitees("platform", evil),
        lambda: client.event_type("platform", evil),
        lambda: client.list_event_types("platform", evil),
        lambda: client.available_times("platform", evil, now, now + timedelta(days=1)),
        lambda: client.scheduled_events("platform", evil, now, now),
        lambda: client.cancel_event("platform", evil, ""),
        lambda: client.create_no_show("platform", evil),
        lambda: client.delete_no_show("platform", evil),
        lambda: client.create_single_use_link("platform", evil),
        lambda: client.webhook_subscriptions("platform", evil, "organization"),
        lambda: client.delete_webhook_subscription("platform", evil),
        lambda: client.canonical_event_uri(evil),
        lambda: client.canonical_invitee_uri(evil),
        lambda: client.scheduled_event_id(evil),
        lambda: client.invitee_ids(evil),
    ]
    for call in calls:
        with pytest.raises(CalendlyRejected) as rejected:
            call()
        assert rejected.value.code == "foreign_address"


def test_canonical_addresses_have_the_prefix_of_the_api() -> None:
    api_url = "http://127.0.0.1:8001/calendly-api"
    client = CalendlyClient(api_url=f"{api_url}/", tokens=PlatformTokens("t"), user_agent="tests")
    assert client.canonical_event_uri(EVENT) == EVENT.replace(API, api_url)
    assert client.canonical_invitee_uri(INVITEE) == INVITEE.replace(API, api_url)
    assert client.invitee_ids(INVITEE) == (EVENT.rpartition("/")[2], INVITEE.rpartition("/")[2])


@pytest.mark.parametrize("tenant", ["", "builder:", "builder:1|x", "platform\n", "other"])
def test_a_tenant_has_one_of_two_forms(tenant: str) -> None:
    """It begins the key of the cache, so it must not be able to run into another's."""
    with pytest.raises(ValueError, match="tenant"):
        make_client().current_user(tenant)


def test_before_each_call_the_application_may_object(wire: Wire) -> None:
    """Once per real request, second tries (of which a page shows nothing) included; it comes through as it is."""
    guard = Mock()
    wire.get(EVENT, status=500)
    wire.get(EVENT, body=sample("calendly/scheduled_event.json"))
    assert make_client(before_call=guard).scheduled_event("platform", EVENT).status == "active"
    assert guard.call_count == 2
    breaker = CircuitBreaker(failure_threshold=1)
    guard = Mock(side_effect=AssertionError("a transaction is open"))
    client = make_client(before_call=guard, breaker=breaker)
    with pytest.raises(AssertionError, match="a transaction is open"):
        client.list_event_types("platform", USER)
    assert breaker.state == "closed"
    assert len(wire.calls) == 2


def test_the_breaker_opens_for_no_answer_and_for_nothing_else(wire: Wire) -> None:
    """Refusals are answers; the probe is one request."""
    clock = [0.0]
    breaker = CircuitBreaker(failure_threshold=4, reset_after=30, clock=lambda: clock[0])
    client = make_client(breaker=breaker)
    for status in (400, 401, 403, 404, 429):
        wire.upsert(responses.GET, EVENT, status=status)
        for _ in range(5):
            with pytest.raises(CalendlyError):
                client.scheduled_event("platform", EVENT)
    assert state(client) == "closed"
    wire.upsert(responses.GET, EVENT, status=503)
    before = len(wire.calls)
    for _ in range(5):
        with pytest.raises(CalendlyUnavailable):
            client.scheduled_event("platform", EVENT)
    assert state(client) == "open"
    assert len(wire.calls) - before == 4
    with pytest.raises(CalendlyUnavailable) as refused:
        client.scheduled_event("platform", EVENT)
    assert refused.value.retry_after == 30
    clock[0] += 30
    with pytest.raises(CalendlyUnavailable):
        client.scheduled_event("platform", EVENT)
    assert len(wire.calls) - before == 5
    assert state(client) == "open"
