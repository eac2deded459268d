"""What the providers say, in whatever order and however often they say it."""

from __future__ import annotations

import hashlib
import hmac
import time
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from bookingapp.cli.processes import SANDBOX_SECRETS
from bookingapp.webhooks.models import InboxEvent
from tests.waiting import eventually

from .stack import Stack
from .visitor import Booking, Visitor

pytestmark = pytest.mark.xdist_group("e2e-deliveries")

PAID_ROAD = [">pending", "pending>scheduled", "scheduled>paid", "paid>confirmed"]


def consultation(visitor: Visitor) -> Booking:
    return visitor.book("ada-okonkwo", "ETADACONSULT0060")


def inbox_states(stack: Stack, about: str) -> list[str]:
    """The states of the deliveries that speak of ``about``, once none of them waits."""
    return eventually(
        lambda: [str(row.state) for row in stack.inbox(about)],
        what="the deliveries to be applied",
        good=lambda states: bool(states) and not {"received", "processing", "failed"} & set(states),
    )


def delivered(stack: Stack, about: str, count: int) -> list[int]:
    """The answers to the last attempt of ``count`` deliveries that speak of ``about``."""
    rows = eventually(
        lambda: [row for row in stack.deliveries(about) if row["attempts"]],
        what=f"{count} deliveries",
        good=lambda rows: len(rows) >= count,
    )
    return [row["attempts"][-1]["status"] for row in rows]


def refusals(visitor: Visitor) -> dict[tuple[str, str], float]:
    """How many deliveries were refused, by provider and reason, whichever process of the server took them."""
    text = visitor.http.get(f"{visitor.stack.url}/metrics", timeout=10).text
    return {
        (sample.labels["provider"], sample.labels["reason"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "bookingapp_deliveries_refused_total"
    }


def test_scenario_03_browser_first_then_webhook(stack: Stack, visitor: Visitor) -> None:
    stack.fault("calendly", "delay", seconds=3600, remaining=1)
    booking = consultation(visitor)
    booking.take_time()
    page = booking.report_time()
    assert urlsplit(page.response.url).path == f"/bookings/{booking.ref}"
    assert visitor.truth(booking.ref).status == "scheduled"
    assert stack.inbox(booking.invitee_uri) == []

    stack.control("deliveries/retry", {})
    assert delivered(stack, booking.invitee_uri, 1) == [200]
    assert inbox_states(stack, booking.invitee_uri) == ["done"]
    assert stack.history(booking.ref) == [">pending", "pending>scheduled"]


def test_scenario_04_webhook_first_then_browser(stack: Stack, visitor: Visitor) -> None:
    booking = consultation(visitor)
    booking.schedule()
    page = booking.report_time()
    assert urlsplit(page.response.url).path == f"/bookings/{booking.ref}"
    assert page.one("#pay-button").get_text(strip=True) == "Pay £60.00"
    assert stack.history(booking.ref) == [">pending", "pending>scheduled"]


def test_scenario_05_browser_never_returns(stack: Stack, visitor: Visitor, another: Visitor) -> None:
    booking = consultation(visitor)
    booking.take_time()
    seen = another.get(f"/bookings/{booking.ref}").status
    assert seen == 200
    eventually(
        lambda: stack.history(booking.ref),
        what="the webhook alone to schedule",
        good=lambda history: history == [">pending", "pending>scheduled"],
    )
    booking.pay_and_vanish(booking.open_checkout())
    eventually(
        lambda: stack.history(booking.ref),
        what="the webhook alone to confirm",
        good=lambda history: history == PAID_ROAD,
    )
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]


def test_scenario_07_webhook_before_the_redirect(stack: Stack, visitor: Visitor) -> None:
    booking = consultation(visitor)
    booking.schedule()
    checkout = booking.open_checkout()
    booking.pay_and_vanish(checkout)
    booking.wait("confirmed", "paid")
    session = urlsplit(checkout).path.rsplit("/", 1)[-1]
    page = visitor.get(f"/bookings/{booking.ref}/paid?session_id={session}")
    assert page.one("#booking-status")["data-booking-status"] == "confirmed"
    assert stack.history(booking.ref) == PAID_ROAD


def test_scenario_10_duplicate_deliveries_change_nothing(stack: Stack, visitor: Visitor) -> None:
    stack.fault("calendly", "duplicate")
    stack.fault("stripe", "duplicate")
    booking = consultation(visitor)
    booking.confirm()
    inbox_states(stack, booking.ref)
    kept = len(stack.inbox(booking.ref)) + len(stack.inbox(booking.invitee_uri))
    stack.clear_faults()

    (created, *_) = stack.deliveries(booking.invitee_uri)
    completed = [row for row in stack.deliveries(booking.ref) if row["event"] == "checkout.session.completed"]
    for row in (created, completed[0]):
        for _ in range(3):
            stack.control(f"deliveries/{row['id']}/resend", {})
    # Each was sent twice by the ordered trouble and three times by hand.
    assert delivered(stack, booking.invitee_uri, 5) == [200] * 5
    again = eventually(
        lambda: [
            row["attempts"][-1]["status"]
            for row in stack.deliveries(booking.ref)
            if row["event"] == "checkout.session.completed" and row["attempts"]
        ],
        what="five deliveries",
        good=lambda statuses: len(statuses) == 5,
    )
    assert again == [200] * 5
    assert len(stack.inbox(booking.ref)) + len(stack.inbox(booking.invitee_uri)) == kept
    assert visitor.truth(booking.ref).status == "confirmed"
    assert stack.history(booking.ref) == PAID_ROAD
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]


