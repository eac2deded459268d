"""Links that work once: made, found, used and ended. Every link that an account or an invitation is mailed is one of
these; what using one means is decided by its caller.

The token is in the mail alone: its hash is stored, and beside it the token itself, encrypted, until its mail is sent.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts.codes import LinkPurpose
from bookingapp.accounts.models import AccountLink
from bookingapp.core.db import changed_rows
from bookingapp.core.encryption import hash_secret

_OPEN = (AccountLink.used_at.is_(None), AccountLink.ended_at.is_(None))


def create_link(
    session: Session,
    purpose: LinkPurpose,
    *,
    email: str,
    valid_for: timedelta,
    now: datetime,
    account_id: int | None = None,
    facts: dict[str, Any] | None = None,
) -> AccountLink:
    """Add a link for a normalized address, and end the earlier ones of this purpose for it (and this account).
    ``token`` of the returned row is what the address of the page contains, until :func:`record_sent`.
    """
    end_links(session, [purpose], email=email, account_id=account_id, now=now)
    token = secrets.token_urlsafe(32)
    link = AccountLink(
        purpose=purpose,
        account_id=account_id,
        email=email,
        token_hash=hash_secret(token),
        token=token,
        facts=facts or {},
        created_at=now,
        expires_at=now + valid_for,
    )
    session.add(link)
    session.flush()
    return link


def find_link(session: Session, purpose: LinkPurpose, token: str, *, now: datetime) -> AccountLink | None:
    """The link of a token that still works, else None. Reads only: mail programs open links too."""
    query = sa.select(AccountLink).where(
        AccountLink.token_hash == hash_secret(token), AccountLink.purpose == purpose, *_OPEN
    )
    return session.scalar(query.where(AccountLink.expires_at > now))


def use_link(session: Session, purpose: LinkPurpose, token: str, *, now: datetime) -> AccountLink | None:
    """Use a link. Returns its row; None where it does not work (any more). Of several uses at once one succeeds."""
    link = find_link(session, purpose, token, now=now)
    if link is None:
        return None
    statement = (
        sa.update(AccountLink).where(AccountLink.id == link.id, *_OPEN).values(used_at=now, token=None)
    )
    if changed_rows(session, statement.execution_options(synchronize_session=False)) != 1:
        return None
    return link


def end_links(
    session: Session,
    purposes: Collection[LinkPurpose],
    *,
    now: datetime,
    email: str | None = None,
    account_id: int | None = None,
) -> int:
    """End the open links of these purposes, to the address or of the account where one is given. Returns how many there
    were.
    """
    statement = sa.update(AccountLink).where(AccountLink.purpose.in_(purposes), *_OPEN)
    if email is not None:
        statement = statement.where(AccountLink.email == email)
    if account_id is not None:
        statement = statement.where(AccountLink.account_id == account_id)
    statement = statement.values(ended_at=now, token=None)
    return changed_rows(session, statement.execution_options(synchronize_session=False))


def find_unsent(session: Session, link_id: int, *, now: datetime) -> tuple[AccountLink, str] | None:
    """The link whose mail is still to be sent, with its token; None where it was sent, used, ended or is expired."""
    link = session.get(AccountLink, link_id)
    if link is None or link.token is None or link.expires_at <= now:
        return None
    return link, link.token


def record_sent(session: Session, link: AccountLink) -> None:
    """Forget the token: it is in the mail now. A job that sends it does this after sending."""
    statement = sa.update(AccountLink).where(AccountLink.id == link.id).values(token=None)
    session.execute(statement.execution_options(synchronize_session=False))
