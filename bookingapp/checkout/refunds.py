"""Money back: decided in one transaction, asked of Stripe by the worker, entered when Stripe says so."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings import service as bookings
from bookingapp.bookings.mails import Mail
from bookingapp.bookings.mails import owe as owe_mail
from bookingapp.bookings.models import Booking
from bookingapp.core.db import release, transaction
from bookingapp.core.queue import OPEN, Job, enqueue
from bookingapp.integrations.stripe_gateway import (
    BadReply,
    Rejected,
    StripeGateway,
    StripeGatewayError,
    Unauthorized,
)
from bookingapp.integrations.stripe_gateway import Refund as StripeRefund
from bookingapp.payments import ledger
from bookingapp.payments import service as payments
from bookingapp.payments.models import Payment, PaymentState, Refund, RefundState

log = structlog.get_logger(__name__)

REFUND_JOB = "payments.refund"
METADATA_KEY = "refund"
ASKED = "asked Stripe"
WITH_THE_BANK = "the client's bank has the money for a dispute"
MADE_OUTSIDE = "made in Stripe's dashboard"
REFUSED = "Stripe refused a refund that is owed: it has to be made by hand."
DELAYED = "A refund could not be sent to Stripe yet: it is tried again by itself until it is."
OUTSIDE = (
    "Money was paid back in Stripe's dashboard, and the booking still stands: please keep it or cancel it."
)
UNDELIVERED = "A refund could not be delivered: it has to be paid out another way."
WRONG_MONEY = "Stripe received another amount or currency than the price of this booking."
WRONG_REFERENCE = "A payment arrived whose reference does not match this booking."

# How long a refund waits after each try that Stripe did not take; the last one goes on until it does.
WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60))
# Refusals that pass by themselves: the balance is filled again, a lock is given back.
PASSING = ("balance_insufficient", "insufficient_funds", "lock_timeout")

_STATES = {
    "pending": RefundState.PENDING,
    "requires_action": RefundState.PENDING,
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
}


def owe(
    session: Session,
    payment: Payment | None,
    *,
    amount_minor: int,
    reason: str,
    now: datetime,
) -> Refund | None:
    """Decide a refund, in the caller's transaction. None where nothing was paid or nothing is to go back."""
    if payment is None or amount_minor <= 0:
        return None
    refund = _add(session, payment, RefundState.OWED, amount_minor, reason, now)
    owe_sending(session, refund, run_at=now, now=now)
    return refund


def withhold(session: Session, payment: Payment, *, amount_minor: int, reason: str, now: datetime) -> None:
    """Note what would go back, and is with the client's bank for a dispute, in the caller's transaction: as what Stripe
    would refuse now. It is owed when the dispute is won (:func:`owe_again`).
    """
    if amount_minor > 0:
        _add(session, payment, RefundState.FAILED, amount_minor, reason, now).said_by = WITH_THE_BANK


def _add(
    session: Session, payment: Payment, state: RefundState, amount_minor: int, reason: str, now: datetime
) -> Refund:
    refund = Refund(
        booking_id=payment.booking_id,
        payment_id=payment.id,
        token=secrets.token_urlsafe(12),
        state=state,
        tries=0,
        amount_minor=amount_minor,
        currency=ledger.currency_of(session, payment),
        reason=reason,
        created_at=now,
        updated_at=now,
    )
    session.add(refund)
    session.flush()
    return refund


def see_to_sending(session: Session, refund: Refund, *, now: datetime) -> bool:
    """See to it that a refund that is owed has a next try, in the caller's transaction: a row that was given up is
    not the end of what we owe. Returns whether it had none.
    """
    mine = (Job.name == REFUND_JOB, Job.args["refund_id"].as_integer() == refund.id, sa.text(OPEN))
    if session.scalar(sa.select(Job.id).where(*mine).limit(1)) is not None:
        return False
    if not owe_sending(session, refund, run_at=now, now=now):
        refund.tries += 1
        owe_sending(session, refund, run_at=now, now=now)
    return True


def owe_sending(session: Session, refund: Refund, *, run_at: datetime, now: datetime) -> bool:
    """Owe the next try at a refund, in the caller's transaction; False where it is owed already."""
    key = f"refund:{refund.id}" + (f":{refund.tries}" if refund.tries else "")
    return enqueue(session, REFUND_JOB, key=key, args={"refund_id": refund.id}, run_at=run_at, now=now)


