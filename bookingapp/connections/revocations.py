"""Tokens that we let go of: revoked at once where Calendly answers, else by the worker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session, undefer

from bookingapp.connections.models import PendingRevocation
from bookingapp.core.db import end_read, transaction
from bookingapp.core.jobs import job
from bookingapp.core.queue import enqueue
from bookingapp.integrations.calendly import CalendlyError, CalendlyRejected, OAuthClient

log = structlog.get_logger(__name__)

REVOKE_JOB = "connections.revoke"


def enqueue_revocations(session: Session, tokens: Sequence[str], *, now: datetime) -> list[int]:
    """Owe the revocation of each token, in the caller's transaction. Returns the ids of what is owed."""
    rows = [PendingRevocation(token=token, created_at=now) for token in tokens]
    session.add_all(rows)
    session.flush()
    for row in rows:
        args = {"revocation_id": row.id}
        enqueue(session, REVOKE_JOB, key=f"revoke:{row.id}", args=args, run_at=now, now=now)
    return [row.id for row in rows]


@job(REVOKE_JOB, label="revoking a token")
def revoke_token(session: Session, oauth: OAuthClient, *, revocation_id: int) -> None:
    """Revoke one token at Calendly and forget it. One that is settled already is nothing to do.

    Raises the client's errors where it has to be tried again.
    """
    query = sa.select(PendingRevocation).where(PendingRevocation.id == revocation_id)
    row = session.scalar(query.options(undefer(PendingRevocation.token)))
    end_read(session)
    if row is None:
        return
    try:
        oauth.revoke(row.token)
    except CalendlyRejected:
        # Calendly understands the request and will never do it: there is nothing more to owe.
        log.warning("revocation_rejected", revocation=revocation_id)
    with transaction(session):
        session.execute(sa.delete(PendingRevocation).where(PendingRevocation.id == revocation_id))


def revoke_now(session: Session, oauth: OAuthClient, ids: Sequence[int]) -> bool:
    """Try each at once. Returns False where some have to wait for the worker."""
    try:
        for revocation_id in ids:
            revoke_token(session, oauth, revocation_id=revocation_id)
    except CalendlyError as error:
        log.warning("revocation_waits", category=error.category)
        return False
    return True
