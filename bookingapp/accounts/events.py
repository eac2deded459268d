"""Security events: one row and one log line for each."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.accounts.codes import SecurityCode
from bookingapp.accounts.models import SecurityEvent
from bookingapp.accounts.origins import Origin

log = structlog.get_logger(__name__)

KEPT = timedelta(days=365)
SHOWN = 20


def record_event(
    session: Session,
    code: SecurityCode,
    *,
    account_id: int | None,
    origin: Origin,
    now: datetime,
    **facts: Any,
) -> None:
    """Add an event, in the caller's transaction. ``account_id`` is None where what was entered belongs to no account.
    ``facts`` are ids and codes: no secret, no name, no address.
    """
    session.add(
        SecurityEvent(
            at=now,
            code=code,
            account_id=account_id,
            network=origin.network,
            user_agent=origin.user_agent,
            facts=facts,
        )
    )
    log.info("security_event", code=code.value, account=account_id, **facts)


def recent_events(session: Session, account_id: int) -> list[SecurityEvent]:
    """The latest events of an account, the newest first."""
    query = sa.select(SecurityEvent).where(SecurityEvent.account_id == account_id)
    return list(session.scalars(query.order_by(SecurityEvent.id.desc()).limit(SHOWN)))


def delete_old_events(session: Session, *, now: datetime) -> None:
    """Delete the events of more than a year ago."""
    session.execute(sa.delete(SecurityEvent).where(SecurityEvent.at < now - KEPT))
