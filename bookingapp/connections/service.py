"""Connecting, disconnecting, and what follows for a builder when Calendly takes no token for them any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.awaited import Awaited
from bookingapp.builders.models import Builder
from bookingapp.connections import audit
from bookingapp.connections.models import CalendlyConnection, ConnectionState
from bookingapp.connections.revocations import enqueue_revocations
from bookingapp.core.db import changed_rows
from bookingapp.core.encryption import EncryptionError
from bookingapp.core.errors import Conflict
from bookingapp.core.queue import Job, wake_parked
from bookingapp.integrations.calendly import SCOPES, Grant, missing_scopes

log = structlog.get_logger(__name__)

TAKEN = "That Calendly account belongs to another builder here. Nothing was changed."
ENDED_BY_BUILDER = "You have disconnected it."


@dataclass(frozen=True)
class ConnectionSummary:
    """How a builder is linked to Calendly, for their dashboard.

    ``kind`` is ``platform``, ``connected``, ``dead`` or ``disconnected``; ``missing`` are the rights that were
    not given, in words; ``works`` is False while nobody can book.
    """

    kind: str
    works: bool
    since: datetime | None = None
    reason: str | None = None
    missing: tuple[str, ...] = ()


def describe_connection(session: Session, builder: Builder) -> ConnectionSummary:
    """How this builder is linked to Calendly, as far as we know without asking."""
    works = builder.disconnected_at is None
    row = session.scalar(sa.select(CalendlyConnection).where(CalendlyConnection.builder_id == builder.id))
    if row is None or (row.state is ConnectionState.DISCONNECTED and row.platform_may_serve):
        return ConnectionSummary("platform", works)
    if row.state is not ConnectionState.CONNECTED:
        return ConnectionSummary(row.state.value, works, row.changed_at, row.reason)
    return ConnectionSummary("connected", works, row.connected_at, row.reason, missing_in_words(row.scopes))


def missing_in_words(granted: list[str]) -> tuple[str, ...]:
    """The rights that this application needs and was not given, each as ``words (scope)``."""
    return tuple(f"{SCOPES[scope]} ({scope})" for scope in missing_scopes(granted))


def store_connection(
    session: Session, *, builder_id: int, actor_id: int, user_uri: str, grant: Grant, now: datetime
) -> None:
    """Keep a fresh grant as the builder's own connection, in the caller's transaction.

    ``user_uri`` is the grant's owner, checked. What waited for the connection is due at once. Raises
    :class:`Conflict` where that Calendly user belongs to another builder.
    """
    builder = session.get_one(Builder, builder_id, with_for_update=True, populate_existing=True)
    if _belongs_to_another(session, user_uri, builder_id):
        raise Conflict(TAKEN)
    row = session.scalar(sa.select(CalendlyConnection).where(CalendlyConnection.builder_id == builder_id))
    same_user = builder.calendly_user_uri == user_uri
    if row is None:
        row = CalendlyConnection(builder_id=builder_id, platform_may_serve=same_user, fence=0)
        session.add(row)
    else:
        _let_go(session, row, now=now)
        row.platform_may_serve = row.platform_may_serve and same_user
    row.user_uri, row.organization_uri = user_uri, grant.organization
    row.access_token, row.refresh_token = grant.access_token, grant.refresh_token
    row.expires_at, row.scopes = grant.expires_at, sorted(grant.scopes)
    row.state, row.reason = ConnectionState.CONNECTED, None
    row.fence += 1
    row.lease_until = row.asked_at = row.retry_at = None
    row.connected_at = row.renewed_at = row.changed_at = now
    builder.calendly_user_uri = user_uri
    builder.disconnected_at = None
    # Another token may see other things: what was kept under the old one is not shown again.
    builder.catalog_version += 1
    text = "The builder connected their own Calendly account."
    audit.record_audit(session, "connection.made", text, now=now, actor_id=actor_id, builder_id=builder_id)
    wake_waiting_work(session, now=now)
    session.flush()


def end_connection(session: Session, *, builder_id: int, actor_id: int, now: datetime) -> list[int]:
    """End a builder's own connection, in the caller's transaction: both tokens are owed to be revoked, and
    nothing else changes. Returns the ids of what is owed. Raises :class:`Conflict` where there is none.
    """
    builder = session.get_one(Builder, builder_id, with_for_update=True, populate_existing=True)
    row = session.scalar(sa.select(CalendlyConnection).where(CalendlyConnection.builder_id == builder_id))
    if row is None or row.state is ConnectionState.DISCONNECTED:
        raise Conflict("No Calendly account of yours is connected.")
    owed = _let_go(session, row, now=now)
    row.state, row.reason, row.changed_at = ConnectionState.DISCONNECTED, ENDED_BY_BUILDER, now
    row.access_token = row.refresh_token = None
    row.fence += 1
    row.lease_until = row.asked_at = row.retry_at = None
    builder.disconnected_at = None if row.platform_may_serve else now
    builder.catalog_version += 1
    text = "The builder disconnected their own Calendly account."
    audit.record_audit(session, "connection.ended", text, now=now, actor_id=actor_id, builder_id=builder_id)
    wake_waiting_work(session, now=now)
    return owed


def mark_dead(session: Session, *, builder_id: int, fence: int, reason: str, now: datetime) -> bool:
    """Calendly takes the pair no more, in the caller's transaction: the builder is marked as disconnected.

    Returns False where the connection has changed since ``fence`` was read; then nothing is marked.
    """
    table = CalendlyConnection
    # The builder first, as everywhere here: one order of locks, so that no two writers wait for each other.
    builder = session.get_one(Builder, builder_id, with_for_update=True, populate_existing=True)
    statement = (
        sa.update(table)
        .where(table.builder_id == builder_id, table.fence == fence)
        .where(table.state == ConnectionState.CONNECTED)
        .values(
            state=ConnectionState.DEAD,
            reason=reason,
            changed_at=now,
            access_token=None,
            refresh_token=None,
            lease_until=None,
            asked_at=None,
            retry_at=None,
            fence=table.fence + 1,
        )
        .execution_options(synchronize_session=False)
    )
    if _changed(session, statement) == 0:
        return False
    builder.disconnected_at = now
    audit.record_audit(session, "connection.dead", reason, now=now, builder_id=builder_id)
    log.warning("connection_dead", builder=builder_id)
    return True


def mark_platform_refused(session: Session, *, now: datetime) -> int:
    """No platform token is good any more, in the caller's transaction: whoever it serves is marked.
    Returns how many builders that are.
    """
    marked = sa.update(Builder).where(builders_on_platform_token(), Builder.disconnected_at.is_(None))
    statement = marked.values(disconnected_at=now).execution_options(synchronize_session=False)
    return _changed(session, statement)


def unmark_platform(session: Session, *, now: datetime) -> bool:
    """A platform token is good (again), in the caller's transaction. Returns whether that was news."""
    marked = sa.update(Builder).where(builders_on_platform_token(), Builder.disconnected_at.is_not(None))
    statement = marked.values(disconnected_at=None).execution_options(synchronize_session=False)
    if _changed(session, statement) == 0:
        return False
    text = "Calendly accepts the platform's token again; booking is open again."
    audit.record_audit(session, "token.accepted", text, now=now)
    wake_waiting_work(session, now=now)
    return True