def test_scenario_11_the_same_fact_under_another_id(stack: Stack, visitor: Visitor) -> None:
    booking = consultation(visitor)
    booking.confirm()
    inbox_states(stack, booking.ref)
    # What Stripe said of this payment: the session and its intent, each under an id of its own.
    said = {row["event"] for row in stack.deliveries(booking.ref)}
    assert {"checkout.session.completed", "payment_intent.succeeded"} <= said
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]
    assert stack.history(booking.ref) == PAID_ROAD


def test_reordered_deliveries_change_nothing(stack: Stack, visitor: Visitor, another: Visitor) -> None:
    stack.fault("calendly", "reorder", remaining=1)
    first, second = consultation(visitor), consultation(another)
    first.take_time()
    assert stack.deliveries(first.invitee_uri)[0]["state"] == "held"
    second.schedule()
    first.wait("scheduled")
    for booking in (first, second):
        assert stack.history(booking.ref) == [">pending", "pending>scheduled"]

    stack.fault("stripe", "reorder")
    first.pay_and_vanish(first.open_checkout())
    first.wait("confirmed", "paid")
    stack.control("deliveries/retry", {})
    inbox_states(stack, first.ref)
    assert stack.history(first.ref) == PAID_ROAD
    assert stack.ledger(first.ref) == [("charge", 6000, "GBP")]
    assert visitor.truth(second.ref).status == "scheduled"


def test_nothing_can_be_paid_before_a_time_is_taken(stack: Stack, visitor: Visitor) -> None:
    booking = consultation(visitor)
    refused = visitor.post(f"/bookings/{booking.ref}/pay", allow_redirects=False)
    assert refused.status == 409
    assert "choose a time first" in refused.response.text
    assert stack.checkout_sessions(booking.ref) == []


def test_scenario_08_redirect_and_webhook_together(stack: Stack, visitor: Visitor) -> None:
    """The delivery and the question to Stripe are both due when the worker comes, which has a thread for each."""
    booking = consultation(visitor)
    booking.schedule()
    checkout = booking.open_checkout()
    stack.kill("worker")
    try:
        booking.pay_on_page(checkout)
        eventually(lambda: stack.inbox(booking.ref), what="the delivery to be kept")
        check = f"check:{stack.payment_id(booking.ref)}:return:"
        stack.hurry_jobs(check)
        assert visitor.truth(booking.ref).status == "scheduled"
    finally:
        stack.spawn("worker")
    booking.wait("confirmed", "paid")
    inbox_states(stack, booking.ref)
    eventually(
        lambda: {str(job.state) for job in stack.jobs(check)},
        what="the questions to be over",
        good=lambda states: states == {"done"},
    )
    assert stack.history(booking.ref) == PAID_ROAD
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]


