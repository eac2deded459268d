"""Calendly's webhooks: their signature, their shape, and what happens when nobody answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import eventually

from .support import HOUR, Hands, Receiver, hex_hmac, signed_parts

SAMPLES = Path(__file__).parent.parent / "fixtures" / "calendly"


def keys_of(value: Any, prefix: str = "") -> set[str]:
    """Every path of keys in a JSON value, lists by their first entry."""
    if isinstance(value, list):
        return keys_of(value[0], f"{prefix}[]") if value else set()
    if not isinstance(value, dict):
        return set()
    return {f"{prefix}.{key}" for key in value}.union(
        *(keys_of(value[key], f"{prefix}.{key}") for key in value)
    )


@pytest.mark.parametrize(
    "name", ["invitee.created", "invitee.canceled", "invitee_no_show.created", "event_type.created"]
)
def test_bodies_have_every_key_of_the_published_sample(hands: Hands, receiver: Receiver, name: str) -> None:
    if name == "event_type.created":
        hands.control("calendly/event-types", user="SBXADAOKONKWO001", name="New", slug="new", duration=30)
    else:
        invitee = hands.control("calendly/book", event_type=HOUR)["uri"].rpartition("/")[2]
        if name == "invitee.canceled":
            hands.control(f"calendly/invitees/{invitee}/cancel", reason="Meeting Conflict")
        if name == "invitee_no_show.created":
            hands.control(f"calendly/invitees/{invitee}/no-show")
    receiver.wait_for(name)
    body = receiver.of(name)[0].json
    sample = json.loads((SAMPLES / f"{name}.json").read_text())
    by_kind = {
        ".payload.scheduled_event.location.",
        ".payload.locations[].",
        ".payload.scheduled_event.event_guests",
    }
    expected = {key for key in keys_of(sample) if not any(key.startswith(prefix) for prefix in by_kind)}
    assert expected <= keys_of(body) | by_kind
    assert body["created_at"].endswith(".000000Z")


def test_the_signature_is_over_the_raw_body(hands: Hands, receiver: Receiver) -> None:
    hands.control("calendly/book", event_type=HOUR, name="Zoë Ångström")
    delivery = receiver.wait_for("invitee.created")[0]
    assert delivery.path == "/webhooks/calendly"
    parts = signed_parts(delivery.headers["Calendly-Webhook-Signature"])
    assert set(parts) == {"t", "v1"}
    assert parts["v1"] == hex_hmac("sandbox-calendly-signing-key", f"{parts['t']}.".encode() + delivery.body)
    assert "Zoë Ångström".encode() in delivery.body


def test_a_subscription_of_one_s_own_is_signed_with_its_key(hands: Hands, receiver: Receiver) -> None:
    body = {
        "url": f"{receiver.url}/mine",
        "events": ["invitee.created"],
        "organization": hands.organization,
        "scope": "user",
        "user": hands.user("SBXKENJIMORI0002"),
        "signing_key": "kenji-key",
    }
    assert hands.post("/webhook_subscriptions", body).status_code == 201
    hands.control("calendly/book", event_type=HOUR)
    hands.control("calendly/book", event_type="ETKENJICONSUL060")
    receiver.wait_for("invitee.created", "invitee.created", "invitee.created")
    mine = [each for each in receiver.received if each.path == "/mine"]
    assert [each.json["payload"]["scheduled_event"]["event_type"] for each in mine] == [
        hands.event_type("ETKENJICONSUL060")
    ]
    parts = signed_parts(mine[0].headers["Calendly-Webhook-Signature"])
    assert parts["v1"] == hex_hmac("kenji-key", f"{parts['t']}.".encode() + mine[0].body)


@pytest.mark.parametrize("keeps", [True, False])
def test_a_move_is_a_pair_that_names_each_other(hands: Hands, receiver: Receiver, keeps: bool) -> None:
    hands.control("settings", reschedule_keeps_tracking=keeps)
    first = hands.control("calendly/book", event_type=HOUR, utm_content="ref-1")
    hands.control(f"calendly/invitees/{first['uri'].rpartition('/')[2]}/reschedule")
    _, old, new = (each.json["payload"] for each in receiver.wait_for("invitee.canceled", "invitee.created"))
    assert (old["rescheduled"], old["status"], old["new_invitee"]) == (True, "canceled", new["uri"])
    assert (new["rescheduled"], new["status"], new["old_invitee"]) == (False, "active", first["uri"])
    assert old["uri"] == first["uri"]
    assert old["cancellation"]["canceler_type"] == "host"
    assert old["scheduled_event"]["status"] == "canceled"
    assert new["event"] != old["event"]
    assert new["tracking"]["utm_content"] == ("ref-1" if keeps else None)


@pytest.mark.parametrize("status", [500, 404, 302])
def test_whatever_is_not_2xx_is_sent_again_with_a_fresh_signature(
    hands: Hands, receiver: Receiver, status: int
) -> None:
    receiver.statuses = [status, status]
    hands.control("calendly/book", event_type=HOUR)
    deliveries = receiver.wait_for("invitee.created", "invitee.created", "invitee.created")
    assert len({each.body for each in deliveries}) == 1
    for each in deliveries:
        parts = signed_parts(each.headers["Calendly-Webhook-Signature"])
        assert parts["v1"] == hex_hmac("sandbox-calendly-signing-key", f"{parts['t']}.".encode() + each.body)
    state = eventually(lambda: hands.server.sandbox.store.all("delivery", state="delivered"), "delivery")
    assert [attempt["status"] for attempt in state[0]["attempts"]] == [status, status, 200]
    assert all(each.path == "/webhooks/calendly" for each in deliveries)
    assert hands.server.sandbox.store.all("subscription")[0]["retry_started_at"] is None


def test_a_subscription_that_nobody_answers_is_disabled(hands: Hands, receiver: Receiver) -> None:
    receiver.always = 503
    hands.control("calendly/book", event_type=HOUR)

    def disabled() -> dict[str, Any] | None:
        listed = hands.get(
            "/webhook_subscriptions", organization=hands.organization, scope="organization"
        ).json()
        found: dict[str, Any] = listed["collection"][0]
        return found if found["state"] == "disabled" else None

    subscription = eventually(disabled, "the subscription is disabled")
    assert subscription["retry_started_at"] is not None
    receiver.always = 200
    seen = len(receiver.received)
    hands.control("calendly/book", event_type=HOUR)
    assert len(hands.server.sandbox.store.all("delivery")) == 1
    assert len(receiver.received) == seen


def test_event_types_announce_their_changes(hands: Hands, receiver: Receiver) -> None:
    hands.control(f"calendly/event-types/{HOUR}", name="An Hour", active=False)
    hands.control(f"calendly/event-types/{HOUR}/delete")
    updated, deleted = receiver.wait_for("event_type.updated", "event_type.deleted")
    assert (updated.json["payload"]["name"], updated.json["payload"]["active"]) == ("An Hour", False)
    assert deleted.json["payload"]["deleted_at"] is not None
    listed = hands.get("/event_types", user=hands.user()).json()["collection"]
    assert hands.event_type() not in [each["uri"] for each in listed]
    assert hands.get(hands.event_type()).json()["resource"]["deleted_at"] is not None
