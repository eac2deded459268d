"""The gateway against Stripe's published answers: what goes over the wire, what is read, which error it is."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import requests

from bookingapp.integrations.stripe_gateway import (
    CheckoutRequest,
    IdempotencyConflict,
    StripeBadReply,
    StripeGateway,
    StripeGatewayError,
    StripeNotFound,
    StripeRateLimited,
    StripeRejected,
    StripeUnauthorized,
    StripeUnavailable,
)
from tests import fakes
from tests.factories import published
from tests.unit.integrations.clients import Wire, at_most, sample
from tests.unit.integrations.stub_server import Answer, Seen, StubServer

API = fakes.STRIPE
SESSIONS = f"{API}/v1/checkout/sessions"
SESSION = "cs_test_a1B2c3D4e5F6g7H8i9J0"
INTENTS = f"{API}/v1/payment_intents"
INTENT = "pi_3Sxy0000000000000000001"
KEY = "sk_test_a-secret-key"
REQUEST = CheckoutRequest(
    client_reference_id="ref-8f3c",
    amount_minor=6000,
    currency="GBP",
    product_name="30 Minute Consultation",
    description="with Ada Okonkwo",
    customer_email="grace@example.com",
    success_url="https://book.example.com/bookings/ref-8f3c/paid?session_id={CHECKOUT_SESSION_ID}",
    cancel_url="https://book.example.com/bookings/ref-8f3c",
    expires_at=datetime(2026, 11, 25, 10, 20, tzinfo=UTC),
    locale="de",
    metadata={"attempt": "1"},
)

# Paid on a page whose payment is captured later, with its charge.
AUTHORIZED = published("stripe/payment_intent.requires_capture.json")


def make_gateway(**how: Any) -> StripeGateway:
    how.setdefault("secret_key", KEY)
    return StripeGateway(api_url=f"{API}/", **how)


def listed(path: str, *found: dict[str, Any], has_more: bool = False) -> dict[str, Any]:
    return {"object": "list", "url": path, "has_more": has_more, "data": found}


def query(wire: Wire, number: int = 0) -> dict[str, list[str]]:
    return parse_qs(urlsplit(str(wire.calls[number].request.url)).query)


def refused(
    code: str | None, param: str | None = None, kind: str = "invalid_request_error"
) -> dict[str, Any]:
    error = {"type": kind, "message": "No such thing for grace@example.com", "code": code, "param": param}
    return {"error": {name: value for name, value in error.items() if value is not None}}


def test_a_checkout_session_is_asked_for_as_stripe_expects_it(wire: Wire) -> None:
    wire.post(SESSIONS, body=sample("stripe/checkout_session.open.json"))
    session = make_gateway().create_checkout_session(REQUEST, idempotency_key="booking:7:checkout:1")
    sent = wire.calls[0].request
    assert dict(parse_qsl(str(sent.body))) == {
        "mode": "payment",
        "line_items[0][quantity]": "1",
        "line_items[0][price_data][currency]": "gbp",
        "line_items[0][price_data][unit_amount]": "6000",
        "line_items[0][price_data][product_data][name]": "30 Minute Consultation",
        "line_items[0][price_data][product_data][description]": "with Ada Okonkwo",
        "success_url": "https://book.example.com/bookings/ref-8f3c/paid?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://book.example.com/bookings/ref-8f3c",
        "client_reference_id": "ref-8f3c",
        "customer_email": "grace@example.com",
        "expires_at": "1795602000",
        "locale": "de",
        "metadata[attempt]": "1",
        "metadata[booking]": "ref-8f3c",
        "payment_intent_data[metadata][attempt]": "1",
        "payment_intent_data[metadata][booking]": "ref-8f3c",
    }
    assert sent.headers["Idempotency-Key"] == "booking:7:checkout:1"
    assert sent.headers["Authorization"] == f"Bearer {KEY}"
    assert sent.headers["Stripe-Version"] == "2026-10-28.endive"
    assert (session.id, session.status, session.payment_status) == (SESSION, "open", "unpaid")
    assert (session.amount_total, session.currency) == (6000, "GBP")
    assert session.url == f"https://checkout.stripe.com/c/pay/{SESSION}"
    assert session.expires_at == REQUEST.expires_at
    assert (session.client_reference_id, session.metadata) == ("ref-8f3c", {"booking": "ref-8f3c"})
    assert session.payment_intent is None
    assert not session.livemode
    assert not session.is_paid


def test_without_a_description_none_is_sent(wire: Wire) -> None:
    """Stripe refuses an empty one."""
    wire.post(SESSIONS, body=sample("stripe/checkout_session.open.json"))
    make_gateway().create_checkout_session(replace(REQUEST, description=""), idempotency_key="k")
    assert "description" not in str(wire.calls[0].request.body)
    with pytest.raises(ValueError, match="amount"):
        make_gateway().create_checkout_session(replace(REQUEST, amount_minor=0), idempotency_key="k")


def test_a_paid_session(wire: Wire) -> None:
    wire.get(f"{SESSIONS}/{SESSION}", body=sample("stripe/checkout_session.paid.json"))
    session = make_gateway().retrieve_checkout_session(SESSION)
    assert session.is_paid
    assert session.payment_intent == INTENT
    assert session.url is None


@pytest.mark.parametrize(
    ("status", "payment_status", "paid"),
    [
        ("complete", "paid", True),
        ("complete", "no_payment_required", True),
        ("complete", "unpaid", False),
        ("open", "unpaid", False),
        ("open", "no_payment_required", False),
        ("expired", "unpaid", False),
    ],
)
def test_complete_does_not_mean_paid(wire: Wire, status: str, payment_status: str, paid: bool) -> None:
    """Delayed methods complete first and pay days later."""
    data = published("stripe/checkout_session.open.json")
    wire.get(f"{SESSIONS}/{SESSION}", json={**data, "status": status, "payment_status": payment_status})
    assert make_gateway().retrieve_checkout_session(SESSION).is_paid is paid


@pytest.mark.parametrize(
    ("name", "status", "paid"), [("paid", "complete", True), ("expired", "expired", False)]
)
def test_a_session_that_is_over_is_returned(wire: Wire, name: str, status: str, paid: bool) -> None:
    """The payment won the race, or it had expired already."""
    wire.post(f"{SESSIONS}/{SESSION}/expire", json=refused(None), status=400)
    wire.get(f"{SESSIONS}/{SESSION}", body=sample(f"stripe/checkout_session.{name}.json"))
    session = make_gateway().expire_checkout_session(SESSION)
    assert (session.status, session.is_paid) == (status, paid)


def test_an_open_session_that_stripe_does_not_expire_is_an_error(wire: Wire) -> None:
    wire.post(f"{SESSIONS}/{SESSION}/expire", json=refused(None), status=400)
    wire.get(f"{SESSIONS}/{SESSION}", body=sample("stripe/checkout_session.open.json"))
    with pytest.raises(StripeRejected):
        make_gateway().expire_checkout_session(SESSION)


def test_a_refund(wire: Wire) -> None:
    wire.post(f"{API}/v1/refunds", body=sample("stripe/refund.json"))
    refund = make_gateway().create_refund(
        INTENT,
        3000,
        reason="requested_by_customer",
        metadata={"booking": "ref-8f3c"},
        idempotency_key="payment:7:refund:1",
    )
    sent = wire.calls[0].request
    assert dict(parse_qsl(str(sent.body))) == {
        "payment_intent": INTENT,
        "amount": "3000",
        "reason": "requested_by_customer",
        "metadata[booking]": "ref-8f3c",
    }
    assert sent.headers["Idempotency-Key"] == "payment:7:refund:1"
    assert (refund.id, refund.status) == ("re_3Sxy0000000000000000001", "succeeded")
    assert (refund.amount_minor, refund.currency) == (3000, "GBP")
    assert (refund.payment_intent, refund.failure_reason) == (INTENT, None)
    assert refund.created.tzinfo is UTC


def test_refunds_are_listed_to_the_last_page(wire: Wire) -> None:
    one = published("stripe/refund.json")
    wire.get(f"{API}/v1/refunds", json=listed("/v1/refunds", {**one, "id": "re_2"}, has_more=True))
    wire.get(f"{API}/v1/refunds", json=listed("/v1/refunds", {**one, "id": "re_1"}))
    assert [refund.id for refund in make_gateway().list_refunds(INTENT)] == ["re_2", "re_1"]
    expanded = {"expand[0]": ["data.balance_transaction"]}
    assert query(wire) == {"payment_intent": [INTENT], "limit": ["100"], **expanded}
    assert query(wire, 1)["starting_after"] == ["re_2"]


@pytest.mark.parametrize(
    ("intent_status", "failed"),
    [("processing", False), ("requires_payment_method", True), ("canceled", True), ("succeeded", False)],
)
def test_a_delayed_method_that_failed(wire: Wire, intent_status: str, failed: bool) -> None:
    """The session stays complete and unpaid for ever; only its payment intent shows it."""
    session = published("stripe/checkout_session.paid.json")
    intent = {"id": INTENT, "status": intent_status, "latest_charge": None}
    wire.get(f"{SESSIONS}/{SESSION}", json={**session, "payment_status": "unpaid", "payment_intent": intent})
    assert make_gateway().retrieve_checkout_session(SESSION).has_failed is failed


def test_sessions_of_a_time(wire: Wire) -> None:
    """To find one whose id never reached us."""
    session = published("stripe/checkout_session.open.json")
    wire.get(SESSIONS, json=listed("/v1/checkout/sessions", session))
    since = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
    (found,) = make_gateway().list_checkout_sessions(since, since + timedelta(minutes=5))
    assert (found.id, found.status) == (session["id"], "open")
    begin = int(since.timestamp())
    assert query(wire) == {
        "created[gte]": [str(begin)],
        "created[lte]": [str(begin + 301)],
        "limit": ["100"],
    }


def test_disputes_of_a_payment(wire: Wire) -> None:
    shape = {"object": "dispute", "status": "won", "reason": "fraudulent", "amount": 6000, "currency": "gbp"}
    found = [{**shape, "id": f"du_{number}", "created": 1_795_000_000} for number in range(2)]
    wire.get(f"{API}/v1/disputes", json=listed("/v1/disputes", *found))
    assert [dispute.id for dispute in make_gateway().list_disputes(INTENT)] == ["du_0", "du_1"]
    assert query(wire) == {"payment_intent": [INTENT], "limit": ["100"]}


def test_a_payment_intent(wire: Wire) -> None:
    wire.get(f"{API}/v1/payment_intents/{INTENT}", body=sample("stripe/payment_intent.json"))
    intent = make_gateway().retrieve_payment_intent(INTENT)
    assert (intent.amount_minor, intent.amount_received, intent.currency) == (6000, 6000, "GBP")
    assert (intent.status, intent.latest_charge) == ("succeeded", "ch_3Sxy0000000000000000001")
    assert intent.metadata == {"booking": "ref-8f3c"}


def test_a_payment_that_is_captured_later_is_asked_for(wire: Wire) -> None:
    """For the whole payment: Stripe then hides the methods that cannot be authorized. Others can still be excluded."""
    wire.post(SESSIONS, body=sample("stripe/checkout_session.open.json"))
    later = replace(REQUEST, captures_later=True, excluded_methods=("klarna",))
    make_gateway().create_checkout_session(later, idempotency_key="k")
    sent = dict(parse_qsl(str(wire.calls[0].request.body)))
    assert sent["payment_intent_data[capture_method]"] == "manual"
    assert sent["payment_intent_data[metadata][booking]"] == "ref-8f3c"
    assert sent["excluded_payment_method_types[0]"] == "klarna"
    assert not any("payment_method_options" in name for name in sent)


def test_an_authorized_payment(wire: Wire) -> None:
    """Its charge has ``paid: true``, and nothing has arrived."""
    wire.get(f"{INTENTS}/{INTENT}", json=AUTHORIZED)
    intent = make_gateway().retrieve_payment_intent(INTENT)
    assert (intent.status, intent.amount_minor) == ("requires_capture", 6000)
    assert (intent.amount_received, intent.capturable_minor, intent.balance) == (0, 6000, None)
    assert intent.latest_charge == "ch_3Sxy0000000000000000001"
    assert intent.capture_before == datetime(2026, 12, 2, 9, 51, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("intent", "payment_status", "expected"),
    [
        ({}, "unpaid", "is_authorized"),
        ({}, "paid", "is_authorized"),
        ({"status": "succeeded"}, "unpaid", "is_paid"),
        ({"status": "succeeded"}, "paid", "is_paid"),
        ({"status": "canceled"}, "unpaid", "is_released"),
        ({"status": "canceled"}, "paid", "is_released"),
        ({"status": "canceled", "capture_method": "automatic_async"}, "unpaid", "has_failed"),
        ({"status": "requires_payment_method"}, "unpaid", "has_failed"),
        ({"status": "processing"}, "unpaid", None),
    ],
)
def test_the_payment_intent_decides_what_a_complete_session_is(
    wire: Wire, intent: dict[str, Any], payment_status: str, expected: str | None
) -> None:
    """Whatever the session's own payment status says, it is one thing at a time."""
    data = published("stripe/checkout_session.paid.json")
    data.update(payment_status=payment_status, payment_intent={**AUTHORIZED, **intent})
    wire.get(f"{SESSIONS}/{SESSION}", json=data)
    session = make_gateway().retrieve_checkout_session(SESSION)
    states = ("is_authorized", "is_paid", "is_released", "has_failed")
    assert [name for name in states if getattr(session, name)] == [expected] * (expected is not None)
    assert session.balance is None


