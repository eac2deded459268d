"""Which mails a change of a booking sends: tables of plain data. What mails say is in :mod:`bookingapp.notifications`.

A mail is enqueued in the transaction of the change. The key of its job makes it one mail, however often and in
whatever order the facts arrive.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.addresses import mail_addresses
from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Event, Status
from bookingapp.core.queue import Job, enqueue

SEND_MAIL_JOB = "mail.booking"
REMIND_AFTER = timedelta(minutes=10)


class Mail(enum.StrEnum):
    """Each mail about a booking."""

    PAY_REMINDER = "pay-reminder"
    CONFIRMED_CLIENT = "confirmed-client"
    CONFIRMED_BUILDER = "confirmed-builder"
    MOVED_CLIENT = "moved-client"
    MOVED_BUILDER = "moved-builder"
    PLACE_CLIENT = "place-client"
    ABSENCE_ASKED_BUILDER = "absence-asked-builder"
    ABSENCE_WITHDRAWN_BUILDER = "absence-withdrawn-builder"
    ABSENCE_DENIED = "absence-denied"
    ABSENCE_DENIED_BUILDER = "absence-denied-builder"
    ABSENCE_DISMISSED = "absence-dismissed"
    ABSENCE_DISMISSED_BUILDER = "absence-dismissed-builder"
    NO_SHOW = "no-show"
    NO_SHOW_DENIED_BUILDER = "no-show-denied-builder"
    NO_SHOW_KEPT = "no-show-kept"
    NO_SHOW_KEPT_BUILDER = "no-show-kept-builder"
    NO_SHOW_REMOVED = "no-show-removed"
    REMINDER_DAY = "reminder-day"
    REMINDER_DAY_BUILDER = "reminder-day-builder"
    REMINDER_HOUR = "reminder-hour"
    REMINDER_HOUR_BUILDER = "reminder-hour-builder"
    CANCELED_CLIENT = "canceled-client"
    CANCELED_BUILDER = "canceled-builder"
    EXPIRED_CLIENT = "expired-client"
    PAYMENT_RETURNED = "payment-returned"
    AMOUNT_REFUNDED = "amount-refunded"
    PAYMENT_FAILED = "payment-failed"
    PAYMENT_RELEASED = "payment-released"
    TIME_GONE = "time-gone"
    PAYMENT_REFUSED_BUILDER = "payment-refused-builder"
    REFUNDED_OUTSIDE_BUILDER = "refunded-outside-builder"
    REFUNDED_BUILDER = "refunded-builder"  # By an operator.
    REFUND_WAITS = "refund-waits"
    REFUND_REFUSED_BUILDER = "refund-refused-builder"
    REFUND_FAILED = "refund-failed"
    REFUND_FAILED_BUILDER = "refund-failed-builder"
    FRAUD_WARNING_BUILDER = "fraud-warning-builder"
    DISPUTED_BUILDER = "disputed-builder"
    DISPUTE_CLOSED_BUILDER = "dispute-closed-builder"

    @property
    def to_builder(self) -> bool:
        """Whether it goes to the builder; every other goes to the client."""
        return self.value.endswith("-builder")


ON_ENTERING: Mapping[Status, tuple[Mail, ...]] = MappingProxyType(
    {
        Status.SCHEDULED: (Mail.PAY_REMINDER,),
        Status.CONFIRMED: (Mail.CONFIRMED_CLIENT, Mail.CONFIRMED_BUILDER),
        Status.CANCELED: (Mail.CANCELED_CLIENT, Mail.CANCELED_BUILDER),
        Status.EXPIRED: (Mail.EXPIRED_CLIENT,),
    }
)
"""The mails that a booking sends when it enters a status."""

ON_MOVING: Mapping[tuple[Status, Event], tuple[Mail, ...]] = MappingProxyType(
    {
        (Status.CONFIRMED, Event.SLOT_MOVED): (Mail.MOVED_CLIENT, Mail.MOVED_BUILDER),
        (Status.COMPLETED, Event.SLOT_MOVED): (Mail.MOVED_CLIENT, Mail.MOVED_BUILDER),
    }
)
"""The mails of a reschedule, by the status before it."""


ABOUT_MONEY = (
    Mail.PAYMENT_RETURNED,
    Mail.AMOUNT_REFUNDED,
    Mail.PAYMENT_FAILED,
    Mail.PAYMENT_RELEASED,
    Mail.TIME_GONE,
    Mail.PAYMENT_REFUSED_BUILDER,
    Mail.REFUNDED_OUTSIDE_BUILDER,
    Mail.REFUNDED_BUILDER,
    Mail.REFUND_WAITS,
    Mail.REFUND_REFUSED_BUILDER,
    Mail.REFUND_FAILED,
    Mail.REFUND_FAILED_BUILDER,
    Mail.FRAUD_WARNING_BUILDER,
    Mail.DISPUTED_BUILDER,
    Mail.DISPUTE_CLOSED_BUILDER,
)
"""The mails that no change of status sends: they are enqueued where money moves."""


ABOUT_ATTENDANCE = (
    Mail.ABSENCE_ASKED_BUILDER,
    Mail.ABSENCE_WITHDRAWN_BUILDER,
    Mail.ABSENCE_DENIED,
    Mail.ABSENCE_DENIED_BUILDER,
    Mail.ABSENCE_DISMISSED,
    Mail.ABSENCE_DISMISSED_BUILDER,
    Mail.NO_SHOW,
    Mail.NO_SHOW_DENIED_BUILDER,
    Mail.NO_SHOW_KEPT,
    Mail.NO_SHOW_KEPT_BUILDER,
    Mail.NO_SHOW_REMOVED,
)
"""Those that are enqueued where somebody says who came."""

FROM_PLATFORM = (
    Mail.ABSENCE_DENIED,
    Mail.ABSENCE_DENIED_BUILDER,
    Mail.ABSENCE_DISMISSED,
    Mail.ABSENCE_DISMISSED_BUILDER,
    Mail.NO_SHOW_DENIED_BUILDER,
    Mail.NO_SHOW_KEPT,
    Mail.NO_SHOW_KEPT_BUILDER,
)
"""Where client and builder disagree, an answer goes to the support and not to the other side."""


@dataclass(frozen=True)
class CancellationTerms:
    """What a cancellation promises: the refund in minor units, and whether the builder canceled. ``currency`` is set
    where it is not the booking's; ``with_bank`` is what would be refunded but is with the client's bank for a dispute;
    ``others_stay`` says that the event goes on without this client; ``by_operator``, that an operator canceled;
    ``builder_absent``, that the builder did not come to the session, and ``unanswered``, that they did not answer when
    the client said so.
    """

    refund_minor: int
    by_builder: bool
    currency: str | None = None
    with_bank: int = 0
    others_stay: bool = False
    by_operator: bool = False
    builder_absent: bool = False
    unanswered: bool = False


def enqueue_status_mails(
    session: Session,
    booking: Booking,
    *,
    before: Status,
    event: Event,
    cancellation: CancellationTerms | None,
    now: datetime,
) -> None:
    """Enqueue the mails of a change that was just made.

    A booking without a time and without a payment sends none: anybody can create one with a stranger's address.
    """
    if booking.starts_at is None and booking.paid_at is None:
        return
    moved = ON_MOVING.get((before, event), ())
    mails = moved or (ON_ENTERING.get(booking.status, ()) if booking.status is not before else ())
    for mail in mails:
        if mail is Mail.PAY_REMINDER and (booking.is_free or booking.paid_at is not None):
            continue
        if mail.to_builder and booking.starts_at is None:
            continue
        # Only the mail about a new time can be sent more than once: once for each invitee.
        about = (booking.invitee_uri or "").rsplit("/", 1)[-1] if moved else ""
        run_at = now + REMIND_AFTER if mail is Mail.PAY_REMINDER else now
        said: dict[str, Any] = {}
        if cancellation is not None:
            said = {"refund_minor": cancellation.refund_minor, "by_builder": cancellation.by_builder}
            if cancellation.currency is not None:
                said["currency"] = cancellation.currency
            if cancellation.with_bank:
                said["with_bank"] = cancellation.with_bank
            for name in ("others_stay", "by_operator", "builder_absent", "unanswered"):
                if getattr(cancellation, name):
                    said[name] = True
        enqueue_mail(session, booking, mail, about=about, said=said, run_at=run_at, now=now)


def enqueue_place_mail(session: Session, booking: Booking, *, now: datetime) -> None:
    """Enqueue the mail about another place, link or host of a confirmed session that has not begun."""
    if booking.status is Status.CONFIRMED and booking.starts_at is not None and booking.starts_at > now:
        enqueue_mail(session, booking, Mail.PLACE_CLIENT, about=now.isoformat(), now=now)


def enqueue_mail_with_link(session: Session, booking: Booking, *, now: datetime) -> None:
    """Enqueue the confirmation again once the client has chosen their address: the first one was without the link."""
    if booking.status in (Status.CONFIRMED, Status.COMPLETED):
        enqueue_mail(session, booking, Mail.CONFIRMED_CLIENT, about="address", now=now)


def enqueue_mail(
    session: Session,
    booking: Booking,
    mail: Mail,
    *,
    now: datetime,
    about: str = "",
    said: Mapping[str, Any] | None = None,
    run_at: datetime | None = None,
    again: int = 0,
) -> None:
    """Enqueue one mail, in the caller's transaction; to a client with two addresses, one for each, so that an address
    that does not exist keeps no mail from the other. ``about`` distinguishes two of a kind; ``said`` are the amounts
    that the mail promises; ``again`` counts how often a person has asked for it once more. The row holds nothing
    personal: names and addresses are read when the mail is sent.
    """
    key = (
        f"mail:{mail.value}:{booking.id}"
        + (f":{about}" if about else "")
        + (f":again-{again}" if again else "")
    )
    args = {"mail": mail.value, "booking_id": booking.id, "about": about, **(said or {})}
    if again:
        args["again"] = again
    enqueue(session, SEND_MAIL_JOB, key=key, args=args, run_at=run_at or now, now=now)
    if not mail.to_builder and len(mail_addresses(booking)) > 1:
        second = {**args, "second": True}
        enqueue(session, SEND_MAIL_JOB, key=f"{key}:second", args=second, run_at=run_at or now, now=now)


def is_mail_of(booking_id: int, mails: Iterable[Mail] | None = None) -> sa.ColumnElement[bool]:
    """The condition for the jobs of these mails about a booking; of all its mails where ``mails`` is None."""
    mine = sa.and_(Job.booking_id == booking_id, Job.name == SEND_MAIL_JOB)
    return (
        mine
        if mails is None
        else sa.and_(mine, Job.args["mail"].as_string().in_([one.value for one in mails]))
    )
