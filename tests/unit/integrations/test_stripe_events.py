"""Reading Stripe's webhook events."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookingapp.integrations.stripe_gateway import (
    StripeBadReply,
    parse_event,
    read_checkout_session,
    read_payment_intent,
    read_refund,
)
from tests.factories import published
from tests.unit.integrations.clients import sample


def test_a_snapshot_event() -> None:
    event = parse_event(sample("stripe/event.checkout.session.completed.json"))
    assert (event.id, event.type) == ("evt_1Sxy0000000000000000001", "checkout.session.completed")
    assert event.created == datetime(2026, 11, 25, 9, 51, 40, tzinfo=UTC)
    assert (event.livemode, event.api_version) == (False, "2026-10-28.endive")
    assert (event.object_type, event.object_id) == ("checkout.session", "cs_test_a1B2c3D4e5F6g7H8i9J0")
    assert read_checkout_session(event.data).is_paid


@pytest.mark.parametrize(
    ("name", "status", "capturable"),
    [("amount_capturable_updated", "requires_capture", 6000), ("canceled", "canceled", 0)],
)
def test_events_of_an_authorization(name: str, status: str, capturable: int) -> None:
    """They have the charge's id alone, so they do not say until when the money can be captured."""
    event = parse_event(sample(f"stripe/event.payment_intent.{name}.json"))
    assert (event.type, event.object_type) == (f"payment_intent.{name}", "payment_intent")
    assert event.object_id == "pi_3Sxy0000000000000000001"
    intent = read_payment_intent(event.data)
    assert (intent.status, intent.capturable_minor, intent.amount_received) == (status, capturable, 0)
    assert (intent.latest_charge, intent.capture_before) == ("ch_3Sxy0000000000000000001", None)


def test_an_object_without_an_id() -> None:
    body = published("stripe/event.checkout.session.completed.json")
    body["data"]["object"] = {"object": "balance", "available": []}
    event = parse_event(json.dumps(body).encode())
    assert (event.object_type, event.object_id) == ("balance", None)


def test_a_thin_event_is_refused() -> None:
    """It carries no object, and our endpoint did not subscribe to it."""
    with pytest.raises(StripeBadReply, match="not a snapshot event"):
        parse_event(sample("stripe/event.thin.json"))


@pytest.mark.parametrize(
    "change",
    [
        {"object": "charge"},
        {"id": None},
        {"id": 7},
        {"type": ""},
        {"created": "2026-11-25"},
        {"created": True},
        {"created": 10**18},
        {"data": None},
        {"data": {}},
        {"data": {"object": []}},
        {"data": {"object": {"id": "x"}}},
    ],
)
def test_an_event_in_another_shape_is_refused(change: dict[str, Any]) -> None:
    body = published("stripe/event.checkout.session.completed.json")
    with pytest.raises(StripeBadReply):
        parse_event(json.dumps({**body, **change}).encode())


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"null", b"[]", b"1", b"[" * 100_000, b'{"event": "invitee.created"}']
)
def test_foreign_bodies_are_bad_replies(body: bytes) -> None:
    with pytest.raises(StripeBadReply):
        parse_event(body)


KEYS = "object id type created data livemode status amount currency metadata charge"
KEY = st.sampled_from(KEYS.split())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("event"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEY, inner, max_size=8),
    max_leaves=15,
)


@given(st.dictionaries(KEY, JSON))
def test_any_object_is_read_or_is_a_bad_reply(data: dict[str, Any]) -> None:
    for reader in (read_checkout_session, read_refund, read_payment_intent):
        with suppress(StripeBadReply):
            reader(data)
    with suppress(StripeBadReply):
        parse_event(json.dumps(data).encode())
