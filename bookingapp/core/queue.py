"""Rows that are work: claimed by lease, counted before they are tried, finished together with their effects.

Two tables use it: the inbox (what the providers told us, :mod:`bookingapp.webhooks`) and :class:`Job`, the
outbox (what we still owe: a call to a provider, a mail, a timer). A row survives any crash of the worker: a claim
makes it due again at the end of its lease, and another takes it. The number of attempts only ever grows and is the
fencing token: whoever comes back late, after the lease ran out and another worker took the row, cannot commit.

    received ──► processing ──► done | ignored
                   │    ▲
                   ▼    │
                 failed ┘  ──► dead, after the last try
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, Session, mapped_column

from bookingapp.core import wake
from bookingapp.core.db import AWAY, Model, changed_rows, insert_if_new, release, transaction

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
BACKOFF = tuple(timedelta(seconds=s) for s in (2, 10, 60, 300, 900, 1800, 3600))
# Who is only away comes back: for three more days they are asked each hour, longer than any outage on record, and
# longer than Stripe replays an error of its own under an idempotency key.
PATIENT = (*BACKOFF, *[BACKOFF[-1]] * 72)
LAST_TRY = len(PATIENT) + 1
JITTER = 0.2
# How often a row looks whether what it waits for is there; the look itself calls nobody.
PARKED = timedelta(seconds=30)
NOTE_LENGTH = 500
DEADLY = "each try ended its worker, or took longer than its lease"


# What an error's category means to whoever looks at a row; the categories are those of the providers' clients.
REASONS = {
    "unavailable": "no answer",
    "rate_limited": "asked to come later",
    "bad_reply": "the answer could not be read",
    "unauthorized": "our key or token is not accepted",
    "invalid_grant": "the connection is not accepted any more",
    "invalid_client": "our OAuth app is not accepted",
    "forbidden": "not allowed with our key or token",
    "not_found": "not known there",
    "rejected": "refused",
    "idempotency_conflict": "asked before with other details",
}


class LeaseLost(RuntimeError):
    """Another worker has taken the row in the meantime; nothing of this try may be kept."""


class WorkState(enum.StrEnum):
    """How far a row of work is."""

    RECEIVED = "received"  # Taken in, or waiting for somebody; due at ``run_at``.
    PROCESSING = "processing"  # A worker holds it; if that dies, it is due again at ``run_at``.
    FAILED = "failed"  # The last try came to nothing; the next is due at ``run_at``.
    DONE = "done"
    IGNORED = "ignored"  # Kept, and nothing was to be done.
    DEAD = "dead"  # Given up after the last try, with the reason in ``note``: a person has to look.

    @property
    def is_open(self) -> bool:
        """Whether there is still something to do."""
        return self in (WorkState.RECEIVED, WorkState.PROCESSING, WorkState.FAILED)


# In these words in the index and in every query that is to use it: SQLite compares the texts.
OPEN = "state IN ('received', 'processing', 'failed')"
ENDED = "state IN ('done', 'ignored', 'dead')"


class Work:
    """The columns that make a table a queue."""

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[WorkState] = mapped_column(default=WorkState.RECEIVED)
    run_at: Mapped[datetime]  # When it is due: for the first time, again, or because its lease is over.
    attempts: Mapped[int] = mapped_column(default=0)
    # How many of the attempts count for nothing: they ended in waiting (see :func:`park`), or in a replay.
    waits: Mapped[int] = mapped_column(default=0, server_default="0")
    note: Mapped[str | None] = mapped_column(sa.String(NOTE_LENGTH))
    finished_at: Mapped[datetime | None]

    @classmethod
    def due_index(cls, table: str) -> sa.Index:
        """The index that makes looking for work cheap however long the table grows: it holds the open rows alone."""
        return sa.Index(
            f"ix_{table}_due", "run_at", "id", sqlite_where=sa.text(OPEN), postgresql_where=sa.text(OPEN)
        )


class Job(Work, Model):
    """Something we owe and have not done yet. ``key`` makes asking twice the same as asking once."""

    __tablename__ = "jobs"
    __table_args__ = (Work.due_index("jobs"),)

    name: Mapped[str] = mapped_column(sa.String(64))
    key: Mapped[str] = mapped_column(sa.String(200), unique=True)
    args: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)  # Tells what was decided in one transaction.


W = TypeVar("W", bound=Work)


@dataclass(frozen=True)
class Claim:
    """The right to work on one row until the lease ends."""

    id: int
    attempt: int
    until: datetime
    waits: int = 0


def enqueue(
    session: Session, name: str, *, key: str, args: dict[str, Any], run_at: datetime, now: datetime
) -> bool:
    """Owe a call of the registered function ``name`` with ``args`` (ids, no objects), not before ``run_at``.

    Part of the caller's transaction. Returns False where that ``key`` is owed already or was done before.
    """
    values = {
        "name": name,
        "key": key,
        "args": args,
        "run_at": run_at,
        "created_at": now,
        "state": WorkState.RECEIVED,
        "attempts": 0,
    }
    is_new = insert_if_new(session, Job, values, ["key"]) is not None
    if is_new and run_at <= now:
        wake.announce(session.connection())
    return is_new


def claim(
    session: Session, model: type[W], *, now: datetime, lease: timedelta = LEASE
) -> tuple[W, Claim] | None:
    """Take the row that is longest due, if any. Commits, so that the count of attempts outlives a crash.

    The row is detached, with no transaction left open.
    """
    table = _table(model)
    until = now + lease
    due = (
        sa.select(table.c.id)
        .where(sa.text(OPEN), table.c.run_at <= now)
        .order_by(table.c.run_at, table.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    statement = (
        sa.update(model)
        .where(table.c.id == due.scalar_subquery())
        .values(state=WorkState.PROCESSING, run_at=until, attempts=table.c.attempts + 1)
        .returning(model)
        .execution_options(synchronize_session=False)
    )
    if session.get_bind().dialect.name == "postgresql":
        # This commit need not wait for the disk. It survives the crash of a worker all the same; lost with a whole
        # server, it leaves the row as it was, which is due.
        session.execute(sa.text("SET LOCAL synchronous_commit TO off"))
    row = session.scalars(statement).one_or_none()
    if row is not None:
        session.expunge(row)
    session.commit()
    return None if row is None else (row, Claim(row.id, row.attempts, until, row.waits))


def next_due(session: Session, model: type[Work]) -> datetime | None:
    """When the next open row is due, which may be in the past. A read: an idle worker never takes the write lock."""
    table = _table(model)
    found = session.scalar(
        sa.select(table.c.run_at).where(sa.text(OPEN)).order_by(table.c.run_at, table.c.id).limit(1)
    )
    release(session)
    return found


def finish(
    session: Session,
    model: type[Work],
    claimed: Claim,
    *,
    state: WorkState,
    now: datetime,
    note: str | None = None,
    **values: Any,
) -> None:
    """End the row in the caller's transaction, so that its effects and its end are one commit. ``values`` are further
    columns of the row.

    Raises :class:`LeaseLost` when another worker holds the row by now.
    """
    _write(session, model, claimed, state=state, finished_at=now, note=_short(note), **values)


def put_back(
    session: Session,
    model: type[Work],
    claimed: Claim,
    *,
    run_at: datetime,
    note: str | None = None,
    state: WorkState = WorkState.RECEIVED,
) -> None:
    """Make the row due again at ``run_at``, in the caller's transaction. Raises :class:`LeaseLost`."""
    _write(session, model, claimed, state=state, run_at=run_at, note=_short(note))


