"""The lease of a renewal: which process may renew a connection's pair of tokens, stored in the connection's row."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder
from bookingapp.connections.models import CalendlyConnection, ConnectionReason, ConnectionState
from bookingapp.core.db import changed_rows
from bookingapp.integrations.calendly import Grant

# Longer than the longest wait for Calendly's answer: the holder of an expired lease has stopped waiting.
LEASE = timedelta(seconds=30)

# The columns that a snapshot has as they are.
_READ = ("state", "reason", "expires_at", "fence", "lease_until", "asked_at", "retry_at")


@dataclass(frozen=True)
class ConnectionSnapshot:
    """A connection as it was read, its tokens decrypted. ``fence`` is the number to write with."""

    builder_id: int
    state: ConnectionState
    reason: ConnectionReason | None
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime
    fence: int
    lease_until: datetime | None
    asked_at: datetime | None
    retry_at: datetime | None
    by_platform: bool  # The platform's token serves this builder again.

    def is_being_renewed(self, now: datetime) -> bool:
        """Whether a process holds the lease."""
        return self.lease_until is not None and self.lease_until > now

    def has_to_wait(self, now: datetime) -> bool:
        """Whether the last renewal failed so recently that the next is not tried yet."""
        return self.retry_at is not None and self.retry_at > now


_C = CalendlyConnection
# Built once, because everything that asks Calendly executes it.
_SNAPSHOT = (
    sa.select(
        Builder.disconnected_at,
        *(_C.id, _C.access_token, _C.refresh_token, _C.platform_may_serve),
        *(getattr(_C, name) for name in _READ),
    )
    .outerjoin(_C, _C.builder_id == Builder.id)
    .where(Builder.id == sa.bindparam("builder"))
)


def find_snapshot(session: Session, builder_id: int) -> tuple[ConnectionSnapshot | None, bool]:
    """The builder's own connection in any state, and whether the builder is marked as disconnected. Raises
    :class:`EncryptionError` where a token's key is missing.
    """
    found = session.execute(_SNAPSHOT, {"builder": builder_id}).one_or_none()
    is_marked = found is not None and found.disconnected_at is not None
    if found is None or found.id is None:
        return None, is_marked
    snapshot = ConnectionSnapshot(
        builder_id=builder_id,
        access_token=found.access_token or "",
        refresh_token=found.refresh_token or "",
        by_platform=found.state is ConnectionState.DISCONNECTED and found.platform_may_serve,
        **{name: getattr(found, name) for name in _READ},
    )
    return snapshot, is_marked


def claim_lease(
    session: Session, seen: ConnectionSnapshot, *, is_refused: bool, now: datetime
) -> ConnectionSnapshot | None:
    """Claim the lease; None where another process holds it or the row changed since ``seen``. With ``is_refused`` the
    pair expires at once, so that no process sends it again. The result has the new ``fence`` and the old ``asked_at``.
    """
    values: dict[str, Any] = {
        "fence": seen.fence + 1,
        "lease_until": now + LEASE,
        "asked_at": now,
        "retry_at": None,
    }
    if is_refused:
        values["expires_at"] = min(now, seen.expires_at)
    free = sa.or_(CalendlyConnection.lease_until.is_(None), CalendlyConnection.lease_until <= now)
    if not _write_as_holder(session, seen.builder_id, seen.fence, values, free):
        return None
    return replace(seen, fence=seen.fence + 1)


def store_renewed(session: Session, held: ConnectionSnapshot, grant: Grant, *, now: datetime) -> bool:
    """Store the new pair and end the lease. Returns False where the lease was lost meanwhile."""
    values = {
        "access_token": grant.access_token,
        "refresh_token": grant.refresh_token,
        "expires_at": grant.expires_at,
        "scopes": sorted(grant.scopes),
        "renewed_at": now,
        "reason": None,
        "lease_until": None,
        "asked_at": None,
    }
    return _write_as_holder(session, held.builder_id, held.fence, values)


def release_lease(
    session: Session,
    held: ConnectionSnapshot,
    *,
    retry_at: datetime,
    answered: bool,
    reason: ConnectionReason | None = None,
) -> None:
    """End the lease without a new pair. ``answered``: Calendly has certainly not spent the refresh token; ``reason`` is
    given where a person has to act.
    """
    values: dict[str, Any] = {"lease_until": None, "retry_at": retry_at, "reason": reason}
    if answered:
        values["asked_at"] = None
    _write_as_holder(session, held.builder_id, held.fence, values)


def _write_as_holder(
    session: Session, builder_id: int, fence: int, values: dict[str, Any], *more: sa.ColumnElement[bool]
) -> bool:
    row = CalendlyConnection
    mine = (row.builder_id == builder_id, row.fence == fence, row.state == ConnectionState.CONNECTED)
    statement = sa.update(row).where(*mine, *more).values(**values)
    statement = statement.execution_options(synchronize_session=False)
    return changed_rows(session, statement) == 1
