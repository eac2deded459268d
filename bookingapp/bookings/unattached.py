"""Invitees of priced session types that belong to no booking, which the dashboard shows. Each function is part of its
caller's transaction and commits nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings.erased import INSTEAD
from bookingapp.bookings.models import Actor, UnattachedInvitee
from bookingapp.bookings.slot import SlotFacts
from bookingapp.builders.models import Builder
from bookingapp.core.db import insert_if_new
from bookingapp.core.errors import NotFound
from bookingapp.session_types.models import SessionType

log = structlog.get_logger(__name__)

ERASED_PERSON: Mapping[str, str] = MappingProxyType(
    {"name": INSTEAD["client_name"], "email": INSTEAD["client_email"]}
)
"""What an erased invitee has in place of the person."""


def of_address(email: str) -> sa.ColumnElement[bool]:
    """The invitees of a (normalized) address. Theirs is as they typed it in Calendly."""
    return sa.func.lower(UnattachedInvitee.email) == email


def record_unattached(
    session: Session, facts: SlotFacts, *, title: str, name: str, email: str, now: datetime
) -> bool:
    """Record an invitee without a booking, once, if its session type is published and priced here and has not begun.
    Returns whether it is recorded. One that Calendly was paid for, or that is older than the builder's account here,
    got past no price of ours.
    """
    query = sa.select(SessionType).join(Builder, Builder.id == SessionType.builder_id)
    row = session.scalar(
        query.where(
            SessionType.event_type_uri == facts.event_type_uri,
            SessionType.published,
            SessionType.price_minor > 0,
            Builder.created_at <= facts.since,
        ).limit(1)
    )
    if row is None or facts.paid_in_calendly or facts.starts_at <= now:
        return False
    values = {
        "builder_id": row.builder_id,
        "session_type_id": row.id,
        "event_uri": facts.event_uri,
        "invitee_uri": facts.invitee_uri,
        "title": title[:160],
        "name": name[:120],
        "email": email[:254],
        "starts_at": facts.starts_at,
        "ends_at": facts.ends_at,
        "cancel_url": facts.cancel_url,
        "found_at": now,
    }
    if insert_if_new(session, UnattachedInvitee, values, ["invitee_uri"]):
        log.warning("invitee_unattached", builder=row.builder_id, session_type=row.id)
    return True


def resolve_unattached(session: Session, invitee_uri: str, *, now: datetime) -> bool:
    """Resolve an invitee that was canceled, moved, or found its booking. Returns whether there was one."""
    same = UnattachedInvitee.invitee_uri == invitee_uri
    # Also one that the builder has accepted: it is gone now.
    is_here = sa.or_(UnattachedInvitee.resolved_by.is_(None), UnattachedInvitee.resolved_by != Actor.SYSTEM)
    return _resolve(session, sa.and_(same, is_here), Actor.SYSTEM, now) is not None


def keep_unattached(
    session: Session, builder: Builder | None, number: int, *, by: Actor = Actor.BUILDER, now: datetime
) -> int:
    """Record that the builder (None: whichever it is) accepts the invitee as it is. Returns the builder's id. Raises
    :class:`NotFound` for another builder's.
    """
    is_theirs = UnattachedInvitee.builder_id == builder.id if builder else sa.true()
    mine = sa.and_(UnattachedInvitee.id == number, UnattachedInvitee.resolved_at.is_(None), is_theirs)
    builder_id = _resolve(session, mine, by, now)
    if builder_id is None:
        raise NotFound
    return builder_id


def list_unattached(session: Session, builder: Builder, *, now: datetime) -> Sequence[UnattachedInvitee]:
    """The builder's open ones whose time has not begun, the next one first."""
    query = sa.select(UnattachedInvitee).where(
        UnattachedInvitee.builder_id == builder.id,
        UnattachedInvitee.resolved_at.is_(None),
        UnattachedInvitee.starts_at > now,
    )
    return session.scalars(query.order_by(UnattachedInvitee.starts_at)).all()


def is_ahead(now: datetime) -> sa.ColumnElement[bool]:
    """The open invitees who are still to come, or are there now."""
    return sa.and_(UnattachedInvitee.resolved_at.is_(None), UnattachedInvitee.ends_at > now)


def erase_unattached(session: Session, email: str, *, now: datetime) -> None:
    """Erase the invitees of a (normalized) address. Of one that is still to come, only the person goes: the builder has
    to know that somebody comes, and Calendly's next word of it finds the row and brings no name back.
    """
    mine, how = of_address(email), {"synchronize_session": False}
    kept = sa.update(UnattachedInvitee).where(mine, is_ahead(now)).values(**ERASED_PERSON)
    session.execute(kept.execution_options(**how))
    session.execute(sa.delete(UnattachedInvitee).where(mine).execution_options(**how))


def _resolve(session: Session, which: sa.ColumnElement[bool], by: Actor, now: datetime) -> int | None:
    """Returns the builder's id, or None where there was none."""
    statement = (
        sa.update(UnattachedInvitee)
        .where(which)
        .values(resolved_at=now, resolved_by=by)
        .returning(UnattachedInvitee.builder_id)
        .execution_options(synchronize_session=False)
    )
    return session.scalar(statement)
