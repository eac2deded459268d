"""Connects and disconnects builders' Calendly accounts, and marks builders whom no token serves any more."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder, Closure
from bookingapp.connections.audit import record_audit
from bookingapp.connections.models import AuditKind, CalendlyConnection, ConnectionReason, ConnectionState
from bookingapp.connections.revocations import enqueue_revocations
from bookingapp.core.db import changed_rows
from bookingapp.core.encryption import EncryptionError
from bookingapp.core.errors import Conflict
from bookingapp.core.i18n import gettext, lazy_gettext
from bookingapp.core.queue import Job, enqueue, wake_parked
from bookingapp.integrations.calendly import Grant, missing_scopes
from bookingapp.outcomes import Awaited

log = structlog.get_logger(__name__)

WATCH_JOB = "calendly.watch"
"""The check of all webhook subscriptions, which also makes one for an account that is new."""
ALREADY_CONNECTED = lazy_gettext("That Calendly account belongs to another builder here.")


@dataclass(frozen=True)
class ConnectionSummary:
    """How a builder is connected to Calendly. Without ``state``, the platform's token serves them, or nothing does yet
    (``is_new``); ``works`` is False while nothing can be booked; ``missing`` are the scopes that were not granted.
    """

    works: bool
    state: ConnectionState | None = None
    since: datetime | None = None
    reason: ConnectionReason | None = None
    reason_facts: dict[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    is_new: bool = False


def summarize_connection(session: Session, builder: Builder) -> ConnectionSummary:
    """How this builder is connected, by the database alone."""
    works = builder.disconnected_at is None
    row = session.scalar(sa.select(CalendlyConnection).where(CalendlyConnection.builder_id == builder.id))
    if row is None or (row.state is ConnectionState.DISCONNECTED and row.platform_may_serve):
        return ConnectionSummary(works, is_new=builder.closure is Closure.UNCONNECTED)
    if row.state is not ConnectionState.CONNECTED:
        return ConnectionSummary(works, row.state, row.changed_at, row.reason, row.reason_facts)
    missing = missing_scopes(row.scopes)
    return ConnectionSummary(works, row.state, row.connected_at, row.reason, row.reason_facts, missing)


def store_connection(
    session: Session, *, builder_id: int, actor_id: int, user_uri: str, grant: Grant, now: datetime
) -> None:
    """Store a fresh grant of the Calendly user ``user_uri`` as the builder's own connection; jobs that waited for one
    are due. Raises :class:`Conflict` where that user belongs to another builder.
    """
    builder = session.get_one(Builder, builder_id, with_for_update=True, populate_existing=True)
    if _belongs_to_another(session, user_uri, builder_id):
        raise Conflict(str(ALREADY_CONNECTED))
    row = session.scalar(sa.select(CalendlyConnection).where(CalendlyConnection.builder_id == builder_id))
    same_user = builder.calendly_user_uri == user_uri
    if row is None:
        row = CalendlyConnection(builder_id=builder_id, platform_may_serve=same_user, fence=0)
        session.add(row)
    else:
        _revoke_pair(session, row, now=now)
        row.platform_may_serve = row.platform_may_serve and same_user
    row.user_uri, row.organization_uri = user_uri, grant.organization
    row.access_token, row.refresh_token = grant.access_token, grant.refresh_token
    row.expires_at, row.scopes = grant.expires_at, sorted(grant.scopes)
    row.state, row.reason, row.reason_facts = ConnectionState.CONNECTED, None, {}
    row.fence += 1
    row.lease_until = row.asked_at = row.retry_at = None
    row.connected_at = row.renewed_at = row.changed_at = now
    builder.calendly_user_uri = user_uri
    builder.disconnected_at = None
    # Another token may see other event types: answers cached under the old one are not used again.
    builder.catalog_version += 1
    record_audit(session, AuditKind.CONNECTION_MADE, now=now, actor_id=actor_id, builder_id=builder_id)
    wake_waiting_work(session, now=now)
    enqueue(session, WATCH_JOB, key=f"{WATCH_JOB}:{builder_id}:{row.fence}", args={}, run_at=now, now=now)
    session.flush()


def assign_user(session: Session, *, builder_id: int, actor_id: int, user_uri: str, now: datetime) -> None:
    """Let the platform's token serve a builder as the Calendly user ``user_uri`` of its organization. Raises
    :class:`Conflict` where that user belongs to another builder, or this one has connected an account of their own.
    """
    builder = session.get_one(Builder, builder_id, with_for_update=True, populate_existing=True)
    if _belongs_to_another(session, user_uri, builder_id):
        raise Conflict(str(ALREADY_CONNECTED))
    own = sa.select(CalendlyConnection.id).where(CalendlyConnection.builder_id == builder_id)
    if session.scalar(own) is not None:
        raise Conflict(gettext("This builder has connected a Calendly account of their own."))
    builder.calendly_user_uri = user_uri
    builder.catalog_version += 1
    record_audit(session, AuditKind.USER_ASSIGNED, now=now, actor_id=actor_id, builder_id=builder_id)
    session.flush()


def end_connection(session: Session, *, builder_id: int, actor_id: int, now: datetime) -> list[int]:
    """End a builder's own connection: forget its tokens and enqueue their revocation. Returns the ids of that. Raises
    :class:`Conflict` where no account is connected.
    """
    builder = session.get_one(Builder, builder_id, with_for_update=True, populate_existing=True)
    row = session.scalar(sa.select(CalendlyConnection).where(CalendlyConnection.builder_id == builder_id))
    if row is None or row.state is ConnectionState.DISCONNECTED:
        raise Conflict(gettext("No Calendly account of yours is connected."))
    revocation_ids = _revoke_pair(session, row, now=now)
    _forget_pair(row, ConnectionState.DISCONNECTED, ConnectionReason.ENDED_BY_BUILDER, now=now)
    builder.disconnected_at = None if row.platform_may_serve else now
    builder.catalog_version += 1
    record_audit(session, AuditKind.CONNECTION_ENDED, now=now, actor_id=actor_id, builder_id=builder_id)
    wake_waiting_work(session, now=now)
    return revocation_ids


def mark_dead(
    session: Session, *, builder_id: int, fence: int, reason: ConnectionReason, now: datetime
) -> bool:
    """Record that Calendly refuses the pair for good: forget it, and mark the builder as disconnected. Returns False,
    and changes nothing, where the connection has changed since ``fence`` was read.
    """
    # The builder is locked first, as everywhere here, so that two writers never wait for each other.
    builder = session.get_one(Builder, builder_id, with_for_update=True, populate_existing=True)
    query = sa.select(CalendlyConnection).with_for_update().execution_options(populate_existing=True)
    row = session.scalar(query.filter_by(builder_id=builder_id, fence=fence, state=ConnectionState.CONNECTED))
    if row is None:
        return False
    _forget_pair(row, ConnectionState.DEAD, reason, now=now)
    builder.disconnected_at = now
    record_audit(session, AuditKind.CONNECTION_DEAD, now=now, builder_id=builder_id, reason=reason)
    log.warning("connection_dead", builder=builder_id)
    return True


def _forget_pair(
    row: CalendlyConnection, state: ConnectionState, reason: ConnectionReason, *, now: datetime
) -> None:
    """Forget the pair; a renewal that is running can store nothing any more."""
    row.state, row.reason, row.reason_facts, row.changed_at = state, reason, {}, now
    row.access_token = row.refresh_token = None
    row.lease_until = row.asked_at = row.retry_at = None
    row.fence += 1


def mark_platform_refused(session: Session, *, now: datetime) -> int:
    """Mark the builders whom the platform's token serves as disconnected. Returns how many were not yet."""
    marked = sa.update(Builder).where(builders_on_platform_token(), Builder.disconnected_at.is_(None))
    statement = marked.values(disconnected_at=now).execution_options(synchronize_session=False)
    return changed_rows(session, statement)


