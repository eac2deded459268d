"""Calling a booking off, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.waiting import eventually

from .browsing import Surfing
from .stack import Stack
from .visitor import Booking, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("e2e-cancellation")]


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:00:00Z")


def refunds(stack: Stack, booking: Booking) -> list[dict[str, Any]]:
    """What Stripe has sent back for a booking."""
    intents = {session["payment_intent"] for session in stack.checkout_sessions(booking.ref)}
    return [row for row in stack.control("state")["refunds"] if row["payment_intent"] in intents]


def event_is_canceled(stack: Stack, booking: Booking) -> bool:
    events = stack.control("state")["events"]
    return [row["status"] for row in events if row["id"] in booking.event_uri] == ["canceled"]


def test_scenario_21_cancel_before_payment(stack: Stack, visitor: Visitor) -> None:
    booking = visitor.book("ada-okonkwo", "ETADACONSULT0060")
    booking.schedule()
    checkout = booking.open_checkout()
    page = visitor.post(f"/bookings/{booking.ref}/cancel")
    assert page.one("#booking-status")["data-booking-status"] == "canceled"
    eventually(lambda: event_is_canceled(stack, booking), what="the time to be given back")
    eventually(
        lambda: [session["status"] for session in stack.checkout_sessions(booking.ref)],
        what="the Checkout Session to be closed",
        good=lambda states: states == ["expired"],
    )
    stale = booking.pay_on_page(checkout)
    assert stale.status == 410
    assert "expired" in stale.one("h1").get_text()
    assert stack.ledger(booking.ref) == []
    assert stack.history(booking.ref) == [">pending", "pending>scheduled", "scheduled>canceled"]


def test_scenario_22_cancel_in_time_gives_everything_back(
    stack: Stack, surf: Callable[..., Surfing], visitor: Visitor
) -> None:
    booking = visitor.book("ada-okonkwo", "ETADACONSULT0060")
    booking.schedule(in_days(9))
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

    assert [(row["amount"], row["currency"]) for row in refunds(stack, booking)] == [(6000, "gbp")]
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP"), ("refund", -6000, "GBP")]
    eventually(lambda: event_is_canceled(stack, booking), what="the time to be given back")
    assert stack.history(booking.ref)[-1] == "confirmed>canceled"


def test_canceled_while_the_news_of_the_payment_is_lost(stack: Stack, visitor: Visitor) -> None:
    """The client has paid, nobody told us, and the client cancels: the money may not stay."""
    stack.fault("stripe", "drop")
    booking = visitor.book("ada-okonkwo", "ETADACONSULT0060")
    booking.schedule(in_days(10))
    booking.pay_and_vanish(booking.open_checkout())
    page = visitor.post(f"/bookings/{booking.ref}/cancel")
    assert page.one("#booking-status")["data-booking-status"] == "canceled"
    eventually(
        lambda: [(row["amount"], row["status"]) for row in refunds(stack, booking)],
        what="the money to go back",
        good=lambda rows: rows == [(6000, "succeeded")],
    )
    booking.wait("canceled", "refunded")
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP"), ("refund", -6000, "GBP")]