def test_a_charge_has_no_balance_until_it_is_captured(wire: Wire) -> None:
    movement = {"id": "txn_1", "object": "balance_transaction", "amount": 6000, "fee": 110, "currency": "gbp"}
    for captured in (False, True):
        charge = {**AUTHORIZED["latest_charge"], "captured": captured, "balance_transaction": movement}
        data = published("stripe/checkout_session.paid.json")
        data["payment_intent"] = {**AUTHORIZED, "latest_charge": charge}
        wire.get(f"{SESSIONS}/{SESSION}", json=data)
    found = [make_gateway().retrieve_checkout_session(SESSION).balance for _ in range(2)]
    assert [balance and balance.amount_minor for balance in found] == [None, 6000]


@pytest.mark.parametrize(
    ("name", "path", "status"),
    [("capture_payment", "capture", "succeeded"), ("release_payment", "cancel", "canceled")],
)
def test_an_authorization_is_ended_under_its_key(wire: Wire, name: str, path: str, status: str) -> None:
    """The whole amount, once; a lost answer is repeated with the same key."""
    wire.post(f"{INTENTS}/{INTENT}/{path}", status=500)
    wire.post(f"{INTENTS}/{INTENT}/{path}", json={**AUTHORIZED, "status": status, "amount_capturable": 0})
    intent = getattr(make_gateway(), name)(INTENT, idempotency_key="payment:7:end")
    assert (intent.status, intent.capturable_minor) == (status, 0)
    sent = [call.request for call in wire.calls]
    assert {request.headers["Idempotency-Key"] for request in sent} == {"payment:7:end"}
    assert parse_qs(str(sent[-1].body)) == {"expand[0]": ["latest_charge.balance_transaction"]}


