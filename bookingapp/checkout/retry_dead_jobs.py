"""Dead jobs that a booking still depends on; retried every hour. Running one that is not needed any more changes
nothing.
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

RETRIED_FOR = timedelta(days=60)


def retry_dead_jobs(session: Session, *, now: datetime) -> int:
    """Restart the dead jobs whose type is declared with ``revive``. Commits; returns how many."""
    revived = [kind.name for kind in REGISTRY.values() if kind.revive]
    query = sa.select(Job.id).where(
        Job.state == WorkState.DEAD, Job.name.in_(revived), Job.created_at > now - RETRIED_FOR
    )
    with transaction(session):
        found = session.scalars(query.order_by(Job.id)).all()
        again = sum(
            restart(session, Job, job_id, now=now, outcome=Restart.RETRIED_HOURLY) for job_id in found
        )
    if again:
        log.warning("dead_jobs_restarted", rows=again)
    return again
