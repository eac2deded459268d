"""The ledger: what Stripe reports is entered once, with its sign and currency, and adds up to what we have."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import RefundReason
from bookingapp.bookings.models import Booking
from bookingapp.core.db import transaction
from bookingapp.integrations.stripe_gateway import BalanceTransaction, CheckoutSession, read_checkout_session
from bookingapp.payments import ledger
from bookingapp.payments import service as payments
from bookingapp.payments.ledger import Sums
from bookingapp.payments.models import LedgerEntry, Payment, PaymentState, Refund, RefundState
from tests.factories import NOW, make_booking, number, published

pytestmark = pytest.mark.any_database

LATER = NOW + timedelta(hours=1)
BALANCE = BalanceTransaction(id="txn_1", amount_minor=6000, fee_minor=110, currency="GBP")


def make_payment(session: Session, booking: Booking, *, attempt: int = 1, **how: Any) -> Payment:
    """An attempt that was paid; nothing is entered yet. Commits."""
    values: dict[str, Any] = {
        "state": PaymentState.PAID,
        "amount_minor": 6000,
        "currency": "GBP",
        "expires_at": LATER,
        "created_at": NOW,
        "updated_at": NOW,
        **how,
    }
    with transaction(session):
        payment = Payment(booking_id=booking.id, attempt=attempt, **values)
        session.add(payment)
    return payment


def make_refund(
    session: Session, payment: Payment, amount_minor: int, state: RefundState, **how: Any
) -> Refund:
    """A refund. Commits."""
    values: dict[str, Any] = {
        "currency": "GBP",
        "reason": RefundReason.CANCELED_BY_CLIENT,
        "created_at": NOW,
        "updated_at": NOW,
        **how,
    }
    with transaction(session):
        refund = Refund(
            booking_id=payment.booking_id,
            payment_id=payment.id,
            token=f"token-{number()}",
            amount_minor=amount_minor,
            state=state,
            **values,
        )
        session.add(refund)
    return refund


def checkout(**how: Any) -> CheckoutSession:
    """A Checkout Session that is paid, as Stripe shows it."""
    paid = read_checkout_session(published("stripe/checkout_session.open.json"))
    values: dict[str, Any] = {
        "id": "cs_1",
        "status": "complete",
        "payment_status": "paid",
        "amount_total": 6000,
        "currency": "GBP",
        "payment_intent": "pi_1",
        **how,
    }
    return replace(paid, **values)


def charge(session: Session, payment: Payment, **how: Any) -> bool:
    """Enter a payment that Stripe reports. Commits."""
    paid = checkout(**{"payment_intent": f"pi_{payment.id}", **how})
    with transaction(session):
        return ledger.enter_charge(session, session.get_one(Payment, payment.id), paid, now=LATER)


def refunded(session: Session, payment: Payment, refund: Refund) -> None:
    """Enter a refund. Commits."""
    with transaction(session):
        ledger.enter_refund(session, payment, session.get_one(Refund, refund.id), now=LATER)


def disputed(session: Session, payment: Payment, movement: BalanceTransaction, minor: int = 6000) -> None:
    """Enter a movement of a dispute. Commits."""
    with transaction(session):
        ledger.enter_dispute(session, payment, movement, minor, now=LATER)


def entries(session: Session, booking: Booking) -> list[tuple[str, int, str, str]]:
    """Kind, minor units, currency and Stripe's id of all that moved for a booking, in order."""
    query = sa.select(LedgerEntry).where(LedgerEntry.booking_id == booking.id).order_by(LedgerEntry.id)
    rows = session.scalars(query).all()
    assert {row.at for row in rows} <= {LATER}
    return [(row.kind.value, row.amount_minor, row.currency, row.stripe_id) for row in rows]


def test_a_charge_is_entered_once_with_its_fee(session: Session) -> None:
    """However often it is reported; the attempt is paid, and has the payment intent that refunds will name."""
    booking = make_booking(session)
    payment = make_payment(session, booking, state=PaymentState.OPEN)
    assert charge(session, payment, payment_intent="pi_1", balance=BALANCE) is True
    assert charge(session, payment, payment_intent="pi_1", balance=BALANCE) is False
    assert entries(session, booking) == [("charge", 6000, "GBP", "pi_1"), ("fee", -110, "GBP", "txn_1:fee")]
    kept = session.get_one(Payment, payment.id)
    assert (kept.state, kept.payment_intent_id) == (PaymentState.PAID, "pi_1")
    assert kept.updated_at == LATER


def test_a_charge_says_what_came_in_and_not_what_was_asked(session: Session) -> None:
    booking = make_booking(session)
    charge(session, make_payment(session, booking), payment_intent="pi_1", amount_total=7100, currency="EUR")
    assert entries(session, booking) == [("charge", 7100, "EUR", "pi_1")]