def is_platform_marked(session: Session) -> bool:
    """Whether some builder whom the platform's token serves is marked as disconnected."""
    query = (
        sa.select(Builder.id)
        .where(builders_on_platform_token(), Builder.disconnected_at.is_not(None))
        .limit(1)
    )
    return session.scalar(query) is not None


def builders_on_platform_token() -> sa.ColumnElement[bool]:
    """The builders whom the platform's token serves: no connection of their own, or one that they have ended
    and that the operator had allowed before.
    """
    row = CalendlyConnection
    ended = sa.and_(row.state == ConnectionState.DISCONNECTED, row.platform_may_serve)
    own = sa.select(row.id).where(row.builder_id == Builder.id, sa.not_(ended))
    return sa.not_(own.exists())


def wake_waiting_work(session: Session, *, now: datetime) -> None:
    """Make due at once what waits for a connection: what waits for another's just looks and waits on."""
    woken = wake_parked(session, Job, awaited=Awaited.CONNECTION, now=now)
    log.info("connection_resumed", jobs=woken)


def _changed(session: Session, statement: sa.Update) -> int:
    return changed_rows(session, statement)


def _belongs_to_another(session: Session, user_uri: str, builder_id: int) -> bool:
    theirs = sa.select(Builder.id).where(Builder.calendly_user_uri == user_uri, Builder.id != builder_id)
    row = CalendlyConnection
    connected = sa.select(row.id).where(row.user_uri == user_uri, row.builder_id != builder_id)
    return session.scalar(sa.select(sa.or_(theirs.exists(), connected.exists()))) is True


def _let_go(session: Session, row: CalendlyConnection, *, now: datetime) -> list[int]:
    """Owe the revocation of the pair in hand. A pair that cannot be opened cannot be revoked either."""
    try:
        tokens = [token for token in (row.refresh_token, row.access_token) if token]
    except EncryptionError as error:
        log.critical("connection_unreadable", connection=row.id, why=str(error))
        return []
    return enqueue_revocations(session, tokens, now=now)
