"""Deliveries that arrive together are committed together.

A commit waits for the disk, and waiting for one at a time is what bounds how many deliveries can be taken in. So
whoever comes while commits are under way waits for one of them and is in the next, with everybody else who came
meanwhile. Nobody is answered before their row is committed, and nobody waits for more than a commit under way and their
own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Engine

from bookingapp.core import wake
from bookingapp.core.db import DATABASE_DOWN
from bookingapp.core.errors import Unavailable
from bookingapp.webhooks.models import InboxEvent

log = structlog.get_logger(__name__)

NOT_KEPT = "This could not be kept just now. Please send it again."
RETRY_SECONDS = 5
# How many commits may be under way at once. SQLite has one writer; PostgreSQL lets commits share a wait for the disk.
LANES = {"sqlite": 1, "postgresql": 4}
# In a rush workers are told so often: to tell them is a commit of its own.
ANNOUNCE_SECONDS = 0.02
_TABLE = cast("sa.Table", sa.inspect(InboxEvent).local_table)
_KEY = ("provider", "event_key")
_INSERTS = {
    name: insert(_TABLE)
    .on_conflict_do_nothing(index_elements=_KEY)
    .returning(_TABLE.c.provider, _TABLE.c.event_key)
    for name, insert in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}


@dataclass
class _Waiting:
    """One delivery on its way into the inbox. It is told that it leads, or how it ended."""

    values: dict[str, Any]
    called: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    fresh: bool = False
    error: BaseException | None = None


class Intake:
    """Keeps deliveries; safe to use from any number of threads. ``engine`` is asked for when it is needed; ``lanes``
    is how many commits may be under way at once, by the kind of database.
    """

    def __init__(self, engine: Callable[[], Engine], lanes: Mapping[str, int] = LANES) -> None:
        self._engine, self._lanes = engine, lanes
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._under_way = 0
        self._news, self._announced_at = False, float("-inf")

    def keep(self, values: dict[str, Any]) -> bool:
        """Commit one row of the inbox. Returns False where a delivery of the same happening is there already.

        Raises :class:`Unavailable` where it could not be committed: the provider has to come again.
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
        # Another leader may have been faster to take this one along.
        mine.ended.wait()
        if mine.error is not None:
            raise Unavailable(NOT_KEPT, retry_after=RETRY_SECONDS) from mine.error
        return mine.fresh

    def _lead(self) -> None:
        """Commit everything that waits, own delivery included, and hand on the lead."""
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
            # The database is away for all of them alike.
            log.error("database_unavailable", error=type(error).__name__, deliveries=len(batch))  # noqa: TRY400
            for one in batch:
                one.error = error
        except BaseException as error:
            if len(batch) == 1:
                log.error("delivery_not_kept", exc_info=error)  # noqa: TRY400 - it is no longer being handled.
                batch[0].error = error
                return
            # One of them cannot be stored: that must not be the others' loss.
            for one in batch:
                self._commit([one])

    def _insert(self, batch: Sequence[_Waiting]) -> None:
        engine = self._engine()
        statement = _INSERTS[engine.dialect.name]
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                # One statement is a transaction of its own, and one way to the server and back.
                connection.execution_options(isolation_level="AUTOCOMMIT")
            rows = connection.execute(statement, [one.values for one in batch])
            inserted = {(row.provider, row.event_key) for row in rows}
            connection.commit()
            if self._has_to_announce(news=bool(inserted)):
                wake.notify_workers(connection)
        for one in batch:
            key = (one.values["provider"], one.values["event_key"])
            one.fresh = key in inserted
            # Of two deliveries of one happening in the same batch, the first is the news.
            inserted.discard(key)

    def _has_to_announce(self, *, news: bool) -> bool:
        """Whether to tell workers now. Once does for everything that was committed before it. While more waits, its
        leader will be asked the same; so the last of a rush is never left out.
        """
        now = time.monotonic()
        with self._lock:
            self._news = self._news or news
            if not self._news or (self._waiting and now - self._announced_at < ANNOUNCE_SECONDS):
                return False
            self._news, self._announced_at = False, now
            return True
