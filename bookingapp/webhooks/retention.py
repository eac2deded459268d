"""Deletes the bodies of old deliveries, which name people. The rows stay: they make a second delivery of the same event
a duplicate, and the history refers to them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.core import heartbeat
from bookingapp.core.db import changed_rows, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.core.queue import ENDED
from bookingapp.webhooks.models import InboxEvent

log = structlog.get_logger(__name__)

RETENTION_JOB = "webhooks.retention"
BODIES_KEPT = timedelta(days=90)
# So many in one transaction, so that other writers do not wait for long.
BATCH = 500


@job(RETENTION_JOB, label=lazy_gettext("deleting old deliveries"), every=timedelta(days=1))
def delete_old_bodies(session: Session, *, now: datetime) -> int:
    """Delete the bodies and headers of old deliveries, and stale heartbeats. Returns how many bodies."""
    with transaction(session):
        heartbeat.delete_stale_beats(session, now=now)
    deleted = 0
    old = (
        sa.select(InboxEvent.id)
        .where(
            InboxEvent.received_at < now - BODIES_KEPT,
            InboxEvent.body.is_not(None),
            # A delivery that is still to be applied needs its body, however old it is.
            sa.text(ENDED),
        )
        .limit(BATCH)
    )
    statement = sa.update(InboxEvent).where(InboxEvent.id.in_(old)).values(body=None, headers={})
    statement = statement.execution_options(synchronize_session=False)
    while True:
        with transaction(session):
            found = changed_rows(session, statement)
        deleted += found
        if found < BATCH:
            break
    log.info("retention", bodies=deleted)
    return deleted