def park(session: Session, model: type[Work], claimed: Claim, *, awaited: str, now: datetime) -> None:
    """Let the row wait for something that a person has to do first, in the caller's transaction.

    Such a try does not bring the row nearer to its last one, however often that is. Raises :class:`LeaseLost`.
    """
    _write(
        session,
        model,
        claimed,
        state=WorkState.RECEIVED,
        run_at=now + PARKED,
        waits=claimed.waits + 1,
        note=_waiting(awaited),
    )


def wake_parked(session: Session, model: type[Work], *, awaited: str, now: datetime) -> int:
    """Make every row due that waits for ``awaited``, in the caller's transaction. Returns how many that were."""
    table = _table(model)
    waiting = (table.c.state == WorkState.RECEIVED, table.c.note == _waiting(awaited))
    statement = sa.update(table).where(*waiting, table.c.run_at > now).values(run_at=now)
    woken = changed_rows(session, statement)
    if woken:
        wake.announce(session.connection())
    return woken


def start_over(session: Session, model: type[Work], row_id: int, *, now: datetime, note: str) -> bool:
    """Make an ended row due again with all its tries before it, in the caller's transaction. Returns False where it
    has not ended, or is not there.
    """
    table = _table(model)
    statement = (
        sa.update(table)
        .where(table.c.id == row_id, sa.text(ENDED))
        .values(
            state=WorkState.RECEIVED,
            run_at=now,
            # The attempts stay: they are the fencing token.
            waits=table.c.attempts,
            finished_at=None,
            note=_short(note),
        )
    )
    restarted = changed_rows(session, statement) == 1
    if restarted:
        wake.announce(session.connection())
    return restarted