def owe_all_back(session: Session, booking: Booking, *, reason: str, now: datetime) -> int:
    """Owe everything that was paid for a booking that it was never confirmed for, in the caller's transaction.
    Returns how much that is.
    """
    if booking.paid_at is not None:
        return 0
    query = sa.select(Payment).where(Payment.booking_id == booking.id, Payment.state == PaymentState.PAID)
    return sum(owe_rest(session, booking, one, reason=reason, now=now) for one in session.scalars(query))


def owe_rest(session: Session, booking: Booking, payment: Payment, *, reason: str, now: datetime) -> int:
    """Owe what is left of one payment, and tell the client, in the caller's transaction; returns how much it is."""
    charged, returned = ledger.charged_and_returned(session, payment)
    refund = owe(session, payment, amount_minor=charged - returned, reason=reason, now=now)
    if refund is None:
        return 0
    said = {"refund_minor": refund.amount_minor, "currency": refund.currency}
    owe_mail(session, booking, Mail.PAYMENT_RETURNED, about=str(payment.attempt), said=said, now=now)
    return refund.amount_minor


def send(session: Session, stripe: StripeGateway, *, refund_id: int, now: datetime) -> None:
    """Ask Stripe for a refund that is owed. The key stays the same for every try, and Stripe's own list is
    looked at first, because Stripe forgets keys after a day.

    What waiting can cure is tried again for as long as it takes; of anything else a person is told.
    """
    refund = session.get(Refund, refund_id)
    payment = session.get(Payment, refund.payment_id) if refund else None
    charged = ledger.charged_and_returned(session, payment)[0] if payment else 0
    release(session)
    if refund is None or payment is None or payment.payment_intent_id is None:
        return
    if refund.state is not RefundState.OWED:
        return
    intent = payment.payment_intent_id
    try:
        known = stripe.list_refunds(intent)
        mine = [one for one in known if one.metadata.get(METADATA_KEY) == refund.token]
        gone = sum(one.amount_minor for one in known if _STATES.get(one.status) is not RefundState.FAILED)
        if not mine and refund.amount_minor > charged - gone:
            _make_do(session, refund, known, left=charged - gone, now=now)
            return
        answer = mine[0] if mine else _ask(stripe, intent, refund)
    except StripeGatewayError as error:
        _not_taken(session, refund, error, now=now)
        return
    with transaction(session):
        record(session, intent, [answer], now=now)


def _ask(stripe: StripeGateway, payment_intent: str, refund: Refund) -> StripeRefund:
    return stripe.create_refund(
        payment_intent,
        refund.amount_minor,
        reason="requested_by_customer",
        metadata={METADATA_KEY: refund.token},
        idempotency_key=f"refund-{refund.token}",
    )


def _make_do(
    session: Session, refund: Refund, known: Iterable[StripeRefund], *, left: int, now: datetime
) -> None:
    """Somebody has paid back in the meantime, so that less is left than we owe: that is what we pay back."""
    with transaction(session):
        bookings.lock(session, refund.booking_id)
        payment = session.get_one(Payment, refund.payment_id)
        ours = session.get_one(Refund, refund.id, with_for_update=True)
        if ours.state is not RefundState.OWED:
            return
        ours.state, ours.updated_at, ours.said_by = RefundState.DROPPED, now, MADE_OUTSIDE
        record(session, payment.payment_intent_id or "", known, now=now)
        owe(session, payment, amount_minor=left, reason=refund.reason, now=now)


def _not_taken(session: Session, refund: Refund, error: StripeGatewayError, *, now: datetime) -> None:
    passes = error.retryable or isinstance(error, Unauthorized | BadReply)
    passes = passes or (isinstance(error, Rejected) and error.code in PASSING)
    with transaction(session):
        booking = bookings.lock(session, refund.booking_id)
        ours = session.get_one(Refund, refund.id, with_for_update=True)
        if ours.state is not RefundState.OWED:
            return
        ours.checked_at, ours.updated_at = now, now
        if passes:
            ours.tries += 1
            wait = WAITS[min(ours.tries, len(WAITS)) - 1]
            owe_sending(session, ours, run_at=now + wait, now=now)
            attention.flag(booking, DELAYED)
        else:
            ours.state, ours.said_by = RefundState.FAILED, f"Stripe refused: {error.category}"
            attention.unflag(booking, DELAYED)
            attention.flag(booking, REFUSED)
    code = getattr(error, "code", None)
    log.error("refund_not_taken", refund=refund.id, category=error.category, code=code, retried=passes)


