"""Deliveries that arrive together are committed together, and each gets its own answer."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from bookingapp.core import services, wake
from bookingapp.core.db import db, end_read
from bookingapp.core.errors import Unavailable
from bookingapp.integrations.signatures import Verified
from bookingapp.webhooks import intake as intake_module
from bookingapp.webhooks import service
from bookingapp.webhooks.intake import Intake
from bookingapp.webhooks.models import LONGEST_KEY, LONGEST_TYPE, InboxEvent, Provider
from tests.factories import NOW, inbox_row, stripe_event

pytestmark = pytest.mark.any_database

THREADS = 16


def keys(session: Session) -> list[str]:
    """What the inbox has."""
    found = list(session.scalars(sa.select(InboxEvent.event_key).order_by(InboxEvent.event_key)))
    end_read(session)
    return found


@contextmanager
def counting_inserts(engine: Engine) -> Iterator[list[str]]:
    """The INSERT statements meanwhile."""
    inserts: list[str] = []

    def count(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT"):
            inserts.append(statement)

    sa.event.listen(engine, "before_cursor_execute", count)
    try:
        yield inserts
    finally:
        sa.event.remove(engine, "before_cursor_execute", count)


class Slow(Intake):
    """An intake whose first commit lasts until all others wait behind it."""

    def __init__(self, engine: Engine, crowd: int) -> None:
        super().__init__(lambda: engine, lanes={})
        self._crowd = crowd
        self._first = True

    def _lead(self) -> None:
        if self._first:
            self._first = False
            others = threading.Event()
            while len(self._waiting) < self._crowd and not others.wait(0.005):
                pass
        super()._lead()


def together(app: Flask, intake: Intake, rows: list[dict[str, Any]]) -> list[bool | Exception]:
    """Store all of them at once, each in a thread of its own; how each ended."""

    def keep(values: dict[str, Any]) -> bool | Exception:
        try:
            with app.app_context():
                return intake.store(values)
        except Unavailable as error:
            return error

    with ThreadPoolExecutor(len(rows)) as pool:
        return list(pool.map(keep, rows))


def test_a_crowd_shares_a_commit(app: Flask, session: Session) -> None:
    with counting_inserts(db.engine) as inserts:
        ends = together(app, Slow(db.engine, THREADS), [inbox_row(f"evt_{n:02}") for n in range(THREADS)])
    assert ends == [True] * THREADS
    assert len(keys(session)) == THREADS
    assert len(inserts) == 1


def test_the_same_event_in_one_commit_is_new_once(app: Flask, session: Session) -> None:
    intake = Slow(db.engine, 4)
    ends = together(app, intake, [inbox_row(f"evt_{name}") for name in "aaba"])
    assert sorted(map(bool, ends)) == [False, False, True, True]
    assert keys(session) == ["evt_a", "evt_b"]
    assert not intake.store(inbox_row("evt_a"))


def test_what_cannot_be_stored_is_refused_alone(app: Flask, session: Session) -> None:
    bad = inbox_row("evt_bad", type=None)
    ends = together(app, Slow(db.engine, 3), [inbox_row("evt_a"), bad, inbox_row("evt_b")])
    assert [end for end in ends if not isinstance(end, Exception)] == [True, True]
    assert isinstance(ends[1], Unavailable)
    assert keys(session) == ["evt_a", "evt_b"]


def test_a_database_that_is_away_is_away_for_all(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is refused, by one try."""
    intake, tries = Slow(db.engine, 4), list[int]()
    insert = intake._insert

    def away(_batch: object) -> None:
        tries.append(1)
        raise OperationalError("INSERT", {}, Exception("gone"))

    monkeypatch.setattr(intake, "_insert", away)
    ends = together(app, intake, [inbox_row(f"evt_{n}") for n in range(4)])
    assert all(isinstance(end, Unavailable) for end in ends)
    assert len({id(end) for end in ends}) == 4
    assert len(tries) == 1
    monkeypatch.setattr(intake, "_insert", insert)
    assert intake.store(inbox_row("evt_0"))
    assert keys(session) == ["evt_0"]


def test_the_lead_is_handed_on(app: Flask, session: Session) -> None:
    """Far more deliveries than threads, without a pause."""
    intake = services.get(Intake)

    def keep(number: int) -> bool:
        with app.app_context():
            return intake.store(inbox_row(f"evt_{number:03}"))

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(keep, range(200), timeout=60))
    assert len(keys(session)) == 200


