"""Which workers are alive: each records a heartbeat in a table, every few seconds."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from bookingapp.core import release
from bookingapp.core.db import Model, changed_rows, transaction

EVERY = timedelta(seconds=10)
# Three heartbeats may be missed, while the database is busy or away, before a worker counts as dead.
LATE = timedelta(seconds=35)
STALE = timedelta(days=1)


class WorkerBeat(Model):
    """The newest heartbeat of a worker process. The row of one that was killed stays until it is stale."""

    __tablename__ = "worker_beats"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(120), unique=True)
    started_at: Mapped[datetime]
    beat_at: Mapped[datetime] = mapped_column(index=True)


@dataclass(frozen=True)
class Workers:
    """How many workers are alive, and how old the newest heartbeat of any is (None: there is none)."""

    alive: int
    last_seen_seconds: float | None


def new_name() -> str:
    """A unique name for this process: host, process id, a random part, and its release."""
    return f"{socket.gethostname()[:80]}:{os.getpid()}:{secrets.token_hex(4)}:{release.digest()}"


def record_beat(session: Session, name: str, *, now: datetime) -> None:
    """Record a heartbeat of the worker ``name``. Commits."""
    with transaction(session):
        statement = sa.update(WorkerBeat).where(WorkerBeat.name == name).values(beat_at=now)
        if changed_rows(session, statement) == 0:
            session.add(WorkerBeat(name=name, started_at=now, beat_at=now))


def delete_beat(session: Session, name: str) -> None:
    """Delete the heartbeat of a worker that ends. Commits."""
    with transaction(session):
        session.execute(sa.delete(WorkerBeat).where(WorkerBeat.name == name))


def delete_stale_beats(session: Session, *, now: datetime) -> None:
    """Delete the heartbeats of workers that were killed, in the caller's transaction."""
    session.execute(sa.delete(WorkerBeat).where(WorkerBeat.beat_at < now - STALE))


def count_workers(session: Session, *, now: datetime) -> Workers:
    """Count live workers by their heartbeats."""
    seen = session.scalars(sa.select(WorkerBeat.beat_at)).all()
    last = max(seen, default=None)
    alive = sum(1 for at in seen if at > now - LATE)
    return Workers(alive, None if last is None else max(0.0, (now - last).total_seconds()))


def find_other_releases(session: Session, *, now: datetime) -> list[str]:
    """The live workers whose code is not this tree's, by host and process id."""
    names = session.scalars(sa.select(WorkerBeat.name).where(WorkerBeat.beat_at > now - LATE)).all()
    others = sorted(name for name in names if name.rpartition(":")[2] != release.digest())
    return [":".join(name.split(":")[:2]) for name in others]
