"""Facts about when session types are free next, for the directory, which asks no provider.

They are recorded when a page fetches times anyway, and by the job of :mod:`bookingapp.sync.free_times`. Each has its
age; one that is older than ``TRUE_FOR`` is not shown.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from bookingapp.core.db import insert_or_update
from bookingapp.session_types.models import FreeTime
from bookingapp.session_types.times import FreeTimes

TRUE_FOR = timedelta(hours=3)
"""How old a fact may be that is shown, with its age, and that filters."""
SOON = timedelta(days=7)
"""What the filter "free this week" means: from now on."""
KEPT_FOR = timedelta(minutes=10)
"""A fact that is younger and the same is not written again, however often the times are looked at."""


def is_due(session: Session, session_type_id: int, found: FreeTimes, *, now: datetime) -> bool:
    """Whether what was found is worth writing down. An outdated answer is not."""
    if found.as_of is not None:
        return False
    fact = session.get(FreeTime, session_type_id)
    return fact is None or fact.next_at != found.next_start or now - fact.checked_at >= KEPT_FOR


def record_free_time(
    session: Session, session_type_id: int, next_at: datetime | None, *, now: datetime
) -> None:
    """Record when a session type is free next, in the caller's transaction."""
    values = {"session_type_id": session_type_id, "next_at": next_at, "checked_at": now}
    insert_or_update(session, FreeTime, values, ["session_type_id"])