def work_next(
    session: Session,
    model: type[W],
    do: Callable[[W, Claim], None],
    *,
    clock: Callable[[], datetime],
    lease: timedelta = LEASE,
) -> bool:
    """Claim the row that is longest due for a ``lease`` and let ``do`` work on it. Returns whether there was one.

    ``do`` gets the row detached, with no transaction open, and ends it with :func:`finish` or :func:`put_back`
    in the transaction of its effects. Where it raises, the row is tried again later, for days where the error says
    ``retryable = True``; after the last try, or at once for one that says ``retryable = False``, it is kept as dead
    with the reason. An error that says in ``awaits`` what has to be done first parks the row until then, however
    often that takes.
    """
    due = next_due(session, model)
    if due is None or due > clock():
        return False
    claimed = claim(session, model, now=clock(), lease=lease)
    if claimed is None:
        return False
    row, held = claimed
    if held.attempt - held.waits > LAST_TRY:
        # Not even its last try came to an end that could be written down.
        with transaction(session):
            finish(session, model, held, state=WorkState.DEAD, now=clock(), note=DEADLY)
        log.error("work_ends_its_worker", table=model.__name__, row=held.id)
        return True
    try:
        do(row, held)
    except LeaseLost:
        session.rollback()
        log.warning("lease_lost", table=model.__name__, row=held.id)
    except Exception as error:
        session.rollback()
        _failed(session, model, held, error, clock())
    return True


def _failed(session: Session, model: type[Work], held: Claim, error: Exception, now: datetime) -> None:
    awaited: str | None = getattr(error, "awaits", None)
    is_away = isinstance(error, AWAY)
    foreseen = hasattr(error, "retryable") or awaited is not None or is_away
    schedule = PATIENT if getattr(error, "retryable", is_away) else BACKOFF
    tries = held.attempt - held.waits
    delay = retry_delay(tries, schedule=schedule) if getattr(error, "retryable", True) else None
    note = f"{reason(error)} ({type(error).__name__} at try {tries})"
    if awaited is None:
        log.warning("work_failed", table=model.__name__, row=held.id, note=note, dead=delay is None)
    else:
        log.info("work_parked", table=model.__name__, row=held.id, awaits=awaited)
    if not foreseen:
        log.error("work_failed_unexpectedly", table=model.__name__, row=held.id, exc_info=error)
    try:
        with transaction(session):
            if awaited is not None:
                park(session, model, held, awaited=awaited, now=now)
            elif delay is None:
                finish(session, model, held, state=WorkState.DEAD, now=now, note=note)
            else:
                wait = timedelta(seconds=getattr(error, "retry_after", None) or 0)
                run_at = now + max(delay, wait)
                put_back(session, model, held, run_at=run_at, note=note, state=WorkState.FAILED)
    except LeaseLost:
        log.warning("lease_lost", table=model.__name__, row=held.id)


def reason(error: Exception) -> str:
    """Why a try came to nothing, in words. An error's own text stays out: it may quote what a person typed."""
    if isinstance(error, SQLAlchemyError):
        return "the database did not take it"
    if hasattr(error, "retryable"):
        return REASONS.get(getattr(error, "category", ""), "the other side did not take it")
    return "an unexpected fault, whose trace is in the log"


def _write(session: Session, model: type[Work], claimed: Claim, **values: Any) -> None:
    table = _table(model)
    statement = (
        sa.update(table)
        .where(
            table.c.id == claimed.id,
            table.c.attempts == claimed.attempt,
            table.c.state == WorkState.PROCESSING,
        )
        .values(**values)
    )
    if changed_rows(session, statement) != 1:
        raise LeaseLost(f"row {claimed.id} of {table.name}")


def _table(model: type[Work]) -> sa.Table:
    return cast("sa.Table", sa.inspect(model).local_table)


def _waiting(awaited: str) -> str:
    return f"waits for {awaited}"


def _short(note: str | None) -> str | None:
    return (note or "")[:NOTE_LENGTH] or None


def retry_delay(
    attempt: int, *, schedule: tuple[timedelta, ...] = BACKOFF, rng: random.Random | None = None
) -> timedelta | None:
    """How long to wait after the ``attempt``-th try (from 1), with ±20 % jitter; None after the last."""
    if attempt > len(schedule):
        return None
    spread = (rng or random).uniform(1 - JITTER, 1 + JITTER)
    return schedule[attempt - 1] * spread
