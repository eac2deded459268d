"""A change of an account's e-mail address: the new address and the old one both confirm it, by a link each.

The links are the state: a change waits while neither is ended nor expired, and happens with the use of the second.
Where the old mailbox is lost, an operator changes the address (:func:`set_address`).
"""

from __future__ import annotations

import enum
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts import links, log_ins, service
from bookingapp.accounts.codes import LinkPurpose, LogInEnd, SecurityCode
from bookingapp.accounts.events import record_event
from bookingapp.accounts.log_ins import CurrentAccount
from bookingapp.accounts.mail_jobs import enqueue_link, enqueue_notice
from bookingapp.accounts.models import Account, AccountLink
from bookingapp.accounts.origins import BY_OPERATOR
from bookingapp.core.errors import Conflict, refusing_twins
from bookingapp.core.i18n import gettext

VALID_FOR = timedelta(hours=24)
PURPOSES = (LinkPurpose.CONFIRM_NEW_ADDRESS, LinkPurpose.CONFIRM_OLD_ADDRESS)


class Outcome(enum.StrEnum):
    """What a confirmation led to."""

    WAITING = "waiting"  # For the other address.
    CHANGED = "changed"
    TAKEN = "taken"  # Another account has the new address by now.


@dataclass(frozen=True)
class AddressChange:
    """A change that waits, or that has just happened."""

    account_id: int
    old: AccountLink
    new: AccountLink


def ask_for_change(session: Session, account: CurrentAccount, new_email: str, *, now: datetime) -> None:
    """Mail a link to both addresses, whether the new one (normalized) is free or not: only who reads its mail learns
    that. Ends an earlier change that waits.
    """
    stop_change(session, account.id, now=now)
    facts = {"change": secrets.token_hex(8), "new_email": new_email}
    for purpose, email in zip(PURPOSES, (new_email, account.email), strict=True):
        link = links.create_link(
            session, purpose, email=email, account_id=account.id, valid_for=VALID_FOR, facts=facts, now=now
        )
        enqueue_link(session, link, now=now)


def find_change(session: Session, account_id: int, *, now: datetime) -> AddressChange | None:
    """The account's change that waits."""
    query = sa.select(AccountLink).where(
        AccountLink.account_id == account_id,
        AccountLink.purpose.in_(PURPOSES),
        AccountLink.ended_at.is_(None),
        AccountLink.expires_at > now,
    )
    found = {link.purpose: link for link in session.scalars(query.order_by(AccountLink.id))}
    # Of two that were asked for in the same moment, each may have ended one link of the other.
    are_one = len({link.facts.get("change") for link in found.values()}) == 1
    if len(found) != len(PURPOSES) or not are_one or all(link.used_at for link in found.values()):
        return None
    return AddressChange(account_id, old=found[PURPOSES[1]], new=found[PURPOSES[0]])


def confirm_change(
    session: Session, purpose: LinkPurpose, token: str, *, now: datetime
) -> tuple[Outcome, AddressChange] | None:
    """Confirm for one of the addresses, by its link; with the second the account has the new one. None where the link
    does not work (any more).
    """
    link = links.find_link(session, purpose, token, now=now)
    if link is None or link.account_id is None:
        return None
    # Before the link is used: of two confirmations at once, the later one sees the earlier.
    account = service.lock_account(session, link.account_id)
    change = find_change(session, account.id, now=now)
    if change is None or links.use_link(session, purpose, token, now=now) is None:
        return None
    session.refresh(change.old)
    session.refresh(change.new)
    if change.old.used_at is None or change.new.used_at is None:
        return Outcome.WAITING, change
    if service.find_account(session, change.new.email) is not None:
        return Outcome.TAKEN, change
    _store(session, account, change.new.email)
    links.end_links(session, [LinkPurpose.RESET_PASSWORD], account_id=account.id, now=now)
    return Outcome.CHANGED, change


def set_address(session: Session, account_id: int, email: str, *, now: datetime) -> None:
    """Give an account another (normalized) address, because its owner cannot read the old one any more; an operator has
    made sure who asks. The account is logged out everywhere, its links end, and both addresses get a mail.

    Raises :class:`Conflict` where it or another account has that address.
    """
    account = service.lock_account(session, account_id)
    if email == account.email:
        raise Conflict(gettext("The account has this address already."))
    if service.find_account(session, email) is not None:
        raise Conflict(gettext("Another account has this address."))
    # The row is what the mail to the old address finds it by. It is ended below, and opens nothing.
    old = links.create_link(
        session, PURPOSES[1], email=account.email, account_id=account.id, valid_for=VALID_FOR, now=now
    )
    _store(session, account, email)
    log_ins.end_all(session, account.id, how=LogInEnd.RESET, now=now)
    links.end_links(session, service.LINKS_OF_ACCOUNT, account_id=account.id, now=now)
    event = record_event(
        session, SecurityCode.ADDRESS_SET, account_id=account.id, origin=BY_OPERATOR, now=now
    )
    enqueue_notice(session, event, now=now, to_link=old)


def _store(session: Session, account: Account, email: str) -> None:
    account.email = email
    with refusing_twins(gettext("Another account has this address.")):
        session.flush()


def stop_change(session: Session, account_id: int, *, now: datetime) -> bool:
    """Stop the account's change. Returns whether one was waiting."""
    # In the order in which a confirmation locks, which may be under way.
    service.lock_account(session, account_id)
    return links.end_links(session, PURPOSES, account_id=account_id, now=now) > 0
