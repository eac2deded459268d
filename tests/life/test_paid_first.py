"""Scenario 9: the payment is reported before the time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.service import FIND_TIME_JOB
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.dashboard.words.bookings import FLAGS
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.payments import service as payments
from bookingapp.payments.models import Payment
from tests.life.road import BUILDER, CLIENT, Road, Trip, create_checkout, name_of


def pay_while_pending(road: Road, trip: Trip) -> None:
    """The client pays for a time whose delivery is lost. No page of ours leads there, so the attempt is made as
    :func:`start_payment` makes it.
    """
    with road.live.database() as session, transaction(session):
        payment_id = payments.start_attempt(session, trip.row, now=utcnow()).id
    checkout = create_checkout(road.live, trip.row.tracking_id, f"checkout-{trip.ref}")
    with road.live.database() as session:
        opened = services.get(StripeGateway).retrieve_checkout_session(checkout)
        with transaction(session):
            payments.record_opened(session.get_one(Payment, payment_id), opened, now=utcnow())
    road.live.hands.control(f"stripe/sessions/{checkout}/pay")
    road.live.work()


@pytest.mark.any_database
def test_scenario_09_paid_before_the_time_is_known(road: Road) -> None:
    """Calendly is asked at once, and its answer confirms the booking; delayed deliveries and reports of the browser
    change nothing, and cause no second mail.
    """
    trip = road.book()
    with road.silence():
        trip.choose()
    pay_while_pending(road, trip)
    assert trip.truth == ("confirmed", "paid")
    assert trip.row.invitee_uri == trip.invitee["uri"]
    assert (trip.attention(), trip.row.slot_source) == (None, "asked")
    assert trip.history() == [">pending", "pending>paid", "paid>paid", "paid>confirmed"]
    for _ in range(2):
        road.resend("invitee.created", name_of(trip.invitee["uri"]))
        assert trip.claim() == 303
        road.live.work()
    assert len(trip.history()) == 4
    assert road.subjects(CLIENT) == ["You are booked"]
    assert road.subjects(BUILDER) == ["New booking"]


@pytest.mark.any_database
def test_scenario_09_it_is_flagged_after_ten_minutes(road: Road) -> None:
    """No time is found: the page says so, and the flag is set after the last try; then the time comes after all."""
    trip = road.book()
    pay_while_pending(road, trip)
    assert trip.truth == ("paid", "paid")
    assert "Your payment has arrived" in trip.page.words
    tries = road.live.jobs(FIND_TIME_JOB)
    assert tries[-1].run_at - tries[-1].created_at == timedelta(minutes=10)
    for number in range(1, len(tries) - 1):
        road.let_pass(f"find-time:{trip.row.id}:{number}")
    assert trip.attention() is None
    road.let_pass(f"find-time:{trip.row.id}:{len(tries) - 1}")
    assert trip.attention() == FlagCode.PAID_WITHOUT_TIME
    assert trip.page.one("[data-attention]")["data-attention"] == FlagCode.PAID_WITHOUT_TIME
    assert str(FLAGS[FlagCode.PAID_WITHOUT_TIME]) in road.attention_list()
    # The time is taken on the page that the client still has open.
    tracking = road.live.context().signer.sign(trip.row.tracking_id)
    road.live.hands.control("calendly/book", event_type=trip.event_type, utm_content=tracking)
    road.live.work()
    assert (trip.truth, trip.attention()) == (("confirmed", "paid"), None)


def test_scenario_09_calendly_does_not_answer(road: Road) -> None:
    """It is flagged as well, and Calendly is still asked again."""
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
