"""The client says that the builder did not come: the builder is asked, and a person decides where the two disagree.

Each function is part of its caller's transaction, which has locked the booking, and commits nothing. Refunding what the
builder does not answer is in :mod:`bookingapp.checkout.absence_deadline`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.attention import flag, resolve
from bookingapp.bookings.codes import AbsenceClaim, CauseCode, FlagCode
from bookingapp.bookings.mail_triggers import Mail, enqueue_mail
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause, StaleBooking, record_act
from bookingapp.bookings.states import Status
from bookingapp.core.db import changed_rows
from bookingapp.core.errors import Conflict
from bookingapp.core.i18n import gettext
from bookingapp.core.queue import enqueue

DEADLINE_JOB: Final = "bookings.absence_deadline"
CLAIM_AFTER: Final = timedelta(minutes=10)
"""How long after the start the client can say that the builder did not come."""
CLAIM_UNTIL: Final = timedelta(hours=24)
"""Until how long after the end."""
ANSWER_WITHIN: Final = timedelta(hours=24)
"""How long the builder has to answer; then everything goes back."""

_TOOK_PLACE: Final = (Status.CONFIRMED, Status.COMPLETED)
_UNDECIDED: Final = (AbsenceClaim.ASKED, AbsenceClaim.DENIED)


def took_place(booking: Booking) -> bool:
    """Whether the booking has a session that was not called off: confirmed, or paid in Calendly, where it stays
    scheduled.
    """
    return booking.status in _TOOK_PLACE or (booking.status is Status.SCHEDULED and booking.paid_in_calendly)


def can_claim(booking: Booking, *, now: datetime) -> bool:
    """Whether the client can say now that the builder did not come: once for a session."""
    if booking.starts_at is None or booking.ends_at is None or booking.moving_since is not None:
        return False
    is_open = booking.starts_at + CLAIM_AFTER <= now <= booking.ends_at + CLAIM_UNTIL
    is_open = is_open and booking.erased_at is None
    return is_open and took_place(booking) and booking.absence_claim is None


def is_undecided(booking: Booking) -> bool:
    """Whether the client's claim is neither withdrawn nor decided."""
    return took_place(booking) and booking.absence_claim in _UNDECIDED


def answer_by(booking: Booking) -> datetime | None:
    """Until when the builder can answer; None where they are not asked."""
    is_asked = booking.absence_claim is AbsenceClaim.ASKED and is_undecided(booking)
    return booking.absence_claimed_at + ANSWER_WITHIN if is_asked and booking.absence_claimed_at else None


def claim_stamp(booking: Booking) -> str:
    """The claim as keys of jobs and mails name it."""
    return f"{booking.absence_claimed_at.timestamp():.6f}" if booking.absence_claimed_at is not None else ""


def claim_absence(session: Session, booking: Booking, *, now: datetime) -> bool:
    """Record that the client says so, and ask the builder. One who has marked the client as a no-show has answered
    already, so that a person decides. Returns False where it was said before.

    Raises :class:`Conflict` where it is too early or too late for it, or decided.
    """
    if is_undecided(booking):
        return False
    if not can_claim(booking, now=now):
        raise Conflict(_why_not(booking, now=now))
    is_denied = booking.no_show_at is not None
    _set_claim(session, booking, AbsenceClaim.DENIED if is_denied else AbsenceClaim.ASKED, now=now)
    record_act(session, booking, Cause(Actor.CLIENT, CauseCode.ABSENCE_CLAIMED), now=now)
    if is_denied:
        _ask_platform(session, booking, now=now)
        return True
    flag(booking, FlagCode.ABSENCE_CLAIMED, now=now)
    _enqueue_mails(session, booking, Mail.ABSENCE_ASKED_BUILDER, now=now)
    enqueue_deadline(session, booking, run_at=now + ANSWER_WITHIN, now=now)
    return True


def _why_not(booking: Booking, *, now: datetime) -> str:
    if booking.absence_claim is AbsenceClaim.DISMISSED:
        return gettext("We have looked at this already, and decided that the session took place.")
    if booking.starts_at is not None and now < booking.starts_at + CLAIM_AFTER:
        return gettext("Please wait until ten minutes after the start of your session.")
    return gettext("This is possible until a day after the end of a session that was confirmed.")


