"""A database that ends connections, as it does when it is started again, and one that has no more of them."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp import worker
from bookingapp.core import postgresql
from bookingapp.core.db import close_session, db
from tests.factories import make_booking
from tests.pages import PageClient, new_client, parse

# SQLite has no server that could end a connection.
pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def cut(postgresql_server: str, postgresql_url: str) -> Callable[[], int]:
    """Ends every connection of the application; how many those were."""
    name = urlsplit(postgresql_url).path.lstrip("/")

    def end() -> int:
        with psycopg.connect(postgresql_server, autocommit=True) as connection:
            # It waits for their end, so that what a process learns of it does not depend on how busy the machine is.
            query = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s"
            ended = connection.execute(query, [name]).fetchall()
            assert all(is_gone for (is_gone,) in ended)
            return len(ended)

    return end


def test_connections_that_ended_while_idle_cost_no_page(client: PageClient, cut: Callable[[], int]) -> None:
    assert client.get("/").status_code == 200
    assert cut() >= 1
    assert client.get("/").status_code == 200


def test_an_idle_connection_whose_end_was_never_told_costs_no_page(
    app: Flask, client: PageClient, cut: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a firewall that forgets connections: only asking the server shows it."""
    monkeypatch.setattr(postgresql, "_has_unread", lambda _socket: False)
    monkeypatch.setattr(postgresql, "IDLE_SECONDS", 0)
    assert client.get("/").status_code == 200
    assert cut() >= 1
    assert client.get("/").status_code == 200


def test_a_connection_that_is_lost_in_use_is_said_in_words(
    app: Flask, client: PageClient, cut: Callable[[], int]
) -> None:
    losses = [True]

    @app.before_request
    def _lose() -> None:
        if losses:
            db.session().scalar(sa.text("SELECT 1"))
            assert cut() >= losses.pop()

    answer = client.get("/")
    assert answer.status_code == 503
    assert "Please try again in a moment" in parse(answer).words
    assert client.get("/").status_code == 200


def test_a_page_that_is_made_does_not_fall_with_its_connection(
    app: Flask, client: PageClient, cut: Callable[[], int]
) -> None:

    @app.after_request
    def _cut(response: object) -> object:
        cut()
        return response

    assert client.get("/").status_code == 200
    assert client.get("/").status_code == 200


def test_letting_go_of_a_lost_connection(app: Flask, cut: Callable[[], int]) -> None:
    with app.app_context():
        assert db.session().scalar(sa.text("SELECT 1")) == 1
        assert cut() == 1
        close_session()
        assert db.session().scalar(sa.text("SELECT 2")) == 2


def test_no_connection_left_is_said_in_words(
    app: Flask, client: PageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        pool = db.engine.pool
    assert isinstance(pool, sa.QueuePool)
    monkeypatch.setattr(pool, "_timeout", 0.01)
    with app.app_context():
        held = [db.engine.connect() for _ in range(32)]
    assert client.get("/").status_code == 503
    for connection in held:
        connection.close()
    assert client.get("/").status_code == 200


def test_the_worker_does_what_is_due_after_a_loss(app: Flask, cut: Callable[[], int]) -> None:
    assert worker.run_due(app) == 0
    cut()
    assert worker.run_due(app) == 0
    one = worker.Worker(app, 1)

    def lose(session: Session) -> int | None:
        session.scalar(sa.text("SELECT 1"))
        cut()
        return session.scalar(sa.select(sa.literal(1)))

    assert one._with_session(lose) is None
    assert one._with_session(lambda session: session.scalar(sa.text("SELECT 1"))) == 1


def test_a_connection_that_is_lost_while_requests_are_counted(
    app: Flask,
    cut: Callable[[], int],
    app_with: Callable[..., Flask],
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With Redis, the limiter goes on after any failure. The page is then said to be away, not broken."""
    monkeypatch.setattr(postgresql, "_has_unread", lambda _socket: False)
    with app.app_context():
        ref = make_booking(db.session()).ref
    counted = app_with(redis_url=redis_url)
    client = new_client(counted)
    assert client.get(f"/bookings/{ref}/status").status_code == 200
    assert cut() >= 1
    assert client.get(f"/bookings/{ref}/status").status_code in (200, 503)
    assert client.get(f"/bookings/{ref}/status").status_code == 200
