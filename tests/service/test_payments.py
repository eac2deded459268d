"""Paying: one open Checkout Session, one charge, and money that is not what was asked for confirms nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.checkout import incoming_payments
from bookingapp.checkout.late_payments import LATE_MONEY_JOB
from bookingapp.core.db import end_read, transaction
from bookingapp.core.errors import Conflict
from bookingapp.core.queue import Job
from bookingapp.integrations.stripe_gateway import StripeGateway, StripeUnavailable, read_checkout_session
from bookingapp.payments.models import Payment, PaymentState
from tests.factories import HOLD, NOW, PAID, published, reread
from tests.service.conftest import SECOND, TIMERS, Checkout, return_to

pytestmark = pytest.mark.any_database


def test_the_payment_page_says_what_was_promised(checkout: Checkout) -> None:
    """Price and currency from the snapshot, our reference in three places, and the time in the client's zone."""
    booking = checkout.scheduled()
    url = checkout.start(booking)
    (sent,) = checkout.stripe.created
    (made,) = checkout.stripe.sessions.values()
    assert url == made["url"]
    assert sent["line_items[0][price_data][unit_amount]"] == "6000"
    assert sent["line_items[0][price_data][currency]"] == "gbp"
    description = sent["line_items[0][price_data][product_data][description]"]
    assert description == "Tuesday 1 December 2026, 15:00 CET"
    for name in ("client_reference_id", "metadata[booking]", "payment_intent_data[metadata][booking]"):
        assert sent[name] == booking.tracking_id
    assert (sent["success_url"], sent["cancel_url"]) == return_to(booking.ref)
    assert sent["customer_email"] == "grace@example.org"
    left = datetime.fromtimestamp(int(sent["expires_at"]), UTC) - NOW
    assert timedelta(minutes=30) < left <= timedelta(hours=24)


def test_the_database_allows_one_live_attempt(session: Session, checkout: Checkout) -> None:
    booking, _ = checkout.opened()
    values: dict[str, Any] = {"state": PaymentState.STARTING, "amount_minor": 6000, "currency": "GBP"}
    times = dict.fromkeys(("expires_at", "created_at", "updated_at"), NOW)
    second = Payment(booking_id=booking.id, attempt=2, **values, **times)
    with pytest.raises(sa.exc.IntegrityError), transaction(session):
        session.add(second)


def lose_the_answer(checkout: Checkout) -> Booking:
    """A booking whose Checkout Session Stripe has made, without our knowing its id."""
    booking = checkout.scheduled()
    checkout.stripe.lost = 3  # The SDK tries three times.
    with pytest.raises(StripeUnavailable):
        checkout.start(booking)
    checkout.stripe.lost = 0
    return booking


def test_an_answer_that_was_lost_is_asked_for_under_the_same_key(checkout: Checkout) -> None:
    booking = lose_the_answer(checkout)
    assert checkout.attempts(booking) == [(1, PaymentState.STARTING)]
    url = checkout.start(booking, now=NOW + SECOND)
    assert len(checkout.stripe.sessions) == 1
    assert len(set(checkout.stripe.keys)) == 1
    assert url == next(iter(checkout.stripe.sessions.values()))["url"]
    assert checkout.attempts(booking) == [(1, PaymentState.OPEN)]


def test_the_webhook_may_be_faster_than_our_own_note(checkout: Checkout) -> None:
    """The metadata of the session says whose it is."""
    booking = lose_the_answer(checkout)
    (session_id,) = checkout.stripe.sessions
    assert checkout.record(booking, checkout.stripe.pay(session_id)).status is Status.CONFIRMED


@pytest.mark.parametrize("statuses", [[401], [503, 503, 503]], ids=str)
def test_an_error_of_stripe_leaves_the_attempt_to_be_repeated(
    checkout: Checkout, statuses: list[int]
) -> None:
    """The row is there before Stripe is called."""
    booking = checkout.scheduled()
    checkout.stripe.fail = list(statuses)
    with pytest.raises(Exception, match="create a checkout session"):
        checkout.start(booking)
    assert checkout.attempts(booking) == [(1, PaymentState.STARTING)]
    assert reread(checkout.session, booking).status is Status.SCHEDULED


def test_a_refused_attempt_makes_room_for_the_next(checkout: Checkout) -> None:
    booking = checkout.scheduled()
    checkout.stripe.refuse = [{"message": "too soon", "param": "expires_at"}]
    assert checkout.start(booking)
    assert checkout.attempts(booking) == [(1, PaymentState.FAILED), (2, PaymentState.OPEN)]
    assert len(set(checkout.stripe.keys)) == 2, "under the same key Stripe repeats its refusal"


def test_a_refusal_that_stays_is_said_in_words(checkout: Checkout) -> None:
    """After a few tries, and no attempt remains open."""
    booking = checkout.scheduled()
    checkout.stripe.refuse = [{"code": "amount_too_small"}] * 10
    with pytest.raises(Conflict, match="This session cannot be paid"):
        checkout.start(booking)
    assert {state for _, state in checkout.attempts(booking)} == {PaymentState.FAILED}


