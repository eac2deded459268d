"""``flask calendly subscribe`` makes exactly what is missing, however often and from however many processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from click.testing import Result

from bookingapp.builders.models import Builder
from bookingapp.connections.models import CalendlyConnection, ConnectionState
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.sync.subscriptions import Target, ensure_subscription, list_builder_targets
from bookingapp.webhooks.handlers import PLATFORM
from bookingapp.webhooks.routing import CALENDLY_EVENTS
from tests.factories import make_builder
from tests.live import Live

PATH = "/webhook_subscriptions"


def subscriptions(live: Live) -> list[dict[str, Any]]:
    return list(live.state()["subscriptions"])


def ours(live: Live) -> list[dict[str, Any]]:
    return [row for row in subscriptions(live) if row["callback_url"] == f"{url(live)}/webhooks/calendly"]


def url(live: Live) -> str:
    return live.hands.server.config.app_url


def run(live: Live, *options: str) -> Result:
    return live.runner().invoke(args=["calendly", "subscribe", *options])


def forget(live: Live) -> None:
    for row in subscriptions(live):
        live.hands.server.sandbox.store.delete("subscription", row["id"])


def disable(live: Live) -> None:
    """As after a day of failures."""
    live.hands.control("calendly/subscriptions/all/state", state="disabled")


def limit_events(live: Live) -> None:
    """Let the subscription name one event alone."""
    (row,) = ours(live)
    stored = live.hands.server.sandbox.store.get("subscription", row["id"])
    assert stored is not None
    live.hands.server.sandbox.store.put("subscription", row["id"], {**stored, "events": ["invitee.canceled"]})


def test_what_works_is_not_touched(live: Live) -> None:
    before = ours(live)
    live.hands.control("reset-requests")
    for _ in range(3):
        done = run(live)
        assert done.exit_code == 0, done.output
        assert done.output == f"subscription: active, {url(live)}/webhooks/calendly\n"
    assert ours(live) == before
    assert live.calls(PATH, "POST") + live.calls(PATH, "DELETE") == 0


def test_a_missing_one_is_made_once(live: Live) -> None:
    """With every event that we handle, for the whole organization, signed with our key: its deliveries are accepted."""
    forget(live)
    assert run(live).output == f"subscription: created, {url(live)}/webhooks/calendly\n"
    assert run(live).output == f"subscription: active, {url(live)}/webhooks/calendly\n"
    (made,) = ours(live)
    assert (made["state"], made["scope"]) == ("active", "organization")
    assert set(made["events"]) == set(CALENDLY_EVENTS)
    live.builder()
    _, ref = live.scheduled()
    assert live.booking(ref).status == "scheduled"


@pytest.mark.parametrize(
    ("break_it", "said"), [(disable, "was disabled, after failing since"), (limit_events, "was incomplete")]
)
def test_a_broken_one_is_made_anew(live: Live, break_it: Callable[[Live], None], said: str) -> None:
    """Calendly never enables a disabled one again, and an old version may have subscribed to less."""
    (before,) = ours(live)
    break_it(live)
    done = run(live)
    assert done.exit_code == 0
    assert said in done.output
    assert "created again" in done.output
    (after,) = ours(live)
    assert after["state"] == "active"
    assert after["id"] != before["id"]
    assert set(after["events"]) >= set(CALENDLY_EVENTS)


def test_a_new_signing_key(live: Live) -> None:
    """Calendly gives a subscription its key when it is created, and signs with the new one from then on."""
    (before,) = ours(live)
    store = live.hands.server.sandbox.store
    stored = store.get("subscription", before["id"])
    assert stored is not None
    store.put("subscription", before["id"], {**stored, "signing_key": "the-key-of-last-year"})
    assert run(live, "--new-key").output == f"subscription: created, {url(live)}/webhooks/calendly\n"
    (after,) = ours(live)
    assert after["id"] != before["id"]
    assert set(after["events"]) == set(CALENDLY_EVENTS)
    live.builder()
    _, ref = live.scheduled()
    assert live.booking(ref).status == "scheduled"


def test_other_sites_are_not_touched(live: Live) -> None:
    store = live.hands.server.sandbox.store
    (row,) = store.all("subscription")
    other = {
        **row,
        "id": "another-site",
        "callback_url": "https://elsewhere.example/hook",
        "state": "disabled",
    }
    store.put("subscription", "another-site", other)
    live.hands.control(f"calendly/subscriptions/{row['id']}/state", state="disabled")
    run(live)
    assert store.get("subscription", "another-site") == other
    assert len(subscriptions(live)) == 2


@pytest.mark.parametrize("break_it", [forget, disable])
def test_two_at_once_make_one(live: Live, break_it: Callable[[Live], None]) -> None:
    """Eight find the same fault at the same moment: one subscription, and no error anywhere."""
    break_it(live)
    together = threading.Barrier(8)

    def make(_: int) -> bool:
        context = live.context()
        assert context.endpoint is not None
        together.wait(timeout=30)
        with live.app.app_context():
            target = Target(PLATFORM, live.hands.organization)
            return ensure_subscription(context.calendly, target, context.endpoint).made

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(make, range(8))) == 1
    (left,) = ours(live)
    assert left["state"] == "active"


def test_lost_answers_make_no_second_one(live: Live) -> None:
    """Calendly made it and the answer never came: the next time it is simply there."""
    forget(live)
    live.fault("lost_answer", remaining=1, method="POST", path_prefix="/calendly-api/webhook_subscriptions")
    first = run(live)
    assert first.exit_code != 0
    assert first.stderr.count("\n") == 1
    assert run(live).output == f"subscription: active, {url(live)}/webhooks/calendly\n"
    assert len(ours(live)) == 1


def test_trouble_is_one_line(live: Live) -> None:
    live.hands.control("calendly/token", revoked=True)
    done = run(live)
    assert done.exit_code != 0
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("Error: ")


def test_a_repair_is_stored_and_the_gap_fetched(live: Live) -> None:
    """As after the hourly check: the dashboard says so, and what was missed is fetched."""
    live.builder()
    browser, ref = live.book()
    disable(live)
    live.choose(browser, ref)
    run(live)
    assert live.booking(ref).status == "pending"
    live.work()
    assert live.booking(ref).status == "scheduled"
    page = live.browser("ada").page("/dashboard/connection")
    assert "Calendly stopped sending us bookings at" in page.words


def test_builders_in_other_organizations_have_their_own(live: Live) -> None:
    """The platform's subscription covers its own organization alone; a builder without a connection has none."""
    elsewhere = "https://api.calendly.com/organizations/ELSEWHERE0000001"
    with live.database() as session:
        for slug, organization, state in (
            ("near", live.hands.organization, ConnectionState.CONNECTED),
            ("far", elsewhere, ConnectionState.CONNECTED),
            ("dead", elsewhere, ConnectionState.DEAD),
            ("none", None, None),
        ):
            builder = make_builder(session, slug=slug)
            if state is not None:
                with transaction(session):
                    session.add(connection(builder, organization, state))
        (found,) = list_builder_targets(session, live.hands.organization)
        everybody = list_builder_targets(session, None)
    assert (found.name, found.scope, found.organization) == ("subscription of far", "user", elsewhere)
    assert found.user
    assert found.tenant.startswith("builder:")
    assert [one.name for one in everybody] == ["subscription of near", "subscription of far"]


def connection(builder: Builder, organization: str | None, state: ConnectionState) -> CalendlyConnection:
    now = utcnow()
    return CalendlyConnection(
        builder_id=builder.id,
        user_uri=builder.calendly_user_uri,
        organization_uri=organization,
        expires_at=now,
        scopes=[],
        state=state,
        connected_at=now,
        renewed_at=now,
        changed_at=now,
    )
