"""The hourly look at our subscriptions: repairs them, fetches what was missed, and keeps what it found.

It comes back by itself (:mod:`bookingapp.core.periodic`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder
from bookingapp.core.db import transaction
from bookingapp.core.jobs import job
from bookingapp.integrations.calendly import CalendlyError
from bookingapp.sync.calendly_events import enqueue_catch_up
from bookingapp.sync.subscriptions import (
    Finding,
    Target,
    ensure_subscription,
    list_builder_targets,
    platform_organization,
)
from bookingapp.webhooks.handlers import PLATFORM, Context, Endpoint
from bookingapp.webhooks.models import Found, InboxEvent, Provider, SubscriptionCheck

log = structlog.get_logger(__name__)

WATCH_JOB = "calendly.watch"
KEPT = timedelta(days=90)
# Calendly notes when it began to try again, which is a little after what it could not deliver had happened.
MARGIN = timedelta(hours=1)


@job(WATCH_JOB, label="a check of the webhook subscriptions", every=timedelta(hours=1))
def check_subscriptions(session: Session, context: Context, *, now: datetime) -> None:
    """Look at every subscription once, and repair what is broken. What Calendly refuses is kept as found; the next
    hour tries again.
    """
    with transaction(session):
        session.execute(sa.delete(SubscriptionCheck).where(SubscriptionCheck.at < now - KEPT))
    endpoint = context.endpoint
    if endpoint is None or endpoint.signing_key is None:
        log.error("subscriptions_unwatched", why="no signing key is configured")
        return
    organization: str | None = None
    try:
        organization = platform_organization(context.calendly.current_user(PLATFORM))
    except CalendlyError as error:
        _note_failure(session, None, error, now)
    else:
        check_subscription(session, context, Target(PLATFORM, organization), endpoint, now=now)
    for target in list_builder_targets(session, organization):
        check_subscription(session, context, target, endpoint, now=now)


def check_subscription(
    session: Session, context: Context, target: Target, endpoint: Endpoint, *, now: datetime
) -> Finding | None:
    """Make one subscription whole, keep what was found, and owe the fetching of what was missed meanwhile.

    Returns None where Calendly did not let us look; that is kept too.
    """
    try:
        finding = ensure_subscription(context.calendly, target, endpoint)
    except CalendlyError as error:
        _note_failure(session, target.builder_id, error, now)
        return None
    with transaction(session):
        record_check(session, target, finding, now=now)
    if finding.found is not Found.ACTIVE:
        log.warning("subscription", builder=target.builder_id, found=finding.found, made=finding.made)
    return finding


def record_check(session: Session, target: Target, finding: Finding, *, now: datetime) -> None:
    """Keep what was found, and owe what follows from a repair, in the caller's transaction."""
    since = finding.since
    if finding.found.is_broken:
        since = since or _last_heard(session, target.builder_id)
        # Nothing can have been missed where nothing had ever been subscribed.
        if since is not None:
            for builder in _heard_of_by(session, target):
                enqueue_catch_up(session, builder, since=since - MARGIN, now=now)
    session.add(
        SubscriptionCheck(
            builder_id=target.builder_id,
            at=now,
            found=finding.found,
            since=since,
            repaired=finding.found.is_broken,
        )
    )


def _note_failure(session: Session, builder_id: int | None, error: CalendlyError, now: datetime) -> None:
    log.error("subscription_unknown", builder=builder_id, category=error.category)
    with transaction(session):
        session.add(
            SubscriptionCheck(builder_id=builder_id, at=now, found=Found.UNKNOWN, note=error.user_message)
        )


def _last_heard(session: Session, builder_id: int | None) -> datetime | None:
    """Until when we know that all was well: the last look that found it so, else Calendly's last delivery."""
    checks = sa.select(sa.func.max(SubscriptionCheck.at)).where(
        _of(builder_id),
        sa.or_(SubscriptionCheck.found.in_((Found.ACTIVE, Found.RETRYING)), SubscriptionCheck.repaired),
    )
    well = session.scalar(checks)
    if well is not None:
        return well
    deliveries = sa.select(sa.func.max(InboxEvent.received_at))
    return session.scalar(deliveries.where(InboxEvent.provider == Provider.CALENDLY))


def _heard_of_by(session: Session, target: Target) -> list[Builder]:
    query = sa.select(Builder).order_by(Builder.id).with_for_update()
    if target.builder_id is not None:
        query = query.where(Builder.id == target.builder_id)
    return list(session.scalars(query))


def _of(builder_id: int | None) -> sa.ColumnElement[bool]:
    column = SubscriptionCheck.builder_id
    return column.is_(None) if builder_id is None else column == builder_id
