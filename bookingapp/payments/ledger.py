"""The ledger: each movement of money that Stripe reports, entered once. Each function is part of its caller's
transaction and commits nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.core.db import insert_if_new
from bookingapp.integrations.stripe_gateway import BalanceTransaction, CheckoutSession
from bookingapp.payments.models import (
    Dispute,
    EntryKind,
    LedgerEntry,
    Payment,
    PaymentState,
    Refund,
    RefundState,
)

MOVED = "bookings_whose_money_moved"
"""In a session's ``info``: the ids of bookings whose payment status has to be stored anew."""


@dataclass(frozen=True)
class Sums:
    """The sums of a booking's ledger in minor units: charged, refunded, and taken back by banks for disputes.

    ``charged_open`` counts the charges of those attempts that were not refunded in full, and ``refunded_of_open`` the
    refunds of these: a second payment that was refunded does not make the first one partially refunded.
    """

    charged: int = 0
    refunded: int = 0
    taken_back: int = 0
    charged_open: int = 0
    refunded_of_open: int = 0


def enter_charge(session: Session, payment: Payment, checkout: CheckoutSession, *, now: datetime) -> bool:
    """Enter a paid attempt's charge and its fee. Returns False where it was entered before."""
    payment.state = PaymentState.PAID
    payment.payment_intent_id = checkout.payment_intent or payment.payment_intent_id
    payment.updated_at = now
    news = _add_entry(
        session,
        payment,
        EntryKind.CHARGE,
        amount_minor=checkout.amount_total or 0,
        currency=checkout.currency or payment.currency,
        stripe_id=checkout.payment_intent or checkout.id,
        now=now,
    )
    enter_fee(session, payment, checkout.balance, now=now)
    return news


def enter_refund(session: Session, payment: Payment, refund: Refund, *, now: datetime) -> None:
    """Enter a refund once it succeeded, and enter it back where the bank rejected it later (even weeks later)."""
    if refund.stripe_id is None:
        return
    minor, stripe_id = -refund.amount_minor, refund.stripe_id
    if refund.state is RefundState.FAILED and _is_entered(session, stripe_id):
        minor, stripe_id = refund.amount_minor, f"{stripe_id}:failed"
    elif refund.state is not RefundState.SUCCEEDED:
        return
    _add_entry(
        session,
        payment,
        EntryKind.REFUND,
        amount_minor=minor,
        currency=refund.currency,
        stripe_id=stripe_id,
        now=now,
    )


def enter_dispute(
    session: Session, payment: Payment, movement: BalanceTransaction, disputed_minor: int, *, now: datetime
) -> None:
    """Enter a dispute's movement: withdrawn or reinstated. Where the Stripe balance has another currency than the
    payment, the amount is ``disputed_minor``, in the payment's currency.
    """
    amount = movement.amount_minor
    if movement.currency != payment.currency:
        amount = disputed_minor if amount > 0 else -disputed_minor
    _add_entry(
        session,
        payment,
        EntryKind.DISPUTE,
        amount_minor=amount,
        currency=payment.currency,
        stripe_id=movement.id,
        now=now,
    )
    enter_fee(session, payment, movement, now=now)


def enter_fee(
    session: Session, payment: Payment, movement: BalanceTransaction | None, *, now: datetime
) -> None:
    """Enter the fee that Stripe kept of a movement, if any."""
    if movement is None or not movement.fee_minor:
        return
    _add_entry(
        session,
        payment,
        EntryKind.FEE,
        amount_minor=-movement.fee_minor,
        currency=movement.currency,
        stripe_id=f"{movement.id}:fee",
        now=now,
    )


_BY = (LedgerEntry.booking_id, LedgerEntry.payment_id, LedgerEntry.kind)
# Built once, because every page of a booking executes it.
_SUMS = (
    sa.select(*_BY, sa.func.sum(LedgerEntry.amount_minor))
    .where(LedgerEntry.booking_id.in_(sa.bindparam("booking_ids", expanding=True)))
    .group_by(*_BY)
)


def sum_ledgers(session: Session, booking_ids: list[int]) -> dict[int, Sums]:
    """The sums of many bookings' ledgers, in one query, without fees."""
    attempts: dict[int, dict[int, dict[EntryKind, int]]] = {}
    for booking_id, payment_id, kind, total in session.execute(_SUMS, {"booking_ids": booking_ids}):
        attempts.setdefault(booking_id, {}).setdefault(payment_id, {})[kind] = int(total)
    return {booking_id: _sum_attempts(list(found.values())) for booking_id, found in attempts.items()}


