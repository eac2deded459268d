"""Refreshes the facts about the next free times that the directory shows, a bounded number each time."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder, DirectoryEntry
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, CalendlyUnavailable, Purpose
from bookingapp.session_types.free_times import record_free_time
from bookingapp.session_types.models import FreeTime, SessionType, is_on_sale
from bookingapp.session_types.times import fetch_free_times

log = structlog.get_logger(__name__)

REFRESH_AFTER = timedelta(hours=1)
MOST_TYPES = 60
EVERY = timedelta(minutes=15)


@job("sync.free_times", label=lazy_gettext("refreshing the next free times"), every=EVERY)
def refresh_free_times(session: Session, calendly: CalendlyClient, *, now: datetime) -> int:
    """Fetch the next free time of at most ``MOST_TYPES`` types of the directory, those first that were never checked or
    longest ago. Returns how many. Stops where Calendly is failing or the rest of its rate limit is kept for pages.
    """
    calendly = calendly.for_purpose(Purpose.BACKGROUND)
    found = _list_due(session, now)
    end_read(session)
    done = 0
    for session_type, builder in found:
        if not calendly.may_send(builder.tenant):
            break
        next_at = None
        try:
            times = fetch_free_times(calendly, builder.tenant, session_type.event_type_uri, now=now)
            next_at = times.next_start
        except CalendlyUnavailable:
            break
        except CalendlyError as error:
            # Checked, with nothing to show; else this type would be the first of every round.
            log.info("free_time_unknown", session_type=session_type.id, category=error.category)
        with transaction(session):
            record_free_time(session, session_type.id, next_at, now=now)
        done += 1
    return done


def _list_due(session: Session, now: datetime) -> list[tuple[SessionType, Builder]]:
    query = (
        sa.select(SessionType, Builder)
        .join(Builder, Builder.id == SessionType.builder_id)
        .join(DirectoryEntry, DirectoryEntry.builder_id == Builder.id)
        .outerjoin(FreeTime, FreeTime.session_type_id == SessionType.id)
        .where(is_on_sale(), Builder.disconnected_at.is_(None))
        .where(sa.or_(FreeTime.checked_at.is_(None), FreeTime.checked_at < now - REFRESH_AFTER))
        .order_by(FreeTime.checked_at.is_not(None), FreeTime.checked_at, SessionType.id)
        .limit(MOST_TYPES)
    )
    return [(row[0], row[1]) for row in session.execute(query)]
