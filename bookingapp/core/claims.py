"""How workers share rows of work: claimed by lease, counted before each try, ended together with their effects.

A row survives any crash of its worker: a claim makes it due again at the end of its lease. The number of attempts only
grows and is the fencing token: a worker that is late, because its lease ran out and another claimed the row, cannot
commit. The rows themselves are in :mod:`bookingapp.core.queue`.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Generic, cast

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper, Session

from bookingapp.core import wake
from bookingapp.core.db import DATABASE_DOWN, changed_rows, transaction
from bookingapp.core.queue import OPEN, W, Work, WorkState, next_due
from bookingapp.outcomes import Awaited, Failure

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
# While no row takes longer than this, each claim takes twice as many as the one before it. A call to a provider takes
# longer: such rows are claimed one by one.
QUICK = timedelta(milliseconds=20)
MOST = 32
# No row is begun when less than this part of its lease is left: that might be too short for its work.
ENOUGH = 0.75
BACKOFF = tuple(timedelta(seconds=s) for s in (2, 10, 60, 300, 900, 1800, 3600))
# A provider that is away is asked for three more days, each hour: longer than any outage on record, and longer than
# Stripe replays an error of its own under an idempotency key.
PATIENT = (*BACKOFF, *[BACKOFF[-1]] * 72)
LAST_TRY = len(PATIENT) + 1
JITTER = 0.2
# How often a waiting row is tried.
PARKED = timedelta(seconds=30)


class LeaseLost(RuntimeError):
    """Another worker has claimed the row in the meantime; nothing of this try may be committed."""


@dataclass(frozen=True)
class Claim:
    """The right to work on one row until the lease ends."""

    id: int
    attempt: int
    until: datetime
    waits: int = 0


class Batch(Generic[W]):
    """The rows of one kind that a process has claimed and not begun, shared by its threads.

    Claiming several in one commit costs hardly more than claiming one. So a backlog of quick rows is claimed in
    batches; slow rows one at a time, so that none waits here for a provider while another process is idle. A killed
    process loses no row: each is due again when its lease ends.
    """

    def __init__(
        self, model: type[W], lease: timedelta = LEASE, *, ring: Callable[[], object] = lambda: None
    ) -> None:
        """``ring`` is called when there are rows for other threads."""
        self.model = model
        self.lease = lease
        self.due: datetime | None = None
        """When the next row was due, when the table was last read."""
        self._ring = ring
        self._rows: deque[tuple[W, Claim]] = deque()
        self._began: dict[int, datetime] = {}
        self._most = 0
        self._turn = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def next_row(self, session: Session, clock: Callable[[], datetime]) -> tuple[W, Claim] | None:
        """The row to begin next: one in hand, else the longest due of those that are claimed now."""
        with self._turn:
            if self._rows and self._rows[0][1].until - clock() < self.lease * ENOUGH:
                self._unclaim(session, clock())
            if not self._rows:
                self.due = next_due(session, self.model)
                if self.due is None or self.due > clock():
                    return None
                self._most = min(2 * self._most, MOST) or 1
                self._rows.extend(claim(session, self.model, now=clock(), lease=self.lease, most=self._most))
                if len(self._rows) > 1:
                    self._ring()
            return self._rows.popleft() if self._rows else None

    @contextmanager
    def at_work(self, clock: Callable[[], datetime]) -> Iterator[None]:
        """The block is one thread's work on one row. Its duration decides how many rows the next claim is for."""
        thread, began = threading.get_ident(), clock()
        self._began[thread] = began
        try:
            yield
        finally:
            del self._began[thread]
            if clock() - began > QUICK:
                self._most = 0

    def is_crowded(self, now: datetime, *, most: int) -> bool:
        """Whether ``most`` threads work on rows that they began a moment ago, so that another would only slow them
        down.
        """
        return sum(now - began <= QUICK for began in list(self._began.values())) >= most

    def give_back(self, session: Session, *, now: datetime) -> None:
        """Make the rows in hand due again, as if they had never been claimed. Commits."""
        with self._turn:
            self._unclaim(session, now)

    def _unclaim(self, session: Session, now: datetime) -> None:
        if not self._rows:
            return
        held = [_claim_key(claimed) | {"due": now} for _, claimed in self._rows]
        self._rows.clear()
        with transaction(session):
            session.execute(_statements(sa.inspect(self.model)).give_back, held)
            wake.notify_workers(session.connection())