@pytest.mark.parametrize("case", ["free", "paid", "hold over"])
def test_what_cannot_be_paid(session: Session, checkout: Checkout, case: str) -> None:
    """Stripe is not called. (``web/test_booking_pages.py`` has every status.)"""
    booking = checkout.scheduled(price_minor=0 if case == "free" else 6000)
    if case == "paid":
        with transaction(session):
            session.get_one(Booking, booking.id).paid_at = NOW
    with pytest.raises(Conflict):
        checkout.start(booking, now=NOW + HOLD if case == "hold over" else NOW)
    assert checkout.stripe.seen == []


def test_a_session_of_another_application_is_ignored(checkout: Checkout) -> None:
    booking = checkout.scheduled()
    foreign = read_checkout_session(published("stripe/checkout_session.paid.json"))
    assert incoming_payments.apply_checkout(checkout.session, foreign, PAID, now=NOW) is None
    assert reread(checkout.session, booking).status is Status.SCHEDULED


@pytest.mark.once_on_postgresql
@pytest.mark.parametrize(
    "wrong",
    [
        {"amount_total": 100},
        {"amount_total": 5999},
        {"amount_total": None},
        {"currency": "usd"},
        {"client_reference_id": "another-booking"},
        {"client_reference_id": None},
        {"metadata": {"booking": "another-booking", "attempt": "1"}},
    ],
    ids=str,
)
def test_wrong_money_never_confirms(checkout: Checkout, wrong: dict[str, Any]) -> None:
    """The booking is flagged; the page does not ask the client for money again."""
    booking, session_id = checkout.opened()
    for _ in range(2):
        found = checkout.record(booking, checkout.stripe.pay(session_id, **wrong))
        assert (found.status, found.paid_at) == (Status.SCHEDULED, None)
        assert found.attention
    with pytest.raises(Conflict):
        checkout.start(booking)
    assert len(checkout.stripe.created) == 1


def test_a_delayed_payment_that_fails_can_be_tried_again(checkout: Checkout) -> None:
    """With a fresh hold; reported twice, it is one failure."""
    booking, session_id = checkout.opened()
    unpaid = checkout.stripe.complete_unpaid(session_id)
    checkout.record(booking, unpaid)
    later = NOW + timedelta(days=2)
    found = checkout.record(booking, unpaid, now=later, failed=True)
    assert (found.status, found.hold_expires_at) == (Status.SCHEDULED, later + HOLD)
    assert checkout.money(booking).status == "failed"
    checkout.record(booking, unpaid, now=later)
    assert checkout.money(booking).status == "failed"
    assert checkout.start(booking, now=later)
    assert checkout.attempts(booking) == [(1, PaymentState.FAILED), (2, PaymentState.OPEN)]


@pytest.mark.parametrize("end", [Status.CANCELED, Status.EXPIRED])
def test_money_for_a_booking_that_has_ended_is_refunded(
    session: Session, checkout: Checkout, end: Status
) -> None:
    """Charged once, refunded once, and the booking does not come back; but where only its hold had ended, Calendly is
    asked first, once.
    """
    booking, session_id = checkout.opened()
    with transaction(session):
        session.execute(sa.update(Booking).values(status=end))
    paid = checkout.stripe.pay(session_id)
    for _ in range(2):
        found = checkout.record(booking, paid)
        assert (found.status, found.paid_at) == (end, NOW)
        assert found.attention
    asked = len(session.scalars(sa.select(Job.id).where(Job.name == LATE_MONEY_JOB)).all())
    refund = checkout.money(booking).refund
    assert (asked, refund) == ((1, None) if end is Status.EXPIRED else (0, (6000, "enqueued")))
    assert checkout.money(booking).charged_minor == 6000


def test_a_check_of_a_payment_does_what_a_webhook_would_have(session: Session, checkout: Checkout) -> None:
    """Once it is paid, Stripe is not asked any more."""
    booking, session_id = checkout.opened()
    payment_id = session.scalars(sa.select(Payment.id)).one()
    end_read(session)

    def check() -> Booking:
        gateway = checkout.gateway
        incoming_payments.check_payment(session, gateway, payment_id=payment_id, timers=TIMERS, now=NOW)
        return reread(session, booking)

    assert check().status is Status.SCHEDULED
    checkout.stripe.pay(session_id)
    assert check().status is Status.CONFIRMED
    asked = len(checkout.stripe.seen)
    check()
    assert len(checkout.stripe.seen) == asked


def test_a_booking_that_ends_while_stripe_is_asked_opens_no_page(
    session: Session, checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its new Checkout Session is expired again, so that it cannot be paid."""
    booking = checkout.scheduled()
    create = StripeGateway.create_checkout_session

    def slow(self: StripeGateway, *args: Any, **kwargs: Any) -> Any:
        made = create(self, *args, **kwargs)
        with transaction(session):
            session.execute(sa.update(Booking).values(status=Status.CANCELED))
        return made

    monkeypatch.setattr(StripeGateway, "create_checkout_session", slow)
    with pytest.raises(Conflict):
        checkout.start(booking)
    (made,) = checkout.stripe.sessions.values()
    assert made["status"] == "expired"
    assert checkout.attempts(booking) == [(1, PaymentState.EXPIRED)]
