"""A 403 that lists ``required_scopes``: operators and builders read which are missing, and no sentence for clients."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskCliRunner
from pydantic import SecretStr

from tests.connections.conftest import Connected, Town, restarted
from tests.live import ADA, HOUR

FOR_CLIENTS = ("Please contact the person you want to book", "The calendar is")


def narrow_token(town: Town, scope: str) -> SecretStr:
    """A member's token with these scopes alone, which stands in for a narrow personal token."""
    grants = town.hands.server.sandbox.store.all("oauth_token", user=ADA)
    access = next(grant for grant in grants if grant["type"] == "access" and not grant["revoked"])
    town.hands.server.sandbox.store.put("oauth_token", access["id"], {**access, "scope": scope})
    return SecretStr(access["id"])


@pytest.mark.parametrize("command", [["calendly", "check"], ["calendly", "subscribe"]])
def test_a_token_without_any_right(town: Town, connected: Connected, command: list[str]) -> None:
    """The one line names what is missing."""
    connected()
    with restarted(town, calendly_token=narrow_token(town, "availability:read")) as narrow:
        done = narrow.app.test_cli_runner().invoke(args=command)
    assert done.exit_code == 1
    assert "Calendly: not allowed with our key or token, missing: users:read" in done.stderr
    assert not any(words in done.output for words in FOR_CLIENTS)


def test_the_check_names_what_calendly_lists(town: Town, connected: Connected) -> None:
    """Not what we suppose."""
    connected()
    with restarted(town, calendly_token=narrow_token(town, "users:read")) as narrow:
        done = narrow.app.test_cli_runner().invoke(args=["calendly", "check"])
    assert "may read event types: no, the scope event_types:read is missing" in done.stdout
    assert "scheduled_events:read" in done.stderr


@pytest.mark.parametrize("page", ["connection", "session-types", f"session-types/{HOUR}/check"])
def test_what_a_builder_reads(town: Town, connected: Connected, page: str) -> None:
    """What is wrong with the connection, and nothing about a person that one wants to book."""
    connected()
    narrow_token(town, "users:read")
    answer = town.browser("ada").get(f"/dashboard/{page}")
    assert answer.status_code in (200, 503)
    assert [words for words in FOR_CLIENTS if words in answer.text] == []
    missing = "lacks a permission: event_types:read" if page == "connection" else "does not include this"
    assert missing in answer.text


@pytest.mark.parametrize(("fault", "words"), [("500", "no answer"), ("429", "too many requests")])
def test_other_failures(town: Town, runner: FlaskCliRunner, fault: str, words: str) -> None:
    """In operators' words, with the status for whoever looks further."""
    details: dict[str, Any] = {"path_prefix": "/calendly-api"}
    town.fault(fault, **details)
    done = runner.invoke(args=["calendly", "check"])
    assert done.exit_code == 1
    assert f"Calendly: {words} (" in done.stderr
    assert not any(sentence in done.output for sentence in FOR_CLIENTS)
