"""The evidence that a builder sends to Stripe to answer a dispute: all that is known of one booking, as a ZIP file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.addresses import mail_addresses
from bookingapp.bookings.calendar_file import calendar_file
from bookingapp.bookings.lookup import find_builder_email
from bookingapp.bookings.mail_triggers import Mail, is_mail_of
from bookingapp.bookings.models import Booking
from bookingapp.bookings.moves import list_moves
from bookingapp.builders.policy import policy_sentences
from bookingapp.checkout.words import STATUS_LABELS
from bookingapp.core.clock import duration
from bookingapp.core.i18n import gettext
from bookingapp.core.money import format_money
from bookingapp.core.queue import Job, WorkState
from bookingapp.dashboard.booking_details import Choice, list_history, list_money, load_choice
from bookingapp.dashboard.words import bookings as words
from bookingapp.dashboard.words.mails import MAILS_TO_CLIENT, mail_label
from bookingapp.outcomes import Done
from bookingapp.text import one_line
from bookingapp.webhooks.models import InboxEvent


def build_evidence(session: Session, booking: Booking, *, address: str, now: datetime) -> bytes:
    """``evidence.txt``, and ``session.ics`` where the booking has a time. ``booking`` has its builder loaded;
    ``address`` is the page that the calendar entry names.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("evidence.txt", "\n".join(evidence_lines(session, booking, now=now)) + "\n")
        if booking.starts_at is not None and booking.ends_at is not None:
            email = find_builder_email(session, booking)
            archive.writestr("session.ics", calendar_file(booking, address=address, organizer=email, now=now))
    return packed.getvalue()


def evidence_lines(session: Session, booking: Booking, *, now: datetime) -> Iterator[str]:
    """What is known of a booking, as lines of text."""
    yield gettext("EVIDENCE FOR BOOKING %(id)s, compiled %(at)s", id=booking.id, at=_utc_text(now))
    yield from _section(gettext("Booking"))
    length, price = duration(booking.duration_minutes), format_money(booking.price_minor, booking.currency)
    yield gettext("Session: %(title)s, %(length)s", title=booking.title, length=length)
    yield gettext("Builder: %(name)s", name=booking.builder.display_name)
    yield _client_line(booking)
    yield gettext("Price: %(price)s", price=price)
    yield gettext("Booked: %(at)s", at=_utc_text(booking.created_at))
    if booking.starts_at is not None and booking.ends_at is not None:
        yield gettext(
            "Time: %(start)s to %(end)s", start=_utc_text(booking.starts_at), end=_utc_text(booking.ends_at)
        )
    yield from (words.move_line(move, "UTC") for move in list_moves(session, booking))
    yield gettext("Status: %(status)s", status=STATUS_LABELS[booking.status])
    yield from _section(gettext("Refund policy, shown before the payment and accepted by paying"))
    yield from policy_sentences(booking.policy, is_free=booking.is_free)
    yield from _choice_lines(load_choice(session, booking))
    yield from _section(gettext("What happened"))
    for line in list_history(session, booking):
        yield f"{_utc_text(line.at)}: {line.change} ({line.why})"
    yield from _section(gettext("Money, as reported by Stripe"))
    money = list_money(session, booking)
    for label, entry in money.movements:
        yield f"{_utc_text(entry.at)}: {label}: {format_money(entry.amount_minor, entry.currency)}"
    yield from (sentence for sentence, _ in money.disputes)
    yield from _section(gettext("E-mails to the client"))
    if booking.erased_at is not None:
        yield gettext("Erased with the client's personal data.")
    for mail, at in _list_mails(session, booking):
        yield f"{_utc_text(at)}: {mail_label(mail)}"
    yield from _section(gettext("Webhooks received from Calendly and Stripe"))
    query = sa.select(InboxEvent.received_at, InboxEvent.provider, InboxEvent.type)
    for at, provider, kind in session.execute(
        query.where(InboxEvent.booking_id == booking.id).order_by(InboxEvent.id)
    ):
        yield f"{_utc_text(at)}: {provider.value.title()}: {kind}"


def _client_line(booking: Booking) -> str:
    if booking.erased_at is not None:
        return gettext("Client: personal data erased on %(at)s", at=_utc_text(booking.erased_at))
    emails = ", ".join(one.email for one in mail_addresses(booking))
    return gettext("Client: %(name)s, %(email)s", name=booking.client_name, email=emails)


def _choice_lines(choice: Choice) -> Iterator[str]:
    """What the client chose. Answers are one line each, so that none looks like another line of ours."""
    yield from _section(gettext("What the client chose"))
    if choice.way:
        yield choice.way
    if choice.place:
        yield gettext("Where: %(place)s", place=choice.place)
    if choice.guests:
        yield gettext("Guests: %(emails)s", emails=", ".join(choice.guests))
    for question, answer in choice.answers:
        yield f"{one_line(question)}: {one_line(answer)}"


def _list_mails(session: Session, booking: Booking) -> list[tuple[Mail, datetime]]:
    """What was mailed to the client and when, the oldest first."""
    sent = (Job.state == WorkState.DONE, sa.or_(Job.outcome.is_(None), Job.outcome.not_in(tuple(Done))))
    query = sa.select(Job).where(*sent, is_mail_of(booking.id, MAILS_TO_CLIENT))
    rows = session.scalars(query.order_by(Job.finished_at))
    return [(Mail(row.args["mail"]), row.finished_at) for row in rows if row.finished_at is not None]


def _section(title: str) -> Iterator[str]:
    yield from ("", title, "-" * len(title))


def _utc_text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
