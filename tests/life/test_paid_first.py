"""Scenario 9: the money's news is faster than the time's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.service import FIND_TIME_JOB
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.dashboard.words.bookings import FLAGS
from bookingapp.integrations.stripe_gateway import CheckoutRequest, StripeGateway
from bookingapp.payments import service as payments
from bookingapp.payments.models import Payment
from tests.life.road import Road, Trip, name_of


def pay_while_pending(road: Road, trip: Trip) -> None:
    """A Checkout page was opened for a time of which we have lost the trace, and it is paid.

    No page of ours leads there, so the attempt is made as the flow makes it.
    """
    with road.live.database() as session:
        with transaction(session):
            payment = payments.start_attempt(session, trip.row, now=utcnow())
        checkout = services.get(StripeGateway).create_checkout_session(
            CheckoutRequest(
                client_reference_id=trip.tracking_id,
                amount_minor=payment.amount_minor,
                currency=payment.currency,
                product_name="An hour",
                description=None,
                customer_email="grace@example.org",
                success_url="https://hours.example/paid",
                cancel_url="https://hours.example/",
                expires_at=datetime.now(UTC) + timedelta(hours=1),
                metadata={"booking": trip.ref, "attempt": str(payment.attempt)},
            ),
            idempotency_key=f"checkout-{trip.ref}",
        )
        with transaction(session):
            payments.record_opened(session.get_one(Payment, payment.id), checkout, now=utcnow())
    road.live.hands.control(f"stripe/sessions/{checkout.id}/pay")
    road.live.work()


@pytest.mark.any_database
def test_scenario_09_paid_before_the_time_is_known(road: Road) -> None:
    """Calendly is asked at once, and what it says confirms the booking; the delayed delivery is no news."""
    trip = road.book()
    with road.silence():
        trip.choose()
    pay_while_pending(road, trip)
    assert trip.truth == ("confirmed", "paid")
    assert trip.row.invitee_uri == trip.invitee["uri"]
    assert (trip.attention(), trip.row.slot_source) == (None, "asked")
    assert trip.history() == [">pending", "pending>paid", "paid>paid", "paid>confirmed"]
    road.resend("invitee.created", name_of(trip.invitee["uri"]))
    assert len(trip.history()) == 4
    assert road.subjects("grace@example.org") == ["You are booked"]


@pytest.mark.any_database
def test_scenario_09_a_person_is_asked_after_ten_minutes(road: Road) -> None:
    """No time is to be found: paid, said plainly, and flagged only after the last look; then it comes after all."""
    trip = road.book()
    pay_while_pending(road, trip)
    assert trip.truth == ("paid", "paid")
    assert "Your payment has arrived" in trip.page.words
    looks = road.live.jobs(FIND_TIME_JOB)
    assert looks[-1].run_at - looks[-1].created_at == timedelta(minutes=10)
    for number in range(1, len(looks) - 1):
        road.let_pass(f"find-time:{trip.row.id}:{number}")
    assert trip.attention() is None
    road.let_pass(f"find-time:{trip.row.id}:{len(looks) - 1}")
    assert trip.attention() == FlagCode.PAID_WITHOUT_TIME
    assert trip.page.one("[data-attention]")["data-attention"] == FlagCode.PAID_WITHOUT_TIME
    dashboard = road.live.browser("ada").page("/dashboard")
    assert (
        str(FLAGS[FlagCode.PAID_WITHOUT_TIME])
        in dashboard.one("section[aria-labelledby=attention-title]").text
    )
    # The time is taken on the page that the client still has open.
    tracking = road.live.context().signer.sign(trip.row.tracking_id)
    road.live.hands.control("calendly/book", event_type=trip.event_type, utm_content=tracking)
    road.live.work()
    assert (trip.truth, trip.attention()) == (("confirmed", "paid"), None)


def test_scenario_09_calendly_is_silent_all_the_time(road: Road) -> None:
    """Then a person is asked as well, and Calendly is still asked again."""
    trip = road.book()
    with road.silence():
        trip.choose()
    road.live.fault("500", path_prefix="/calendly-api")
    pay_while_pending(road, trip)
    assert (trip.truth, trip.attention()) == (("paid", "paid"), None)
    road.let_pass(f"find-time:{trip.row.id}:3")
    assert trip.attention() == FlagCode.PAID_WITHOUT_TIME
    road.live.hands.control("faults/clear")
    road.let_pass(f"find-time:{trip.row.id}:3")
    assert (trip.truth, trip.attention()) == (("confirmed", "paid"), None)