def claim(
    session: Session, model: type[W], *, now: datetime, lease: timedelta = LEASE, most: int = 1
) -> list[tuple[W, Claim]]:
    """Claim up to ``most`` of the due rows, the longest due first. Commits, so that the count of attempts survives a
    crash.

    The rows are detached, with no transaction left open.
    """
    until = now + lease
    statements = _statements(sa.inspect(model))
    with transaction(session):
        if session.get_bind().dialect.name == "postgresql":
            # This commit need not wait for the disk. It survives the crash of a worker; if the whole server loses it,
            # the rows are as they were, which is due.
            session.execute(_NEED_NOT_WAIT)
        due = list(session.scalars(statements.due, {"now": now, "most": most}))
        if not due:
            return []
        rows = {row.id: row for row in session.scalars(statements.claim, {"due": due, "until": until})}
        session.expunge_all()
    return [(rows[key], Claim(key, rows[key].attempts, until, rows[key].waits)) for key in due]


def finish(
    session: Session,
    model: type[Work],
    claimed: Claim,
    *,
    state: WorkState,
    now: datetime,
    outcome: str | None = None,
    facts: Mapping[str, Any] | None = None,
    **values: Any,
) -> None:
    """End the row in the caller's transaction, so that its effects and its end are one commit. ``values`` are further
    columns of the row.

    Raises :class:`LeaseLost` when another worker holds the row by now.
    """
    values |= {"outcome": outcome, "outcome_facts": facts or {}}
    _update_claimed(session, model, claimed, state=state, finished_at=now, **values)


def requeue(
    session: Session,
    model: type[Work],
    claimed: Claim,
    *,
    run_at: datetime,
    outcome: str | None = None,
    facts: Mapping[str, Any] | None = None,
    state: WorkState = WorkState.RECEIVED,
) -> None:
    """Make the row due again at ``run_at``, in the caller's transaction. Raises :class:`LeaseLost`."""
    _update_claimed(
        session, model, claimed, state=state, run_at=run_at, outcome=outcome, outcome_facts=facts or {}
    )


def park(session: Session, model: type[Work], claimed: Claim, *, awaited: Awaited, now: datetime) -> None:
    """Let the row wait for something that a person has to do first, in the caller's transaction.

    However often a row waits, its last try comes no nearer. Raises :class:`LeaseLost`.
    """
    _update_claimed(
        session,
        model,
        claimed,
        state=WorkState.RECEIVED,
        run_at=now + PARKED,
        waits=claimed.waits + 1,
        outcome=awaited,
        outcome_facts={},
    )


def work_next(
    session: Session,
    batch: Batch[W],
    do: Callable[[W, Claim], None],
    *,
    clock: Callable[[], datetime],
    give_up: Callable[[W, datetime], None] = lambda _row, _now: None,
) -> bool:
    """Let ``do`` work on the next row of ``batch``. Returns whether there was one.

    ``do`` gets the row detached, with no transaction open, and ends it with :func:`finish` or :func:`requeue` in the
    transaction of its effects. Where it raises, the row is retried later, for days where the error says
    ``retryable = True``; after the last try, or at once for ``retryable = False``, it is dead. An error with
    ``awaits`` parks the row, however often. ``give_up`` is called in the transaction that makes a row dead.
    """
    found = batch.next_row(session, clock)
    if found is None:
        return False
    row, held = found
    with structlog.contextvars.bound_contextvars(**row.log_context):
        _work_on(session, batch, row, held, do, clock=clock, give_up=give_up)
    return True


def _work_on(
    session: Session,
    batch: Batch[W],
    row: W,
    held: Claim,
    do: Callable[[W, Claim], None],
    *,
    clock: Callable[[], datetime],
    give_up: Callable[[W, datetime], None],
) -> None:
    model = batch.model
    if held.attempt - held.waits > LAST_TRY:
        # Not even its last try lived long enough to record its failure.
        outcome = Failure.LEASE_EXPIRED
        with transaction(session):
            give_up(row, clock())
            finish(session, model, held, state=WorkState.DEAD, now=clock(), outcome=outcome)
        log.error("work_ends_its_worker", table=model.__name__, row=held.id)
        return
    with batch.at_work(clock):
        try:
            do(row, held)
        except LeaseLost:
            session.rollback()
            log.warning("lease_lost", table=model.__name__, row=held.id)
        except Exception as error:
            session.rollback()
            _record_failure(session, model, held, error, clock(), give_up=lambda: give_up(row, clock()))


