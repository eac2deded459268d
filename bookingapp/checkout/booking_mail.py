"""The jobs of mails about a booking: sending one, and reminders; another try for those that were given up, and sending
one once more. What mails say is in :mod:`bookingapp.notifications`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB, Mail, enqueue_mail, is_mail_of
from bookingapp.bookings.models import Actor, AttentionFlag, Booking
from bookingapp.bookings.reminders import (
    BEFORE,
    MAILS,
    REMIND_JOB,
    Step,
    enqueue_reminder,
    is_reminder_true,
    start_stamp,
)
from bookingapp.bookings.service import Cause
from bookingapp.checkout.pay import is_payment_under_way
from bookingapp.core.db import end_read, transaction
from bookingapp.core.errors import Conflict
from bookingapp.core.i18n import gettext, lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.core.queue import Job, Restart, WorkState, restart
from bookingapp.notifications.service import Mailer, is_still_true, send_booking_mail
from bookingapp.outcomes import Done

_FLAGGED = sa.select(AttentionFlag.id).where(
    AttentionFlag.booking_id == sa.bindparam("booking_id"),
    AttentionFlag.code == FlagCode.MAIL_NOT_SENT,
    AttentionFlag.resolved_at.is_(None),
)


@job(SEND_MAIL_JOB, label=lazy_gettext("a mail"), flag_dead=FlagCode.MAIL_NOT_SENT)
def send_mail(session: Session, mailer: Mailer, *, args: Mapping[str, Any], now: datetime) -> Done | None:
    """Send it, but no reminder to pay to a client whose payment is under way."""
    booking_id, is_sent = args["booking_id"], False
    if args["mail"] != Mail.PAY_REMINDER or not is_payment_under_way(session, booking_id):
        is_sent = send_booking_mail(session, mailer, args, now=now)
    _resolve_flag(session, booking_id, now=now)
    return None if is_sent else Done.NO_LONGER_TRUE


@job(REMIND_JOB, label=lazy_gettext("the reminders of a session"), revive=True)
def remind(session: Session, *, booking_id: int, start: str, step: str, now: datetime) -> Done | None:
    """Enqueue the mails of a reminder and the next reminder, unless the session has another start (``start``) or has
    begun. Both are compared again when a mail is sent.
    """
    this, following = Step(step), Step.HOUR if step == Step.DAY else None
    with transaction(session):
        booking = bookings.lock_booking(session, booking_id)
        if start_stamp(booking) != start or booking.status.is_final or bookings.has_begun(booking, now):
            return Done.NO_LONGER_TRUE
        if following is not None and booking.starts_at is not None:
            enqueue_reminder(
                session, booking, following, run_at=booking.starts_at - BEFORE[following], now=now
            )
        is_true = is_reminder_true(booking, start, this, now=now)
        for mail in MAILS[this] if is_true else ():
            enqueue_mail(session, booking, mail, about=start, now=now)
    return None if is_true else Done.NO_LONGER_TRUE


def list_given_up(session: Session, booking: Booking) -> list[Mail]:
    """The mails about a booking that were given up, the oldest first."""
    return [Mail(job.args["mail"]) for job in _given_up_jobs(session, booking.id)]


def send_again(session: Session, booking: Booking, *, now: datetime) -> int:
    """Make the mails that were given up due again, in the caller's transaction. Returns how many.

    The flag stays until all of them are sent.
    """
    given_up = _given_up_jobs(session, booking.id)
    return sum(restart(session, Job, one.id, now=now, outcome=Restart.RETRIED) for one in given_up)


def list_repeatable(session: Session, booking: Booking, *, now: datetime) -> list[tuple[Mail, Job]]:
    """The mails that were sent and can be sent once more, with their newest job: one of a kind, the newest first, and
    only what is still true. ``booking`` has its builder loaded.
    """
    newest: dict[Mail, Job] = {}
    for one in session.scalars(sa.select(Job).where(is_mail_of(booking.id)).order_by(Job.id.desc())):
        if not one.args.get("second"):
            newest.setdefault(Mail(one.args["mail"]), one)
    return [
        (mail, one)
        for mail, one in newest.items()
        if one.state is WorkState.DONE and is_still_true(booking, one.args, now=now)
    ]


def repeat_mail(session: Session, booking: Booking, mail: Mail, *, actor: Actor, now: datetime) -> None:
    """Enqueue a mail that was sent before once more, in the caller's transaction, which has locked the booking. What
    it says is read anew when it is sent.

    Raises :class:`~bookingapp.core.errors.Conflict` where it was never sent, is being sent, or is not true any more.
    """
    before = next((one for kind, one in list_repeatable(session, booking, now=now) if kind is mail), None)
    if before is None:
        raise Conflict(
            gettext(
                "This e-mail cannot be sent now: it is on its way already, or what it says is no longer true."
            )
        )
    said = {name: value for name, value in before.args.items() if name not in ("mail", "booking_id", "again")}
    about, again = str(said.pop("about", "")), int(before.args.get("again", 0)) + 1
    enqueue_mail(session, booking, mail, about=about, said=said, again=again, now=now)
    bookings.record_act(
        session, booking, Cause(actor, CauseCode.MAIL_REPEATED, facts={"mail": mail}), now=now
    )


def _given_up_jobs(session: Session, booking_id: int) -> list[Job]:
    query = sa.select(Job).where(Job.state == WorkState.DEAD, is_mail_of(booking_id))
    return list(session.scalars(query.order_by(Job.id)))


def _resolve_flag(session: Session, booking_id: int, *, now: datetime) -> None:
    """Resolve the flag of a mail that was given up, once none is left."""
    is_flagged = session.scalar(_FLAGGED, {"booking_id": booking_id}) is not None
    end_read(session)
    if not is_flagged:
        return
    with transaction(session):
        booking = bookings.lock_booking(session, booking_id)
        if not _given_up_jobs(session, booking_id):
            attention.resolve(booking, FlagCode.MAIL_NOT_SENT, now=now)
