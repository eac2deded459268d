"""Refreshes the cached event types of builders whose cards were shown lately, so that pages need not wait."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder, is_in_directory
from bookingapp.core.db import reading
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, Purpose

log = structlog.get_logger(__name__)

SHOWN_WITHIN = timedelta(minutes=30)
MOST_BUILDERS = 20
# A minute before a page would find the answer too old.
REFRESH_AFTER = timedelta(minutes=4)


def refresh_popular_cards(session: Session, calendly: CalendlyClient) -> int:
    """Fetch the event types again of builders whose cards were shown lately. Returns how many. Stops where Calendly is
    failing or the rest of its rate limit is kept for pages and owed work. Without Redis the worker cannot reach the
    pages' cache.
    """
    calendly = calendly.for_purpose(Purpose.BACKGROUND)
    ids = [
        int(name) for name in calendly.interesting(within=SHOWN_WITHIN, most=MOST_BUILDERS) if name.isdigit()
    ]
    if not ids:
        return 0
    with reading(session):
        found = session.scalars(sa.select(Builder).where(Builder.id.in_(ids), is_in_directory())).all()
    done = 0
    for builder in sorted(found, key=lambda one: ids.index(one.id)):
        try:
            if not calendly.may_send(builder.tenant):
                break
            calendly.list_event_types(builder.tenant, builder.calendly_user, at_most=REFRESH_AFTER)
        except CalendlyError as error:
            # The page of this builder says so; the next round tries again.
            log.info("cards_refresh_failed", builder=builder.id, category=error.category)
        done += 1
    return done
