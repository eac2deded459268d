"""What operators do to a booking, each act with its row, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.models import Actor, Booking
from bookingapp.checkout import booking_mail
from bookingapp.console.acts import record_act
from bookingapp.console.models import ActCode, SubjectKind
from bookingapp.core.errors import Conflict
from bookingapp.core.i18n import gettext
from bookingapp.payments import fraud_warnings
from bookingapp.sync.reconciliation import enqueue_booking_check

Typed = Mapping[str, Any]
"""The fields of an act's form besides the reason."""
Perform = Callable[[Session, Booking, Typed, datetime], dict[str, Any]]
"""Acts on a locked booking, and returns the facts of the act."""


def perform_act(
    session: Session,
    booking_id: int,
    act: ActCode,
    *,
    operator_id: int,
    reason: str,
    typed: Typed,
    now: datetime,
) -> None:
    """Lock the booking, act, and record it. Raises :class:`Conflict` where that is not possible now, ``KeyError`` for
    an act that is not done to bookings.
    """
    booking = bookings.lock_booking(session, booking_id)
    facts = BOOKING_ACTS[act](session, booking, typed, now)
    record_act(
        session,
        act,
        (SubjectKind.BOOKING, booking.id),
        operator_id=operator_id,
        builder_id=booking.builder_id,
        reason=reason,
        now=now,
        **facts,
    )


def _resolve_flags(session: Session, booking: Booking, typed: Typed, now: datetime) -> dict[str, Any]:
    """``flag`` is the code of one; without it, all of them."""
    codes = [flag.code for flag in booking.open_flags if typed.get("flag") in (None, "", flag.code)]
    if not codes:
        raise Conflict(gettext("It is resolved already."))
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
    enqueue_booking_check(session, booking, now=now)
    return {}


BOOKING_ACTS: Final[Mapping[ActCode, Perform]] = MappingProxyType(
    {
        ActCode.FLAGS_RESOLVED: _resolve_flags,
        ActCode.WARNED_REFUNDED: _refund_warned,
        ActCode.MAILS_SENT_AGAIN: _send_again,
        ActCode.PROVIDERS_ASKED: _ask_providers,
    }
)