@pytest.mark.parametrize("now", ["succeeded", "canceled", "requires_capture"])
@pytest.mark.parametrize(("name", "path"), [("capture_payment", "capture"), ("release_payment", "cancel")])
def test_an_authorization_that_has_ended_is_returned_as_it_is(
    wire: Wire, name: str, path: str, now: str
) -> None:
    """It was captured, released or has expired; a refusal of one that is still authorized is an error."""
    wire.post(f"{INTENTS}/{INTENT}/{path}", json=refused("payment_intent_unexpected_state"), status=400)
    wire.get(f"{INTENTS}/{INTENT}", json={**AUTHORIZED, "status": now})
    end = getattr(make_gateway(), name)
    if now != "requires_capture":
        assert end(INTENT, idempotency_key="k").status == now
        return
    with pytest.raises(StripeRejected) as rejected:
        end(INTENT, idempotency_key="k")
    assert rejected.value.code == "payment_intent_unexpected_state"


def test_events_come_oldest_first(wire: Wire) -> None:
    one = published("stripe/event.checkout.session.completed.json")
    body = listed("/v1/events", {**one, "id": "evt_2"}, {**one, "id": "evt_1"})
    wire.get(f"{API}/v1/events", json=body)
    since = datetime(2026, 11, 25, tzinfo=UTC)
    events = make_gateway().list_events(since, ["checkout.session.completed", "refund.updated"])
    assert [event.id for event in events] == ["evt_1", "evt_2"]
    assert events[0].data["client_reference_id"] == "ref-8f3c"
    assert query(wire) == {
        "created[gte]": [str(int(since.timestamp()))],
        "types[0]": ["checkout.session.completed"],
        "types[1]": ["refund.updated"],
        "limit": ["100"],
    }


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, refused("amount_too_small", "amount"), StripeRejected),
        (400, refused(None, "amount"), StripeRejected),
        (400, refused("resource_missing", "payment_intent"), StripeNotFound),
        (404, refused("resource_missing", "session"), StripeNotFound),
        (404, refused(None), StripeNotFound),
        (400, refused(None, None, "idempotency_error"), IdempotencyConflict),
        (401, refused(None), StripeUnauthorized),
        (403, refused(None), StripeUnauthorized),
        (402, refused("card_declined", None, "card_error"), StripeRejected),
        (429, refused("rate_limit"), StripeRateLimited),
        (409, refused("lock_timeout"), StripeUnavailable),
        (500, refused(None, None, "api_error"), StripeUnavailable),
        (503, "<html>", StripeUnavailable),
        (200, "<html>", StripeBadReply),
        (200, {"object": "refund"}, StripeBadReply),
        (200, {"object": "refund", "id": "re_1", "amount": "3000"}, StripeBadReply),
    ],
)
def test_each_answer_is_one_error(
    wire: Wire, status: int, body: object, error: type[StripeGatewayError]
) -> None:
    tries = 3 if error is StripeUnavailable else 1
    data = body if isinstance(body, str) else json.dumps(body)
    wire.post(f"{API}/v1/refunds", body=data, status=status, headers={"Request-Id": "req_123"})
    with pytest.raises(StripeGatewayError) as raised:
        make_gateway().create_refund(INTENT, 1, reason=None, metadata={}, idempotency_key="key-1")
    found = raised.value
    assert type(found) is error
    assert found.retryable is (error in {StripeUnavailable, StripeRateLimited})
    assert found.user_message.endswith(".")
    assert "grace@example.com" not in f"{found!r}"
    assert KEY not in f"{found!r}"
    assert found.__cause__ is None
    assert [call.request.headers["Idempotency-Key"] for call in wire.calls] == ["key-1"] * tries


