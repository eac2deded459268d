"""Whether somebody works: each worker leaves a sign of life in a table of its own."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from bookingapp.core.db import Model, changed_rows, transaction

EVERY = timedelta(seconds=10)
# Three signs may be missed, by a database that was busy or away, before a worker counts as gone.
LATE = timedelta(seconds=35)
FORGOTTEN = timedelta(days=1)


class WorkerBeat(Model):
    """One running worker process, or one that ended without saying so."""

    __tablename__ = "worker_beats"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(120), unique=True)
    started_at: Mapped[datetime]
    beat_at: Mapped[datetime] = mapped_column(index=True)


@dataclass(frozen=True)
class Workers:
    """How many workers are alive, and how many seconds ago any gave a sign of life (None: never)."""

    alive: int
    last_seen_seconds: float | None


def new_name() -> str:
    """A name for this process: host, process id, and something that no later process has."""
    return f"{socket.gethostname()[:80]}:{os.getpid()}:{secrets.token_hex(4)}"


def record_beat(session: Session, name: str, *, now: datetime) -> None:
    """Leave a sign of life. Commits."""
    with transaction(session):
        statement = sa.update(WorkerBeat).where(WorkerBeat.name == name).values(beat_at=now)
        if changed_rows(session, statement) == 0:
            session.add(WorkerBeat(name=name, started_at=now, beat_at=now))


def delete_beat(session: Session, name: str) -> None:
    """This worker ends in good order. Commits."""
    with transaction(session):
        session.execute(sa.delete(WorkerBeat).where(WorkerBeat.name == name))


def delete_stale_beats(session: Session, *, now: datetime) -> None:
    """Let go of workers that ended without a word, in the caller's transaction."""
    session.execute(sa.delete(WorkerBeat).where(WorkerBeat.beat_at < now - FORGOTTEN))


def count_workers(session: Session, *, now: datetime) -> Workers:
    """How the workers are."""
    seen = session.scalars(sa.select(WorkerBeat.beat_at)).all()
    last = max(seen, default=None)
    alive = sum(1 for at in seen if at > now - LATE)
    return Workers(alive, None if last is None else max(0.0, (now - last).total_seconds()))
