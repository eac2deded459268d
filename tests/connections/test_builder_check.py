"""What `flask builders check` says: why nobody can book a builder, and what settles it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask.testing import FlaskCliRunner

from bookingapp.builders.models import Builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from tests.connections.conftest import Connected, Town
from tests.live import ADA


def check(runner: FlaskCliRunner, slug: str = "ada") -> tuple[int, str, str]:
    """Exit status, what it said, and the one line of what is wrong."""
    done = runner.invoke(args=["builders", "check", slug])
    return done.exit_code, done.stdout, done.stderr


def change(town: Town, **values: object) -> None:
    with town.app.app_context(), transaction(db.session()) as session:
        (builder,) = session.scalars(sa.select(Builder))
        for name, value in values.items():
            setattr(builder, name, value)


def test_all_is_well(town: Town, runner: FlaskCliRunner) -> None:
    town.builder()
    status, said, wrong = check(runner)
    assert (status, wrong) == (0, "")
    assert "ada: In the directory." in said
    assert "green" in said


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"suspended_at": utcnow(), "suspension_reason": "Complaints."},
            "Complaints. End the suspension at /operator/builders/ada.",
        ),
        ({"calendly_user_uri": None}, "Not connected with Calendly yet."),
        ({"disconnected_at": utcnow()}, "Please set a new CALENDLY_TOKEN"),
    ],
)
def test_nobody_can_book_them(
    town: Town, runner: FlaskCliRunner, values: dict[str, object], sentence: str
) -> None:
    town.builder()
    change(town, **values)
    status, said, wrong = check(runner)
    assert status == 1
    assert sentence in said
    assert "not everything can be booked" in wrong


def test_a_dead_connection(town: Town, runner: FlaskCliRunner, connected: Connected) -> None:
    connected()
    town.hands.control(f"calendly/oauth/{ADA}/revoke")
    check(runner)
    status, said, _ = check(runner)
    assert status == 1
    assert "ada: Calendly: has to connect again. Calendly no longer accepts" in said


def test_the_site_own_token_was_revoked(town: Town, runner: FlaskCliRunner) -> None:
    """At once, although the session types are still known."""
    town.builder()
    assert check(runner)[0] == 0
    for which in ("primary", "secondary"):
        town.hands.control("calendly/token", which=which)
    status, said, _ = check(runner)
    assert status == 1
    assert "ada: Calendly refuses this site's own token. Please set a new CALENDLY_TOKEN" in said


def test_hidden_by_choice(town: Town, runner: FlaskCliRunner) -> None:
    town.builder()
    change(town, listed=False)
    status, said, _ = check(runner)
    assert status == 0
    assert "they have switched that off on their profile" in said


def test_nobody_of_that_name(town: Town, runner: FlaskCliRunner) -> None:
    status, _, wrong = check(runner, "nobody")
    assert status != 0
    assert "Traceback" not in wrong
