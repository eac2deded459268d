"""Security events: one row and one log line for each."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.accounts.codes import SecurityCode
from bookingapp.accounts.mail_jobs import enqueue_notice
from bookingapp.accounts.models import SecurityEvent
from bookingapp.accounts.origins import Origin, current_origin

log = structlog.get_logger(__name__)

TRIES_COUNTED = timedelta(days=30)
SHOWN = 20

MAILED = frozenset(
    {
        SecurityCode.NEW_BROWSER,
        SecurityCode.PASSWORD_CHANGED,
        SecurityCode.PASSWORD_RESET,
        SecurityCode.ADDRESS_CHANGED,
        SecurityCode.ADDRESS_SET,
        SecurityCode.TWO_STEP_ON,
        SecurityCode.TWO_STEP_OFF,
        SecurityCode.RECOVERY_CODE_USED,
        SecurityCode.RECOVERY_CODES_MADE,
        SecurityCode.ACCOUNT_RESET,
        SecurityCode.MADE_OPERATOR,
    }
)
"""Events that the account's owner is mailed about."""

TRIES = (SecurityCode.LOG_IN_FAILED, SecurityCode.SECOND_STEP_FAILED)
"""Counted for the owner, not listed: a stranger can cause many."""


def record_event(
    session: Session,
    code: SecurityCode,
    *,
    account_id: int | None,
    origin: Origin | None = None,
    now: datetime,
    **facts: Any,
) -> SecurityEvent:
    """Add an event, in the caller's transaction, and enqueue its mail where it has one. ``account_id`` is None where
    what was entered belongs to no account; ``origin`` None for the sender of this request. ``facts`` are ids and codes:
    no secret, no name, no address.
    """
    origin = current_origin() if origin is None else origin
    event = SecurityEvent(
        at=now,
        code=code,
        account_id=account_id,
        network=origin.network,
        user_agent=origin.user_agent,
        facts=facts,
    )
    session.add(event)
    session.flush()
    if code in MAILED:
        enqueue_notice(session, event, now=now)
    log.info("security_event", code=code.value, account=account_id, **facts)
    return event


def recent_events(session: Session, account_id: int) -> list[SecurityEvent]:
    """The latest events of an account but failed tries, the newest first."""
    query = sa.select(SecurityEvent).where(
        SecurityEvent.account_id == account_id, SecurityEvent.code.not_in([*TRIES, SecurityCode.DENIED])
    )
    return list(session.scalars(query.order_by(SecurityEvent.id.desc()).limit(SHOWN)))


def count_tries(session: Session, account_id: int, *, now: datetime) -> int:
    """How many log-ins to the account failed in the last 30 days."""
    query = sa.select(sa.func.count(SecurityEvent.id)).where(
        SecurityEvent.account_id == account_id,
        SecurityEvent.code.in_(TRIES),
        SecurityEvent.at > now - TRIES_COUNTED,
    )
    return session.scalars(query).one()
