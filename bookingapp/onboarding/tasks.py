"""The jobs that mail people who become builders. What they say is in :mod:`bookingapp.onboarding.mails`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.accounts import links
from bookingapp.accounts.models import Account, AccountLink
from bookingapp.accounts.service import find_account
from bookingapp.builders.models import Builder
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import lazy_gettext, speaking
from bookingapp.core.jobs import job
from bookingapp.notifications.service import Mailer, Recipient, send_mail
from bookingapp.onboarding.applications import SEND_DECLINE_JOB, SEND_LINK_JOB, SEND_WAITING_JOB
from bookingapp.onboarding.invitations import SEND_INVITATION_JOB
from bookingapp.onboarding.mails import (
    compose_account_exists,
    compose_application_link,
    compose_application_waits,
    compose_decline,
    compose_invitation,
    compose_standing,
)
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
    has_account = find_account(session, link.email) is not None
    end_read(session)
    to, identity = Recipient(link.facts["name"], link.email), f"invitation:{link.token_hash}"
    with speaking(link.facts.get("language")):
        url = mailer.address("onboarding.invitation", token=token)
        content = compose_invitation(link, url, has_account=has_account)
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
    to, identity = Recipient("", link.email), f"application:{link.token_hash}"
    with speaking(link.facts.get("language")):
        content = (
            compose_account_exists(mailer.address("accounts.login"))
            if has_account
            else compose_application_link(mailer.address("onboarding.confirmation", token=token))
        )
        send_mail(mailer, content, to, kind="application", identity=identity, now=now, link=link.id)
    _record_sent(session, link)


@job(SEND_WAITING_JOB, label=lazy_gettext("news of an application, for an operator"))
def send_waiting(
    session: Session, mailer: Mailer, *, application_id: int, operator_id: int, now: datetime
) -> None:
    """Mail an operator about an application that waits. Raises
    :class:`~bookingapp.notifications.transport.MailError`.
    """
    row, operator = session.get(Application, application_id), session.get(Account, operator_id)
    end_read(session)
    if row is None or row.decided_at is not None or operator is None:
        return
    about = f"{row.id}:{row.confirmed_at.isoformat()}:{operator.id}"
    to, identity = Recipient(operator.name, operator.email), f"application-waits:{about}"
    with speaking(operator.language):
        content = compose_application_waits(row, operator, mailer.address("operator.applications"))
        send_mail(
            mailer, content, to, kind="application-waits", identity=identity, now=now, application=row.id
        )


@job(SEND_DECLINE_JOB, label=lazy_gettext("an answer to an application"))
def send_decline(session: Session, mailer: Mailer, *, application_id: int, now: datetime) -> None:
    """Send the operator's sentence. Raises :class:`~bookingapp.notifications.transport.MailError`."""
    row = session.get(Application, application_id)
    end_read(session)
    if row is None or row.answer is None:
        return
    to, identity = Recipient(row.name, row.email), f"decline:{row.id}:{row.confirmed_at.isoformat()}"
    with speaking(row.language):
        content = compose_decline(row, mailer.address("builders.index"))
        send_mail(mailer, content, to, kind="decline", identity=identity, now=now, application=row.id)


@job(SEND_STANDING_JOB, label=lazy_gettext("news of a suspension"))
def send_standing(session: Session, mailer: Mailer, *, builder_id: int, at: str, now: datetime) -> None:
    """Tell a builder that they are suspended, or not any more: as it is when the mail is sent. ``at`` is the moment of
    the act, so that each act has its mail. Raises :class:`~bookingapp.notifications.transport.MailError`.
    """
    builder = session.get_one(Builder, builder_id)
    account = session.get_one(Account, builder.account_id)
    end_read(session)
    to, identity = Recipient(builder.display_name, account.email), f"standing:{builder.id}:{at}"
    with speaking(account.language):
        content = compose_standing(builder, mailer.address("dashboard.index"))
        send_mail(mailer, content, to, kind="standing", identity=identity, now=now, builder=builder.id)


def _record_sent(session: Session, link: AccountLink) -> None:
    with transaction(session):
        links.record_sent(session, link)
