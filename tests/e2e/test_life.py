"""The booking's life with real processes: the worker's threads and the web server at the same time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.waiting import eventually

from .stack import Stack
from .test_expiry import let_the_hold_end
from .visitor import Booking, Visitor

pytestmark = pytest.mark.xdist_group("e2e-life")


def name_of(uri: str) -> str:
    return uri.rsplit("/", 1)[-1]


def reschedule(stack: Stack, booking: Booking) -> dict[str, Any]:
    """The client moves it in Calendly, to the next free time."""
    order = {"by_host": False}
    moved: dict[str, Any] = stack.control(
        f"calendly/invitees/{name_of(booking.invitee_uri)}/reschedule", order
    )
    return moved


def has_moved(stack: Stack, visitor: Visitor, booking: Booking, moved: dict[str, Any]) -> None:
    """The booking has the new time, and nothing is in between any more."""
    events = stack.control("state")["events"]
    start = next(event["start_time"] for event in events if event["id"] in moved["event"])
    eventually(
        lambda: [str(one["datetime"]) for one in visitor.get(f"/bookings/{booking.ref}").soup.select("time")],
        what=f"the new time {start}",
        good=lambda times: any(one[:16] == start[:16] for one in times),
    )


@pytest.mark.parametrize("order", ["as sent", "reordered"])
def test_scenario_18_reschedule_before_payment(stack: Stack, visitor: Visitor, order: str) -> None:
    booking = visitor.book("ada-okonkwo", "ETADACONSULT0060")
    booking.schedule()
    booking.open_checkout()
    if order == "reordered":
        stack.fault("calendly", "reorder", remaining=1)
    moved = reschedule(stack, booking)
    has_moved(stack, visitor, booking, moved)
    eventually(
        lambda: [session["status"] for session in stack.checkout_sessions(booking.ref)],
        what="the old Checkout page to be closed",
        good=lambda states: states == ["expired"],
    )
    booking.pay_on_page(booking.open_checkout())
    booking.wait("confirmed", "paid")
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]


@pytest.mark.parametrize("order", ["as sent", "reordered"])
def test_scenario_19_reschedule_after_payment(stack: Stack, visitor: Visitor, order: str) -> None:
    booking = visitor.book("ada-okonkwo", "ETADACONSULT0060")
    booking.confirm()
    if order == "reordered":
        stack.fault("calendly", "reorder", remaining=1)
    has_moved(stack, visitor, booking, reschedule(stack, booking))
    assert booking.wait("confirmed", "paid").attention is None
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]


def test_scenario_20_second_half_missing(stack: Stack, visitor: Visitor) -> None:
    booking = visitor.book("ada-okonkwo", "ETADACONSULT0060")
    booking.confirm()
    stack.fault("calendly", "drop")
    moved = reschedule(stack, booking)
    stack.clear_faults()
    lost = stack.deliveries(name_of(booking.invitee_uri))
    half = next(row for row in lost if row["event"] == "invitee.canceled")
    stack.control(f"deliveries/{half['id']}/resend", {})
    eventually(
        lambda: visitor.get(f"/bookings/{booking.ref}").one("h1").get_text(),
        what="the page to say that it is being rescheduled",
        good=lambda words: "being rescheduled" in words,
    )
    stack.hurry_jobs(f"calendly.follow_move:{stack.booking_id(booking.ref)}:")
    has_moved(stack, visitor, booking, moved)
    assert booking.wait("confirmed", "paid").attention is None
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]


def test_scenario_30_pays_in_the_last_second(stack: Stack, visitor: Visitor) -> None:
    """The worker's end of the hold and the payment at once: one of the two, and never half of each."""
    booking = visitor.book("ada-okonkwo", "ETADACONSULT0060")
    booking.schedule()
    checkout = booking.open_checkout()
    let_the_hold_end(stack, booking)
    booking.pay_on_page(checkout)
    seen = eventually(
        lambda: visitor.truth(booking.ref),
        what="an end",
        good=lambda truth: truth.status in ("confirmed", "expired"),
    )
    paid = [session["payment_status"] for session in stack.checkout_sessions(booking.ref)] == ["paid"]
    if paid:
        booking.wait("confirmed", "paid")
    else:
        assert (seen.status, seen.payment) == ("expired", "expired")
        assert stack.ledger(booking.ref) == []
