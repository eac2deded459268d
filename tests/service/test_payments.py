"""Paying: one open Checkout Session, one charge, and money that is not what was asked for confirms nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.checkout import incoming_payments, pay
from bookingapp.checkout.incoming_payments import PROCESSING_HOLD
from bookingapp.checkout.late_payments import LATE_MONEY_JOB
from bookingapp.core.db import end_read, transaction
from bookingapp.core.errors import Conflict
from bookingapp.core.queue import Job
from bookingapp.integrations.stripe_gateway import StripeGateway, StripeUnavailable, read_checkout_session
from bookingapp.payments import service as payments
from bookingapp.payments.models import LedgerEntry, Payment, PaymentState, PaymentStatus
from tests import fakes
from tests.factories import (
    HOLD,
    NOW,
    PAID,
    facts,
    make_booking,
    published,
    reread,
    schedule,
    stripe_event,
)
from tests.service.conftest import SECOND, TIMERS
from tests.service.test_slots import take

pytestmark = pytest.mark.any_database


def return_to(ref: str) -> tuple[str, str]:
    """Where Stripe sends the browser."""
    return f"https://hours.example/bookings/{ref}/paid", f"https://hours.example/bookings/{ref}"


def start(session: Session, stripe: StripeGateway, booking: Booking, *, now: datetime = NOW) -> str:
    """Ask for the payment page."""
    return pay.start_payment(session, stripe, ref=booking.ref, return_to=return_to, now=now)


def attempts(session: Session, booking: Booking) -> list[tuple[int, PaymentState]]:
    """Each attempt to pay and how far it is."""
    session.rollback()
    query = sa.select(Payment.attempt, Payment.state).where(Payment.booking_id == booking.id)
    return [(attempt, state) for attempt, state in session.execute(query.order_by(Payment.attempt))]


def money(session: Session, booking: Booking) -> payments.MoneySummary:
    """Where the money is."""
    session.rollback()
    found = payments.summarize_money(session, booking)
    end_read(session)
    return found


def told(
    session: Session, booking: Booking, obj: dict[str, Any], *, now: datetime = NOW, **how: Any
) -> Booking:
    """Stripe tells how a Checkout Session stands."""
    incoming_payments.apply_checkout(session, read_checkout_session(obj), PAID, now=now, hold=HOLD, **how)
    return reread(session, booking)


def scheduled(session: Session, **how: Any) -> Booking:
    """A booking with a time, to be paid."""
    booking = make_booking(session, **how)
    schedule(session, booking)
    return booking


def paid(session: Session, stripe: StripeGateway, wire: fakes.Stripe) -> tuple[Booking, bytes]:
    """A booking with a time that the client has paid for in Stripe, and the event that tells us so."""
    booking = scheduled(session)
    start(session, stripe, booking)
    return booking, stripe_event("checkout.session.completed", wire.pay(next(iter(wire.sessions))))


def test_the_payment_page_says_what_was_promised(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe
) -> None:
    """Price and currency from the snapshot, our reference in three places, and the time in the client's zone."""
    booking = scheduled(session)
    url = start(session, stripe, booking)
    (sent,) = stripe_wire.created
    (made,) = stripe_wire.sessions.values()
    assert url == made["url"]
    assert sent["line_items[0][price_data][unit_amount]"] == "6000"
    assert sent["line_items[0][price_data][currency]"] == "gbp"
    assert (
        sent["line_items[0][price_data][product_data][description]"] == "Tuesday 1 December 2026, 15:00 CET"
    )
    for name in ("client_reference_id", "metadata[booking]", "payment_intent_data[metadata][booking]"):
        assert sent[name] == booking.ref
    assert (sent["success_url"], sent["cancel_url"]) == return_to(booking.ref)
    assert sent["customer_email"] == "grace@example.org"
    left = datetime.fromtimestamp(int(sent["expires_at"]), UTC) - NOW
    assert timedelta(minutes=30) < left <= timedelta(hours=24)


