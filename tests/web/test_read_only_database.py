"""A PostgreSQL that refuses to write, as the old primary does after a failover: away for what writes, and no bug."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from flask import Flask
from psycopg import sql

from bookingapp import worker
from bookingapp.core import heartbeat
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from tests.pages import PageClient, parse
from tests.web.conftest import Offer
from tests.web.test_public import FORM
from tests.web.test_webhooks import BODIES, send

# SQLite's own error is that of a database that is away already.
pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

Fail = Callable[[bool], None]


@pytest.fixture
def let_fail(app: Flask, postgresql_server: str) -> Iterator[Fail]:
    """Lets the database refuse to write, or take writes again, on each connection from now on."""
    with app.app_context():
        name = sql.Identifier(str(db.engine.url.database))
    statement = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only TO {}")

    def turn(only_reads: bool) -> None:
        with psycopg.connect(postgresql_server, autocommit=True) as connection:
            connection.execute(statement.format(name, sql.Literal(only_reads)))

    def fail(only_reads: bool) -> None:
        turn(only_reads)
        if only_reads:
            # A server that becomes a follower ends its connections; one that was a follower keeps them.
            with app.app_context():
                db.engine.dispose()

    yield fail
    turn(False)


def kinds(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log said meanwhile of why the database could not be used."""
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    caplog.clear()
    assert "unexpected_error" not in [line["event"] for line in lines]
    return [line["kind"] for line in lines if line["event"] == "database_unavailable"]


def test_pages_that_write_and_webhooks_wait_for_it(
    client: PageClient, ada: Offer, let_fail: Fail, caplog: pytest.LogCaptureFixture
) -> None:
    client.page(ada.detail("PAID"))
    let_fail(True)
    assert client.get("/").status_code == 200
    answer = client.submit(f"{ada.detail('PAID')}/book", FORM)
    # Not when the visitor's limit of bookings begins anew.
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "Please try again in a moment" in parse(answer).words
    assert kinds(caplog) == ["read_only"]
    for who, body in BODIES.items():
        refused = send(client, who, body)
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert kinds(caplog) == ["read_only"]


def test_it_is_used_again_at_once(client: PageClient, ada: Offer, let_fail: Fail) -> None:
    """Connections of before are not kept: they would lead to the server that only reads."""
    let_fail(True)
    assert send(client, "stripe", BODIES["stripe"]).status_code == 503
    assert client.get("/").status_code == 200
    let_fail(False)
    assert send(client, "stripe", BODIES["stripe"]).status_code == 503
    assert send(client, "stripe", BODIES["stripe"]).status_code == 200


def test_the_worker_waits(app: Flask, let_fail: Fail, caplog: pytest.LogCaptureFixture) -> None:
    one = worker.Worker(app, 1)
    let_fail(True)
    assert not one._enqueue_periodic_jobs()
    assert kinds(caplog) == ["read_only"]
    let_fail(False)
    assert one._enqueue_periodic_jobs()


def test_readyz_says_it(app: Flask, client: PageClient, let_fail: Fail) -> None:
    with app.app_context():
        heartbeat.record_beat(db.session(), "one", now=utcnow())
    let_fail(True)
    answer = client.get("/readyz")
    said = answer.get_json()
    assert (answer.status_code, said["status"], said["database"]) == (200, "degraded", "read_only")
    let_fail(False)
    with app.app_context():
        db.engine.dispose()
    assert client.get("/readyz").get_json()["status"] == "ok"
