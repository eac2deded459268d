"""Sending what is owed: read, write the letter, end the reading, hand it over.

A mail is sent at least once: a crash between the hand-over and the end of the job's row sends it again, under the
same Message-ID, by which mail programs fold the two into one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
import structlog
from email_validator import EmailNotValidError, validate_email
from jinja2 import Environment
from sqlalchemy.orm import Session, joinedload

from bookingapp.bookings.calendar_file import calendar_file
from bookingapp.bookings.mail_triggers import Mail
from bookingapp.bookings.models import Booking
from bookingapp.builders.models import Builder
from bookingapp.clients.links import GOOD_FOR, LinkSigner
from bookingapp.clients.models import SignIn
from bookingapp.clients.service import SEND_LINK_JOB
from bookingapp.core.db import end_read
from bookingapp.core.jobs import job
from bookingapp.notifications import mails
from bookingapp.notifications.mails import MailContent, MailLinks
from bookingapp.notifications.transport import Transport

log = structlog.get_logger(__name__)

NO_REPLY = "no-reply"


@dataclass(frozen=True)
class Mailer:
    """What sending needs. ``address`` makes an absolute address from an endpoint and its values, by PUBLIC_URL."""

    transport: Transport
    public_url: str
    sender: str | None
    templates: Environment
    address: Callable[..., str]
    links: LinkSigner


@dataclass(frozen=True)
class Recipient:
    """Who gets a mail."""

    name: str
    email: str


def send_booking_mail(session: Session, post: Mailer, args: Mapping[str, Any], *, now: datetime) -> None:
    """Send the mail that a row of the outbox names, unless things have moved on since. Raises
    :class:`~bookingapp.notifications.transport.MailError`.
    """
    mail = Mail(args["mail"])
    query = sa.select(Booking).where(Booking.id == args["booking_id"])
    booking = session.scalar(query.options(joinedload(Booking.builder).joinedload(Builder.account)))
    end_read(session)
    if booking is None:
        return
    letter = mails.compose_mail(mail, booking, args, _addresses(post, booking), now=now)
    if letter is None:
        log.info("mail_not_needed_any_more", booking=booking.id, mail=mail.value)
        return
    reader = Recipient(booking.client_name, booking.client_email)
    if mail.to_builder:
        reader = Recipient(booking.builder.display_name, booking.builder.account.email)
    # The tracking id makes it unlike that of any other database's booking with the same number.
    identity = f"{mail.value}:{booking.tracking_id}:{args.get('about', '')}"
    message = build_message(post, letter, reader, kind=mail.value, identity=identity, now=now)
    if letter.calendar:
        session_file = calendar_file(booking, address=post.address("checkout.show", ref=booking.ref), now=now)
        message.add_attachment(
            session_file,
            maintype="text",
            subtype="calendar",
            filename="session.ics",
            params={"charset": "utf-8"},
        )
    post.transport.send(message)
    log.info("mail_sent", booking=booking.id, mail=mail.value)


@job(SEND_LINK_JOB, label="a sign-in link")
def send_link(session: Session, post: Mailer, *, sign_in_id: int, now: datetime) -> None:
    """Send the link that verifies an address: always where a session type asked for it, otherwise only where
    there are bookings to see. Raises :class:`~bookingapp.notifications.transport.MailError`.
    """
    sign_in = session.get(SignIn, sign_in_id)
    wanted = sign_in is not None and (sign_in.return_to is not None or _has_bookings(session, sign_in.email))
    end_read(session)
    if sign_in is None or not wanted or sign_in.used_at is not None:
        return
    link = post.address("clients.link", value=post.links.sign(sign_in.link_token))
    letter = mails.compose_sign_in_mail(
        link, minutes=int(GOOD_FOR.total_seconds()) // 60, for_booking=sign_in.return_to is not None
    )
    identity = f"sign-in:{sign_in.link_token}"
    message = build_message(
        post, letter, Recipient("", sign_in.email), kind="sign-in", identity=identity, now=now
    )
    post.transport.send(message)
    log.info("mail_sent", sign_in=sign_in_id, mail="sign-in")


def build_message(
    post: Mailer, letter: MailContent, reader: Recipient, *, kind: str, identity: str, now: datetime
) -> EmailMessage:
    """The message: text and HTML of the same words. ``identity`` stays the same for every try at one mail."""
    brand = str(getattr(post.templates.get_template("components/brand.html").module, "brand", ""))
    host = urlsplit(post.public_url).hostname or "localhost"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:32]
    message = EmailMessage()
    message["Subject"] = _line(letter.subject)
    message["From"] = Address(brand, addr_spec=post.sender or f"{NO_REPLY}@{_domain(host)}")
    user, _, domain = _deliverable(reader.email).rpartition("@")
    message["To"] = Address(_line(reader.name), user, domain)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{kind}.{digest}@{_domain(host)}>"
    # Asks other machines not to answer.
    message["Auto-Submitted"] = "auto-generated"
    context = {"letter": letter, "brand": brand, "public_url": post.public_url}
    text = post.templates.get_template("mails/mail.txt").render(context)
    html = post.templates.get_template("mails/mail.html").render(context)
    message.set_content(text, cte="8bit")
    message.add_alternative(html, subtype="html", cte="8bit")
    return message


def _addresses(post: Mailer, booking: Booking) -> MailLinks:
    return MailLinks(
        booking=post.address("checkout.show", ref=booking.ref),
        dashboard=post.address("dashboard.booking", ref=booking.ref),
        profile=post.address("builders.profile", slug=booking.builder.slug),
    )


def _has_bookings(session: Session, email: str) -> bool:
    return session.scalar(sa.select(Booking.id).where(Booking.client_email == email).limit(1)) is not None


def _line(text: str) -> str:
    """One line of printable text: a title comes from outside, and a header ends at a line break."""
    return " ".join("".join(part for part in word if part.isprintable()) for word in text.split())


def _domain(host: str) -> str:
    """A host as the right side of an address; a bare number is none."""
    return host if any(letter.isalpha() for letter in host) and ":" not in host else "localhost"


def _deliverable(email: str) -> str:
    """The address with its domain as the DNS spells it, so that every server takes it."""
    try:
        found = validate_email(email, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return email
    return found.ascii_email or found.normalized
