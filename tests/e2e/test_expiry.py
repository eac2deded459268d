"""A hold that ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bookingapp.bookings.models import Booking as BookingRow
from tests.waiting import eventually

from .stack import Stack
from .visitor import Booking, Visitor

pytestmark = pytest.mark.xdist_group("e2e-catalog")


def let_the_hold_end(stack: Stack, booking: Booking) -> None:
    """The time goes by: the hold is over, and the timer that was set for it is due."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    row = sa.update(BookingRow).where(BookingRow.ref == booking.ref)
    assert stack.change(row.values(hold_expires_at=past)) == 1
    stack.hurry_jobs(f"expire:{stack.booking_id(booking.ref)}:")


def calendly_event(stack: Stack, booking: Booking) -> dict[str, Any]:
    events: list[dict[str, Any]] = stack.control("state")["events"]
    return next(event for event in events if event["id"] in booking.event_uri)


def test_scenario_29_hold_expires(stack: Stack, visitor: Visitor) -> None:
    booking = visitor.book("ada-okonkwo", "ETADACONSULT0060")
    booking.schedule()
    checkout = booking.open_checkout()
    (session,) = stack.checkout_sessions(booking.ref)
    stack.control("reset-requests", {})
    let_the_hold_end(stack, booking)
    seen = booking.wait("expired")
    assert (seen.payment, seen.attention) == ("expired", None)
    page = visitor.get(f"/bookings/{booking.ref}")
    assert "This booking has expired" in page.one("h1").get_text()
    assert page.soup.select("#pay-button") == []

    # First nobody can pay any more, then the time is given back.
    calls = stack.provider_calls()
    closed = calls.index(("POST", f"/stripe-api/v1/checkout/sessions/{session['id']}/expire"))
    event_id = booking.event_uri.rsplit("/", 1)[-1]
    released = calls.index(("POST", f"/calendly-api/scheduled_events/{event_id}/cancellation"))
    assert closed < released
    assert stack.checkout_sessions(booking.ref)[0]["status"] == "expired"
    assert calendly_event(stack, booking)["status"] == "canceled"
    assert "expired" in visitor.get(checkout).one("h1").get_text()
    assert stack.ledger(booking.ref) == []

    # Calendly tells us of our own cancellation, which is no news.
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


def test_pending_booking_without_a_time_expires(stack: Stack, visitor: Visitor) -> None:
    booking = visitor.book("ada-okonkwo", "ETADACONSULT0060")
    stack.control("reset-requests", {})
    let_the_hold_end(stack, booking)
    booking.wait("expired", "none")
    assert stack.history(booking.ref) == [">pending", "pending>expired"]
    assert [call for call in stack.provider_calls() if call[0] == "POST"] == []


def test_paid_in_the_meantime_is_not_expired(stack: Stack, visitor: Visitor) -> None:
    """The money is at Stripe and its news is lost: the end of the hold finds it."""
    stack.fault("stripe", "drop")
    booking = visitor.book("ada-okonkwo", "ETADACONSULT0060")
    booking.schedule()
    booking.pay_and_vanish(booking.open_checkout())
    let_the_hold_end(stack, booking)
    booking.wait("confirmed", "paid")
    assert calendly_event(stack, booking)["status"] == "active"
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]


def test_group_seat_of_one_who_did_not_pay(stack: Stack, visitor: Visitor, another: Visitor) -> None:
    paid = visitor.book("maya-lindqvist", "ETMAYAGRPFULL480")
    paid.confirm()
    unpaid = another.book("maya-lindqvist", "ETMAYAGRPFULL480")
    unpaid.schedule(calendly_event(stack, paid)["start_time"])
    assert unpaid.event_uri == paid.event_uri
    let_the_hold_end(stack, unpaid)
    unpaid.wait("expired")
    assert calendly_event(stack, paid)["status"] == "active"
    assert visitor.truth(paid.ref).status == "confirmed"
    assert another.truth(unpaid.ref).attention is not None
