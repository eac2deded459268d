"""Troubles on order, the request log, the control page, and a state that outlives the process."""

from __future__ import annotations

import time

import pytest
import requests
import stripe

from bookingapp.sandbox import SandboxConfig, SandboxServer
from tests.waiting import eventually

from .support import HOUR, TOKEN, Hands, Receiver
from .test_stripe_api import session_params


@pytest.mark.parametrize("status", [429, 500])
def test_an_ordered_failure_strikes_so_many_times(hands: Hands, status: int) -> None:
    hands.control("faults", provider="calendly", kind=str(status), remaining=2, path_prefix="/event_types")
    assert hands.get("/users/me").status_code == 200
    struck = [hands.get("/event_types", user=hands.user()) for _ in range(3)]
    assert [each.status_code for each in struck] == [status, status, 200]
    assert {"title", "message"} <= set(struck[0].json())
    assert struck[0].headers["X-RateLimit-Remaining"] == ("0" if status == 429 else "499")


def test_stripe_s_failures_are_in_stripe_s_words(hands: Hands, stripe_client: stripe.StripeClient) -> None:
    hands.control("faults", provider="stripe", kind="429", remaining=1)
    with pytest.raises(stripe.RateLimitError):
        stripe_client.v1.balance.retrieve()
    hands.control("faults", provider="stripe", kind="500", remaining=1)
    with pytest.raises(stripe.APIError) as caught:
        stripe_client.v1.balance.retrieve()
    assert caught.value.http_status == 500
    assert stripe_client.v1.balance.retrieve().object == "balance"


def test_a_refused_call_has_done_nothing(hands: Hands, stripe_client: stripe.StripeClient) -> None:
    hands.control("faults", provider="stripe", kind="500", remaining=1, method="POST")
    with pytest.raises(stripe.APIError):
        stripe_client.v1.checkout.sessions.create(session_params())
    assert stripe_client.v1.checkout.sessions.list().data == []


def test_slow_and_hanging(hands: Hands) -> None:
    hands.control("faults", provider="calendly", kind="latency", seconds=0.3, remaining=1)
    began = time.monotonic()
    assert hands.get("/users/me").status_code == 200
    assert time.monotonic() - began >= 0.3
    hands.control("faults", provider="calendly", kind="hang")
    with pytest.raises(requests.Timeout):
        requests.get(f"{hands.api}/users/me", headers=TOKEN, timeout=0.3)
    hands.control("faults/clear")
    assert hands.get("/users/me").status_code == 200


def test_a_page_can_be_struck_by_its_path(hands: Hands) -> None:
    path = "/calendly-assets/assets/external/widget.js"
    assert hands.http.get(f"{hands.base}{path}", timeout=5).status_code == 200
    hands.control("faults", provider="calendly", kind="500", path_prefix="/calendly-assets")
    assert hands.http.get(f"{hands.base}{path}", timeout=5).status_code == 500
    assert hands.get("/users/me").status_code == 200


def test_webhooks_are_doubled_dropped_swapped_and_late(hands: Hands, receiver: Receiver) -> None:
    hands.control("faults", provider="calendly", kind="duplicate", remaining=1)
    hands.control("calendly/book", event_type=HOUR)
    first, second = receiver.wait_for("invitee.created", "invitee.created")
    assert first.body == second.body
    receiver.received.clear()

    hands.control("faults", provider="calendly", kind="drop", remaining=1)
    hands.control("calendly/book", event_type=HOUR)
    hands.control("faults", provider="calendly", kind="reorder", remaining=1)
    moved = hands.control("calendly/book", event_type=HOUR)
    hands.control(f"calendly/invitees/{moved['uri'].rpartition('/')[2]}/cancel")
    received = receiver.wait_for("invitee.canceled", "invitee.created")
    assert [each.json["payload"]["uri"] for each in received] == [moved["uri"], moved["uri"]]
    receiver.received.clear()

    hands.control("faults", provider="calendly", kind="delay", seconds=0.4, remaining=1)
    began = time.monotonic()
    hands.control("calendly/book", event_type=HOUR)
    receiver.wait_for("invitee.created")
    assert time.monotonic() - began >= 0.4


def test_the_token_can_be_revoked(hands: Hands) -> None:
    hands.control("calendly/token", revoked=True)
    refused = hands.get("/users/me")
    assert (refused.status_code, refused.json()["message"]) == (401, "The access token was revoked")
    hands.control("calendly/token", revoked=False)
    assert hands.get("/users/me").status_code == 200


def test_a_disabled_subscription_hears_nothing(hands: Hands, receiver: Receiver) -> None:
    hands.control("calendly/subscriptions/all/state", state="disabled")
    hands.control("calendly/book", event_type=HOUR)
    hands.control("calendly/subscriptions/all/state", state="active")
    later = hands.control("calendly/book", event_type=HOUR)
    received = receiver.wait_for("invitee.created")
    assert [each.json["payload"]["uri"] for each in received] == [later["uri"]]