def test_a_session_that_cost_nothing_is_entered_as_nothing(session: Session) -> None:
    """It has no payment intent and may name no amount: its own id keeps it to one entry, in the price's currency."""
    booking = make_booking(session)
    payment = make_payment(session, booking, payment_intent_id="pi_known", currency="EUR")
    nothing = {"payment_intent": None, "amount_total": None, "currency": None}
    assert [charge(session, payment, **nothing) for _ in range(2)] == [True, False]
    assert entries(session, booking) == [("charge", 0, "EUR", "cs_1")]
    assert session.get_one(Payment, payment.id).payment_intent_id == "pi_known"


def test_an_unknown_fee_is_not_entered(session: Session) -> None:
    """Neither where Stripe reports no movement nor where it kept nothing; reported later, it is entered once."""
    booking = make_booking(session)
    payment = make_payment(session, booking)
    charge(session, payment, payment_intent="pi_1", balance=replace(BALANCE, fee_minor=0))
    assert entries(session, booking) == [("charge", 6000, "GBP", "pi_1")]
    in_euro = replace(BALANCE, fee_minor=130, currency="EUR")
    for movement in (None, in_euro, in_euro):
        with transaction(session):
            ledger.enter_fee(session, payment, movement, now=LATER)
    assert entries(session, booking)[1:] == [("fee", -130, "EUR", "txn_1:fee")]


REFUNDS = [*((state, "re_1") for state in RefundState), (RefundState.SUCCEEDED, None)]


@pytest.mark.parametrize(("state", "stripe_id"), REFUNDS)
def test_only_a_refund_that_succeeded_is_entered(
    session: Session, state: RefundState, stripe_id: str | None
) -> None:
    """What is enqueued or pending has not moved, what failed at once never did, nor what Stripe has no id for."""
    booking = make_booking(session)
    payment = make_payment(session, booking)
    refund = make_refund(session, payment, 1500, state, stripe_id=stripe_id, currency="EUR")
    for _ in range(2):
        refunded(session, payment, refund)
    is_moved = state is RefundState.SUCCEEDED and stripe_id is not None
    assert entries(session, booking) == ([("refund", -1500, "EUR", "re_1")] if is_moved else [])


def test_a_refund_that_the_bank_returns_is_entered_with_the_other_sign(session: Session) -> None:
    """Once, however often it is reported; a refund that failed at once is not one of those."""
    booking = make_booking(session)
    payment = make_payment(session, booking)
    refund = make_refund(session, payment, 1500, RefundState.SUCCEEDED, stripe_id="re_1")
    refunded(session, payment, refund)
    with transaction(session):
        session.get_one(Refund, refund.id).state = RefundState.FAILED
    failed_at_once = make_refund(session, payment, 700, RefundState.FAILED, stripe_id="re_2")
    for one in (refund, refund, failed_at_once):
        refunded(session, payment, one)
    assert entries(session, booking) == [
        ("refund", -1500, "GBP", "re_1"),
        ("refund", 1500, "GBP", "re_1:failed"),
    ]


def test_a_dispute_is_entered_as_it_moved_the_balance(session: Session) -> None:
    """Taken with a fee, then returned; each movement once."""
    booking = make_booking(session)
    payment = make_payment(session, booking)
    taken = BalanceTransaction(id="txn_taken", amount_minor=-6000, fee_minor=1500, currency="GBP")
    given = BalanceTransaction(id="txn_given", amount_minor=6000, fee_minor=0, currency="GBP")
    # In the payment's own currency the balance counts, also where the dispute is about another amount.
    for movement in (taken, taken, given, given):
        disputed(session, payment, movement, 5000)
    assert entries(session, booking) == [
        ("dispute", -6000, "GBP", "txn_taken"),
        ("fee", -1500, "GBP", "txn_taken:fee"),
        ("dispute", 6000, "GBP", "txn_given"),
    ]


def test_a_dispute_on_a_balance_of_another_currency_is_entered_in_the_payments(session: Session) -> None:
    """The disputed amount moved; the fee stays in the currency in which Stripe kept it."""
    booking = make_booking(session)
    payment = make_payment(session, booking, currency="JPY", amount_minor=150)
    taken = BalanceTransaction(id="txn_taken", amount_minor=-1, fee_minor=20, currency="USD")
    given = BalanceTransaction(id="txn_given", amount_minor=1, fee_minor=0, currency="USD")
    for movement in (taken, given):
        disputed(session, payment, movement, 150)
    assert entries(session, booking) == [
        ("dispute", -150, "JPY", "txn_taken"),
        ("fee", -20, "USD", "txn_taken:fee"),
        ("dispute", 150, "JPY", "txn_given"),
    ]