@pytest.mark.parametrize(("minor", "currency"), [(9000, "JPY"), (1250, "KWD"), (8500, "EUR")])
def test_every_currency_goes_out_in_minor_units(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe, minor: int, currency: str
) -> None:
    """As Stripe counts them."""
    start(session, stripe, scheduled(session, price_minor=minor, currency=currency))
    (sent,) = stripe_wire.created
    assert sent["line_items[0][price_data][unit_amount]"] == str(minor)
    assert sent["line_items[0][price_data][currency]"] == currency.lower()


def test_asked_again_it_is_the_same_page(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe
) -> None:
    """From any number of tabs."""
    booking = scheduled(session)
    assert len({start(session, stripe, booking) for _ in range(3)}) == 1
    assert len(stripe_wire.created) == 1
    assert attempts(session, booking) == [(1, PaymentState.OPEN)]


def test_the_database_allows_one_live_attempt(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe
) -> None:
    """Whatever the code does."""
    booking = scheduled(session)
    start(session, stripe, booking)
    values: dict[str, Any] = {"state": PaymentState.STARTING, "amount_minor": 6000, "currency": "GBP"}
    times = dict.fromkeys(("expires_at", "created_at", "updated_at"), NOW)
    second = Payment(booking_id=booking.id, attempt=2, **values, **times)
    with pytest.raises(sa.exc.IntegrityError), transaction(session):
        session.add(second)


def test_an_answer_that_was_lost_is_asked_for_under_the_same_key(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe
) -> None:
    """We died, or the line did, between our row and Stripe's answer: one Checkout Session all the same."""
    booking = scheduled(session)
    stripe_wire.lost = 3  # The SDK tries three times.
    with pytest.raises(StripeUnavailable):
        start(session, stripe, booking)
    assert attempts(session, booking) == [(1, PaymentState.STARTING)]
    stripe_wire.lost = 0
    url = start(session, stripe, booking, now=NOW + SECOND)
    assert len(stripe_wire.sessions) == 1
    assert len(set(stripe_wire.keys)) == 1
    assert url == next(iter(stripe_wire.sessions.values()))["url"]
    assert attempts(session, booking) == [(1, PaymentState.OPEN)]


def test_no_transaction_is_open_while_stripe_is_asked(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe
) -> None:
    """The gateway itself would raise; here the row is there already when it is asked."""
    booking = scheduled(session)
    stripe_wire.fail = [401]
    with pytest.raises(Exception, match="create a checkout session"):
        start(session, stripe, booking)
    assert attempts(session, booking) == [(1, PaymentState.STARTING)]


def test_a_refused_attempt_makes_room_for_the_next(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe
) -> None:
    """Another key, so that Stripe does not repeat its refusal."""
    booking = scheduled(session)
    stripe_wire.refuse = [{"message": "too soon", "param": "expires_at"}]
    assert start(session, stripe, booking)
    assert attempts(session, booking) == [(1, PaymentState.FAILED), (2, PaymentState.OPEN)]
    assert len(set(stripe_wire.keys)) == 2


def test_other_words_under_the_same_key_make_a_new_attempt(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe
) -> None:
    """The time was moved after an answer was lost: Stripe knows the key with another description."""
    booking = scheduled(session)
    stripe_wire.lost = 3
    with pytest.raises(StripeUnavailable):
        start(session, stripe, booking)
    stripe_wire.lost = 0
    old = reread(session, booking).invitee_uri
    moved = facts(booking, since=NOW + SECOND, replaces=old, starts_at=NOW + timedelta(days=9))
    take(session, booking, moved)
    assert start(session, stripe, booking)
    assert attempts(session, booking) == [(1, PaymentState.FAILED), (2, PaymentState.OPEN)]


