"""What the page of one booking shows: its present state, its money, its history, and what the builder can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings.absence_claims import answer_by
from bookingapp.bookings.addresses import mail_addresses
from bookingapp.bookings.attendance import can_mark_no_show
from bookingapp.bookings.codes import ATTENDANCE_FLAGS, OPERATORS_FLAGS, FlagCode
from bookingapp.bookings.erased import shown_name
from bookingapp.bookings.models import Actor, Booking, HistoryEntry, Note
from bookingapp.bookings.moves import list_moves
from bookingapp.bookings.notes import list_notes
from bookingapp.bookings.places import describe_place, place_words
from bookingapp.bookings.slot import find_seats
from bookingapp.bookings.slot_requests import find_request
from bookingapp.checkout.booking_mail import list_given_up
from bookingapp.checkout.cancellation import can_report_absence
from bookingapp.checkout.presenter import BookingView, present_booking
from bookingapp.dashboard.timeline import Kind, Timeline, load_timeline
from bookingapp.dashboard.words import bookings as words
from bookingapp.dashboard.words.mails import given_up_line
from bookingapp.payments import service as payments
from bookingapp.payments.fraud_warnings import refundable_after_warning
from bookingapp.payments.models import LedgerEntry
from bookingapp.sync.booking_checks import Check, find_check


class HistoryLine(NamedTuple):
    """One change: what changed, and why it changed and who changed it."""

    at: datetime
    change: str
    why: str


@dataclass(frozen=True)
class MoneyDetails:
    """A booking's money: entries of the ledger with their labels, disputes as sentences with the day until which Stripe
    accepts the builder's answer, and how and when the newest payment was last checked. ``warned`` is what can be
    refunded before an early fraud warning becomes a dispute (minor units, currency); ``authorized`` is a sentence about
    money that is not charged yet.
    """

    movements: Sequence[tuple[str, LedgerEntry]]
    disputes: Sequence[tuple[str, datetime | None]]
    checked_at: datetime | None
    warned: tuple[int, str] | None
    authorized: str | None


@dataclass(frozen=True)
class Choice:
    """What the client chose besides the session type: in which way (a sentence), where it takes place, their answers
    (question and answer), and the e-mail addresses of guests.
    """

    way: str | None
    place: str | None
    answers: Sequence[tuple[str, str]]
    guests: Sequence[str]


@dataclass(frozen=True)
class BookingDetails:
    """Everything that the page shows, by the names of the template's variables."""

    booking: Booking
    b: BookingView
    attention: Sequence[str]
    can_resolve: bool
    answer_by: (
        datetime | None
    )  # Until when the builder can say whether they came, where the client says that not.
    emails: Sequence[str]
    refund: str | None
    timeline: Timeline
    moves: Sequence[str]
    notes: Sequence[Note]
    check: Check | None
    can_mark: bool
    can_refund: bool
    can_report_absence: bool
    slot_source: str | None
    choice: Choice
    overlap: tuple[str, str] | None  # The other session: a line about it, and its tracking id.
    given_up: Sequence[str]
    account: MoneyDetails


def load_details(
    session: Session,
    booking: Booking,
    *,
    reader: Actor,
    kind: Kind | None = None,
    page: int = 1,
    now: datetime,
) -> BookingDetails:
    """The page of ``booking``, which has its builder loaded, as it is at ``now``, with that page of its timeline. The
    ``reader`` is the builder or an operator, who see different notes.
    """
    money = payments.summarize_money(session, booking)
    view = present_booking(booking, money, now=now, seats=find_seats(session, booking))
    source, at = booking.slot_source, booking.slot_checked_at
    currency = money.refund_currency or booking.currency
    moves, account = list_moves(session, booking), list_money(session, booking)
    notes = list_notes(session, booking, reader)
    until = answer_by(booking)
    back = sum(one.amount_minor for one in money.refunds if one.state.counts)
    flags = [flag for flag in booking.open_flags if flag.code not in OPERATORS_FLAGS]
    return BookingDetails(
        booking=booking,
        b=view,
        attention=[words.flag_sentence(flag.code, flag.facts) for flag in flags],
        can_resolve=any(flag.code not in ATTENDANCE_FLAGS for flag in flags),
        answer_by=until if until is not None and until > now else None,
        emails=[one.email for one in mail_addresses(booking)],
        refund=words.refund_line(*view.refund, currency) if view.refund else None,
        timeline=load_timeline(
            session,
            booking,
            moves=moves,
            ledger=[entry for _, entry in account.movements],
            notes=notes,
            kind=kind,
            page=page,
            now=now,
        ),
        moves=[words.move_line(move, booking.builder.timezone) for move in moves],
        notes=notes,
        check=find_check(session, booking),
        can_mark=booking.erased_at is None and can_mark_no_show(booking, now=now),
        can_refund=money.charged_minor > money.taken_back_minor + back,
        can_report_absence=can_report_absence(booking, now=now),
        slot_source=words.slot_source(source, at, booking.builder.timezone) if source and at else None,
        choice=load_choice(session, booking),
        overlap=_find_overlap(session, booking),
        account=account,
        given_up=[given_up_line(mail, shown_name(booking)) for mail in list_given_up(session, booking)]
        if attention.is_flagged(booking, FlagCode.MAIL_NOT_SENT)
        else [],
    )


def load_choice(session: Session, booking: Booking) -> Choice:
    """What the client chose: as Calendly has it, else as they chose it on our list."""
    request = find_request(session, booking.id)
    asked: Mapping[str, Any] = request.details if request is not None else {}
    place = asked.get("place") or {}
    return Choice(
        way=words.way_line(booking, request, booking.builder.timezone),
        place=describe_place(booking)
        or place_words(place.get("kind"), place.get("location"), booking.builder.display_name),
        answers=[
            (str(one["question"]), str(one["answer"]))
            for one in booking.answers or asked.get("answers") or ()
        ],
        guests=asked.get("guests") or (),
    )


def _find_overlap(session: Session, booking: Booking) -> tuple[str, str] | None:
    name = next(
        (flag.facts.get("other") for flag in booking.open_flags if flag.code is FlagCode.OVERLAP), None
    )
    query = sa.select(Booking).where(Booking.tracking_id == name, Booking.builder_id == booking.builder_id)
    other = session.scalar(query) if name else None
    return (words.overlap_line(other, booking.builder.timezone), other.tracking_id) if other else None


def list_history(session: Session, booking: Booking) -> list[HistoryLine]:
    """What happened to a booking, the oldest first."""
    query = sa.select(HistoryEntry).where(HistoryEntry.booking_id == booking.id).order_by(HistoryEntry.id)
    return [
        HistoryLine(entry.at, *words.history_line(entry, shown_name(booking)))
        for entry in session.scalars(query)
    ]


def list_money(session: Session, booking: Booking) -> MoneyDetails:
    """The booking's ledger, the oldest entry first, and its disputes, the newest first."""
    query = sa.select(LedgerEntry).where(LedgerEntry.booking_id == booking.id).order_by(LedgerEntry.id)
    newest = payments.find_latest_payment(session, booking.id)
    authorized = payments.find_authorized_payment(session, booking.id)
    return MoneyDetails(
        movements=[(words.movement_label(entry), entry) for entry in session.scalars(query)],
        disputes=[
            (words.dispute_sentence(one), one.due_by if one.is_open else None)
            for one in payments.list_disputes(session, booking.id)
        ],
        checked_at=newest.checked_at if newest else None,
        warned=refundable_after_warning(session, booking),
        authorized=words.authorized_line(authorized) if authorized else None,
    )
