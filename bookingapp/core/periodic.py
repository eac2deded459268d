"""Work that comes back by itself, as rows of the outbox.

A row owes the next one before it does anything, and its key is the beginning of its period: so many workers do one
period once, and a crash at any point loses none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.core.db import end_read, transaction
from bookingapp.core.queue import OPEN, Job, enqueue

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Periodic:
    """A job that takes no arguments, and how often it is done. Periods begin at whole multiples of ``every``."""

    name: str
    every: timedelta

    def begin(self, session: Session, *, now: datetime) -> bool:
        """See to it that there is a next time: one is owed already, or this period's is, unless that is done.

        Commits. Returns whether a row was missing.
        """
        query = sa.select(Job.id).where(Job.name == self.name, sa.text(OPEN)).limit(1)
        is_owed = session.scalar(query) is not None
        end_read(session)
        if is_owed:
            return False
        with transaction(session):
            return self._owe(session, self._period(now), run_at=now, now=now) or self.owe_next(
                session, now=now
            )

    def owe_next(self, session: Session, *, now: datetime) -> bool:
        """Owe the next period's, in the caller's transaction. Returns whether that was news."""
        following = self._period(now) + self.every
        return self._owe(session, following, run_at=following, now=now)

    def _period(self, now: datetime) -> datetime:
        return now - (now - _EPOCH) % self.every

    def _owe(self, session: Session, period: datetime, *, run_at: datetime, now: datetime) -> bool:
        key = f"{self.name}:{period:%Y-%m-%dT%H:%M}"
        return enqueue(session, self.name, key=key, args={}, run_at=run_at, now=now)
