"""Checks our webhook subscriptions every hour: repairs them, has what was missed fetched, and stores the result.

How one subscription is inspected and repaired is in :mod:`bookingapp.sync.subscriptions`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder
from bookingapp.connections.service import WATCH_JOB
from bookingapp.core.db import transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.integrations.calendly import CalendlyError
from bookingapp.sync.calendly_events import enqueue_catch_up
from bookingapp.sync.models import Found, SubscriptionCheck
from bookingapp.sync.subscriptions import (
    SubscriptionFinding,
    Target,
    ensure_subscription,
    list_builder_targets,
    platform_organization,
)
from bookingapp.webhooks.handlers import PLATFORM, Context, Endpoint
from bookingapp.webhooks.models import InboxEvent, Provider

log = structlog.get_logger(__name__)

KEPT = timedelta(days=90)
# Calendly says when it began to retry, which is a little after the first event that it could not deliver.
MARGIN = timedelta(hours=1)


@job(WATCH_JOB, label=lazy_gettext("a check of the webhook subscriptions"), every=timedelta(hours=1))
def check_subscriptions(session: Session, context: Context, *, now: datetime) -> None:
    """Check every subscription and repair those that are broken. Where Calendly refuses, that is stored, and the next
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
        _record_failure(session, None, error, now)
    else:
        check_subscription(session, context, Target(PLATFORM, organization), endpoint, now=now)
    for target in list_builder_targets(session, organization):
        check_subscription(session, context, target, endpoint, now=now)


def check_subscription(
    session: Session, context: Context, target: Target, endpoint: Endpoint, *, now: datetime
) -> SubscriptionFinding | None:
    """Repair one subscription, store what was found, and enqueue fetching what was missed meanwhile.

    Returns None where Calendly could not be asked; that is stored too.
    """
    try:
        finding = ensure_subscription(context.calendly, target, endpoint)
    except CalendlyError as error:
        _record_failure(session, target.builder_id, error, now)
        return None
    with transaction(session):
        record_check(session, target, finding, now=now)
    if finding.found is not Found.ACTIVE:
        log.warning("subscription", builder=target.builder_id, found=finding.found, made=finding.made)
    return finding


def record_check(session: Session, target: Target, finding: SubscriptionFinding, *, now: datetime) -> None:
    """Store what was found, and after a repair enqueue fetching what was missed, in the caller's transaction."""
    since = finding.since
    if finding.found.is_broken:
        since = since or _last_delivery(session, target.builder_id)
        # Nothing can have been missed where nothing had ever been subscribed.
        if since is not None:
            for builder in _builders_of(session, target):
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


def _record_failure(session: Session, builder_id: int | None, error: CalendlyError, now: datetime) -> None:
    log.error("subscription_unknown", builder=builder_id, category=error.category)
    with transaction(session):
        session.add(
            SubscriptionCheck(builder_id=builder_id, at=now, found=Found.UNKNOWN, failure=error.category)
        )


def _last_delivery(session: Session, builder_id: int | None) -> datetime | None:
    """Until when deliveries certainly came: the last check that found them working, else Calendly's last delivery."""
    checks = sa.select(sa.func.max(SubscriptionCheck.at)).where(
        _is_of(builder_id),
        sa.or_(SubscriptionCheck.found.in_((Found.ACTIVE, Found.RETRYING)), SubscriptionCheck.repaired),
    )
    well = session.scalar(checks)
    if well is not None:
        return well
    deliveries = sa.select(sa.func.max(InboxEvent.received_at))
    return session.scalar(deliveries.where(InboxEvent.provider == Provider.CALENDLY))


def _builders_of(session: Session, target: Target) -> list[Builder]:
    query = sa.select(Builder).where(Builder.calendly_user_uri.is_not(None))
    query = query.order_by(Builder.id).with_for_update()
    if target.builder_id is not None:
        query = query.where(Builder.id == target.builder_id)
    return list(session.scalars(query))


def _is_of(builder_id: int | None) -> sa.ColumnElement[bool]:
    column = SubscriptionCheck.builder_id
    return column.is_(None) if builder_id is None else column == builder_id
