"""A PostgreSQL that is there and silent, and one that waits for a lock: each wait has an end on our side."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from bookingapp import worker
from bookingapp.core import postgresql
from bookingapp.core.db import db
from tests.pages import PageClient, new_client, parse
from tests.waiting import eventually
from tests.web.conftest import Offer
from tests.web.test_public import FORM
from tests.web.test_webhooks import BODIES, send

# SQLite's waits end after five seconds.
pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

SOON = 0.3


class Wire:
    """A way to the server on which nothing arrives while it is ``frozen``: as behind SIGSTOP, no connection ends."""

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self._flows = threading.Event()
        self._flows.set()
        self._ends: list[socket.socket] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self._flows.clear()
        yield
        self._flows.set()

    def close(self) -> None:
        self._flows.set()
        # A thread that waits for a connection is woken by shutdown alone.
        self._listener.shutdown(socket.SHUT_RDWR)
        for one in (self._listener, *self._ends):
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(self._there)
            self._ends += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                self._flows.wait()
                target.sendall(piece)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


@pytest.fixture
def wire_to_it(postgresql_url: str) -> Iterator[Wire]:
    parts = urlsplit(postgresql_url)
    wire = Wire(parts.hostname or "", parts.port or 5432)
    yield wire
    wire.close()


@pytest.fixture
def behind(
    app_with: Callable[..., Flask], wire_to_it: Wire, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> Flask:
    """The application behind that way, with little patience."""
    for name in ("REQUEST_SECONDS", "WORK_SECONDS", "PING_SECONDS", "PAUSE_SECONDS"):
        monkeypatch.setattr(postgresql, name, SOON)
    parts = urlsplit(postgresql_url)
    user = parts.netloc.rpartition("@")[0]
    url = parts._replace(netloc=f"{user}@127.0.0.1:{wire_to_it.port}").geturl()
    return app_with(database_url=url)


def kinds(caplog: pytest.LogCaptureFixture) -> set[str]:
    """What the log said meanwhile of why the database could not be used."""
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    caplog.clear()
    return {line["kind"] for line in lines if line["event"] == "database_unavailable"}


def test_pages_and_webhooks_on_connections_that_are_there(
    behind: Flask, wire_to_it: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    client = new_client(behind)
    asks: list[Callable[[], TestResponse]] = [
        lambda: client.get("/"),
        lambda: client.get("/readyz"),
        lambda: send(client, "stripe", BODIES["stripe"]),
    ]
    for ask in asks:
        assert ask().status_code == 200
        with wire_to_it.frozen():
            assert ask().status_code == 503
    assert kinds(caplog) == {"silent"}
    assert [ask().status_code for ask in asks] == [200, 200, 200]


def test_an_idle_connection_is_given_up_for_another(
    behind: Flask, wire_to_it: Wire, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = new_client(behind)
    monkeypatch.setattr(postgresql, "IDLE_SECONDS", -1)
    assert client.get("/").status_code == 200
    with wire_to_it.frozen():
        assert client.get("/").status_code == 503
        tried = wire_to_it.connections
        # For a while nobody else waits for the same.
        assert client.get("/").status_code == 503
        assert wire_to_it.connections == tried
        assert kinds(caplog) == {"silent"}
    eventually(lambda: client.get("/").status_code == 200, "the database to be used again")


def test_workers_go_on(behind: Flask, wire_to_it: Wire, caplog: pytest.LogCaptureFixture) -> None:
    one = worker.Worker(behind, 1)
    assert one._enqueue_periodic_jobs()
    with wire_to_it.frozen():
        assert not one._enqueue_periodic_jobs()
    assert kinds(caplog) == {"silent"}
    assert one._enqueue_periodic_jobs()


@pytest.fixture
def impatient(app_with: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> PageClient:
    monkeypatch.setattr(postgresql, "LOCK_SECONDS", SOON)
    return new_client(app_with())


def test_a_locked_table(
    impatient: PageClient, ada: Offer, postgresql_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The server itself gives up, so that no connection of it goes on waiting."""
    client = impatient
    client.page(ada.detail("PAID"))
    with psycopg.connect(postgresql_url) as other:
        other.execute("LOCK TABLE bookings, builders, inbox_events IN ACCESS EXCLUSIVE MODE")
        answer = client.submit(f"{ada.detail('PAID')}/book", FORM)
        assert answer.status_code == 503
        assert "Please try again in a moment" in parse(answer).words
        assert client.get("/").status_code == 503
        assert send(client, "stripe", BODIES["stripe"]).status_code == 503
        waiting = (
            b"SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        assert other.execute(waiting).fetchone() is None
    assert kinds(caplog) == {"locked"}
    assert client.get("/").status_code == 200


def test_a_migration_waits_for_its_turn(
    app: Flask, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long another one takes."""
    for name in ("WORK_SECONDS", "LOCK_SECONDS"):
        monkeypatch.setattr(postgresql, name, SOON)
    with app.app_context():
        db.engine.dispose()
    done: list[int] = []
    begun = threading.Thread(
        target=lambda: done.append(app.test_cli_runner().invoke(args=["db", "upgrade"]).exit_code)
    )
    with psycopg.connect(postgresql_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(8141002)")
        begun.start()
        waiting = (
            b"SELECT 1 FROM pg_stat_activity"
            b" WHERE wait_event = 'advisory' AND clock_timestamp() - query_start > '1s'"
        )
        eventually(lambda: other.execute(waiting).fetchone(), "a migration that waits")
        assert done == []
    begun.join()
    assert done == [0]
