"""Commits deliveries that arrive together in one transaction, because each commit waits for the disk.

A delivery that arrives while commits are under way waits for one of them and is in the next, with all others that
arrived meanwhile. Each is answered after its own commit, and waits for at most one other. What is stored of a delivery
is decided in :mod:`bookingapp.webhooks.service`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Engine

from bookingapp.core import wake
from bookingapp.core.database_failures import DatabaseFailure, find_cause
from bookingapp.core.db import DATABASE_DOWN, table_of
from bookingapp.core.errors import Unavailable
from bookingapp.core.i18n import gettext
from bookingapp.webhooks.models import InboxEvent

log = structlog.get_logger(__name__)

RETRY_SECONDS = 5
# How many commits may be under way at once. SQLite has one writer; PostgreSQL lets commits share a wait for the disk.
LANES = {"sqlite": 1, "postgresql": 4}
# In a rush workers are notified so often: each notification is a commit of its own.
NOTIFY_SECONDS = 0.02
# Failures that have taken seconds.
_SLOW = (DatabaseFailure.SILENT, DatabaseFailure.LOCKED)
_TABLE = table_of(InboxEvent)
_KEY = ("provider", "event_key")
_INSERTS = {
    name: insert(_TABLE)
    .on_conflict_do_nothing(index_elements=_KEY)
    .returning(_TABLE.c.provider, _TABLE.c.event_key)
    for name, insert in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}


@dataclass
class _Waiting:
    """One delivery on its way into the inbox: whether its thread leads the next commit, and how it ended."""

    values: dict[str, Any]
    called: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    fresh: bool = False
    error: BaseException | None = None


class Intake:
    """Stores deliveries; safe to use from any number of threads. ``engine`` is called when it is needed; ``lanes`` is
    how many commits may be under way at once, by the kind of database.
    """

    def __init__(self, engine: Callable[[], Engine], lanes: Mapping[str, int] = LANES) -> None:
        self._engine, self._lanes = engine, lanes
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._under_way = 0
        self._has_news, self._notified_at = False, float("-inf")

    def store(self, values: dict[str, Any]) -> bool:
        """Commit one row of the inbox. Returns False for a duplicate: a delivery of an event that is stored already.

        Raises :class:`Unavailable` where it could not be committed: the provider will retry.
        """
        mine = _Waiting(values)
        lanes = self._lanes.get(self._engine().dialect.name, 1)
        with self._lock:
            self._waiting.append(mine)
            mine.leads = self._under_way < lanes
            self._under_way += mine.leads
        if not mine.leads:
            mine.called.wait()
        if mine.leads:
            self._lead()
        # It may be in the commit of another leader.
        mine.ended.wait()
        if mine.error is not None:
            message = gettext("This could not be stored. Please send it again.")
            raise Unavailable(message, retry_after=RETRY_SECONDS) from mine.error
        return mine.fresh

    def _lead(self) -> None:
        """Commit all waiting deliveries, this thread's own among them, and let the next thread lead."""
        with self._lock:
            batch, self._waiting = self._waiting, []
        # In one order everywhere: two transactions that insert the same keys must not wait for each other.
        batch.sort(key=lambda one: (one.values["provider"], one.values["event_key"]))
        try:
            if batch:
                self._commit(batch)
        finally:
            with self._lock:
                successor = self._waiting[0] if self._waiting else None
                if successor is None:
                    self._under_way -= 1
                else:
                    successor.leads = True
            for one in batch:
                one.ended.set()
                one.called.set()
            if successor is not None:
                successor.called.set()

    def _commit(self, batch: Sequence[_Waiting]) -> None:
        try:
            self._insert(batch)
        except DATABASE_DOWN as error:
            # The database is away for the whole batch.
            kind = find_cause(error)
            facts = {"kind": kind, "error": type(error).__name__, "deliveries": len(batch)}
            log.error("database_unavailable", **facts)  # noqa: TRY400
            for one in batch:
                one.error = error
            if kind in _SLOW:
                self._refuse_waiting(error)
        except BaseException as error:
            if len(batch) == 1:
                log.error("delivery_not_kept", exc_info=error)  # noqa: TRY400 - it is no longer being handled.
                batch[0].error = error
                return
            # One of them cannot be stored: try each alone, so that the others are.
            for one in batch:
                self._commit([one])

    def _refuse_waiting(self, error: BaseException) -> None:
        """Refuse what arrived while a commit failed slowly: it would wait as long again, and providers give up."""
        with self._lock:
            late, self._waiting = self._waiting, []
        for one in late:
            one.error = error
            one.ended.set()
            one.called.set()

    def _insert(self, batch: Sequence[_Waiting]) -> None:
        engine = self._engine()
        statement = _INSERTS[engine.dialect.name]
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                # One statement is a transaction of its own, in one round trip.
                connection.execution_options(isolation_level="AUTOCOMMIT")
            rows = connection.execute(statement, [one.values for one in batch])
            inserted = {(row.provider, row.event_key) for row in rows}
            connection.commit()
            if self._has_to_notify(news=bool(inserted)):
                wake.notify_workers(connection)
        for one in batch:
            key = (one.values["provider"], one.values["event_key"])
            one.fresh = key in inserted
            # Of two deliveries of one event in the same batch, the second is the duplicate.
            inserted.discard(key)

    def _has_to_notify(self, *, news: bool) -> bool:
        """Whether to notify workers now, of everything that was committed so far. While more deliveries wait, their
        leader will notify; so the last of a rush is never missed.
        """
        now = time.monotonic()
        with self._lock:
            self._has_news = self._has_news or news
            if not self._has_news or (self._waiting and now - self._notified_at < NOTIFY_SECONDS):
                return False
            self._has_news, self._notified_at = False, now
            return True
