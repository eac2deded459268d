"""Sends the mails about accounts. What they say is in :mod:`bookingapp.notifications.account_mails`."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.accounts import links, service
from bookingapp.accounts.codes import LinkPurpose, SecurityCode
from bookingapp.accounts.events import record_event
from bookingapp.accounts.mail_jobs import SEND_LINK_JOB, SEND_NOTICE_JOB
from bookingapp.accounts.models import Account, AccountLink, SecurityEvent
from bookingapp.accounts.origins import Origin
from bookingapp.builders.models import Builder
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.notifications.account_mails import AccountReader, compose_link_mail, compose_notice
from bookingapp.notifications.content import MailContent
from bookingapp.notifications.service import Mailer, Recipient, build_message

log = structlog.get_logger(__name__)

_PAGES = {
    LinkPurpose.RESET_PASSWORD: "accounts.reset_password",
    LinkPurpose.CONFIRM_NEW_ADDRESS: "accounts.confirm_new_address",
    LinkPurpose.CONFIRM_OLD_ADDRESS: "accounts.confirm_old_address",
}


@job(SEND_LINK_JOB, label=lazy_gettext("a link for an account"))
def send_link(session: Session, mailer: Mailer, *, link_id: int, now: datetime) -> None:
    """Send a link that works once, unless it was replaced meanwhile. One that resets a password goes only to an address
    that has an account. Raises :class:`~bookingapp.notifications.transport.MailError`.
    """
    with transaction(session):
        link = session.get(AccountLink, link_id)
        if link is None or link.token is None or link.expires_at <= now:
            return
        if link.account_id is None and not _find_account(session, link, now=now):
            return
        account = session.get_one(Account, link.account_id)
        reader, token = _reader(session, mailer, account), link.token
    content = compose_link_mail(link, reader, mailer.address(_PAGES[link.purpose], token=token))
    kind = link.purpose.value.replace("_", "-")
    _send(
        mailer, content, Recipient("", link.email), kind=kind, identity=f"{kind}:{link.token_hash}", now=now
    )
    log.info("mail_sent", link=link_id, mail=kind)
    with transaction(session):
        links.record_sent(session, link)


@job(SEND_NOTICE_JOB, label=lazy_gettext("a notice about an account"))
def send_notice(
    session: Session, mailer: Mailer, *, event_id: int, link_id: int | None, now: datetime
) -> None:
    """Mail a security event to the account's owner, or to the address that a link was sent to.

    Raises :class:`~bookingapp.notifications.transport.MailError`.
    """
    event = session.get(SecurityEvent, event_id)
    account = session.get(Account, event.account_id) if event else None
    link = session.get(AccountLink, link_id) if link_id else None
    if event is None or account is None:
        end_read(session)
        return
    reader = _reader(session, mailer, account)
    end_read(session)
    to = Recipient(account.name, link.email if link else account.email)
    # With its time, because another database may have an event with the same number.
    identity = f"notice:{event_id}:{event.at.isoformat()}:{link_id}"
    kind = event.code.value.replace("_", "-")
    _send(mailer, compose_notice(event, reader), to, kind=kind, identity=identity, now=now)
    log.info("mail_sent", security_event=event_id, mail=kind)


def _find_account(session: Session, link: AccountLink, *, now: datetime) -> bool:
    """Look up the account of a link that resets a password; without one the link ends."""
    account = service.find_account(session, link.email)
    if account is None:
        links.end_links(session, [link.purpose], email=link.email, now=now)
        return False
    link.account_id = account.id
    origin = Origin(str(link.facts.get("network", "")), str(link.facts.get("user_agent", "")))
    record_event(session, SecurityCode.RESET_ASKED, account_id=account.id, origin=origin, now=now)
    return True


def _reader(session: Session, mailer: Mailer, account: Account) -> AccountReader:
    zone = session.scalar(sa.select(Builder.timezone).where(Builder.account_id == account.id))
    return AccountReader(
        account.name,
        account.email,
        zone or "UTC",
        account_url=mailer.address("accounts.account"),
        log_ins_url=mailer.address("accounts.log_ins"),
        forgot_url=mailer.address("accounts.forgot_password"),
    )


def _send(
    mailer: Mailer, content: MailContent, to: Recipient, *, kind: str, identity: str, now: datetime
) -> None:
    support = Recipient("", mailer.support) if mailer.support else None
    mailer.transport.send(
        build_message(mailer, content, to, reply_to=support, kind=kind, identity=identity, now=now)
    )
