"""Sends mails: reads the booking, builds the message, hands it to the transport. What mails say is in
:mod:`bookingapp.notifications.mails`.

A mail is sent at least once: after a crash between sending and the end of its job it is sent again with the same
Message-ID, which mail programs show once.
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
from jinja2 import Environment
from sqlalchemy.orm import Session, joinedload

from bookingapp.bookings.addresses import mail_addresses, opens_for
from bookingapp.bookings.calendar_file import Method, calendar_file, calendar_method
from bookingapp.bookings.mail_triggers import FROM_PLATFORM, Mail
from bookingapp.bookings.models import Booking, UnattachedInvitee
from bookingapp.bookings.moves import find_moved_from
from bookingapp.bookings.unattached import of_address
from bookingapp.builders.models import Builder
from bookingapp.clients.links import GOOD_FOR, LinkSigner
from bookingapp.clients.models import SignIn
from bookingapp.clients.service import SEND_LINK_JOB
from bookingapp.core.db import end_read
from bookingapp.core.i18n import lazy_gettext, speaking
from bookingapp.core.jobs import job
from bookingapp.core.mailboxes import in_ascii
from bookingapp.notifications import mails
from bookingapp.notifications.content import MailContent, MailLinks
from bookingapp.notifications.transport import MailTransport
from bookingapp.text import one_line

log = structlog.get_logger(__name__)

NO_REPLY = "no-reply"


@dataclass(frozen=True)
class Mailer:
    """What sending needs. ``address`` builds an absolute URL from an endpoint and its values, with PUBLIC_URL."""

    transport: MailTransport
    public_url: str
    sender: str | None
    support: str | None
    templates: Environment
    address: Callable[..., str]
    links: LinkSigner


@dataclass(frozen=True)
class Recipient:
    """The person a mail is sent to."""

    name: str
    email: str


@dataclass(frozen=True)
class Invitation:
    """A calendar file, and what a calendar does with it."""

    content: bytes
    method: Method


def is_still_true(booking: Booking, args: Mapping[str, Any], *, now: datetime) -> bool:
    """Whether the mail that a job names would be sent now. ``booking`` has its builder loaded."""
    return (
        mails.compose_mail(Mail(args["mail"]), booking, args, MailLinks("", "", "", ""), now=now) is not None
    )


def send_booking_mail(session: Session, mailer: Mailer, args: Mapping[str, Any], *, now: datetime) -> bool:
    """Send the mail that a job names, unless it is not true any more. Returns whether it was sent. Raises
    :class:`~bookingapp.notifications.transport.MailError`.
    """
    mail = Mail(args["mail"])
    query = sa.select(Booking).where(Booking.id == args["booking_id"])
    booking = session.scalar(query.options(joinedload(Booking.builder).joinedload(Builder.account)))
    if booking is not None and mail in (Mail.MOVED_CLIENT, Mail.MOVED_BUILDER):
        args = {**args, "moved_from": find_moved_from(session, booking)}
    end_read(session)
    if booking is None:
        return False
    with speaking(booking.builder.account.language if mail.to_builder else booking.language):
        return _send_about(booking, mailer, mail, args, now=now)


def _send_about(
    booking: Booking, mailer: Mailer, mail: Mail, args: Mapping[str, Any], *, now: datetime
) -> bool:
    addresses, second = mail_addresses(booking), bool(args.get("second"))
    if second and len(addresses) == 1:
        return False  # The client has chosen the other one.
    if booking.erased_at is not None and not mail.to_builder:
        return False
    to = addresses[1 if second else 0]
    links = _page_addresses(mailer, booking, has_key=to.has_key)
    content = mails.compose_mail(mail, booking, args, links, now=now)
    if content is None:
        log.info("mail_dropped", booking=booking.id, mail=mail.value)
        return False
    client = Recipient(booking.client_name, to.email)
    builder = Recipient(booking.builder.display_name, booking.builder.account.email)
    recipient, other = (builder, client) if mail.to_builder else (client, builder)
    # With the tracking id, because another database may have a booking with the same number.
    identity = f"{mail.value}:{booking.tracking_id}:{args.get('about', '')}{':second' if second else ''}"
    if args.get("again"):
        # Mail programs show one message for each id.
        identity += f":again-{args['again']}"
    invitation = _invite(booking, to.email, links, now=now) if content.calendar else None
    send_mail(
        mailer,
        content,
        recipient,
        reply_to=None if mail in FROM_PLATFORM else other,
        kind=mail.value,
        identity=identity,
        invitation=invitation,
        now=now,
        booking=booking.id,
    )
    return True


@job(SEND_LINK_JOB, label=lazy_gettext("a sign-in link"))
def send_link(session: Session, mailer: Mailer, *, sign_in_id: int, now: datetime) -> None:
    """Send the link that verifies an address: always where a session type asked for it, otherwise only where
    there are bookings to see. Raises :class:`~bookingapp.notifications.transport.MailError`.
    """
    sign_in = session.get(SignIn, sign_in_id)
    wanted = sign_in is not None and (sign_in.return_to is not None or _is_known(session, sign_in.email))
    end_read(session)
    if sign_in is None or not wanted or sign_in.used_at is not None:
        return
    link = mailer.address("clients.link", value=mailer.links.sign(sign_in.link_token))
    identity = f"sign-in:{sign_in.link_token}"
    to = Recipient("", sign_in.email)
    with speaking(sign_in.language):
        content = mails.compose_sign_in_mail(
            link, minutes=int(GOOD_FOR.total_seconds()) // 60, for_booking=sign_in.return_to is not None
        )
        send_mail(mailer, content, to, kind="sign-in", identity=identity, now=now, sign_in=sign_in_id)


def send_mail(
    mailer: Mailer,
    content: MailContent,
    to: Recipient,
    *,
    kind: str,
    identity: str,
    reply_to: Recipient | None = None,
    invitation: Invitation | None = None,
    now: datetime,
    **about: int,
) -> None:
    """Build a mail and hand it to the transport. ``identity`` stays the same for every try of one mail. An answer goes
    to ``reply_to``, else to the support's address; ``invitation`` is added; ``about`` has ids for the log.

    Raises :class:`~bookingapp.notifications.transport.MailError`.
    """
    support = Recipient("", mailer.support) if mailer.support else None
    message = _build_message(
        mailer, content, to, reply_to=reply_to or support, kind=kind, identity=identity, now=now
    )
    if invitation is not None:
        _add_invitation(message, invitation)
    mailer.transport.send(message)
    log.info("mail_sent", mail=kind, **about)


def _build_message(
    mailer: Mailer,
    content: MailContent,
    recipient: Recipient,
    *,
    reply_to: Recipient | None,
    kind: str,
    identity: str,
    now: datetime,
) -> EmailMessage:
    """The message, as text and HTML."""
    brand = str(getattr(mailer.templates.get_template("components/brand.html").module, "brand", ""))
    host = urlsplit(mailer.public_url).hostname or "localhost"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:32]
    message = EmailMessage()
    message["Subject"] = one_line(content.subject)
    message["From"] = Address(brand, addr_spec=mailer.sender or f"{NO_REPLY}@{_domain(host)}")
    message["To"] = _address(recipient)
    if reply_to is not None and reply_to.email:
        message["Reply-To"] = _address(reply_to)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{kind}.{digest}@{_domain(host)}>"
    # Asks auto-responders not to answer (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    context = {"content": content, "brand": brand, "public_url": mailer.public_url}
    text = mailer.templates.get_template("notifications/mail.txt").render(context)
    html = mailer.templates.get_template("notifications/mail.html").render(context)
    message.set_content(text, cte="8bit")
    message.add_alternative(html, subtype="html", cte="8bit")
    return message


def _invite(booking: Booking, attendee: str, links: MailLinks, *, now: datetime) -> Invitation:
    content = calendar_file(
        booking,
        address=links.booking or links.profile,
        organizer=booking.builder.account.email,
        attendee=attendee,
        now=now,
    )
    return Invitation(content, calendar_method(booking, is_mailed=True))


def _add_invitation(message: EmailMessage, invitation: Invitation) -> None:
    """Add the file twice: some programs read it beside the text, others as an attachment."""
    params = {"method": str(invitation.method)}
    message.add_alternative(invitation.content.decode(), subtype="calendar", params=params, cte="8bit")
    message.add_attachment(
        invitation.content,
        maintype="text",
        subtype="calendar",
        filename="session.ics",
        params={"charset": "utf-8", **params},
    )


def _page_addresses(mailer: Mailer, booking: Booking, *, has_key: bool) -> MailLinks:
    profile = mailer.address("builders.profile", slug=booking.builder.slug)
    return MailLinks(
        booking=mailer.address("checkout.show", ref=booking.ref) if has_key else None,
        dashboard=mailer.address("dashboard.booking", tracking_id=booking.tracking_id),
        profile=profile,
        again=mailer.address("bookings.again", ref=booking.ref) if has_key else profile,
    )


def _is_known(session: Session, email: str) -> bool:
    """Whether there is something to see or to erase. Who booked in Calendly directly has no booking here."""
    booking = sa.select(Booking.id).where(opens_for(email))
    direct = sa.select(UnattachedInvitee.id).where(of_address(email))
    return any(session.scalar(query.limit(1)) is not None for query in (booking, direct))


def _address(person: Recipient) -> Address:
    user, _, domain = (in_ascii(person.email) or person.email).rpartition("@")
    return Address(one_line(person.name), user, domain)


def _domain(host: str) -> str:
    """A host name fit for an address, in ASCII; ``localhost`` for an IP address."""
    is_name = any(content.isalpha() for content in host) and ":" not in host
    return host.encode("idna").decode("ascii") if is_name else "localhost"
