"""Revokes tokens that we no longer use: at once where Calendly answers, else by a job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session, undefer

from bookingapp.connections.models import PendingRevocation
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.core.queue import enqueue
from bookingapp.integrations.calendly import CalendlyError, CalendlyRejected, OAuthClient

log = structlog.get_logger(__name__)

REVOKE_JOB = "connections.revoke"


def enqueue_revocations(session: Session, tokens: Sequence[str], *, now: datetime) -> list[int]:
    """Enqueue the revocation of each token. Returns the ids of their rows."""
    rows = [PendingRevocation(token=token, created_at=now) for token in tokens]
    session.add_all(rows)
    session.flush()
    for row in rows:
        args = {"revocation_id": row.id}
        enqueue(session, REVOKE_JOB, key=f"revoke:{row.id}", args=args, run_at=now, now=now)
    return [row.id for row in rows]


@job(REVOKE_JOB, label=lazy_gettext("revoking a token"))
def revoke_token(session: Session, oauth: OAuthClient, *, revocation_id: int) -> None:
    """Revoke one token at Calendly and delete its row. Raises :class:`CalendlyError` where it has to be retried."""
    query = sa.select(PendingRevocation).where(PendingRevocation.id == revocation_id)
    row = session.scalar(query.options(undefer(PendingRevocation.token)))
    end_read(session)
    if row is None:
        return
    try:
        oauth.revoke(row.token)
    except CalendlyRejected:
        # Calendly understands the request and will never do it: a retry would be refused again.
        log.warning("revocation_rejected", revocation=revocation_id)
    with transaction(session):
        session.execute(sa.delete(PendingRevocation).where(PendingRevocation.id == revocation_id))


def revoke_now(session: Session, oauth: OAuthClient, ids: Sequence[int]) -> bool:
    """Revoke each token now. Returns False where Calendly did not answer for all: the job retries those."""
    try:
        for revocation_id in ids:
            revoke_token(session, oauth, revocation_id=revocation_id)
    except CalendlyError as error:
        log.warning("revocation_waits", category=error.category)
        return False
    return True
