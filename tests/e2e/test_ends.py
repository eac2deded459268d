"""How a booking ends: its hold expires, or its client cancels."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.waiting import eventually

from .browsing import Surf
from .stack import Stack
from .visitor import Booking, Visitor

pytestmark = pytest.mark.browser


def in_nine_days() -> str:
    return (datetime.now(UTC) + timedelta(days=9)).strftime("%Y-%m-%dT%H:00:00Z")


def refunds(stack: Stack, booking: Booking) -> list[tuple[int, str, str]]:
    """Amount, currency and status of Stripe's refunds for a booking."""
    intents = {session["payment_intent"] for session in stack.checkout_sessions(booking.ref)}
    rows = [row for row in stack.control("state")["refunds"] if row["payment_intent"] in intents]
    return [(row["amount"], row["currency"], row["status"]) for row in rows]


def test_scenario_29_hold_expires(stack: Stack, visitor: Visitor) -> None:
    booking = visitor.book()
    booking.schedule()
    checkout = booking.open_checkout()
    (session,) = stack.checkout_sessions(booking.ref)
    stack.control("reset-requests", {})
    booking.end_hold()
    seen = booking.wait("expired")
    assert (seen.payment, seen.attention) == ("expired", None)
    page = visitor.get(f"/bookings/{booking.ref}")
    assert "This booking has expired" in page.one("h1").get_text()
    assert page.soup.select("#pay-button") == []

    # The Checkout Session is closed before the time is released.
    calls = stack.provider_calls()
    closed = calls.index(("POST", f"/stripe-api/v1/checkout/sessions/{session['id']}/expire"))
    event_id = booking.event_uri.rsplit("/", 1)[-1]
    released = calls.index(("POST", f"/calendly-api/scheduled_events/{event_id}/cancellation"))
    assert closed < released
    assert stack.checkout_sessions(booking.ref)[0]["status"] == "expired"
    assert booking.event["status"] == "canceled"
    assert "expired" in visitor.get(checkout).one("h1").get_text()
    assert stack.ledger(booking.ref) == []

    # Calendly's webhook about our own cancellation changes nothing.
    eventually(
        lambda: [
            str(row.state) for row in stack.inbox(booking.invitee_uri) if row.type == "invitee.canceled"
        ],
        what="the echo to be applied",
        good=lambda states: states == ["done"],
    )
    assert stack.history(booking.ref) == [">pending", "pending>scheduled", "scheduled>expired"]
    refused = visitor.post(f"/bookings/{booking.ref}/pay", allow_redirects=False)
    assert refused.status == 409
    assert len(stack.checkout_sessions(booking.ref)) == 1


def test_scenario_30_paid_in_the_meantime_is_not_expired(stack: Stack, visitor: Visitor) -> None:
    """Stripe's webhook is lost; the end of the hold finds the payment."""
    stack.fault("stripe", "drop")
    booking = visitor.book()
    booking.schedule()
    booking.pay_and_vanish(booking.open_checkout())
    booking.end_hold()
    booking.wait("confirmed", "paid")
    assert booking.event["status"] == "active"
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]


def test_canceled_while_stripes_webhook_is_lost(stack: Stack, visitor: Visitor) -> None:
    """The client has paid and cancels before we know of the payment: it is refunded."""
    stack.fault("stripe", "drop")
    booking = visitor.book()
    booking.schedule(in_nine_days())
    booking.pay_and_vanish(booking.open_checkout())
    page = visitor.post(f"/bookings/{booking.ref}/cancel")
    assert page.one("#booking-status")["data-booking-status"] == "canceled"
    booking.wait("canceled", "refunded")
    assert refunds(stack, booking) == [(6000, "gbp", "succeeded")]
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP"), ("refund", -6000, "GBP")]


def test_scenario_22_cancel_in_time_gives_everything_back(stack: Stack, surf: Surf, visitor: Visitor) -> None:
    booking = visitor.book()
    booking.schedule(in_nine_days())
    booking.pay_on_page(booking.open_checkout())
    booking.wait("confirmed", "paid")

    window = surf(stack)
    page = window.page
    page.goto(f"/bookings/{booking.ref}")
    page.locator("#cancel-link").click()
    preview = page.locator("[data-refund-minor]")
    expect(preview).to_have_attribute("data-refund-minor", "6000")
    expect(preview).to_have_attribute("data-currency", "GBP")
    window.shot("cancel-preview")
    page.get_by_role("button", name="Cancel the booking").click()
    page.wait_for_url(f"**/bookings/{booking.ref}")
    window.expect_status("canceled", "refunded")
    window.shot("canceled")

    assert refunds(stack, booking) == [(6000, "gbp", "succeeded")]
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP"), ("refund", -6000, "GBP")]
    eventually(lambda: booking.event["status"] == "canceled", what="the event to be canceled")
    assert stack.history(booking.ref)[-1] == "confirmed>canceled"
