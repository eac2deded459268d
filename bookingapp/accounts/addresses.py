"""A change of an account's e-mail address: the new address and the old one both confirm it, by a link each.

The links are the state: a change waits while neither is ended nor expired, and happens with the use of the second.
"""

from __future__ import annotations

import enum
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts import links, service
from bookingapp.accounts.codes import LinkPurpose
from bookingapp.accounts.mail_jobs import enqueue_link
from bookingapp.accounts.models import Account, AccountLink
from bookingapp.core.errors import refusing_twins
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


def ask_for_change(session: Session, account: Account, new_email: str, *, now: datetime) -> None:
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
    account.email = change.new.email
    with refusing_twins(gettext("Another account uses this address since a moment ago.")):
        session.flush()
    links.end_links(session, [LinkPurpose.RESET_PASSWORD], account_id=account.id, now=now)
    return Outcome.CHANGED, change


def stop_change(session: Session, account_id: int, *, now: datetime) -> bool:
    """Stop the account's change. Returns whether one was waiting."""
    return links.end_links(session, PURPOSES, account_id=account_id, now=now) > 0