def _sum_attempts(attempts: list[dict[EntryKind, int]]) -> Sums:
    moved = [
        Sums(one.get(EntryKind.CHARGE, 0), -one.get(EntryKind.REFUND, 0), -one.get(EntryKind.DISPUTE, 0))
        for one in attempts
    ]
    not_refunded = [one for one in moved if one.refunded < one.charged]
    return Sums(
        charged=sum(one.charged for one in moved),
        refunded=sum(one.refunded for one in moved),
        taken_back=sum(one.taken_back for one in moved),
        charged_open=sum(one.charged for one in not_refunded),
        refunded_of_open=sum(one.refunded for one in not_refunded),
    )


def charged_and_returned(session: Session, payment: Payment) -> tuple[int, int]:
    """What one attempt brought in, and what of it is returned: by every refund that has not failed, ours or another,
    and by disputes. In minor units of the paid currency.
    """
    query = sa.select(LedgerEntry.kind, sa.func.sum(LedgerEntry.amount_minor))
    query = query.where(LedgerEntry.payment_id == payment.id).group_by(LedgerEntry.kind)
    moved = {kind: int(total) for kind, total in session.execute(query)}
    counting = [state for state in RefundState if state.counts]
    back = sa.select(sa.func.sum(Refund.amount_minor)).where(
        Refund.payment_id == payment.id, Refund.state.in_(counting)
    )
    taken = -moved.get(EntryKind.DISPUTE, 0)
    return moved.get(EntryKind.CHARGE, 0), int(session.scalar(back) or 0) + taken


def withdrawn_by_open_disputes(session: Session, payment: Payment) -> int:
    """What banks have withdrawn of one attempt by disputes that are still open, in minor units; not what is lost."""
    disputes = _list_disputes(session, payment)
    if not any(one.is_open for one in disputes):
        return 0
    lost = sum(one.amount_minor for one in disputes if one.is_lost)
    return max(0, -_moved_by_disputes(session, payment) - lost)


def refundable_beside_disputes(session: Session, payment: Payment) -> int:
    """What is left to refund of one attempt, in minor units: without refunds that have not failed, and without what
    banks hold or have returned to the client. By the disputes' states, because Stripe may report that one is won before
    the money is back.
    """
    disputes = _list_disputes(session, payment)
    taken = sum(one.amount_minor for one in disputes if one.is_lost or one.holds_money)
    charged, returned = charged_and_returned(session, payment)
    refunded = returned + _moved_by_disputes(session, payment)
    return max(0, charged - refunded - taken)


def _list_disputes(session: Session, payment: Payment) -> Sequence[Dispute]:
    return session.scalars(sa.select(Dispute).where(Dispute.payment_id == payment.id)).all()


def _moved_by_disputes(session: Session, payment: Payment) -> int:
    """What disputes have moved in one attempt, in minor units: below zero for what banks have withdrawn."""
    query = sa.select(sa.func.sum(LedgerEntry.amount_minor)).where(
        LedgerEntry.payment_id == payment.id, LedgerEntry.kind == EntryKind.DISPUTE
    )
    return int(session.scalar(query) or 0)


def find_earning_payment(session: Session, booking_id: int) -> Payment | None:
    """The paid attempt of which most is left after refunds and disputes, or None."""
    query = sa.select(Payment).where(Payment.booking_id == booking_id, Payment.state == PaymentState.PAID)
    left: dict[int, int] = {}
    found = list(session.scalars(query.order_by(Payment.attempt.desc())))
    for payment in found:
        charged, returned = charged_and_returned(session, payment)
        left[payment.id] = charged - returned
    return max(found, key=lambda payment: left[payment.id], default=None)


def paid_currency(session: Session, payment: Payment) -> str:
    """The currency in which an attempt was paid; the requested one where it was not paid."""
    query = sa.select(LedgerEntry.currency).where(
        LedgerEntry.payment_id == payment.id, LedgerEntry.kind == EntryKind.CHARGE
    )
    return session.scalar(query) or payment.currency


def _is_entered(session: Session, stripe_id: str) -> bool:
    query = sa.select(LedgerEntry.id).where(LedgerEntry.stripe_id == stripe_id)
    return session.scalar(query) is not None


def note_movement(session: Session, booking_id: int) -> None:
    """Note that a booking's money moved in this transaction, for :mod:`bookingapp.payments.stored_status`."""
    session.info.setdefault(MOVED, set()).add(booking_id)


def _add_entry(
    session: Session,
    payment: Payment,
    kind: EntryKind,
    *,
    amount_minor: int,
    currency: str,
    stripe_id: str,
    now: datetime,
) -> bool:
    session.flush()
    note_movement(session, payment.booking_id)
    values = {
        "booking_id": payment.booking_id,
        "payment_id": payment.id,
        "kind": kind,
        "amount_minor": amount_minor,
        "currency": currency,
        "stripe_id": stripe_id,
        "at": now,
    }
    return insert_if_new(session, LedgerEntry, values, ["stripe_id"]) is not None
