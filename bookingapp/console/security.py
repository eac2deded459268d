"""Lists the security events of all accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account, SecurityEvent


class ListedEvent(NamedTuple):
    """An event, with the name of its account where it has one."""

    event: SecurityEvent
    account: str | None


def list_events(
    session: Session, *, account_id: int | None, before: int | None, limit: int
) -> Sequence[ListedEvent]:
    """At most ``limit`` events, of one account or of all, the newest first, with smaller ids than ``before``."""
    query = sa.select(SecurityEvent, Account.name).outerjoin(Account, Account.id == SecurityEvent.account_id)
    if account_id is not None:
        query = query.where(SecurityEvent.account_id == account_id)
    if before is not None:
        query = query.where(SecurityEvent.id < before)
    return [
        ListedEvent(*row) for row in session.execute(query.order_by(SecurityEvent.id.desc()).limit(limit))
    ]