def _record_failure(
    session: Session,
    model: type[Work],
    held: Claim,
    error: Exception,
    now: datetime,
    *,
    give_up: Callable[[], None],
) -> None:
    awaited: Awaited | None = getattr(error, "awaits", None)
    is_away = isinstance(error, DATABASE_DOWN)
    foreseen = hasattr(error, "retryable") or awaited is not None or is_away
    schedule = PATIENT if getattr(error, "retryable", is_away) else BACKOFF
    tries = held.attempt - held.waits
    delay = retry_delay(tries, schedule=schedule) if getattr(error, "retryable", True) else None
    outcome, facts = failure_of(error), {"error": type(error).__name__, "try": tries}
    row = {"table": model.__name__, "row": held.id}
    if awaited is None:
        log.warning("work_failed", **row, outcome=outcome, dead=delay is None, **facts)
    else:
        log.info("work_parked", **row, awaits=awaited)
    if not foreseen:
        log.error("work_failed_unexpectedly", **row, exc_info=error)
    try:
        with transaction(session):
            if awaited is not None:
                park(session, model, held, awaited=awaited, now=now)
            elif delay is None:
                give_up()
                finish(session, model, held, state=WorkState.DEAD, now=now, outcome=outcome, facts=facts)
            else:
                run_at = now + max(delay, timedelta(seconds=getattr(error, "retry_after", None) or 0))
                state = WorkState.FAILED
                requeue(session, model, held, run_at=run_at, outcome=outcome, facts=facts, state=state)
    except LeaseLost:
        log.warning("lease_lost", **row)


def failure_of(error: Exception) -> Failure:
    """Why a try failed. Nothing of the error's own text: it may quote what a person typed."""
    if isinstance(error, SQLAlchemyError):
        return Failure.DATABASE
    if not hasattr(error, "retryable"):
        return Failure.UNEXPECTED
    return getattr(error, "category", Failure.NOT_ACCEPTED)


def retry_delay(
    attempt: int, *, schedule: tuple[timedelta, ...] = BACKOFF, rng: random.Random | None = None
) -> timedelta | None:
    """How long to wait after the ``attempt``-th try (from 1), with ±20 % jitter; None after the last."""
    if attempt > len(schedule):
        return None
    spread = (rng or random).uniform(1 - JITTER, 1 + JITTER)
    return schedule[attempt - 1] * spread


def _update_claimed(session: Session, model: type[Work], claimed: Claim, **values: Any) -> None:
    if changed_rows(session, _statements(sa.inspect(model)).write, _claim_key(claimed) | values) != 1:
        raise LeaseLost(f"row {claimed.id} of {model.__name__}")


def _claim_key(claimed: Claim) -> dict[str, Any]:
    return {"held_id": claimed.id, "held_attempt": claimed.attempt}


@dataclass(frozen=True)
class _Statements:
    due: sa.Select[int]
    claim: sa.UpdateBase
    write: sa.Update
    give_back: sa.Update


_NEED_NOT_WAIT = sa.text("SET LOCAL synchronous_commit TO off")


# Built once: building a statement for each row costs more than executing it.
@cache
def _statements(mapper: Mapper[Any]) -> _Statements:
    table = cast("sa.Table", mapper.local_table)
    columns = table.c
    due = (
        sa.select(columns.id)
        .where(sa.text(OPEN), columns.run_at <= sa.bindparam("now"))
        .order_by(columns.run_at, columns.id)
        .limit(sa.bindparam("most"))
        .with_for_update(skip_locked=True)
    )
    claim = (
        sa.update(mapper)
        .where(columns.id.in_(sa.bindparam("due", expanding=True)))
        .values(state=WorkState.PROCESSING, run_at=sa.bindparam("until"), attempts=columns.attempts + 1)
        .returning(mapper)
        .execution_options(synchronize_session=False)
    )
    write = sa.update(table).where(
        columns.id == sa.bindparam("held_id"),
        columns.attempts == sa.bindparam("held_attempt"),
        columns.state == WorkState.PROCESSING,
    )
    give_back = write.values(state=WorkState.RECEIVED, run_at=sa.bindparam("due"), waits=columns.waits + 1)
    return _Statements(due, claim, write, give_back)