def test_a_rejection_carries_stripes_own_words(wire: Wire) -> None:
    body = refused("charge_already_refunded", "amount")
    wire.post(f"{API}/v1/refunds", json=body, status=400, headers={"Request-Id": "req_123"})
    with pytest.raises(StripeRejected) as rejected:
        make_gateway().create_refund(INTENT, 1, reason=None, metadata={}, idempotency_key="key-1")
    found = rejected.value
    assert (found.code, found.param) == ("charge_already_refunded", "amount")
    assert (found.status, found.request_id) == (400, "req_123")
    assert str(found) == "create a refund: 400 code charge_already_refunded param amount request req_123"


def test_no_answer_is_repeated_and_then_unavailable(wire: Wire) -> None:
    wire.post(SESSIONS, body=requests.ConnectionError("reset"))
    wire.post(SESSIONS, body=sample("stripe/checkout_session.open.json"))
    assert make_gateway().create_checkout_session(REQUEST, idempotency_key="k-1").id == SESSION
    assert {call.request.headers["Idempotency-Key"] for call in wire.calls} == {"k-1"}
    wire.get(f"{SESSIONS}/{SESSION}", body=requests.ConnectTimeout("slow"))
    with pytest.raises(StripeUnavailable) as raised:
        make_gateway(max_retries=0).retrieve_checkout_session(SESSION)
    assert raised.value.status is None
    assert str(raised.value) == "retrieve a checkout session: no answer"


