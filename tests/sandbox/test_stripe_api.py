"""Stripe's API, driven by Stripe's own SDK."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import stripe

from .shop import Shop, line_item, stripe_client
from .support import Hands, Receiver


def test_a_new_session_is_open_unpaid_and_without_an_intent(hands: Hands, shop: Shop) -> None:
    session = shop.reread(shop.open(), "line_items")
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert (session.amount_total, session.currency, session.livemode) == (6000, "gbp", False)
    assert session.metadata is not None
    assert session.metadata["booking"] == "ref-1"
    assert session.url == f"{hands.base}/stripe-checkout/c/pay/{session.id}"
    assert session.line_items is not None
    assert [item.amount_total for item in session.line_items.data] == [6000]
    assert 86_300 < session.expires_at - session.created <= 86_400
    listed = shop.api.checkout.sessions.line_items.list(session.id)
    assert listed.data[0].description == "60 Minute Consultation"


def test_a_wrong_key_is_401_and_every_answer_has_a_request_id(hands: Hands) -> None:
    with pytest.raises(stripe.AuthenticationError) as caught:
        stripe_client(hands, "sk_test_wrong").v1.balance.retrieve()
    assert caught.value.request_id is not None
    assert caught.value.request_id.startswith("req_")
    assert "sk_test_wrong" not in str(caught.value)
    basic = hands.http.get(f"{hands.base}/stripe-api/v1/balance", auth=("sk_test_sandbox", ""), timeout=5)
    assert basic.status_code == 200


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"payment_method_types": ["card"]}, "parameter_unknown", "payment_method_types"),
        ({"line_items": [line_item(29)]}, "amount_too_small", None),
        ({"line_items": [line_item(49, "jpy")]}, "amount_too_small", None),
        ({"line_items": [line_item(100_000_000)]}, "amount_too_large", None),
        ({"line_items": [line_item(1255, "kwd")]}, "parameter_invalid_integer", "line_items"),
        ({"line_items": [line_item(150_050, "isk")]}, "parameter_invalid_integer", "line_items"),
        ({"line_items": [line_item(200_050, "ugx")]}, "parameter_invalid_integer", "line_items"),
        ({"line_items": []}, "parameter_missing", "line_items"),
        ({"success_url": "not-an-address"}, "url_invalid", "success_url"),
        ({"expires_at": int(time.time()) + 60}, None, "expires_at"),
        ({"expires_at": int(time.time()) + 90_000}, None, "expires_at"),
        ({"metadata": {"k" * 41: "v"}}, None, "metadata"),
        ({"metadata": {"k": "v" * 501}}, None, "metadata[k]"),
        ({"metadata": {f"k{n}": "v" for n in range(51)}}, None, "metadata"),
        ({"client_reference_id": "r" * 201}, "parameter_invalid_string", "client_reference_id"),
        ({"mode": "subscription"}, None, "mode"),
    ],
)
def test_refused_parameters(shop: Shop, changes: dict[str, Any], code: str | None, param: str | None) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.open(**changes)
    assert (caught.value.http_status, caught.value.code, caught.value.param) == (400, code, param)


@pytest.mark.parametrize(("amount", "currency"), [(30, "gbp"), (50, "jpy"), (1250, "kwd"), (0, "gbp")])
def test_the_smallest_amounts_are_accepted(shop: Shop, amount: int, currency: str) -> None:
    session = shop.open(line_items=[line_item(amount, currency)])
    assert session.amount_total == amount
    assert session.payment_status == ("unpaid" if amount else "no_payment_required")


def test_an_idempotency_key_repeats_its_answer_and_refuses_other_parameters(shop: Shop) -> None:
    options = {"idempotency_key": "booking:1:checkout:1"}
    first, again = shop.open(options), shop.open(options)
    assert again.id == first.id
    assert again.last_response is not None
    assert again.last_response.headers["idempotent-replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        shop.open(options, line_items=[line_item(7000)])
    assert len(shop.api.checkout.sessions.list().data) == 1


def test_a_refused_parameter_does_not_use_the_idempotency_key(shop: Shop) -> None:
    options = {"idempotency_key": "booking:2:checkout:1"}
    with pytest.raises(stripe.InvalidRequestError):
        shop.open(options, line_items=[line_item(1)])
    assert shop.open(options).status == "open"


def test_an_idempotency_key_that_is_in_use_is_409(hands: Hands) -> None:
    hands.control("faults", provider="stripe", kind="latency", seconds=1, remaining=1)

    def refund(_: int) -> int:
        url, data = f"{hands.base}/stripe-api/v1/refunds", {"payment_intent": "pi_none"}
        headers = {"Authorization": "Bearer sk_test_sandbox", "Idempotency-Key": "same"}
        return requests.post(url, data=data, headers=headers, timeout=5).status_code

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(refund, range(2))) == [404, 409]


def test_only_an_open_session_expires(receiver: Receiver, shop: Shop) -> None:
    session = shop.open()
    expired = shop.api.checkout.sessions.expire(session.id)
    assert (expired.status, expired.url) == ("expired", None)
    assert receiver.object("checkout.session.expired")["id"] == session.id
    for identifier, status, code in ((session.id, 400, None), ("cs_test_none", 404, "resource_missing")):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            shop.api.checkout.sessions.expire(identifier)
        assert (caught.value.http_status, caught.value.code) == (status, code)


def test_a_session_expires_by_itself(hands: Hands, receiver: Receiver, shop: Shop) -> None:
    session = shop.open()
    hands.control(f"stripe/sessions/{session.id}/alter", expires_at=int(time.time()) - 1)
    receiver.wait_for("checkout.session.expired")
    assert shop.reread(session).status == "expired"


def refusal(shop: Shop, **params: Any) -> stripe.InvalidRequestError:
    given: Any = params
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.api.refunds.create(given)
    return caught.value


def test_refunds_follow_the_rules(receiver: Receiver, shop: Shop) -> None:
    intent = shop.paid_intent()
    part = shop.api.refunds.create({"payment_intent": intent, "amount": 1500})
    assert (part.status, part.amount, part.currency) == ("succeeded", 1500, "gbp")
    over = refusal(shop, payment_intent=intent, amount=4501)
    assert (over.code, over.param) == (None, "amount")
    rest = shop.api.refunds.create({"payment_intent": intent})
    assert rest.amount == 4500
    assert refusal(shop, payment_intent=intent).code == "charge_already_refunded"
    unknown = refusal(shop, payment_intent="pi_none")
    assert (unknown.http_status, unknown.code) == (404, "resource_missing")
    listed = shop.api.refunds.list({"payment_intent": intent})
    assert [each.id for each in listed.data] == [rest.id, part.id]
    charge = shop.api.charges.retrieve(str(rest.charge), {"expand": ["refunds", "balance_transaction"]})
    assert (charge.amount_refunded, charge.refunded) == (6000, True)
    assert charge.refunds is not None
    assert len(charge.refunds.data) == 2
    receiver.wait_for("refund.created", "charge.refunded", "refund.created", "charge.refunded")
    whole = [each.json["data"]["object"]["refunded"] for each in receiver.of("charge.refunded")]
    assert whole == [False, True]


def test_a_refund_has_to_be_an_amount_of_its_currency(shop: Shop) -> None:
    intent = shop.paid_intent(line_items=[line_item(1250, "kwd")])
    assert refusal(shop, payment_intent=intent, amount=625).code == "parameter_invalid_integer"
    assert shop.api.refunds.create({"payment_intent": intent, "amount": 630}).amount == 630


def test_events_are_signed_and_can_be_read_back(receiver: Receiver, shop: Shop) -> None:
    intent = shop.paid_intent()
    sent = receiver.wait_for("checkout.session.completed")[-1]
    assert sent.path == "/webhooks/stripe"
    assert sent.headers["Content-Type"] == "application/json; charset=utf-8"
    assert sent.body.startswith(b'{\n  "id": "evt_')
    assert not any(key.startswith("_") for key in sent.json["data"]["object"])
    signature = sent.headers["Stripe-Signature"]
    parts = dict(part.split("=", 1) for part in signature.split(","))
    assert set(parts) == {"t", "v1", "v0"}
    assert parts["v0"] != parts["v1"]
    event = shop.client.construct_event(sent.body, signature, "whsec_sandbox")
    assert event.api_version == "2026-10-28.endive"
    by_intent = shop.api.checkout.sessions.list({"payment_intent": intent})
    assert [each.id for each in by_intent.data] == [shop.api.events.retrieve(event.id).data.object["id"]]
    listed = shop.api.events.list({"type": "checkout.session.completed"})
    assert [each.id for each in listed.data] == [event.id]
    everything = shop.api.events.list({"limit": 1})
    assert everything.has_more
    assert len({each.id for each in everything.auto_paging_iter()}) == 4


def test_a_new_endpoint_shows_its_secret_once(receiver: Receiver, shop: Shop) -> None:
    made = shop.api.webhook_endpoints.create(
        {"url": f"{receiver.url}/second", "enabled_events": ["checkout.session.expired"]}
    )
    assert made.secret is not None
    listed = shop.api.webhook_endpoints.list()
    assert len(listed.data) == 2
    assert all("secret" not in each for each in listed.data)
    shop.api.checkout.sessions.expire(shop.open().id)
    received = receiver.wait_for("checkout.session.expired", "checkout.session.expired")
    [second] = [each for each in received if each.path == "/second"]
    signature = second.headers["Stripe-Signature"]
    stripe.WebhookSignature.verify_header(second.body.decode(), signature, made.secret, 300)
