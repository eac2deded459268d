"""What operators do to a booking, each act with its row, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import absence_claims, attendance, notes
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import ATTENDANCE_FLAGS, CauseCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.bookings.states import Status
from bookingapp.checkout import booking_mail, cancellation
from bookingapp.console.acts import Decision, record_act
from bookingapp.console.models import ActCode, SubjectKind
from bookingapp.core.errors import Conflict
from bookingapp.core.i18n import gettext
from bookingapp.payments import chosen_refunds, fraud_warnings
from bookingapp.sync import booking_checks

Typed = Mapping[str, Any]
"""The fields of an act's form besides the reason."""
Perform = Callable[[Session, Booking, Typed, datetime], dict[str, Any]]
"""Acts on a locked booking, and returns the facts of the act."""


def perform_act(session: Session, booking_id: int, act: ActCode, typed: Typed, decision: Decision) -> None:
    """Lock the booking, act, and record it. Raises :class:`Conflict` where that is not possible now, ``KeyError`` for
    an act that is not done to bookings.
    """
    booking = bookings.lock_booking(session, booking_id)
    facts = BOOKING_ACTS[act](session, booking, typed, decision.now)
    subject = SubjectKind.BOOKING, booking.id
    record_act(session, act, subject, decision, builder_id=booking.builder_id, **facts)


def _resolve_flags(session: Session, booking: Booking, typed: Typed, now: datetime) -> dict[str, Any]:
    """``flag`` is the code of one; without it, all of them."""
    wanted = [flag.code for flag in booking.open_flags if typed.get("flag") in (None, "", flag.code)]
    codes = [code for code in wanted if code not in ATTENDANCE_FLAGS]
    if not codes:
        raise Conflict(gettext("Please decide who came.") if wanted else gettext("It is resolved already."))
    bookings.resolve_flags(session, booking, Actor.OPERATOR, *codes, now=now)
    return {"flags": codes}


def _refund_warned(session: Session, booking: Booking, _typed: Typed, now: datetime) -> dict[str, Any]:
    fraud_warnings.refund_after_warning(session, booking, by=Actor.OPERATOR, now=now)
    return {}


def _send_again(session: Session, booking: Booking, _typed: Typed, now: datetime) -> dict[str, Any]:
    again = booking_mail.send_again(session, booking, now=now)
    if not again:
        raise Conflict(gettext("No mail about this booking was given up."))
    return {"mails": again}


def _ask_providers(session: Session, booking: Booking, _typed: Typed, now: datetime) -> dict[str, Any]:
    if not booking_checks.request_check(session, booking, actor=Actor.OPERATOR, now=now):
        raise Conflict(gettext("We are asking them already."))
    return {}


def _cancel(session: Session, booking: Booking, typed: Typed, now: datetime) -> dict[str, Any]:
    """``everybody``: of a group event, which can only be canceled as a whole."""
    preview = cancellation.preview_cancellation(session, booking, now=now, by_builder=True)
    cause, everybody = _cause(CauseCode.CANCELED_ON_DASHBOARD), bool(typed.get("everybody"))
    cancellation.cancel_locked(session, booking, cause=cause, by_builder=True, everybody=everybody, now=now)
    return {"amount_minor": preview.refund_minor, "currency": preview.currency}


def _refund_amount(session: Session, booking: Booking, typed: Typed, now: datetime) -> dict[str, Any]:
    made = chosen_refunds.refund_amount(
        session,
        booking,
        amount_minor=typed["amount_minor"],
        reason=typed["reason"],
        edition=typed["edition"],
        actor=Actor.OPERATOR,
        now=now,
    )
    if made.created_at != now:
        raise Conflict(gettext("This amount was refunded already."))
    return {"amount_minor": made.amount_minor, "currency": made.currency}


def _mark_no_show(session: Session, booking: Booking, _typed: Typed, now: datetime) -> dict[str, Any]:
    cause = _cause(CauseCode.NO_SHOW_MARKED)
    if not attendance.mark_attendance(session, booking, cause, came=False, now=now):
        raise Conflict(gettext("It is marked already."))
    return {}


def _mark_came(session: Session, booking: Booking, _typed: Typed, now: datetime) -> dict[str, Any]:
    cause = _cause(CauseCode.ATTENDANCE_MARKED)
    if not attendance.mark_attendance(session, booking, cause, came=True, now=now):
        raise Conflict(gettext("It is marked already."))
    return {}


def _report_absence(session: Session, booking: Booking, _typed: Typed, now: datetime) -> dict[str, Any]:
    cause = _cause(CauseCode.ABSENCE_REPORTED)
    if not cancellation.report_absence_locked(session, booking, cause=cause, now=now):
        raise Conflict(gettext("It is recorded already."))
    return {}


def _dismiss_claim(session: Session, booking: Booking, _typed: Typed, now: datetime) -> dict[str, Any]:
    absence_claims.dismiss_claim(session, booking, now=now)
    return {}


def _keep_no_show(session: Session, booking: Booking, _typed: Typed, now: datetime) -> dict[str, Any]:
    attendance.keep_no_show(session, booking, now=now)
    return {}


def _repeat_mail(session: Session, booking: Booking, typed: Typed, now: datetime) -> dict[str, Any]:
    booking_mail.repeat_mail(session, booking, typed["mail"], actor=Actor.OPERATOR, now=now)
    return {"mail": typed["mail"]}


def _add_note(session: Session, booking: Booking, typed: Typed, now: datetime) -> dict[str, Any]:
    shared = bool(typed.get("is_shared"))
    notes.add_note(session, booking, typed["text"], by=Actor.OPERATOR, is_shared=shared, now=now)
    return {}


def _cause(code: CauseCode) -> Cause:
    return Cause(Actor.OPERATOR, code)


BOOKING_ACTS: Final[Mapping[ActCode, Perform]] = MappingProxyType(
    {
        ActCode.FLAGS_RESOLVED: _resolve_flags,
        ActCode.WARNED_REFUNDED: _refund_warned,
        ActCode.MAILS_SENT_AGAIN: _send_again,
        ActCode.PROVIDERS_ASKED: _ask_providers,
        ActCode.BOOKING_CANCELED: _cancel,
        ActCode.AMOUNT_REFUNDED: _refund_amount,
        ActCode.NO_SHOW_MARKED: _mark_no_show,
        ActCode.CAME_MARKED: _mark_came,
        ActCode.ABSENCE_REPORTED: _report_absence,
        ActCode.ABSENCE_DISMISSED: _dismiss_claim,
        ActCode.NO_SHOW_KEPT: _keep_no_show,
        ActCode.MAIL_REPEATED: _repeat_mail,
        ActCode.NOTE_ADDED: _add_note,
    }
)


def list_others_of_event(session: Session, booking: Booking) -> list[int]:
    """The ids of the other bookings of the builder's group event that have not ended."""
    if booking.event_uri is None:
        return []
    query = sa.select(Booking.id).where(
        Booking.event_uri == booking.event_uri,
        Booking.builder_id == booking.builder_id,
        Booking.id != booking.id,
        Booking.status.not_in((Status.CANCELED, Status.EXPIRED)),
    )
    return list(session.scalars(query.order_by(Booking.id)))
