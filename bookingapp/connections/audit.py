"""The audit log: one row for each act on an account, a token or a key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.connections.models import AuditEntry, AuditKind

log = structlog.get_logger(__name__)


def record_audit(
    session: Session,
    kind: AuditKind,
    *,
    now: datetime,
    actor_id: int | None = None,
    builder_id: int | None = None,
    **facts: Any,
) -> None:
    """Record one act with its facts: JSON values without secrets."""
    session.add(AuditEntry(at=now, kind=kind, facts=facts, actor_account_id=actor_id, builder_id=builder_id))
    log.info("audit", kind=kind.value, actor=actor_id, builder=builder_id)


def list_audit(session: Session, builder_id: int, *, limit: int = 20) -> Sequence[AuditEntry]:
    """The latest acts on a builder's connection, newest first."""
    query = sa.select(AuditEntry).where(AuditEntry.builder_id == builder_id)
    return session.scalars(query.order_by(AuditEntry.id.desc()).limit(limit)).all()