def test_the_sums_of_many_bookings(session: Session) -> None:
    """Of those that have a ledger and were asked for; fees are no part of it."""
    paid, partly, taken, only_fee, none, other = (make_booking(session) for _ in range(6))
    for booking in (paid, partly, taken, other):
        charge(session, make_payment(session, booking))
    fee_payment, part_payment, taken_payment = (
        make_payment(session, booking, attempt=2) for booking in (only_fee, partly, taken)
    )
    charge(session, part_payment, amount_total=10_000, balance=replace(BALANCE, id="txn_part"))
    for minor, id_ in ((1500, "re_1"), (300, "re_2")):
        back = make_refund(session, part_payment, minor, RefundState.SUCCEEDED, stripe_id=id_)
        refunded(session, part_payment, back)
    disputed(session, taken_payment, BalanceTransaction("txn_taken", -6000, 0, "GBP"))
    with transaction(session):
        ledger.enter_fee(session, fee_payment, BALANCE, now=LATER)
    asked = [booking.id for booking in (paid, partly, taken, only_fee, none)]
    assert ledger.sum_ledgers(session, asked) == {
        paid.id: Sums(charged=6000, charged_open=6000),
        partly.id: Sums(charged=16000, refunded=1800, charged_open=16000, refunded_of_open=1800),
        taken.id: Sums(charged=6000, taken_back=6000, charged_open=6000),
        only_fee.id: Sums(),
    }


@pytest.mark.parametrize(
    ("back", "word"),
    [
        ([0], "paid"),
        ([2000], "partially_refunded"),
        ([6000], "refunded"),
        ([0, 6000], "paid"),
        ([6000, 0], "paid"),
        ([2000, 6000], "partially_refunded"),
        ([6000, 6000], "refunded"),
        ([0, 2000], "partially_refunded"),
    ],
)
def test_an_attempt_that_was_refunded_in_full_does_not_count(
    session: Session, back: list[int], word: str
) -> None:
    """``back`` is the refund of each attempt's 6000."""
    booking = make_booking(session)
    for attempt, minor in enumerate(back, start=1):
        payment = make_payment(session, booking, attempt=attempt)
        charge(
            session, payment, payment_intent=f"pi_{attempt}", balance=replace(BALANCE, id=f"txn_{attempt}")
        )
        if minor:
            refund = make_refund(session, payment, minor, RefundState.SUCCEEDED, stripe_id=f"re_{attempt}")
            refunded(session, payment, refund)
    with transaction(session):
        money = payments.summarize_money(session, bookings.get_by_ref(session, booking.ref))
        sums = (money.charged_minor, money.refunded_minor)
        assert (money.status, sums) == (word, (6000 * len(back), sum(back)))
        assert payments.payment_statuses(session, [booking.id]) == {booking.id: word}


def test_what_was_charged_and_returned_of_one_attempt(session: Session) -> None:
    """An enqueued refund counts; one that failed or was dropped does not, nor does another attempt's money."""
    booking = make_booking(session)
    payment, beside = (make_payment(session, booking, attempt=attempt) for attempt in (1, 2))
    assert ledger.charged_and_returned(session, payment) == (0, 0)
    charge(session, payment)
    charge(session, beside, amount_total=5000)
    assert ledger.charged_and_returned(session, payment) == (6000, 0)
    for minor, state in zip((1, 20, 300, 1000, 2000), RefundState, strict=True):
        make_refund(session, payment, minor, state)
    make_refund(session, beside, 4000, RefundState.ENQUEUED)
    going = {RefundState.ENQUEUED: 1, RefundState.PENDING: 20, RefundState.SUCCEEDED: 300}
    assert ledger.charged_and_returned(session, payment) == (6000, sum(going.values()))
    disputed(session, payment, BalanceTransaction("txn_taken", -500, 0, "GBP"))
    assert ledger.charged_and_returned(session, payment) == (6000, 821)
    assert ledger.charged_and_returned(session, beside) == (5000, 4000)


def test_a_dispute_that_is_reported_before_its_payment(session: Session) -> None:
    payment = make_payment(session, make_booking(session))
    disputed(session, payment, BalanceTransaction("txn_taken", -6000, 0, "GBP"))
    assert ledger.charged_and_returned(session, payment) == (0, 6000)


def test_the_earning_attempt(session: Session) -> None:
    """None while nothing is paid; then the newest; then the one with most left of it."""

    def earning() -> int | None:
        found = ledger.find_earning_payment(session, booking.id)
        return found.attempt if found else None

    booking, other = make_booking(session), make_booking(session)
    charge(session, make_payment(session, other, attempt=9), amount_total=9000)
    make_payment(session, booking, attempt=1, state=PaymentState.FAILED)
    assert earning() is None
    first, second = (make_payment(session, booking, attempt=attempt) for attempt in (2, 3))
    for payment in (first, second):
        charge(session, payment)
    make_payment(session, booking, attempt=4, state=PaymentState.EXPIRED)
    assert earning() == second.attempt
    make_refund(session, second, 1, RefundState.ENQUEUED)
    assert earning() == first.attempt
    make_refund(session, first, 6000, RefundState.SUCCEEDED)
    assert earning() == second.attempt


def test_the_currency_of_a_payment(session: Session) -> None:
    """The one of its charge, not of a fee or of another attempt."""
    booking = make_booking(session)
    beside, payment = (make_payment(session, booking, attempt=attempt) for attempt in (1, 2))
    charge(session, beside, currency="JPY")
    with transaction(session):
        ledger.enter_fee(session, payment, replace(BALANCE, currency="USD"), now=LATER)
    assert ledger.paid_currency(session, payment) == "GBP"
    charge(session, payment, currency="EUR")
    assert ledger.paid_currency(session, payment) == "EUR"
