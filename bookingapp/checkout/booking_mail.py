"""The job that sends a mail about a booking, and another try for those that were given up. What mails say is in
:mod:`bookingapp.notifications`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB, Mail, is_mail_of
from bookingapp.bookings.models import AttentionFlag, Booking
from bookingapp.checkout.pay import is_payment_under_way
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.core.queue import Job, Restart, WorkState, restart
from bookingapp.notifications.service import Mailer, send_booking_mail

_FLAGGED = sa.select(AttentionFlag.id).where(
    AttentionFlag.booking_id == sa.bindparam("booking_id"),
    AttentionFlag.code == FlagCode.MAIL_NOT_SENT,
    AttentionFlag.resolved_at.is_(None),
)


@job(SEND_MAIL_JOB, label=lazy_gettext("a mail"), flag_dead=FlagCode.MAIL_NOT_SENT)
def send_mail(session: Session, mailer: Mailer, *, args: Mapping[str, Any], now: datetime) -> None:
    """Send it, but no reminder to pay to a client whose payment is under way."""
    booking_id = args["booking_id"]
    if args["mail"] != Mail.PAY_REMINDER or not is_payment_under_way(session, booking_id):
        send_booking_mail(session, mailer, args, now=now)
    _resolve_flag(session, booking_id, now=now)


def list_given_up(session: Session, booking: Booking) -> list[Mail]:
    """The mails about a booking that were given up, the oldest first."""
    return [Mail(job.args["mail"]) for job in _given_up_jobs(session, booking.id)]


def send_again(session: Session, booking: Booking, *, now: datetime) -> int:
    """Make the mails that were given up due again, in the caller's transaction. Returns how many.

    The flag stays until all of them are sent.
    """
    given_up = _given_up_jobs(session, booking.id)
    return sum(restart(session, Job, one.id, now=now, outcome=Restart.RETRIED) for one in given_up)


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