def test_a_429_says_how_long_to_wait(wire: Wire) -> None:
    wire.get(f"{SESSIONS}/{SESSION}", json=refused("rate_limit"), status=429, headers={"Retry-After": "2"})
    with pytest.raises(StripeRateLimited) as limited:
        make_gateway().retrieve_checkout_session(SESSION)
    assert limited.value.retry_after == 2


@pytest.mark.parametrize("key", ["", "  "])
def test_without_a_key_nothing_is_sent(key: str) -> None:
    gateway = make_gateway(secret_key=key)
    calls: list[Callable[[], object]] = [
        lambda: gateway.create_checkout_session(REQUEST, idempotency_key="k"),
        lambda: gateway.retrieve_checkout_session(SESSION),
        lambda: gateway.expire_checkout_session(SESSION),
        lambda: gateway.create_refund(INTENT, 1, reason=None, metadata={}, idempotency_key="k"),
        lambda: gateway.capture_payment(INTENT, idempotency_key="k"),
        lambda: gateway.release_payment(INTENT, idempotency_key="k"),
        lambda: gateway.list_refunds(INTENT),
        lambda: gateway.retrieve_payment_intent(INTENT),
        lambda: gateway.list_events(datetime.now(UTC), []),
    ]
    for call in calls:
        with pytest.raises(StripeUnauthorized):
            call()