def test_a_refusal_that_stays_is_said_in_words(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe
) -> None:
    """After a few tries, and no attempt is left open."""
    booking = scheduled(session)
    stripe_wire.refuse = [{"code": "amount_too_small"}] * 10
    with pytest.raises(Conflict, match="Stripe cannot take this payment"):
        start(session, stripe, booking)
    assert {state for _, state in attempts(session, booking)} == {PaymentState.FAILED}


@pytest.mark.parametrize("case", ["free", "pending", "paid", "expired", "hold over"])
def test_what_cannot_be_paid(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe, case: str
) -> None:
    """Is refused in words, and Stripe is not asked."""
    now = NOW
    booking = make_booking(session, price_minor=0 if case == "free" else 6000)
    if case != "pending":
        schedule(session, booking)
    if case == "paid":
        with transaction(session):
            session.get_one(Booking, booking.id).paid_at = NOW
    if case == "expired":
        with transaction(session):
            session.execute(sa.update(Booking).values(status=Status.EXPIRED))
    if case == "hold over":
        now = NOW + HOLD
    with pytest.raises(Conflict):
        start(session, stripe, booking, now=now)
    assert stripe_wire.seen == []


def test_paid_confirms_once_however_often_it_is_told(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe
) -> None:
    """One ledger entry, one confirmation."""
    booking = scheduled(session)
    start(session, stripe, booking)
    (session_id,) = stripe_wire.sessions
    paid = stripe_wire.pay(session_id)
    for _ in range(3):
        assert told(session, booking, paid).status is Status.CONFIRMED
    assert money(session, booking) == payments.MoneySummary(PaymentStatus.PAID, 6000, 0)
    assert len(session.scalars(sa.select(LedgerEntry)).all()) == 1
    end_read(session)


def test_the_webhook_may_be_faster_than_our_own_note(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe
) -> None:
    """Stripe has made the session and told of it; we have not heard its id: the metadata says whose it is."""
    booking = scheduled(session)
    stripe_wire.lost = 3
    with pytest.raises(StripeUnavailable):
        start(session, stripe, booking)
    (session_id,) = stripe_wire.sessions
    assert told(session, booking, stripe_wire.pay(session_id)).status is Status.CONFIRMED


def test_somebody_elses_session_is_none_of_ours(session: Session, stripe_wire: fakes.Stripe) -> None:
    """Another application may share the account."""
    booking = scheduled(session)
    foreign = published("stripe/checkout_session.paid.json")
    assert incoming_payments.apply_checkout(session, read_checkout_session(foreign), PAID, now=NOW) is None
    assert reread(session, booking).status is Status.SCHEDULED


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
def test_wrong_money_never_confirms(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe, wrong: dict[str, Any]
) -> None:
    """A person is asked; the page does not ask the client for money again."""
    booking = scheduled(session)
    start(session, stripe, booking)
    (session_id,) = stripe_wire.sessions
    for _ in range(2):
        found = told(session, booking, stripe_wire.pay(session_id, **wrong))
        assert (found.status, found.paid_at) == (Status.SCHEDULED, None)
        assert found.attention
    before = len(stripe_wire.created)
    with pytest.raises(Conflict):
        start(session, stripe, booking)
    assert len(stripe_wire.created) == before


def test_a_delayed_payment_keeps_the_time(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe
) -> None:
    """Complete is not paid: the hold is long, nothing is confirmed, and no second page is opened."""
    booking = scheduled(session)
    start(session, stripe, booking)
    (session_id,) = stripe_wire.sessions
    found = told(session, booking, stripe_wire.complete_unpaid(session_id))
    assert (found.status, found.hold_expires_at) == (Status.SCHEDULED, NOW + PROCESSING_HOLD)
    assert money(session, booking).status == "processing"
    with pytest.raises(Conflict, match="Your bank is still processing the payment"):
        start(session, stripe, booking)
    assert told(session, booking, stripe_wire.pay(session_id)).status is Status.CONFIRMED


