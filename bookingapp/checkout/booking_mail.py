"""The job that sends a mail about a booking. What mails say is in :mod:`bookingapp.notifications`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB, Mail
from bookingapp.checkout.pay import is_payment_under_way
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.notifications.service import Mailer, send_booking_mail


@job(SEND_MAIL_JOB, label=lazy_gettext("a mail"))
def send_mail(session: Session, mailer: Mailer, *, args: Mapping[str, Any], now: datetime) -> None:
    """Send it, but no reminder to pay to a client whose payment is under way."""
    if args["mail"] == Mail.PAY_REMINDER and is_payment_under_way(session, args["booking_id"]):
        return
    send_booking_mail(session, mailer, args, now=now)
