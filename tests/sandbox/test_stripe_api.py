"""Stripe's API, driven by Stripe's own SDK."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import requests
import stripe

from .support import Hands, Receiver


def session_params(**changes: Any) -> Any:
    """What the app would ask for; typed loosely, because some tests ask for what is refused."""
    return {
        "mode": "payment",
        "line_items": [line_item()],
        "success_url": "http://127.0.0.1:9/paid?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:9/back",
        "client_reference_id": "ref-1",
        "metadata": {"booking": "ref-1"},
        "payment_intent_data": {"metadata": {"booking": "ref-1"}},
        **changes,
    }


def line_item(amount: int = 6000, currency: str = "gbp", quantity: int = 1) -> dict[str, Any]:
    price = {"currency": currency, "unit_amount": amount, "product_data": {"name": "60 Minute Consultation"}}
    return {"quantity": quantity, "price_data": price}


def paid(hands: Hands, client: stripe.StripeClient, **changes: Any) -> stripe.checkout.Session:
    session = client.v1.checkout.sessions.create(session_params(**changes))
    hands.control(f"stripe/sessions/{session.id}/pay")
    return client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]})


def intent_of(session: stripe.checkout.Session) -> stripe.PaymentIntent:
    assert isinstance(session.payment_intent, stripe.PaymentIntent)
    return session.payment_intent


def test_a_new_session_is_open_unpaid_and_without_an_intent(
    hands: Hands, stripe_client: stripe.StripeClient
) -> None:
    made = stripe_client.v1.checkout.sessions.create(session_params())
    session = stripe_client.v1.checkout.sessions.retrieve(made.id, {"expand": ["line_items"]})
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert (session.amount_total, session.currency, session.livemode) == (6000, "gbp", False)
    assert session.metadata is not None
    assert session.metadata["booking"] == "ref-1"
    assert session.url == f"{hands.base}/stripe-checkout/c/pay/{session.id}"
    assert session.line_items is not None
    assert [item.amount_total for item in session.line_items.data] == [6000]
    assert 86_300 < session.expires_at - session.created <= 86_400
    listed = stripe_client.v1.checkout.sessions.line_items.list(made.id)
    assert listed.data[0].description == "60 Minute Consultation"


def test_a_wrong_key_is_401_and_every_answer_has_a_request_id(hands: Hands) -> None:
    client = stripe.StripeClient(
        "sk_test_wrong",
        base_addresses={"api": f"{hands.base}/stripe-api"},
        http_client=stripe.RequestsClient(session=hands.http),
    )
    with pytest.raises(stripe.AuthenticationError) as caught:
        client.v1.balance.retrieve()
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
def test_what_stripe_refuses_is_refused(
    stripe_client: stripe.StripeClient, changes: dict[str, Any], code: str | None, param: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stripe_client.v1.checkout.sessions.create(session_params(**changes))
    assert (caught.value.http_status, caught.value.code, caught.value.param) == (400, code, param)


@pytest.mark.parametrize(("amount", "currency"), [(30, "gbp"), (50, "jpy"), (1250, "kwd"), (0, "gbp")])
def test_the_smallest_amounts_are_accepted(
    stripe_client: stripe.StripeClient, amount: int, currency: str
) -> None:
    made = stripe_client.v1.checkout.sessions.create(session_params(line_items=[line_item(amount, currency)]))
    assert made.amount_total == amount
    assert made.payment_status == ("unpaid" if amount else "no_payment_required")


def test_a_key_answers_the_same_twice_and_refuses_other_parameters(
    hands: Hands, stripe_client: stripe.StripeClient
) -> None:
    options: Any = {"idempotency_key": "booking:1:checkout:1"}
    first = stripe_client.v1.checkout.sessions.create(session_params(), options)
    again = stripe_client.v1.checkout.sessions.create(session_params(), options)
    assert again.id == first.id
    assert again.last_response is not None
    assert again.last_response.headers["idempotent-replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        stripe_client.v1.checkout.sessions.create(session_params(line_items=[line_item(7000)]), options)
    assert len(stripe_client.v1.checkout.sessions.list().data) == 1


def test_a_refused_parameter_leaves_the_key_unused(stripe_client: stripe.StripeClient) -> None:
    options: Any = {"idempotency_key": "booking:2:checkout:1"}
    with pytest.raises(stripe.InvalidRequestError):
        stripe_client.v1.checkout.sessions.create(session_params(line_items=[line_item(1)]), options)
    assert stripe_client.v1.checkout.sessions.create(session_params(), options).status == "open"


def test_a_key_that_is_still_running_is_409(hands: Hands) -> None:
    hands.control("faults", provider="stripe", kind="latency", seconds=1, remaining=1)
    answers: list[requests.Response] = []

    def ask() -> None:
        answers.append(
            requests.post(
                f"{hands.base}/stripe-api/v1/refunds",
                data={"payment_intent": "pi_none"},
                headers={"Authorization": "Bearer sk_test_sandbox", "Idempotency-Key": "same"},
                timeout=5,
            )
        )

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [404, 409]


def test_an_answer_lost_on_the_way_is_not_a_second_session(hands: Hands) -> None:
    client = stripe.StripeClient(
        "sk_test_sandbox",
        base_addresses={"api": f"{hands.base}/stripe-api"},
        http_client=stripe.RequestsClient(session=hands.http),
        max_network_retries=2,
    )
    hands.control("faults", provider="stripe", kind="lost_answer", remaining=1)
    made = client.v1.checkout.sessions.create(session_params())
    assert made.last_response is not None
    assert made.last_response.headers["idempotent-replayed"] == "true"
    assert [each.id for each in client.v1.checkout.sessions.list().data] == [made.id]


def test_only_an_open_session_expires(
    hands: Hands, receiver: Receiver, stripe_client: stripe.StripeClient
) -> None:
    session = stripe_client.v1.checkout.sessions.create(session_params())
    expired = stripe_client.v1.checkout.sessions.expire(session.id)
    assert (expired.status, expired.url) == ("expired", None)
    assert receiver.wait_for("checkout.session.expired")[0].json["data"]["object"]["id"] == session.id
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stripe_client.v1.checkout.sessions.expire(session.id)
    assert caught.value.http_status == 400
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        stripe_client.v1.checkout.sessions.expire("cs_test_none")
    assert (unknown.value.http_status, unknown.value.code) == (404, "resource_missing")


def test_a_session_expires_by_itself(
    hands: Hands, receiver: Receiver, stripe_client: stripe.StripeClient
) -> None:
    session = stripe_client.v1.checkout.sessions.create(session_params())
    hands.control(f"stripe/sessions/{session.id}/alter", expires_at=int(time.time()) - 1)
    receiver.wait_for("checkout.session.expired")
    assert stripe_client.v1.checkout.sessions.retrieve(session.id).status == "expired"


def test_refunds_follow_the_rules(
    hands: Hands, receiver: Receiver, stripe_client: stripe.StripeClient
) -> None:
    intent = intent_of(paid(hands, stripe_client))
    part = stripe_client.v1.refunds.create({"payment_intent": intent.id, "amount": 1500})
    assert (part.status, part.amount, part.currency) == ("succeeded", 1500, "gbp")
    with pytest.raises(stripe.InvalidRequestError) as over:
        stripe_client.v1.refunds.create({"payment_intent": intent.id, "amount": 4501})
    assert (over.value.code, over.value.param) == (None, "amount")
    rest = stripe_client.v1.refunds.create({"payment_intent": intent.id})
    assert rest.amount == 4500
    with pytest.raises(stripe.InvalidRequestError) as nothing:
        stripe_client.v1.refunds.create({"payment_intent": intent.id})
    assert nothing.value.code == "charge_already_refunded"
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        stripe_client.v1.refunds.create({"payment_intent": "pi_none"})
    assert (unknown.value.http_status, unknown.value.code) == (404, "resource_missing")
    listed = stripe_client.v1.refunds.list({"payment_intent": intent.id})
    assert [each.id for each in listed.data] == [rest.id, part.id]
    charge = stripe_client.v1.charges.retrieve(
        str(rest.charge), {"expand": ["refunds", "balance_transaction"]}
    )
    assert (charge.amount_refunded, charge.refunded) == (6000, True)
    assert charge.refunds is not None
    assert len(charge.refunds.data) == 2
    names = ("refund.created", "charge.refunded", "refund.created", "charge.refunded")
    received = [each.json for each in receiver.wait_for(*names)]
    whole = [each["data"]["object"]["refunded"] for each in received if each["type"] == "charge.refunded"]
    assert whole == [False, True]


def test_a_refund_can_fail_later(
    hands: Hands, receiver: Receiver, stripe_client: stripe.StripeClient
) -> None:
    hands.control("settings", refund_status="pending")
    intent = intent_of(paid(hands, stripe_client))
    refund = stripe_client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.status == "pending"
    hands.control(f"stripe/refunds/{refund.id}/settle", outcome="failed")
    failed = receiver.wait_for("refund.failed")[-1].json["data"]["object"]
    assert (failed["status"], failed["id"]) == ("failed", refund.id)
    assert stripe_client.v1.charges.retrieve(str(refund.charge)).amount_refunded == 0


def test_a_dispute_bars_refunds_until_it_is_won(
    hands: Hands, receiver: Receiver, stripe_client: stripe.StripeClient
) -> None:
    intent = intent_of(paid(hands, stripe_client))
    dispute = hands.control(f"stripe/payments/{intent.id}/dispute")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stripe_client.v1.refunds.create({"payment_intent": intent.id})
    assert caught.value.code == "charge_disputed"
    hands.control(f"stripe/disputes/{dispute['id']}/close", outcome="won")
    received = receiver.wait_for(
        "charge.dispute.created", "charge.dispute.closed", "charge.dispute.funds_reinstated"
    )
    assert [each.json["data"]["object"]["status"] for each in received if "dispute" in each.event] == [
        "needs_response",
        "needs_response",
        "won",
        "won",
    ]
    assert stripe_client.v1.refunds.create({"payment_intent": intent.id}).status == "succeeded"


@pytest.mark.parametrize(("amount", "currency"), [(1255, "kwd"), (150_050, "isk"), (200_050, "ugx")])
def test_an_amount_that_its_currency_does_not_have_is_refused(
    stripe_client: stripe.StripeClient, amount: int, currency: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stripe_client.v1.checkout.sessions.create(session_params(line_items=[line_item(amount, currency)]))
    assert caught.value.code == "parameter_invalid_integer"


def test_a_refund_has_to_be_an_amount_of_its_currency(
    hands: Hands, stripe_client: stripe.StripeClient
) -> None:
    intent = intent_of(paid(hands, stripe_client, line_items=[line_item(1250, "kwd")]))
    with pytest.raises(stripe.InvalidRequestError):
        stripe_client.v1.refunds.create({"payment_intent": intent.id, "amount": 625})
    assert stripe_client.v1.refunds.create({"payment_intent": intent.id, "amount": 630}).amount == 630


def test_fees_are_taken_where_they_are_asked_for(hands: Hands, stripe_client: stripe.StripeClient) -> None:
    """Of charges and disputes; the balance is what is left."""
    hands.control("settings", fees=True)
    session = paid(hands, stripe_client)
    found = stripe_client.v1.checkout.sessions.retrieve(
        session.id, {"expand": ["payment_intent.latest_charge.balance_transaction"]}
    )
    charge = intent_of(found).latest_charge
    assert isinstance(charge, stripe.Charge)
    assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)
    movement = charge.balance_transaction
    assert (movement.amount, movement.fee, movement.net) == (6000, 110, 5890)
    made = hands.control(f"stripe/payments/{intent_of(found).id}/dispute")
    hands.control(f"stripe/disputes/{made['id']}/close", outcome="won")
    dispute = stripe_client.v1.disputes.retrieve(made["id"])
    assert [(one.amount, one.fee) for one in dispute.balance_transactions] == [(-6000, 1500), (6000, 0)]
    assert [one.amount for one in stripe_client.v1.balance.retrieve().available] == [5890 - 1500]


def test_events_can_be_read_back_and_match_what_was_sent(
    hands: Hands, receiver: Receiver, stripe_client: stripe.StripeClient
) -> None:
    session = paid(hands, stripe_client)
    sent = receiver.wait_for("checkout.session.completed")[-1]
    event = stripe_client.construct_event(sent.body, sent.headers["Stripe-Signature"], "whsec_sandbox")
    assert event.api_version == "2026-10-28.endive"
    assert stripe_client.v1.events.retrieve(event.id).data.object["id"] == session.id
    listed = stripe_client.v1.events.list({"type": "checkout.session.completed"})
    assert [each.id for each in listed.data] == [event.id]
    everything = stripe_client.v1.events.list({"limit": 1})
    assert everything.has_more
    assert len({each.id for each in everything.auto_paging_iter()}) == 4
    by_intent = stripe_client.v1.checkout.sessions.list({"payment_intent": intent_of(session).id})
    assert [each.id for each in by_intent.data] == [session.id]


def test_a_new_endpoint_shows_its_secret_once(
    hands: Hands, stripe_client: stripe.StripeClient, receiver: Receiver
) -> None:
    made = stripe_client.v1.webhook_endpoints.create(
        {"url": f"{receiver.url}/second", "enabled_events": ["checkout.session.expired"]}
    )
    assert made.secret is not None
    listed = stripe_client.v1.webhook_endpoints.list()
    assert len(listed.data) == 2
    assert all("secret" not in each for each in listed.data)
    session = stripe_client.v1.checkout.sessions.create(session_params())
    stripe_client.v1.checkout.sessions.expire(session.id)
    receiver.wait_for("checkout.session.expired", "checkout.session.expired")
    second = next(each for each in receiver.received if each.path == "/second")
    stripe.WebhookSignature.verify_header(
        second.body.decode(), second.headers["Stripe-Signature"], made.secret, 300
    )
