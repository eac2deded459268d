"""What the page of one booking shows: its present state, its money, its history, and what the builder can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings.addresses import mail_addresses
from bookingapp.bookings.attendance import can_mark_no_show
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Booking, HistoryEntry
from bookingapp.bookings.moves import list_moves
from bookingapp.bookings.slot import find_seats
from bookingapp.checkout.booking_mail import list_given_up
from bookingapp.checkout.presenter import BookingView, present_booking
from bookingapp.dashboard.service import BookingRow, list_rows
from bookingapp.dashboard.words import bookings as words
from bookingapp.payments import service as payments
from bookingapp.payments.fraud_warnings import refundable_after_warning
from bookingapp.payments.models import LedgerEntry


class HistoryLine(NamedTuple):
    """One change: what changed, and why it changed and who changed it."""

    at: datetime
    change: str
    why: str


@dataclass(frozen=True)
class MoneyDetails:
    """A booking's money: entries of the ledger with their labels, disputes as sentences with the day until which Stripe
    accepts the builder's answer, and how and when the newest payment was last checked. ``warned`` is what can be
    refunded before an early fraud warning becomes a dispute (minor units, currency).
    """

    movements: Sequence[tuple[str, LedgerEntry]]
    disputes: Sequence[tuple[str, datetime | None]]
    checked_by: str | None
    checked_at: datetime | None
    warned: tuple[int, str] | None


@dataclass(frozen=True)
class BookingDetails:
    """Everything that the page shows, by the names of the template's variables."""

    row: BookingRow
    b: BookingView
    emails: Sequence[str]
    refund: str | None
    history: Sequence[HistoryLine]
    moves: Sequence[str]
    can_mark: bool
    slot_source: str | None
    given_up: Sequence[str]
    account: MoneyDetails


def load_details(session: Session, booking: Booking, *, now: datetime) -> BookingDetails:
    """The page of ``booking``, which has its builder loaded, as it is at ``now``."""
    money = payments.summarize_money(session, booking)
    view = present_booking(booking, money, now=now, seats=find_seats(session, booking))
    source, at = booking.slot_source, booking.slot_checked_at
    currency = money.refund_currency or booking.currency
    return BookingDetails(
        row=list_rows(session, [booking])[0],
        b=view,
        emails=[one.email for one in mail_addresses(booking)],
        refund=words.refund_line(*view.refund, currency) if view.refund else None,
        history=list_history(session, booking),
        moves=[words.move_line(move, booking.builder.timezone) for move in list_moves(session, booking)],
        can_mark=can_mark_no_show(booking, now=now),
        slot_source=words.slot_source(source, at, booking.builder.timezone) if source and at else None,
        account=list_money(session, booking),
        given_up=[words.given_up_line(mail, booking.client_name) for mail in list_given_up(session, booking)]
        if attention.is_flagged(booking, FlagCode.MAIL_NOT_SENT)
        else [],
    )


def list_history(session: Session, booking: Booking) -> list[HistoryLine]:
    """What happened to a booking, the oldest first."""
    query = sa.select(HistoryEntry).where(HistoryEntry.booking_id == booking.id).order_by(HistoryEntry.id)
    return [
        HistoryLine(entry.at, *words.history_line(entry, booking.client_name))
        for entry in session.scalars(query)
    ]


def list_money(session: Session, booking: Booking) -> MoneyDetails:
    """The booking's ledger, the oldest entry first, and its disputes, the newest first."""
    query = sa.select(LedgerEntry).where(LedgerEntry.booking_id == booking.id).order_by(LedgerEntry.id)
    newest = payments.find_latest_payment(session, booking.id)
    return MoneyDetails(
        movements=[(words.movement_label(entry), entry) for entry in session.scalars(query)],
        disputes=[
            (words.dispute_sentence(one), one.due_by if one.is_open else None)
            for one in payments.list_disputes(session, booking.id)
        ],
        checked_by=words.cause_words(newest.cause, newest.cause_facts) if newest and newest.cause else None,
        checked_at=newest.checked_at if newest else None,
        warned=refundable_after_warning(session, booking),
    )
