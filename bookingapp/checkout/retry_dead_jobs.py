"""Rows of the outbox that were given up although a booking still waits for them: the end of a hold that Stripe did not
let us close, the question that money after a hold asked. Whoever repairs the cause must not have to know of each: they
are tried again by the hour. Where nothing waits any more, doing them changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.core.db import transaction
from bookingapp.core.jobs import REGISTRY
from bookingapp.core.queue import Job, Restart, WorkState, restart

log = structlog.get_logger(__name__)

FOR_SO_LONG = timedelta(days=60)


def retry_dead_jobs(session: Session, *, now: datetime) -> int:
    """Make them due again. Commits; returns how many that were."""
    revived = [kind.name for kind in REGISTRY.values() if kind.revive]
    query = sa.select(Job.id).where(
        Job.state == WorkState.DEAD, Job.name.in_(revived), Job.created_at > now - FOR_SO_LONG
    )
    with transaction(session):
        found = session.scalars(query.order_by(Job.id)).all()
        again = sum(
            restart(session, Job, job_id, now=now, outcome=Restart.RETRIED_HOURLY) for job_id in found
        )
    if again:
        log.warning("given_up_rows_tried_again", rows=again)
    return again
