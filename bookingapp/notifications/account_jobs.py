"""Sends the mails about accounts. What they say is in :mod:`bookingapp.notifications.account_mails`."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts import links, service
from bookingapp.accounts.codes import LinkPurpose, SecurityCode
from bookingapp.accounts.events import record_event
from bookingapp.accounts.mail_jobs import SEND_LINK_JOB, SEND_NOTICE_JOB
from bookingapp.accounts.models import Account, AccountLink, SecurityEvent
from bookingapp.accounts.origins import Origin
from bookingapp.builders.models import Builder
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import lazy_gettext, speaking
from bookingapp.core.jobs import job
from bookingapp.notifications.account_mails import AccountReader, compose_link_mail, compose_notice
from bookingapp.notifications.service import Mailer, Recipient, send_mail

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
    found = links.find_unsent(session, link_id, now=now)
    end_read(session)
    if found is None:
        return
    link, token = found
    account_id = link.account_id or _assign_account(session, link, now=now)
    if account_id is None:
        return
    account = session.get_one(Account, account_id)
    reader = _reader(session, mailer, account)
    end_read(session)
    kind = link.purpose.value.replace("_", "-")
    to, identity = Recipient("", link.email), f"{kind}:{link.token_hash}"
    with speaking(account.language or link.facts.get("language")):
        content = compose_link_mail(link, reader, mailer.address(_PAGES[link.purpose], token=token))
        send_mail(mailer, content, to, kind=kind, identity=identity, now=now, link=link_id)
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
    with speaking(account.language):
        content = compose_notice(event, reader)
        send_mail(mailer, content, to, kind=kind, identity=identity, now=now, security_event=event_id)


def _assign_account(session: Session, link: AccountLink, *, now: datetime) -> int | None:
    """Look up the account of a link that resets a password, and return its id; without one the link ends."""
    with transaction(session):
        account = service.lock_account_of(session, link.email)
        if account is None:
            links.end_links(session, [link.purpose], email=link.email, now=now)
            return None
        session.get_one(AccountLink, link.id).account_id = account.id
        origin = Origin(str(link.facts.get("network", "")), str(link.facts.get("user_agent", "")))
        record_event(session, SecurityCode.RESET_ASKED, account_id=account.id, origin=origin, now=now)
        return account.id


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
