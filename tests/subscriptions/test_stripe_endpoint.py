"""``flask stripe subscribe`` makes or repairs exactly our endpoint in Stripe."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import Result

from bookingapp.webhooks.routing import STRIPE_EVENTS
from tests.live import Live


def run(live: Live) -> Result:
    return live.runner().invoke(args=["stripe", "subscribe"])


def endpoints(live: Live) -> list[dict[str, Any]]:
    return list(live.hands.server.sandbox.store.all("webhook_endpoint"))


def change(live: Live, **values: Any) -> None:
    (row,) = endpoints(live)
    live.hands.server.sandbox.store.put("webhook_endpoint", row["id"], {**row, **values})


@pytest.fixture(autouse=True)
def _ours(live: Live) -> None:
    """The endpoint as an operator would have made it: with our events."""
    change(live, enabled_events=list(STRIPE_EVENTS))


def test_what_works_is_not_touched(live: Live) -> None:
    before = endpoints(live)
    result = run(live)
    assert (result.exit_code, "active" in result.output) == (0, True)
    assert endpoints(live) == before


def test_a_missing_one_is_created_and_its_secret_shown_once(live: Live) -> None:
    (row,) = endpoints(live)
    live.hands.server.sandbox.store.delete("webhook_endpoint", row["id"])
    result = run(live)
    assert result.exit_code == 0, result.output
    (made,) = endpoints(live)
    assert (made["url"], made["status"]) == (row["url"], "enabled")
    assert sorted(made["enabled_events"]) == sorted(STRIPE_EVENTS)
    assert made["api_version"] == "2026-10-28.endive"
    assert made["secret"] in result.output
    assert "STRIPE_WEBHOOK_SECRETS" in result.output
    again = run(live)
    assert "active" in again.output
    assert made["secret"] not in again.output


@pytest.mark.parametrize(
    ("change_to", "said"),
    [
        ({"status": "disabled"}, "was disabled"),
        ({"enabled_events": ["*"]}, "had other events"),
        ({"enabled_events": list(STRIPE_EVENTS[1:])}, "had other events"),
    ],
)
def test_a_broken_one_is_repaired_and_keeps_its_secret(
    live: Live, change_to: dict[str, Any], said: str
) -> None:
    (before,) = endpoints(live)
    change(live, **change_to)
    result = run(live)
    assert (result.exit_code, said in result.output) == (0, True), result.output
    (after,) = endpoints(live)
    assert (after["id"], after["secret"], after["status"]) == (before["id"], before["secret"], "enabled")
    assert sorted(after["enabled_events"]) == sorted(STRIPE_EVENTS)


def test_a_second_one_at_our_address_is_named(live: Live) -> None:
    """It would send every event twice. Which of the two goes is for a person, who knows their secrets."""
    (row,) = endpoints(live)
    live.hands.server.sandbox.store.put("webhook_endpoint", "we_other", {**row, "id": "we_other"})
    result = run(live)
    assert result.exit_code == 1
    assert len(endpoints(live)) == 2
    assert ("we_other" in result.output) is not (row["id"] in result.output)


def test_while_stripe_is_down(live: Live) -> None:
    live.hands.control("faults", provider="stripe", kind="500")
    result = run(live)
    assert result.exit_code == 1
    assert result.output.startswith("Error: Stripe: ")