def deliver(body: bytes) -> bool:
    """Store a delivery of Stripe's; whether it was new."""
    intake, verified = services.get(Intake), Verified(key_index=0, signed_at=NOW)
    return service.store_delivery(intake, Provider.STRIPE, body=body, headers={}, verified=verified, now=NOW)


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("zero\0byte", "zero\\0byte"),
        ("half \ud800 character", "half \\ud800 character"),
        ("ordinary.type", "ordinary.type"),
    ],
)
def test_any_text_is_stored(session: Session, kind: str, kept: str) -> None:
    """A genuine body may carry text that a database refuses."""
    assert deliver(stripe_event(kind, {"object": "thing", "id": "thing_1"}))
    assert session.scalars(sa.select(InboxEvent.type)).one() == kept


def test_two_long_keys_stay_two(session: Session) -> None:
    """Where they are alike for as long as the column is."""
    stored = [
        deliver(stripe_event("x" * 500, {"object": "thing", "id": "thing_1"}, id_="e" * 1000 + name))
        for name in "aba"
    ]
    assert stored == [True, True, False]
    assert {len(key) for key in keys(session)} == {LONGEST_KEY}
    assert {len(kind) for kind in session.scalars(sa.select(InboxEvent.type))} == {LONGEST_TYPE}


def test_the_last_of_a_rush_is_announced(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after every commit, but after the last one."""
    seen: list[int] = []

    def announce(connection: Connection) -> None:
        seen.append(connection.scalar(sa.select(sa.func.count()).select_from(InboxEvent)) or 0)

    monkeypatch.setattr(wake, "notify_workers", announce)
    monkeypatch.setattr(intake_module, "NOTIFY_SECONDS", 60.0)
    one_by_one = Intake(lambda: db.engine)
    for number in range(3):
        assert one_by_one.store(inbox_row(f"alone-{number}"))
    assert not one_by_one.store(inbox_row("alone-0"))
    assert seen == [1, 2, 3], "one alone is announced at once, a duplicate is not"

    seen.clear()
    rows = [inbox_row(f"rush-{number:03}") for number in range(THREADS * 4)]
    with ThreadPoolExecutor(THREADS) as threads:

        def keep(row: dict[str, Any]) -> bool:
            with app.app_context():
                return one_by_one.store(row)

        assert all(threads.map(keep, rows))
    assert max(seen) == 3 + len(rows)


class Waited(Intake):
    """An intake of which a commit, once ``begun`` is set up, lasts until another delivery waits behind it."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(lambda: engine, lanes={})
        self.begun: threading.Event | None = None

    def _commit(self, batch: Sequence[Any]) -> None:
        begun, self.begun = self.begun, None
        if begun is not None:
            begun.set()
            while not self._waiting:
                threading.Event().wait(0.005)
        super()._commit(batch)


@pytest.mark.parametrize(("seconds", "times"), [(60.0, 1), (0.0, 2)])
def test_a_rush_is_announced_now_and_then(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch, seconds: float, times: int
) -> None:
    """Of two commits one after the other, the first is announced only if the last announcement was a while ago."""
    announced: list[int] = []
    monkeypatch.setattr(wake, "notify_workers", lambda _connection: announced.append(1))
    monkeypatch.setattr(intake_module, "NOTIFY_SECONDS", seconds)
    intake = Waited(db.engine)
    assert intake.store(inbox_row("before"))
    assert announced.pop()

    intake.begun = begun = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(together, app, intake, [inbox_row("first")])
        assert begun.wait(30)
        second = threads.submit(together, app, intake, [inbox_row("second")])
        assert first.result(30) == second.result(30) == [True]
    assert len(announced) == times


@pytest.mark.parametrize(("code", "tries"), [(sqlite3.SQLITE_BUSY, 1), (sqlite3.SQLITE_CANTOPEN, 2)])
def test_what_waited_for_a_slow_failure_does_not_wait_again(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch, code: int, tries: int
) -> None:
    """A provider waits for some seconds; a failure that came at once is tried again."""
    failure = sqlite3.OperationalError("of a test")
    failure.sqlite_errorcode = code
    intake, seen = Waited(db.engine), list[int]()

    def fail(_batch: object) -> None:
        seen.append(1)
        raise OperationalError("INSERT", {}, failure)

    monkeypatch.setattr(intake, "_insert", fail)
    intake.begun = begun = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(together, app, intake, [inbox_row("first")])
        assert begun.wait(30)
        second = threads.submit(together, app, intake, [inbox_row("second")])
        for one in (first, second):
            assert isinstance(one.result(30)[0], Unavailable)
    assert len(seen) == tries
    monkeypatch.undo()
    assert intake.store(inbox_row("third"))