def test_a_delayed_payment_that_fails_can_be_tried_again(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe
) -> None:
    """With a fresh hold; told twice, it is one failure."""
    booking = scheduled(session)
    start(session, stripe, booking)
    (session_id,) = stripe_wire.sessions
    unpaid = stripe_wire.complete_unpaid(session_id)
    told(session, booking, unpaid)
    later = NOW + timedelta(days=2)
    found = told(session, booking, unpaid, now=later, failed=True)
    assert (found.status, found.hold_expires_at) == (Status.SCHEDULED, later + HOLD)
    assert money(session, booking).status == "failed"
    told(session, booking, unpaid, now=later)
    assert money(session, booking).status == "failed"
    assert start(session, stripe, booking, now=later)
    assert attempts(session, booking) == [(1, PaymentState.FAILED), (2, PaymentState.OPEN)]


@pytest.mark.parametrize("end", [Status.CANCELED, Status.EXPIRED])
def test_money_for_a_booking_that_has_ended_goes_back(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe, end: Status
) -> None:
    """The fact is kept, the ledger counts it once, one refund is owed, and the booking does not come back; but where
    only its hold had ended, Calendly is asked first, once.
    """
    booking = scheduled(session)
    start(session, stripe, booking)
    with transaction(session):
        session.execute(sa.update(Booking).values(status=end))
    (session_id,) = stripe_wire.sessions
    paid = stripe_wire.pay(session_id)
    for _ in range(2):
        found = told(session, booking, paid)
        assert (found.status, found.paid_at) == (end, NOW)
        assert found.attention
    asked = len(session.scalars(sa.select(Job.id).where(Job.name == LATE_MONEY_JOB)).all())
    refund = money(session, booking).refund
    assert (asked, refund) == ((1, None) if end is Status.EXPIRED else (0, (6000, "enqueued")))
    assert money(session, booking).charged_minor == 6000


def test_asking_stripe_does_what_a_webhook_would_have(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe
) -> None:
    """Where that one never comes."""
    booking = scheduled(session)
    start(session, stripe, booking)
    (session_id,) = stripe_wire.sessions
    payment_id = session.scalars(sa.select(Payment.id)).one()
    end_read(session)
    incoming_payments.check_payment(session, stripe, payment_id=payment_id, timers=TIMERS, now=NOW)
    assert reread(session, booking).status is Status.SCHEDULED
    stripe_wire.pay(session_id)
    incoming_payments.check_payment(session, stripe, payment_id=payment_id, timers=TIMERS, now=NOW)
    assert reread(session, booking).status is Status.CONFIRMED
    asked = len(stripe_wire.seen)
    incoming_payments.check_payment(session, stripe, payment_id=payment_id, timers=TIMERS, now=NOW)
    assert len(stripe_wire.seen) == asked


def test_stripe_that_does_not_answer_leaves_everything_as_it_was(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe
) -> None:
    """The client can try again."""
    booking = scheduled(session)
    stripe_wire.fail = [503, 503, 503]
    with pytest.raises(StripeUnavailable):
        start(session, stripe, booking)
    assert reread(session, booking).status is Status.SCHEDULED


def test_a_booking_that_ends_while_stripe_is_asked_opens_no_page(
    session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its new Checkout Session is closed again, so that nobody can pay for nothing."""
    booking = scheduled(session)
    create = StripeGateway.create_checkout_session

    def slow(self: StripeGateway, *args: Any, **kwargs: Any) -> Any:
        made = create(self, *args, **kwargs)
        with transaction(session):
            session.execute(sa.update(Booking).values(status=Status.CANCELED))
        return made

    monkeypatch.setattr(StripeGateway, "create_checkout_session", slow)
    with pytest.raises(Conflict):
        start(session, stripe, booking)
    (made,) = stripe_wire.sessions.values()
    assert made["status"] == "expired"
    assert attempts(session, booking) == [(1, PaymentState.EXPIRED)]
