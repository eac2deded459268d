"""Faults, the request log, the control page, and the state across restarts."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import requests
import stripe

from bookingapp.sandbox import SandboxConfig
from tests.waiting import eventually

from .shop import Shop
from .support import TOKEN, Hands, Receiver, last_segment, one, running_sandbox


@pytest.mark.parametrize("status", [429, 500])
def test_a_failure_applies_to_as_many_requests_as_asked(hands: Hands, status: int) -> None:
    hands.control("faults", provider="calendly", kind=str(status), remaining=2, path_prefix="/event_types")
    assert hands.get("/users/me").status_code == 200
    answers = [hands.get("/event_types", user=hands.user()) for _ in range(3)]
    assert [each.status_code for each in answers] == [status, status, 200]
    assert {"title", "message"} <= set(answers[0].json())
    assert answers[0].headers["X-RateLimit-Remaining"] == ("0" if status == 429 else "499")


def test_stripe_s_failures_are_in_stripe_s_format_and_execute_nothing(hands: Hands, shop: Shop) -> None:
    hands.control("faults", provider="stripe", kind="429", remaining=1)
    with pytest.raises(stripe.RateLimitError):
        shop.api.balance.retrieve()
    hands.control("faults", provider="stripe", kind="500", remaining=1, method="POST")
    assert shop.api.balance.retrieve().object == "balance"
    with pytest.raises(stripe.APIError) as caught:
        shop.open()
    assert caught.value.http_status == 500
    assert shop.api.checkout.sessions.list().data == []


def test_answers_are_slow_or_hang(hands: Hands) -> None:
    hands.control("faults", provider="calendly", kind="latency", seconds=0.3, remaining=1)
    began = time.monotonic()
    assert hands.get("/users/me").status_code == 200
    assert time.monotonic() - began >= 0.3
    hands.control("faults", provider="calendly", kind="hang")
    with pytest.raises(requests.Timeout):
        requests.get(f"{hands.api}/users/me", headers=TOKEN, timeout=0.3)
    hands.control("faults/clear")
    assert hands.get("/users/me").status_code == 200


def test_a_fault_can_apply_to_the_path_of_a_page(hands: Hands) -> None:
    path = "/calendly-assets/assets/external/widget.js"
    assert hands.status(path) == 200
    hands.control("faults", provider="calendly", kind="500", path_prefix="/calendly-assets")
    assert hands.status(path) == 500
    assert hands.get("/users/me").status_code == 200


def test_webhooks_are_duplicated_dropped_reordered_and_delayed(hands: Hands, receiver: Receiver) -> None:
    hands.control("faults", provider="calendly", kind="duplicate", remaining=1)
    hands.book()
    first, second = receiver.wait_for("invitee.created", "invitee.created")
    assert first.body == second.body
    receiver.received.clear()

    hands.control("faults", provider="calendly", kind="drop", remaining=1)
    hands.book()
    hands.control("faults", provider="calendly", kind="reorder", remaining=1)
    moved = hands.book()
    hands.control(f"calendly/invitees/{last_segment(moved['uri'])}/cancel")
    received = receiver.wait_for("invitee.canceled", "invitee.created")
    assert [each.json["payload"]["uri"] for each in received] == [moved["uri"], moved["uri"]]
    receiver.received.clear()

    hands.control("faults", provider="calendly", kind="delay", seconds=0.4, remaining=1)
    began = time.monotonic()
    hands.book()
    receiver.wait_for("invitee.created")
    assert time.monotonic() - began >= 0.4


def test_a_disabled_subscription_gets_no_webhook(hands: Hands, receiver: Receiver) -> None:
    hands.control("calendly/subscriptions/all/state", state="disabled")
    hands.book()
    hands.control("calendly/subscriptions/all/state", state="active")
    later = hands.book()
    assert receiver.payload("invitee.created")["uri"] == later["uri"]


def test_requests_are_counted(hands: Hands, shop: Shop) -> None:
    hands.control("reset-requests")
    hands.get("/users/me")
    hands.get("/users/me")
    shop.open()
    hands.page("/ada-okonkwo")
    url = f"{hands.base}/control/api/requests"
    names = ("calendly", "stripe", "pages")
    logs = [hands.http.get(url, params={"provider": name}, timeout=5).json() for name in names]
    assert [log["total"] for log in logs] == [2, 1, 1]
    row = {"provider": "calendly", "method": "GET", "path": "/calendly-api/users/me", "count": 2}
    assert logs[0]["counts"] == [row]


def test_the_state_is_shown_without_secrets(hands: Hands, receiver: Receiver) -> None:
    hands.book(email="seen@example.com")
    receiver.wait_for("invitee.created")
    response = hands.http.get(f"{hands.base}/control/api/state", timeout=5)
    state = response.json()
    assert [each["email"] for each in state["invitees"]] == ["seen@example.com"]
    url = f"{hands.base}/control/api/deliveries"
    eventually(lambda: hands.http.get(url, timeout=5).json()["idle"], "idle")
    for secret in ("sandbox-calendly-signing-key", "whsec_sandbox"):
        assert secret not in response.text


def test_a_button_of_the_control_page_acts_and_returns_to_it(hands: Hands, receiver: Receiver) -> None:
    hands.book()
    form = one(hands.page("/control"), "form[action$='/cancel']")
    url = f"{hands.base}{form['action']}"
    sent = hands.http.post(url, headers={"Accept": "text/html"}, allow_redirects=False, timeout=5)
    assert sent.status_code == 303
    after = hands.page(sent.headers["Location"])
    assert "canceled by its host" in one(after, "[role=status]").get_text()
    assert receiver.payload("invitee.canceled")["cancellation"]["canceler_type"] == "host"


def test_another_site_cannot_use_the_control_api(hands: Hands) -> None:
    url, headers = f"{hands.base}/control/api/clear", {"Sec-Fetch-Site": "cross-site"}
    assert hands.http.post(url, json={"what": "all"}, headers=headers, timeout=5).status_code == 403


def test_pages_allow_no_inline_script_or_style(hands: Hands) -> None:
    for path in ("/", "/control", "/ada-okonkwo", "/ada-okonkwo/60-minute-consultation"):
        response = hands.http.get(f"{hands.base}{path}", timeout=5)
        assert "default-src 'self'" in response.headers["Content-Security-Policy"]
        page = hands.page(path)
        assert page.select("[style], style, script:not([src])") == []
        assert len(page.select("h1")) == 1
        assert "stand-in" in one(page, "[role=note]").get_text().lower()


def test_the_state_survives_a_restart(config: SandboxConfig, receiver: Receiver) -> None:
    receiver.always = 500
    slow = replace(config, deliver_retry_seconds=(60,))
    with running_sandbox(slow) as first:
        invitee = first.book(email="kept@example.com")
        receiver.wait_for("invitee.created")
    receiver.always = 200
    with running_sandbox(slow, port=first.server.port) as hands:
        assert hands.resource(invitee["uri"])["email"] == "kept@example.com"
        store = hands.server.sandbox.store
        assert (len(store.all("subscription")), len(store.all("webhook_endpoint"))) == (1, 1)
        hands.control("deliveries/retry")
        receiver.wait_for("invitee.created", "invitee.created")
        hands.control("clear", what="all")
        assert hands.get(invitee["uri"]).status_code == 404
        assert len(hands.rows("/event_types", organization=hands.organization)) == 15


def test_an_empty_sandbox_has_the_platform_alone(config: SandboxConfig) -> None:
    with running_sandbox(replace(config, seed_demo=False, auto_subscribe=False)) as hands:
        assert hands.get("/users/me").status_code == 200
        assert hands.rows("/event_types", organization=hands.organization) == []
        assert hands.subscriptions() == []
        assert hands.http.get(f"{hands.base}/healthz", timeout=5).json() == {"status": "ok"}
