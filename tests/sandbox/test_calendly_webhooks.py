"""Calendly's webhooks: their signature, their fields, and retries until the subscription is disabled."""

from __future__ import annotations

from typing import Any

import pytest

from tests.factories import published
from tests.waiting import eventually

from .support import ADA, HOUR, KENJI, Hands, Receiver, assert_signed_by_calendly, last_segment

SAMPLES = ("invitee.created", "invitee.canceled", "invitee_no_show.created", "event_type.created")
# Their keys depend on the kind of location, and on whether there are guests.
VARIABLE = (
    ".payload.scheduled_event.location.",
    ".payload.locations[].",
    ".payload.scheduled_event.event_guests",
)


def keys_of(value: Any, prefix: str = "") -> set[str]:
    """Every path of keys in a JSON value, lists by their first entry."""
    if isinstance(value, list):
        return keys_of(value[0], f"{prefix}[]") if value else set()
    if not isinstance(value, dict):
        return set()
    inner = (keys_of(value[key], f"{prefix}.{key}") for key in value)
    return {f"{prefix}.{key}" for key in value}.union(*inner)


@pytest.mark.parametrize("name", SAMPLES)
def test_bodies_have_every_key_of_the_published_sample(hands: Hands, receiver: Receiver, name: str) -> None:
    if name == "event_type.created":
        hands.control("calendly/event-types", user=ADA, name="New", slug="new", duration=30)
    else:
        invitee = last_segment(hands.book()["uri"])
        if name == "invitee.canceled":
            hands.control(f"calendly/invitees/{invitee}/cancel", reason="Meeting Conflict")
        if name == "invitee_no_show.created":
            hands.control(f"calendly/invitees/{invitee}/no-show")
    receiver.wait_for(name)
    body = receiver.of(name)[0].json
    sample = keys_of(published(f"calendly/{name}.json"))
    assert {key for key in sample if not key.startswith(VARIABLE)} <= keys_of(body)
    assert body["created_at"].endswith(".000000Z")


def test_a_subscription_with_its_own_key_is_signed_with_it(hands: Hands, receiver: Receiver) -> None:
    body = {
        "url": f"{receiver.url}/mine",
        "events": ["invitee.created"],
        "organization": hands.organization,
        "scope": "user",
        "user": hands.user(KENJI),
        "signing_key": "kenji-key",
    }
    hands.create("/webhook_subscriptions", **body)
    hands.book()
    theirs = hands.book("ETKENJICONSUL060")
    received = receiver.wait_for("invitee.created", "invitee.created", "invitee.created")
    [mine] = [each for each in received if each.path == "/mine"]
    assert mine.json["payload"]["uri"] == theirs["uri"]
    assert_signed_by_calendly(mine, "kenji-key")


@pytest.mark.parametrize("keeps", [True, False])
def test_a_reschedule_is_a_pair_that_names_each_other(hands: Hands, receiver: Receiver, keeps: bool) -> None:
    hands.control("settings", reschedule_keeps_tracking=keeps)
    first = hands.book(utm_content="ref-1")
    hands.control(f"calendly/invitees/{last_segment(first['uri'])}/reschedule")
    _, old, new = (each.json["payload"] for each in receiver.wait_for("invitee.canceled", "invitee.created"))
    assert (old["rescheduled"], old["status"], old["new_invitee"]) == (True, "canceled", new["uri"])
    assert (new["rescheduled"], new["status"], new["old_invitee"]) == (False, "active", first["uri"])
    assert old["uri"] == first["uri"]
    assert old["cancellation"]["canceler_type"] == "host"
    assert old["scheduled_event"]["status"] == "canceled"
    assert new["event"] != old["event"]
    assert new["tracking"]["utm_content"] == ("ref-1" if keeps else None)


@pytest.mark.parametrize("status", [500, 404, 302])
def test_an_unanswered_webhook_is_retried_and_signed(hands: Hands, receiver: Receiver, status: int) -> None:
    receiver.statuses = [status, status]
    hands.book(name="Zoë Ångström")
    deliveries = receiver.wait_for("invitee.created", "invitee.created", "invitee.created")
    assert len({each.body for each in deliveries}) == 1
    assert "Zoë Ångström".encode() in deliveries[0].body
    for each in deliveries:
        assert_signed_by_calendly(each)
    state = eventually(lambda: hands.server.sandbox.store.all("delivery", state="delivered"), "delivery")
    assert [attempt["status"] for attempt in state[0]["attempts"]] == [status, status, 200]
    assert all(each.path == "/webhooks/calendly" for each in deliveries)
    assert hands.server.sandbox.store.all("subscription")[0]["retry_started_at"] is None


def test_a_subscription_whose_last_retry_fails_is_disabled(hands: Hands, receiver: Receiver) -> None:
    receiver.always = 503
    hands.book()
    eventually(lambda: hands.subscriptions()[0]["state"] == "disabled", "the subscription is disabled")
    assert hands.subscriptions()[0]["retry_started_at"] is not None
    receiver.always = 200
    seen = len(receiver.received)
    hands.book()
    assert len(hands.server.sandbox.store.all("delivery")) == 1
    assert len(receiver.received) == seen


def test_changes_of_event_types_are_sent(hands: Hands, receiver: Receiver) -> None:
    hands.control(f"calendly/event-types/{HOUR}", name="An Hour", active=False)
    hands.control(f"calendly/event-types/{HOUR}/delete")
    updated, deleted = receiver.wait_for("event_type.updated", "event_type.deleted")
    assert (updated.json["payload"]["name"], updated.json["payload"]["active"]) == ("An Hour", False)
    assert deleted.json["payload"]["deleted_at"] is not None
    assert hands.event_type() not in [each["uri"] for each in hands.rows("/event_types", user=hands.user())]
    assert hands.resource(hands.event_type())["deleted_at"] is not None
