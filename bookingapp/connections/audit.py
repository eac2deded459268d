"""The audit log: one row for each act on an account, a token or a key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.connections.models import AuditEntry

log = structlog.get_logger(__name__)


def record_audit(
    session: Session,
    kind: str,
    text: str,
    *,
    now: datetime,
    actor_id: int | None = None,
    builder_id: int | None = None,
) -> None:
    """Enter one act, in the caller's transaction. ``text`` is a sentence that holds no secret."""
    entry = AuditEntry(at=now, kind=kind, text=text, actor_account_id=actor_id, builder_id=builder_id)
    session.add(entry)
    log.info("audit", kind=kind, actor=actor_id, builder=builder_id)


def list_audit(session: Session, builder_id: int, *, limit: int = 20) -> Sequence[AuditEntry]:
    """What was done with a builder's connection, newest first."""
    query = sa.select(AuditEntry).where(AuditEntry.builder_id == builder_id)
    return session.scalars(query.order_by(AuditEntry.id.desc()).limit(limit)).all()
