"""What we know of a booking, as one bundle for whoever has to answer a dispute in Stripe: the booking, the policy that
was agreed to, everything that happened to it, its money, the mails that were sent, and its calendar entry.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import policy
from bookingapp.bookings.calendar_file import calendar_file
from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB, Mail
from bookingapp.bookings.models import Booking
from bookingapp.core.clock import duration
from bookingapp.core.money import format_money
from bookingapp.core.queue import Job, WorkState
from bookingapp.dashboard.money import list_money
from bookingapp.dashboard.service import list_history
from bookingapp.webhooks.models import InboxEvent

MAILS = {
    Mail.PAY_REMINDER: "a reminder that the time is held until it is paid",
    Mail.CONFIRMED_CLIENT: "the confirmation, with time, price and refund policy",
    Mail.MOVED_CLIENT: "the new time",
    Mail.CANCELED_CLIENT: "the cancellation, with what goes back",
    Mail.EXPIRED_CLIENT: "that the hold had ended",
    Mail.PAYMENT_RETURNED: "that a payment goes back",
    Mail.PAYMENT_FAILED: "that a payment did not go through",
}


def build_evidence(session: Session, booking: Booking, *, address: str, now: datetime) -> bytes:
    """A ZIP file: ``evidence.txt``, and ``session.ics`` where the booking has a time. ``address`` is what
    that names, for other people's eyes.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("evidence.txt", "\n".join(_lines(session, booking, now)) + "\n")
        if booking.starts_at is not None and booking.ends_at is not None:
            archive.writestr("session.ics", calendar_file(booking, address=address, now=now))
    return packed.getvalue()


def _lines(session: Session, booking: Booking, now: datetime) -> Iterator[str]:
    yield f"EVIDENCE FOR BOOKING {booking.id}, put together {_at(now)}"
    yield from _section("Booking")
    yield f"Session: {booking.title}, {duration(booking.duration_minutes)}"
    yield f"Builder: {booking.builder.display_name}"
    yield f"Client: {booking.client_name}, {booking.client_email}"
    yield f"Price: {format_money(booking.price_minor, booking.currency)}"
    yield f"Made: {_at(booking.created_at)}"
    if booking.starts_at is not None and booking.ends_at is not None:
        yield f"Time: {_at(booking.starts_at)} to {_at(booking.ends_at)}"
    yield f"Status: {booking.status.value}"
    yield from _section("Refund policy, shown before the payment and agreed to by it")
    yield from policy.policy_sentences(booking.policy, is_free=booking.is_free)
    yield from _section("What happened")
    for change in list_history(session, booking):
        before = f"{change.from_label} to " if change.from_label else ""
        yield f"{_at(change.at)}: {before}{change.to_label} ({change.actor}: {change.cause})"
    yield from _section("Money, as Stripe told of it")
    money = list_money(session, booking)
    for entry in money.movements:
        yield f"{_at(entry.at)}: {entry.words}: {format_money(entry.amount_minor, entry.currency)}"
    for one in money.disputes:
        yield one.words.format(format_money(one.amount_minor, one.currency))
    yield from _section("Mails to the client")
    for mail, at in _mails(session, booking):
        yield f"{_at(at)}: {MAILS[mail]}"
    yield from _section("What Calendly and Stripe have told us by webhook")
    query = sa.select(InboxEvent.received_at, InboxEvent.provider, InboxEvent.type)
    for at, provider, kind in session.execute(
        query.where(InboxEvent.booking_id == booking.id).order_by(InboxEvent.id)
    ):
        yield f"{_at(at)}: {provider.value.title()}: {kind}"


def _mails(session: Session, booking: Booking) -> list[tuple[Mail, datetime]]:
    """What was mailed to the client and when, in order."""
    query = sa.select(Job).where(Job.name == SEND_MAIL_JOB, Job.state == WorkState.DONE)
    # The key begins with what is sent, and then names the booking.
    mine = [Job.key.like(f"mail:{mail.value}:{booking.id}{rest}") for mail in MAILS for rest in ("", ":%")]
    rows = session.scalars(query.where(sa.or_(*mine)).order_by(Job.finished_at))
    return [(Mail(row.args["mail"]), row.finished_at) for row in rows if row.finished_at is not None]


def _section(title: str) -> Iterator[str]:
    yield ""
    yield title
    yield "-" * len(title)


def _at(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