def test_scenario_12_worker_killed_between_delivery_and_application(stack: Stack, visitor: Visitor) -> None:
    booking = consultation(visitor)
    booking.schedule()
    checkout = booking.open_checkout()
    stack.kill("worker")
    try:
        booking.pay_and_vanish(checkout)
        waiting = eventually(lambda: stack.inbox(booking.ref), what="the delivery to be kept")
        assert {str(row.state) for row in waiting} == {"received"}
        assert visitor.truth(booking.ref).status == "scheduled"
    finally:
        stack.spawn("worker")
    booking.wait("confirmed", "paid")
    assert stack.history(booking.ref) == PAID_ROAD
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]


def test_scenario_12_worker_killed_in_the_middle_of_an_application(stack: Stack, visitor: Visitor) -> None:
    booking = consultation(visitor)
    booking.schedule()
    checkout = booking.open_checkout()
    stack.fault("stripe", "hang", method="GET", path_prefix="/v1/checkout/sessions")
    booking.pay_and_vanish(checkout)
    held = eventually(
        lambda: [
            row
            for row in stack.inbox(booking.ref)
            if row.type == "checkout.session.completed" and row.state == "processing"
        ],
        what="the worker to ask Stripe",
    )
    stack.kill("worker")
    stack.clear_faults()
    try:
        assert visitor.truth(booking.ref).status == "scheduled"
        # The lease ends, as it does by itself a minute after the crash.
        lease = sa.update(InboxEvent).where(InboxEvent.id == held[0].id)
        stack.change(lease.values(run_at=InboxEvent.received_at))
    finally:
        stack.spawn("worker")
    booking.wait("confirmed", "paid")
    states = {row.id: (row.state, row.attempts) for row in stack.inbox(booking.ref)}
    assert states[held[0].id] == ("done", 2)
    assert stack.history(booking.ref) == PAID_ROAD
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]


def test_scenario_14_forged_deliveries_are_refused(stack: Stack, visitor: Visitor) -> None:
    booking = consultation(visitor)
    booking.schedule()
    (genuine,) = stack.deliveries(booking.invitee_uri)
    before, counted = len(stack.query(sa.select(InboxEvent.id))), refusals(visitor)
    signatures = ("", "v1=" + "0" * 64, "t=1700000000,v1=" + "0" * 64, "t=soon,v1=zz", "t=1700000000")
    for path, header in (
        ("calendly", "Calendly-Webhook-Signature"),
        ("stripe", "Stripe-Signature"),
    ):
        for signature in signatures:
            headers = {header: signature} if signature else {}
            answer = visitor.http.post(
                f"{stack.url}/webhooks/{path}",
                data=genuine["body"].encode(),
                headers={"Content-Type": "application/json", **headers},
                timeout=10,
                allow_redirects=False,
            )
            assert answer.status_code in (400, 401), (path, signature)
    now = refusals(visitor)
    grown = {key: now[key] - counted[key] for key in now if now[key] != counted[key]}
    assert grown == {
        (who, reason): times
        for who in ("calendly", "stripe")
        for reason, times in {"missing": 1, "malformed": 3, "mismatch": 1}.items()
    }
    assert len(stack.query(sa.select(InboxEvent.id))) == before
    assert stack.history(booking.ref) == [">pending", "pending>scheduled"]


def test_scenario_15_an_old_delivery_is_refused_and_a_fresh_one_is_not(
    stack: Stack, visitor: Visitor
) -> None:
    stack.fault("calendly", "drop", remaining=1)
    booking = consultation(visitor)
    booking.take_time()
    (lost,) = stack.deliveries(booking.invitee_uri)
    body = lost["body"].encode()

    def deliver(age: int, key: str = SANDBOX_SECRETS["CALENDLY_WEBHOOK_SIGNING_KEYS"]) -> int:
        stamp = str(int(time.time()) - age)
        digest = hmac.new(key.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {"Calendly-Webhook-Signature": f"t={stamp},v1={digest}", "Content-Type": "application/json"}
        address = f"{stack.url}/webhooks/calendly"
        return visitor.http.post(address, data=body, headers=headers, timeout=10).status_code

    for refused in (deliver(3600), deliver(-3600), deliver(0, key="another-key"), deliver(0, key="")):
        assert refused in (400, 401)
    assert stack.inbox(booking.invitee_uri) == []
    assert visitor.truth(booking.ref).status == "pending"
    assert deliver(30) == 200
    booking.wait("scheduled")
