"""The outbox rows of mails about accounts. What they say is in :mod:`bookingapp.notifications.account_mails`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.accounts.models import AccountLink, SecurityEvent
from bookingapp.core.queue import enqueue

SEND_LINK_JOB = "accounts.send_link"
SEND_NOTICE_JOB = "accounts.send_notice"


def enqueue_link(session: Session, link: AccountLink, *, now: datetime) -> None:
    """Mail a link, in the caller's transaction."""
    key, args = f"account-link:{link.id}", {"link_id": link.id}
    enqueue(session, SEND_LINK_JOB, key=key, args=args, run_at=now, now=now)


def enqueue_notice(
    session: Session, event: SecurityEvent, *, now: datetime, to_link: AccountLink | None = None
) -> None:
    """Mail a security event to its account, or to the address of ``to_link``, which the account has had before."""
    about = f":{to_link.id}" if to_link else ""
    args = {"event_id": event.id, "link_id": to_link.id if to_link else None}
    enqueue(session, SEND_NOTICE_JOB, key=f"account-notice:{event.id}{about}", args=args, run_at=now, now=now)
