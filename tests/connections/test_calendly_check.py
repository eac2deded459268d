"""What `flask calendly check` says, in words."""

from __future__ import annotations

from flask.testing import FlaskCliRunner
from pydantic import SecretStr

from tests.connections.conftest import Connected, Town, connect, restarted
from tests.live import ADA, KENJI


def check(runner: FlaskCliRunner) -> tuple[int, str, str]:
    """Exit status, what it said, and the one line of what is wrong."""
    done = runner.invoke(args=["calendly", "check"])
    return done.exit_code, done.stdout, done.stderr


def test_all_is_well(town: Town, runner: FlaskCliRunner, connected: Connected) -> None:
    connected()
    town.builder("kenji", KENJI)
    status, said, wrong = check(runner)
    assert (status, wrong) == (0, "")
    assert "token: good, of Booking Platform" in said
    for right in ("read event types", "read free times", "see the sessions that are booked"):
        assert f"may {right}: yes" in said
    assert "ada: own account, good" in said
    assert "kenji: own account" not in said


def test_missing_scopes_are_named(town: Town, runner: FlaskCliRunner) -> None:
    town.builder()
    connect(town, town.browser("ada"), scope="event_types:read availability:read webhooks:write")
    status, said, wrong = check(runner)
    assert status == 1
    assert "ada: own account, may not" in said
    assert "cancel a session (scheduled_events:write)" in said
    assert "1 builder's own connection has a problem" in wrong
    assert "Traceback" not in wrong


def test_a_dead_connection_is_named(town: Town, runner: FlaskCliRunner, connected: Connected) -> None:
    connected()
    town.hands.control(f"calendly/oauth/{ADA}/revoke")
    status, said, _ = check(runner)
    assert status == 1
    assert "ada: own account, not good" in said
    status, said, _ = check(runner)
    assert "ada: has to connect again. Calendly no longer accepts" in said


def test_a_platform_token_without_a_scope(town: Town, connected: Connected) -> None:
    """Calendly's refusal is turned into the name of the right and of its scope."""
    ada, _ = connected()
    # A token of an ordinary member who has not given everything stands in for a narrow personal token.
    grants = town.hands.server.sandbox.store.all("oauth_token", user=ADA)
    access = next(grant for grant in grants if grant["type"] == "access" and not grant["revoked"])
    town.hands.server.sandbox.store.put(
        "oauth_token", access["id"], {**access, "scope": "users:read event_types:read"}
    )
    with restarted(town, calendly_token=SecretStr(access["id"])) as narrow:
        status, said, wrong = check(narrow.app.test_cli_runner())
    assert status == 1
    assert "may read event types: yes" in said
    assert "may see the sessions that are booked: no, the scope scheduled_events:read is missing" in said
    assert "scheduled_events:read, webhooks:write" in wrong
    assert f"{ada.slug}: own account" in said