def record(
    session: Session,
    payment_intent_id: str,
    refunds: Iterable[StripeRefund],
    *,
    said_by: str = ASKED,
    now: datetime,
) -> int | None:
    """Take over what Stripe says of a payment's refunds, whoever made them, in the caller's transaction.
    Returns the booking's id, or None where the payment is not (yet) known.
    """
    payment = payments.by_payment_intent(session, payment_intent_id)
    if payment is None:
        return None
    booking = bookings.lock(session, payment.booking_id)
    payment.checked_at = now
    for theirs in refunds:
        ours = _ours(session, payment, theirs)
        if ours is None:
            ours = _made_outside(session, booking, payment, theirs, now=now)
        before, ours.state = ours.state, _newest(ours, _STATES.get(theirs.status, RefundState.PENDING))
        ours.stripe_id, ours.checked_at = theirs.id, now
        if ours.state is not before or ours.said_by is None:
            ours.said_by, ours.updated_at = said_by, now
        if ours.state is RefundState.FAILED and before is not RefundState.FAILED:
            attention.flag(booking, UNDELIVERED)
        elif ours.state is not RefundState.FAILED:
            attention.unflag(booking, DELAYED)
        ledger.enter_refund(session, payment, ours, now=now)
        ledger.enter_fee(session, payment, theirs.balance, now=now)
    if payments.money(session, booking).status == "refunded":
        _all_is_back(booking)
    return booking.id


def _all_is_back(booking: Booking) -> None:
    """Whoever did it: no refund has to be made by hand any more, and who paid something wrong may pay again."""
    attention.unflag(booking, REFUSED, UNDELIVERED)
    if not booking.status.is_final:
        attention.unflag(booking, WRONG_MONEY, WRONG_REFERENCE)


def _newest(ours: Refund, said: RefundState) -> RefundState:
    """What was said last. Two answers of Stripe's may reach us in the wrong order, and a refund goes but one way: it
    is pending, then succeeded, and may fail at any time, for good.
    """
    order = (RefundState.PENDING, RefundState.SUCCEEDED, RefundState.FAILED)
    if ours.stripe_id is None or ours.state not in order:
        return said
    return max(ours.state, said, key=order.index)


def owe_again(session: Session, payment: Payment, *, now: datetime) -> None:
    """Owe anew what Stripe had refused and can pay now, in the caller's transaction."""
    query = sa.select(Refund).where(
        Refund.payment_id == payment.id, Refund.state == RefundState.FAILED, Refund.stripe_id.is_(None)
    )
    for refused in session.scalars(query).all():
        refused.state, refused.updated_at = RefundState.DROPPED, now
        owe(session, payment, amount_minor=refused.amount_minor, reason=refused.reason, now=now)


def _ours(session: Session, payment: Payment, theirs: StripeRefund) -> Refund | None:
    """Our row of a refund at Stripe."""
    same = sa.or_(Refund.stripe_id == theirs.id, Refund.token == theirs.metadata.get(METADATA_KEY, theirs.id))
    return session.scalar(sa.select(Refund).where(same, Refund.payment_id == payment.id))


def _made_outside(
    session: Session, booking: Booking, payment: Payment, theirs: StripeRefund, *, now: datetime
) -> Refund:
    """A new row for a refund that we did not make. Where the booking was paid, the builder is asked what is to be."""
    row = Refund(
        booking_id=payment.booking_id,
        payment_id=payment.id,
        token=secrets.token_urlsafe(12),
        state=RefundState.PENDING,
        tries=0,
        amount_minor=theirs.amount_minor,
        currency=theirs.currency,
        reason=MADE_OUTSIDE,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    if booking.paid_at is not None and not booking.status.is_final:
        attention.flag(booking, OUTSIDE)
        said = {"refund_minor": theirs.amount_minor, "currency": theirs.currency}
        owe_mail(session, booking, Mail.REFUNDED_OUTSIDE_BUILDER, about=theirs.id, said=said, now=now)
    return row