def enqueue_deadline(session: Session, booking: Booking, *, run_at: datetime, now: datetime) -> None:
    """Enqueue the end of the builder's time to answer this claim."""
    claimed = claim_stamp(booking)
    enqueue(
        session,
        DEADLINE_JOB,
        key=f"absence-deadline:{booking.id}:{claimed}:{int(run_at.timestamp())}",
        args={"booking_id": booking.id, "claimed": claimed},
        run_at=run_at,
        now=now,
    )


def withdraw_claim(session: Session, booking: Booking, *, now: datetime) -> bool:
    """Record that the client says that the builder came after all. Returns False where there is nothing to withdraw."""
    if not is_undecided(booking):
        return False
    _enqueue_mails(session, booking, Mail.ABSENCE_WITHDRAWN_BUILDER, now=now)
    _set_claim(session, booking, None, now=now)
    resolve(booking, FlagCode.ABSENCE_CLAIMED, FlagCode.ABSENCE_DENIED, now=now, by=Actor.CLIENT)
    record_act(session, booking, Cause(Actor.CLIENT, CauseCode.ABSENCE_WITHDRAWN), now=now)
    return True


def deny_claim(
    session: Session, booking: Booking, *, by: Actor, said_at: datetime | None = None, now: datetime
) -> bool:
    """Record that the builder says that they were there: a person of the platform decides, and the money stays until
    then. ``said_at`` is when they said so, where it is reported later. Returns False where the builder has said so
    before. Raises :class:`Conflict` where they are not asked, or their time to answer is over.
    """
    if booking.absence_claim is AbsenceClaim.DENIED and is_undecided(booking):
        return False
    until = answer_by(booking)
    if until is None:
        raise Conflict(gettext("This question has been answered already."))
    if (said_at or now) >= until:
        if booking.is_paid_in_calendly_alone:
            raise Conflict(gettext("Your time to answer is over. Please refund your client in Calendly."))
        raise Conflict(gettext("Your time to answer is over, so your client gets everything back."))
    _set_claim(session, booking, AbsenceClaim.DENIED, now=now)
    resolve(booking, FlagCode.ABSENCE_CLAIMED, now=now, by=by)
    record_act(session, booking, Cause(by, CauseCode.ABSENCE_DENIED), now=now)
    _ask_platform(session, booking, now=now)
    return True


def _ask_platform(session: Session, booking: Booking, *, now: datetime) -> None:
    flag(booking, FlagCode.ABSENCE_DENIED, now=now)
    _enqueue_mails(session, booking, Mail.ABSENCE_DENIED, Mail.ABSENCE_DENIED_BUILDER, now=now)


def dismiss_claim(session: Session, booking: Booking, *, now: datetime) -> None:
    """Record that an operator decided that the session took place; both sides get a mail. Raises :class:`Conflict`
    where there is nothing to decide.
    """
    if not is_undecided(booking):
        raise Conflict(gettext("There is nothing to decide about this booking."))
    _set_claim(session, booking, AbsenceClaim.DISMISSED, now=now)
    resolve(booking, FlagCode.ABSENCE_CLAIMED, FlagCode.ABSENCE_DENIED, now=now, by=Actor.OPERATOR)
    record_act(session, booking, Cause(Actor.OPERATOR, CauseCode.ABSENCE_DISMISSED), now=now)
    _enqueue_mails(session, booking, Mail.ABSENCE_DISMISSED, Mail.ABSENCE_DISMISSED_BUILDER, now=now)


def _set_claim(session: Session, booking: Booking, claim: AbsenceClaim | None, *, now: datetime) -> None:
    """The only writer of a claim besides :func:`bookingapp.bookings.slot.set_slot`, which clears it with its time. Its
    ``UPDATE`` names the claim and the status that it starts from. Raises :class:`StaleBooking`.
    """
    session.flush()
    before = booking.absence_claim
    is_before = Booking.absence_claim.is_(None) if before is None else Booking.absence_claim == before
    values: dict[str, object] = {"absence_claim": claim}
    if before is None or claim is None:
        values["absence_claimed_at"] = now if claim is not None else None
    statement = (
        sa.update(Booking)
        .where(Booking.id == booking.id, Booking.status == booking.status, is_before)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    if changed_rows(session, statement) != 1:
        raise StaleBooking
    session.refresh(booking, ["absence_claim", "absence_claimed_at"])


def _enqueue_mails(session: Session, booking: Booking, *mails: Mail, now: datetime) -> None:
    for mail in mails:
        enqueue_mail(session, booking, mail, about=claim_stamp(booking), now=now)
