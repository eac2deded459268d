"""Calendly's payloads as published, and as real deliveries differ from what is published."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bookingapp.integrations.calendly import (
    CalendlyBadReply,
    EventType,
    Invitee,
    ScheduledEvent,
    delivery_key,
    parse_delivery,
)
from bookingapp.integrations.calendly.deliveries import WebhookDelivery
from bookingapp.integrations.calendly.types import AvailableTime, Location, Tracking
from tests.factories import published
from tests.unit.integrations.clients import sample

DOCUMENTED = (
    "invitee.created invitee.canceled invitee_no_show.created invitee_no_show.deleted "
    "routing_form_submission.created event_type.created"
)


def event_with(**values: Any) -> ScheduledEvent:
    return ScheduledEvent.model_validate({**published("calendly/scheduled_event.json")["resource"], **values})


def read_time(text: object) -> datetime:
    return AvailableTime.model_validate(
        {"start_time": text, "scheduling_url": "https://calendly.com/x"}
    ).start_time


def changed(body: bytes, **payload: Any) -> bytes:
    """The delivery with other values in its payload; ``...`` removes a key."""
    data = json.loads(body)
    changes = {**data["payload"], **payload}
    data["payload"] = {key: value for key, value in changes.items() if value is not ...}
    return json.dumps(data).encode()


@pytest.mark.parametrize("name", DOCUMENTED.split())
def test_each_documented_webhook_is_read(name: str) -> None:
    delivery = parse_delivery(sample(f"calendly/{name}.json"))
    assert delivery.event == name
    assert delivery.created_at.tzinfo is UTC
    assert delivery.created_by == "https://api.calendly.com/users/AAAAAAAAAAAAAAAA"


def test_a_documented_booking() -> None:
    invitee = parse_delivery(sample("calendly/invitee.created.json")).invitee()
    assert invitee.uri.endswith("/invitees/AAAAAAAAAAAAAAAA")
    assert invitee.event == "https://api.calendly.com/scheduled_events/AAAAAAAAAAAAAAAA"
    assert (invitee.email, invitee.name, invitee.status) == ("test@example.com", "John Doe", "active")
    assert invitee.timezone == "America/New_York"
    assert invitee.tracking == Tracking()
    assert invitee.created_at == datetime(2020, 11, 23, 17, 51, 18, 327602, tzinfo=UTC)
    assert invitee.cancel_url == "https://calendly.com/cancellations/AAAAAAAAAAAAAAAA"
    event = invitee.scheduled_event
    assert event is not None
    assert event.name == "15 Minute Meeting"
    assert event.hosts == ("https://api.calendly.com/users/GBGBDCAADAEDCRZ2",)
    assert event.location == Location(type="physical", location="string")
    assert event.invitees_counter is not None
    assert event.invitees_counter.limit == 0


def test_a_body_of_2021_is_read() -> None:
    """No created_by, name, tracking, answers, time zone or scheduled_event, and a bare cancellation."""
    delivery = parse_delivery(sample("calendly/invitee.canceled.2021.json"))
    invitee = delivery.invitee()
    assert delivery.created_by is None
    assert (invitee.name, invitee.timezone, invitee.scheduled_event) == (None, None, None)
    assert invitee.tracking.utm_content is None
    assert invitee.cancellation is not None
    assert (invitee.cancellation.canceler_type, invitee.cancellation.created_at) == (None, None)


@pytest.mark.parametrize(
    "payload",
    [
        {"tracking": None},
        {"tracking": ..., "questions_and_answers": ...},
        {"rescheduled": None, "payment": None, "no_show": None},
        {"cancel_url": ..., "reschedule_url": ...},
        {"a_field_of_next_year": {"nested": [1]}},
        {"no_show": {"uri": "https://api.calendly.com/invitee_no_shows/A"}},
    ],
)
def test_what_a_body_may_lack_or_add(payload: dict[str, Any]) -> None:
    body = changed(sample("calendly/invitee.created.json"), **payload)
    assert parse_delivery(body).invitee().email == "test@example.com"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (None, None),
        (
            {"type": "zoom", "status": "pushed", "join_url": "https://z/1", "data": {"id": 94}},
            Location(type="zoom", status="pushed", join_url="https://z/1"),
        ),
        ({"type": "custom", "location": None}, Location(type="custom")),
        (
            {"type": "outbound_call", "location": 442071234567},
            Location(type="outbound_call", location="442071234567"),
        ),
        (
            {"type": "google_conference", "status": "processing"},
            Location(type="google_conference", status="processing"),
        ),
    ],
)
def test_locations_as_they_really_come(location: object, expected: Location | None) -> None:
    assert event_with(location=location).location == expected


def test_an_event_without_its_type_or_name_or_members() -> None:
    """As after its event type was deleted."""
    read = event_with(event_type=None, name=None, event_memberships=None, invitees_counter=None)
    assert (read.event_type, read.name, read.hosts, read.invitees_counter) == (None, None, (), None)


def test_a_webhooks_event_type() -> None:
    event_type = parse_delivery(sample("calendly/event_type.created.json")).event_type()
    assert event_type.id == "AAAAAAAAAAAAAAAA"
    assert event_type.owner == "https://api.calendly.com/users/ABC123"
    assert event_type.duration_options == (1, 13, 15, 720)
    assert not event_type.listed


@pytest.mark.parametrize(
    ("name", "listed", "group"),
    [
        ("30 Minute Consultation", True, False),
        ("Group Build", True, True),
        ("Pick a Time Together", False, False),
        ("Office Hours", False, False),
        ("Old Workshop", False, False),
        (None, True, False),
    ],
)
def test_which_event_types_are_listed(name: str | None, listed: bool, group: bool) -> None:
    pages = [published(f"calendly/event_types.page{page}.json") for page in (1, 2)]
    types = [EventType.model_validate(item) for page in pages for item in page["collection"]]
    (found,) = [event_type for event_type in types if event_type.name == name]
    assert (found.listed, found.is_group) == (listed, group)


def test_an_event_type_with_as_little_as_possible() -> None:
    """A one-off type: no name, slug, profile, color or position, and a fraction of a minute."""
    last = published("calendly/event_types.page2.json")["collection"][-1]
    event_type = EventType.model_validate(last)
    assert (event_type.name, event_type.owner, event_type.duration) == (None, None, 22)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-01T14:00:00.123456Z", datetime(2026, 12, 1, 14, 0, 0, 123456, tzinfo=UTC)),
        ("2026-12-01T14:00:00.123Z", datetime(2026, 12, 1, 14, 0, 0, 123000, tzinfo=UTC)),
        ("2026-12-01T14:00:00Z", datetime(2026, 12, 1, 14, tzinfo=UTC)),
        ("2026-12-01T24:00:00.000000Z", datetime(2026, 12, 2, tzinfo=UTC)),
        ("2026-12-31T24:00:00Z", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2026-12-01T15:00:00+01:00", datetime(2026, 12, 1, 14, tzinfo=UTC)),
        ("2026-12-01T14:00:00", datetime(2026, 12, 1, 14, tzinfo=UTC)),
    ],
)
def test_every_form_of_time_becomes_aware_utc(text: str, moment: datetime) -> None:
    assert read_time(text) == moment
    assert read_time(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01T00:00:00Z", "9999-12-31T24:00:00Z", 5, None, True])
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValidationError):
        read_time(text)


def test_resources_do_not_change() -> None:
    invitee = parse_delivery(sample("calendly/invitee.created.json")).invitee()
    with pytest.raises(ValidationError):
        invitee.status = "canceled"  # type: ignore[misc]


def test_the_retired_v1_shape_is_refused_by_name() -> None:
    """Read as v2 it would be a booking without an identity."""
    with pytest.raises(CalendlyBadReply, match="retired v1 shape"):
        parse_delivery(sample("calendly/v1.invitee.created.json"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"42",
        b'"text"',
        b"{}",
        b"[" * 100_000,
        b'{"event": "invitee.created", "created_at": "2026-01-01T00:00:00Z"}',
        b'{"event": "invitee.created", "created_at": "2026-01-01T00:00:00Z", "payload": null}',
        b'{"event": "invitee.created", "created_at": "2026-01-01T00:00:00Z", "payload": {}}',
        b'{"event": "invitee.created", "created_at": "never", "payload": {"uri": "u", "event": "e"}}',
        b'{"event": "invitee.created", "created_at": "2026-01-01T00:00:00Z", "payload": {"uri": 1, "event": "e"}}',
        b'{"event": "event_type.updated", "created_at": "2026-01-01T00:00:00Z", "payload": {"name": "x"}}',
        b'{"event": 7, "created_at": "2026-01-01T00:00:00Z", "payload": {}}',
        b'{"object": "event", "id": "evt_1", "type": "charge.refunded", "data": {"object": {}}}',
    ],
)
def test_foreign_bodies_are_bad_replies(body: bytes) -> None:
    with pytest.raises(CalendlyBadReply):
        parse_delivery(body)


def test_an_unknown_event_is_no_error() -> None:
    """New families appear several times a year, with payloads of their own."""
    body = b'{"event": "meeting_recap.created", "created_at": "2026-01-01T00:00:00Z", "payload": {"event": {"id": 1}}}'
    assert parse_delivery(body).payload == {"event": {"id": 1}}


def test_an_unreadable_payload_names_fields_and_no_values() -> None:
    """The error can be logged: the address that was in the wrong place is not in it."""
    body = changed(sample("calendly/invitee.created.json"), created_at="grace@example.com", email=...)
    delivery = parse_delivery(body)
    with pytest.raises(CalendlyBadReply, match="created_at, email") as bad:
        delivery.invitee()
    assert "grace@example.com" not in str(bad.value)
    assert bad.value.__cause__ is None


@given(
    st.one_of(
        st.binary(),
        st.recursive(
            st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["event", "created_at", "payload", "uri", "updated_at", "no_show"]), inner
                )
            ),
            max_leaves=20,
        ).map(lambda data: json.dumps(data).encode()),
    )
)
def test_any_body_is_a_delivery_or_a_bad_reply(body: bytes) -> None:
    delivery: WebhookDelivery | None
    try:
        delivery = parse_delivery(body)
    except CalendlyBadReply:
        delivery = None
    else:
        for reader in (delivery.invitee, delivery.event_type):
            with suppress(CalendlyBadReply):
                assert isinstance(reader(), Invitee | EventType)
    key = delivery_key(body, delivery)
    assert 0 < len(key) <= 200
    assert key.isascii()


def key_of(body: bytes) -> str:
    return delivery_key(body, parse_delivery(body))


def test_the_key_of_a_booking_is_event_resource_and_time() -> None:
    assert key_of(sample("calendly/invitee.created.json")) == (
        "invitee.created /scheduled_events/AAAAAAAAAAAAAAAA/invitees/AAAAAAAAAAAAAAAA 2020-11-23T17:51:18.341657Z"
    )


def test_the_key_of_a_no_show_has_the_mark_in_it() -> None:
    """A mark that is removed and made again is another event."""
    body = sample("calendly/invitee_no_show.created.json")
    again = changed(
        body, no_show={"uri": "https://api.calendly.com/invitee_no_shows/BBBB", "created_at": None}
    )
    assert "/invitee_no_shows/AAAAAAAAAAAAAAAA" in key_of(body)
    assert key_of(body) != key_of(again)


def test_a_repeat_has_the_same_key_and_a_new_event_another() -> None:
    body = sample("calendly/invitee.created.json")
    uri = "https://calendly.com/scheduled_events/AAAAAAAAAAAAAAAA/invitees/AAAAAAAAAAAAAAAA"
    assert key_of(changed(body, uri=uri)) == key_of(body)
    keys = {
        key_of(body),
        key_of(sample("calendly/invitee.canceled.json")),
        key_of(changed(body, updated_at="2020-11-23T18:00:00.000000Z")),
        key_of(changed(body, uri=uri[:-1] + "B")),
    }
    assert len(keys) == 4


@pytest.mark.parametrize("missing", ["updated_at", "uri"])
def test_without_its_parts_the_key_is_the_digest_of_the_body(missing: str) -> None:
    body = changed(sample("calendly/routing_form_submission.created.json"), **{missing: ...})
    assert key_of(body).startswith("sha256:")
    assert key_of(body) == delivery_key(body, None)
    assert delivery_key(body + b" ", None) != delivery_key(body, None)


def test_a_very_long_key_is_shortened() -> None:
    body = sample("calendly/invitee.created.json")
    keys = [key_of(changed(body, uri="https://api.calendly.com/" + "x" * 399 + end)) for end in "xy"]
    assert keys[0].startswith("sha256:")
    assert keys[0] != keys[1]