def test_before_each_call_the_application_may_object(wire: Wire) -> None:
    """Once per real request, the SDK's own repeats included; an objection comes through as it is."""
    guard = Mock()
    wire.get(f"{SESSIONS}/{SESSION}", status=500)
    wire.get(f"{SESSIONS}/{SESSION}", body=sample("stripe/checkout_session.open.json"))
    make_gateway(before_call=guard).retrieve_checkout_session(SESSION)
    assert guard.call_count == 2
    guard.side_effect = AssertionError("a transaction is open")
    with pytest.raises(AssertionError, match="a transaction is open"):
        make_gateway(before_call=guard).retrieve_checkout_session(SESSION)
    assert len(wire.calls) == 2


def test_logs_and_telemetry_have_nothing_personal(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wire.post(SESSIONS, body=sample("stripe/checkout_session.open.json"), headers={"Request-Id": "req_1"})
    gateway = make_gateway()
    for _ in range(2):
        gateway.create_checkout_session(REQUEST, idempotency_key="k")
    assert "grace@example.com" not in caplog.text
    assert KEY not in caplog.text
    for call in wire.calls:
        assert "X-Stripe-Client-Telemetry" not in call.request.headers
        assert "telemetry_id" not in call.request.headers["X-Stripe-Client-User-Agent"]


# Over real sockets


def test_the_environments_proxy_is_ignored(server: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox is on this machine, below a path."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.answer(sample("stripe/payment_intent.json"))
    gateway = StripeGateway(secret_key="sk_test_x", api_url=f"{server.url}/stripe-api/")
    assert gateway.retrieve_payment_intent("pi_1").status == "succeeded"
    assert [urlsplit(seen.path).path for seen in server.seen] == ["/stripe-api/v1/payment_intents/pi_1"]


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_is_not_followed(server: StubServer, status: int) -> None:
    server.answer(b"{}", status, Location="/elsewhere")
    gateway = StripeGateway(secret_key="sk_test_x", api_url=server.url, max_retries=0)
    with pytest.raises(StripeGatewayError):
        gateway.retrieve_payment_intent("pi_1")
    assert [urlsplit(seen.path).path for seen in server.seen] == ["/v1/payment_intents/pi_1"]


def test_a_hanging_stripe_costs_what_the_time_out_says(server: StubServer) -> None:
    """The SDK's own default is eighty seconds."""
    gateway = StripeGateway(secret_key="sk_test_x", api_url=server.url, timeout=(0.3, 0.3), max_retries=0)
    with server.hanging(), at_most(2), pytest.raises(StripeUnavailable):
        gateway.retrieve_payment_intent("pi_1")


def test_connections_are_kept_and_threads_do_not_mix(server: StubServer) -> None:
    def echo(seen: Seen) -> Answer:
        asked = urlsplit(seen.path).path.rpartition("/")[2].encode()
        return 200, {}, sample("stripe/payment_intent.json").replace(b"pi_3Sxy0000000000000000001", asked)

    server.respond = echo
    gateway = StripeGateway(secret_key="sk_test_x", api_url=server.url)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: gateway.retrieve_payment_intent(f"pi_{number}").id, range(64)))
    assert found == [f"pi_{number}" for number in range(64)]
    assert server.connections <= 16