def unmark_platform(session: Session, *, now: datetime) -> bool:
    """Let the builders whom the platform's token serves be booked again. Returns whether one was marked."""
    marked = sa.update(Builder).where(builders_on_platform_token(), Builder.disconnected_at.is_not(None))
    statement = marked.values(disconnected_at=None).execution_options(synchronize_session=False)
    if changed_rows(session, statement) == 0:
        return False
    record_audit(session, AuditKind.PLATFORM_ACCEPTED, now=now)
    wake_waiting_work(session, now=now)
    return True


def is_platform_marked(session: Session) -> bool:
    """Whether a builder whom the platform's token serves is marked as disconnected."""
    query = (
        sa.select(Builder.id)
        .where(builders_on_platform_token(), Builder.disconnected_at.is_not(None))
        .limit(1)
    )
    return session.scalar(query) is not None


def builders_on_platform_token() -> sa.ColumnElement[bool]:
    """The condition for builders whom the platform's token serves: they never connected an account, or disconnected one
    that the operator had entered for that token.
    """
    row = CalendlyConnection
    ended = sa.and_(row.state == ConnectionState.DISCONNECTED, row.platform_may_serve)
    own = sa.select(row.id).where(row.builder_id == Builder.id, sa.not_(ended))
    return sa.not_(own.exists())


def wake_waiting_work(session: Session, *, now: datetime) -> None:
    """Make every job due that waits for a connection. One that needs another's fails and waits again."""
    woken = wake_parked(session, Job, awaited=Awaited.CONNECTION, now=now)
    log.info("connection_resumed", jobs=woken)


def _belongs_to_another(session: Session, user_uri: str, builder_id: int) -> bool:
    theirs = sa.select(Builder.id).where(Builder.calendly_user_uri == user_uri, Builder.id != builder_id)
    row = CalendlyConnection
    connected = sa.select(row.id).where(row.user_uri == user_uri, row.builder_id != builder_id)
    return session.scalar(sa.select(sa.or_(theirs.exists(), connected.exists()))) is True


def _revoke_pair(session: Session, row: CalendlyConnection, *, now: datetime) -> list[int]:
    """Enqueue the revocation of the stored pair. One that cannot be decrypted cannot be revoked either."""
    try:
        tokens = [token for token in (row.refresh_token, row.access_token) if token]
    except EncryptionError as error:
        log.critical("connection_unreadable", connection=row.id, why=str(error))
        return []
    return enqueue_revocations(session, tokens, now=now)
