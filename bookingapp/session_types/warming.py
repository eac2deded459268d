"""Keeping the cards warm that people look at, so that nobody is the first one to wait for Calendly."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder
from bookingapp.core.db import reading
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError
from bookingapp.session_types.service import SPARE_BUDGET

log = structlog.get_logger(__name__)

ASKED_FOR_WITHIN = timedelta(minutes=30)
MOST_BUILDERS = 20
# Asked again a minute before a page would find the answer too old.
RENEW_AFTER = timedelta(minutes=4)


def refresh_popular_cards(session: Session, calendly: CalendlyClient) -> int:
    """Renew the event types of the builders whose cards were asked for lately. Returns how many were looked at.

    Stops at once where Calendly is in trouble or its rate limit is half spent: pages come first. Which builders
    those are is known where there is a Redis; without one each web process has a memory that nobody else can
    warm, and there is nothing to do.
    """
    ids = [
        int(name)
        for name in calendly.interesting(within=ASKED_FOR_WITHIN, most=MOST_BUILDERS)
        if name.isdigit()
    ]
    if not ids:
        return 0
    with reading(session):
        rows = session.scalars(sa.select(Builder).where(Builder.id.in_(ids), Builder.listed)).all()
        found = {builder.id: (builder.tenant, builder.calendly_user_uri) for builder in rows}
    looked_at = 0
    for builder_id in ids:
        if builder_id not in found:
            continue
        tenant, user_uri = found[builder_id]
        try:
            if calendly.breaker_state != "closed" or calendly.budget_left(tenant) < SPARE_BUDGET:
                break
            calendly.list_event_types(tenant, user_uri, at_most=RENEW_AFTER)
        except CalendlyError as error:
            # The page that shows this builder says it to people; here the next round tries again.
            log.info("keeping_warm_failed", builder=builder_id, category=error.category)
        looked_at += 1
    return looked_at
