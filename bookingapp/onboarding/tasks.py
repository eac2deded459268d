"""What people who become builders are mailed, and the jobs that send it."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts import links
from bookingapp.accounts.models import Account, AccountLink
from bookingapp.accounts.service import find_account
from bookingapp.builders.models import Builder
from bookingapp.core import clock
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import gettext as _
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.notifications.content import MailContent
from bookingapp.notifications.service import Mailer, Recipient, send_mail
from bookingapp.onboarding.applications import SEND_DECLINE_JOB, SEND_LINK_JOB
from bookingapp.onboarding.invitations import SEND_INVITATION_JOB
from bookingapp.onboarding.models import Application

SEND_STANDING_JOB = "onboarding.send_standing"


@job(SEND_INVITATION_JOB, label=lazy_gettext("an invitation"))
def send_invitation(session: Session, mailer: Mailer, *, link_id: int, now: datetime) -> None:
    """Send an invitation that is still open. Raises :class:`~bookingapp.notifications.transport.MailError`."""
    found = links.find_unsent(session, link_id, now=now)
    end_read(session)
    if found is None:
        return
    link, token = found
    subject = _("Your invitation to become a builder")
    content = MailContent(
        subject=subject,
        heading=subject,
        greeting=_("Hello %(name)s,", name=link.facts["name"]),
        paragraphs=(
            _(
                "You are invited to offer sessions here: clients find you, choose a time and pay, all on one site."
            ),
            _(
                "Open the link and choose a password. A short list then leads you through the rest: your profile, your "
                "Calendly account, your prices. It takes about a quarter of an hour."
            ),
        ),
        action=(_("Accept the invitation"), mailer.address("onboarding.invitation", token=token)),
        notes=(
            _(
                "The link works once, until %(day)s. Please keep it to yourself.",
                day=clock.day(link.expires_at, "UTC"),
            ),
            _("Not interested, or not meant for you? You can ignore this mail."),
        ),
    )
    to, identity = Recipient(link.facts["name"], link.email), f"invitation:{link.token_hash}"
    send_mail(mailer, content, to, kind="invitation", identity=identity, now=now, link=link.id)
    _record_sent(session, link)


@job(SEND_LINK_JOB, label=lazy_gettext("a link that confirms an application"))
def send_application_link(session: Session, mailer: Mailer, *, link_id: int, now: datetime) -> None:
    """Send the link that confirms an application; to somebody who has an account, where to log in. Raises
    :class:`~bookingapp.notifications.transport.MailError`.
    """
    found = links.find_unsent(session, link_id, now=now)
    end_read(session)
    if found is None:
        return
    link, token = found
    has_account = find_account(session, link.email) is not None
    end_read(session)
    if has_account:
        subject, action = _("You have an account already"), (_("Log in"), mailer.address("accounts.login"))
        paragraphs = (
            _(
                "Somebody, probably you, applied to become a builder with this address. It has an account already."
            ),
        )
    else:
        subject = _("Please confirm your application")
        action = (_("Confirm my application"), mailer.address("onboarding.confirmation", token=token))
        paragraphs = (
            _(
                "Thank you for your interest in becoming a builder. Open the link and press the button there: then we "
                "read your application, and answer by mail."
            ),
        )
    content = MailContent(
        subject=subject,
        heading=subject,
        greeting=_("Hello,"),
        paragraphs=paragraphs,
        action=action,
        notes=(_("If that was not you, you can ignore this mail: nothing happens then."),),
    )
    to, identity = Recipient("", link.email), f"application:{link.token_hash}"
    send_mail(mailer, content, to, kind="application", identity=identity, now=now, link=link.id)
    _record_sent(session, link)


@job(SEND_DECLINE_JOB, label=lazy_gettext("an answer to an application"))
def send_decline(session: Session, mailer: Mailer, *, application_id: int, now: datetime) -> None:
    """Send the operator's sentence. Raises :class:`~bookingapp.notifications.transport.MailError`."""
    row = session.get(Application, application_id)
    end_read(session)
    if row is None or row.answer is None:
        return
    content = MailContent(
        subject=_("Your application to become a builder"),
        heading=_("Thank you for your application"),
        greeting=_("Hello %(name)s,", name=row.name),
        paragraphs=(_("We have read your application, and cannot take you on at the moment."), row.answer),
        action=(_("See the builders"), mailer.address("builders.index")),
    )
    to, identity = Recipient(row.name, row.email), f"decline:{row.id}:{row.confirmed_at.isoformat()}"
    send_mail(mailer, content, to, kind="decline", identity=identity, now=now, application=row.id)


@job(SEND_STANDING_JOB, label=lazy_gettext("news of a suspension"))
def send_standing(session: Session, mailer: Mailer, *, builder_id: int, at: str, now: datetime) -> None:
    """Tell a builder that they are suspended, or not any more: as it is when the mail is sent. ``at`` is the moment of
    the act, so that each act has its mail. Raises :class:`~bookingapp.notifications.transport.MailError`.
    """
    builder = session.get_one(Builder, builder_id)
    email = session.scalars(sa.select(Account.email).where(Account.id == builder.account_id)).one()
    end_read(session)
    action = (_("Go to your dashboard"), mailer.address("dashboard.index"))
    if builder.suspended_at is not None:
        content = MailContent(
            subject=_("Your page takes no bookings at the moment"),
            heading=_("Your page takes no bookings at the moment"),
            greeting=_("Hello %(name)s,", name=builder.display_name),
            paragraphs=(
                _("We have paused your page. Clients cannot book you or find you in the directory."),
                builder.suspension_reason or "",
                _(
                    "What is booked stays booked, so please hold those sessions. To sort it out, please answer this "
                    "mail."
                ),
            ),
            action=action,
        )
    else:
        content = MailContent(
            subject=_("Clients can book you again"),
            heading=_("Clients can book you again"),
            greeting=_("Hello %(name)s,", name=builder.display_name),
            paragraphs=(_("Your page is no longer paused. You do not need to do anything."),),
            action=action,
        )
    to, identity = Recipient(builder.display_name, email), f"standing:{builder.id}:{at}"
    send_mail(mailer, content, to, kind="standing", identity=identity, now=now, builder=builder.id)


def _record_sent(session: Session, link: AccountLink) -> None:
    with transaction(session):
        links.record_sent(session, link)