def test_requests_are_counted(hands: Hands, stripe_client: stripe.StripeClient) -> None:
    hands.control("reset-requests")
    hands.get("/users/me")
    hands.get("/users/me")
    stripe_client.v1.checkout.sessions.create(session_params())
    hands.page("/ada-okonkwo")
    url = f"{hands.base}/control/api/requests"
    counts = hands.http.get(url, params={"provider": "calendly"}, timeout=5).json()
    assert counts["counts"] == [
        {"provider": "calendly", "method": "GET", "path": "/calendly-api/users/me", "count": 2}
    ]
    assert hands.http.get(url, params={"provider": "stripe"}, timeout=5).json()["total"] == 1
    assert hands.http.get(url, params={"provider": "pages"}, timeout=5).json()["total"] == 1


def test_everything_can_be_seen_without_secrets(hands: Hands, receiver: Receiver) -> None:
    hands.control("calendly/book", event_type=HOUR, email="seen@example.com")
    receiver.wait_for("invitee.created")
    response = hands.http.get(f"{hands.base}/control/api/state", timeout=5)
    state = response.json()
    assert [each["email"] for each in state["invitees"]] == ["seen@example.com"]
    eventually(
        lambda: hands.http.get(f"{hands.base}/control/api/deliveries", timeout=5).json()["idle"], "idle"
    )
    for secret in ("sandbox-calendly-signing-key", "whsec_sandbox"):
        assert secret not in response.text


def test_a_person_presses_buttons(hands: Hands, receiver: Receiver) -> None:
    hands.control("calendly/book", event_type=HOUR)
    page = hands.page("/control")
    form = page.select_one("form[action$='/cancel']")
    assert form is not None
    sent = hands.http.post(
        f"{hands.base}{form['action']}",
        headers={"Accept": "text/html"},
        data={},
        allow_redirects=False,
        timeout=5,
    )
    assert sent.status_code == 303
    after = hands.page(sent.headers["Location"])
    status = after.select_one("[role=status]")
    assert status is not None
    assert "canceled by its host" in status.get_text()
    assert (
        receiver.wait_for("invitee.canceled")[-1].json["payload"]["cancellation"]["canceler_type"] == "host"
    )


def test_another_site_cannot_press_them(hands: Hands) -> None:
    response = hands.http.post(
        f"{hands.base}/control/api/clear",
        json={"what": "all"},
        headers={"Sec-Fetch-Site": "cross-site"},
        timeout=5,
    )
    assert response.status_code == 403


def test_pages_allow_no_inline_script_or_style(hands: Hands) -> None:
    for path in ("/", "/control", "/ada-okonkwo", "/ada-okonkwo/60-minute-consultation"):
        response = hands.http.get(f"{hands.base}{path}", timeout=5)
        assert "default-src 'self'" in response.headers["Content-Security-Policy"]
        page = hands.page(path)
        assert page.select("[style], style, script:not([src])") == []
        assert len(page.select("h1")) == 1
        banner = page.select_one("[role=note]")
        assert banner is not None
        assert "stand-in" in banner.get_text().lower()


def test_the_state_outlives_the_process(config: SandboxConfig, receiver: Receiver) -> None:
    receiver.always = 500
    slow = SandboxConfig(
        base_url="", app_url=config.app_url, state_path=config.state_path, deliver_retry_seconds=(60,)
    )
    first = SandboxServer(slow).start()
    with requests.Session() as http:
        invitee = Hands(first, http).control("calendly/book", event_type=HOUR, email="kept@example.com")
        receiver.wait_for("invitee.created")
    first.stop()
    receiver.always = 200
    second = SandboxServer(slow, port=first.port).start()
    with requests.Session() as http:
        hands = Hands(second, http)
        assert hands.get(invitee["uri"]).json()["resource"]["email"] == "kept@example.com"
        assert len(second.sandbox.store.all("subscription")) == 1
        assert len(second.sandbox.store.all("webhook_endpoint")) == 1
        hands.control("deliveries/retry")
        receiver.wait_for("invitee.created", "invitee.created")
        hands.control("clear", what="all")
        assert hands.get(invitee["uri"]).status_code == 404
        assert len(hands.get("/event_types", organization=hands.organization).json()["collection"]) == 13
    second.stop()


def test_an_empty_sandbox_has_the_platform_alone(config: SandboxConfig) -> None:
    server = SandboxServer(
        SandboxConfig(base_url="", app_url=config.app_url, seed_demo=False, auto_subscribe=False)
    ).start()
    with requests.Session() as http:
        hands = Hands(server, http)
        assert hands.get("/users/me").status_code == 200
        assert hands.get("/event_types", organization=hands.organization).json()["collection"] == []
        listed = hands.get(
            "/webhook_subscriptions", organization=hands.organization, scope="organization"
        ).json()
        assert listed["collection"] == []
        assert hands.http.get(f"{hands.base}/healthz", timeout=5).json() == {"status": "ok"}
    server.stop()
