"""The hosted Checkout page, paid by people without JavaScript."""

from __future__ import annotations

import time

import pytest
import stripe
from bs4 import BeautifulSoup

from tests.waiting import eventually

from .support import Hands, Receiver, hex_hmac, signed_parts
from .test_stripe_api import line_item, session_params

CARD = {
    "card_number": "4242 4242 4242 4242",
    "card_expiry": "12 / 34",
    "card_cvc": "123",
    "name": "Jo Bloggs",
}


def open_session(client: stripe.StripeClient, **changes: object) -> stripe.checkout.Session:
    return client.v1.checkout.sessions.create(session_params(**changes))


def address(session: stripe.checkout.Session) -> str:
    assert session.url is not None
    return session.url


def test_4242_pays_and_the_app_hears_of_it_before_the_customer_returns(
    hands: Hands, receiver: Receiver, stripe_client: stripe.StripeClient
) -> None:
    session = open_session(stripe_client, customer_email="jo@example.com")
    page = hands.page(address(session))
    assert "£60.00" in page.get_text()
    assert page.select_one("#email[value='jo@example.com'][readonly]") is not None
    back = page.select_one("a[href='http://127.0.0.1:9/back']")
    assert back is not None
    paid = hands.submit(page, address(session), method="card", **CARD)
    assert paid.status_code == 303
    assert paid.headers["Location"] == f"http://127.0.0.1:9/paid?session_id={session.id}"
    # Heard already: nothing is waited for here.
    [completed] = receiver.of("checkout.session.completed")
    body = completed.json["data"]["object"]
    assert (body["status"], body["payment_status"], body["url"]) == ("complete", "paid", None)
    assert body["customer_details"]["email"] == "jo@example.com"
    events = [each.event for each in receiver.received]
    assert events == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded", events[-1]]
    intent = receiver.of("payment_intent.succeeded")[0].json["data"]["object"]
    assert intent["metadata"] == {"booking": "ref-1"}
    assert "4242424242424242" not in "".join(each.body.decode() for each in receiver.received)
    again = hands.page(address(session))
    assert "already completed" in again.get_text()


def test_stripe_s_signature_and_body(
    hands: Hands, receiver: Receiver, stripe_client: stripe.StripeClient
) -> None:
    session = open_session(stripe_client)
    stripe_client.v1.checkout.sessions.expire(session.id)
    sent = receiver.wait_for("checkout.session.expired")[0]
    parts = signed_parts(sent.headers["Stripe-Signature"])
    assert set(parts) == {"t", "v1", "v0"}
    assert parts["v1"] == hex_hmac("whsec_sandbox", f"{parts['t']}.".encode() + sent.body)
    assert parts["v0"] != parts["v1"]
    assert sent.body.startswith(b'{\n  "id": "evt_')
    assert sent.path == "/webhooks/stripe"
    assert sent.headers["Content-Type"] == "application/json; charset=utf-8"
    assert sent.json["data"]["object"]["object"] == "checkout.session"
    assert not any(key.startswith("_") for key in sent.json["data"]["object"])


@pytest.mark.parametrize(
    ("number", "words", "decline_code"),
    [
        ("4000 0000 0000 0002", "Your card was declined.", "generic_decline"),
        ("4000 0000 0000 9995", "Your card has insufficient funds.", "insufficient_funds"),
    ],
)
def test_a_declined_card_leaves_the_session_open_on_one_intent(
    hands: Hands,
    receiver: Receiver,
    stripe_client: stripe.StripeClient,
    number: str,
    words: str,
    decline_code: str,
) -> None:
    session = open_session(stripe_client)
    page = hands.page(address(session))
    for _ in range(2):
        values = {**CARD, "card_number": number, "email": "jo@example.com"}
        refused = hands.submit(page, address(session), method="card", **values)
        assert refused.status_code == 402
        assert words in refused.text
    receiver.wait_for(
        "charge.failed", "payment_intent.payment_failed", "charge.failed", "payment_intent.payment_failed"
    )
    failed = receiver.of("payment_intent.payment_failed")
    assert len({each.json["data"]["object"]["id"] for each in failed}) == 1
    assert failed[0].json["data"]["object"]["last_payment_error"]["decline_code"] == decline_code
    assert stripe_client.v1.checkout.sessions.retrieve(session.id).status == "open"
    done = hands.submit(page, address(session), method="card", email="jo@example.com", **CARD)
    assert done.status_code == 303
    assert len(receiver.of("payment_intent.created")) == 1
    assert len(receiver.of("checkout.session.completed")) == 1


def test_real_cards_and_gaps_are_refused_before_anything_happens(
    hands: Hands, receiver: Receiver, stripe_client: stripe.StripeClient
) -> None:
    session = open_session(stripe_client)
    page = hands.page(address(session))
    values = {"card_number": "4111 1111 1111 1111", "card_expiry": "01 / 20", "card_cvc": "1", "name": ""}
    refused = hands.submit(page, address(session), method="card", email="jo", **values)
    assert refused.status_code == 422
    shown = BeautifulSoup(refused.text, "html.parser")
    for name in ("email", "card_number", "card_expiry", "card_cvc", "name"):
        field = shown.select_one(f"#{name}[aria-invalid=true]")
        assert field is not None, name
    assert "Never type a real card" in shown.get_text()
    assert receiver.received == []


@pytest.mark.parametrize(
    ("outcome", "event", "payment_status"),
    [
        ("succeeded", "checkout.session.async_payment_succeeded", "paid"),
        ("failed", "checkout.session.async_payment_failed", "unpaid"),
    ],
)
@pytest.mark.parametrize("by_itself", [True, False])
def test_a_delayed_method_completes_unpaid_and_settles_later(
    hands: Hands,
    receiver: Receiver,
    stripe_client: stripe.StripeClient,
    outcome: str,
    event: str,
    payment_status: str,
    by_itself: bool,
) -> None:
    if by_itself:
        hands.control("settings", settle_after_seconds=0.2, settle_outcome=outcome)
    session = open_session(stripe_client)
    page = hands.page(address(session))
    sent = hands.submit(page, address(session), method="delayed", email="jo@example.com", name="Jo")
    assert sent.status_code == 303
    [completed] = receiver.of("checkout.session.completed")
    body = completed.json["data"]["object"]
    assert (body["status"], body["payment_status"]) == ("complete", "unpaid")
    intent = stripe_client.v1.payment_intents.retrieve(body["payment_intent"])
    assert intent.status == "processing"
    if not by_itself:
        hands.control(f"stripe/payments/{intent.id}/settle", outcome=outcome)
    settled = receiver.wait_for("checkout.session.completed", event)[-1]
    assert settled.json["data"]["object"]["payment_status"] == payment_status
    assert stripe_client.v1.checkout.sessions.retrieve(session.id).payment_status == payment_status


def test_a_yen_is_a_yen_and_nothing_is_nothing(hands: Hands, stripe_client: stripe.StripeClient) -> None:
    yen = hands.page(address(open_session(stripe_client, line_items=[line_item(5000, "jpy")])))
    assert "¥5,000" in yen.get_text()
    assert ".00" not in yen.get_text()
    dinar = hands.page(address(open_session(stripe_client, line_items=[line_item(1250, "kwd")])))
    assert "KWD 1.250" in dinar.get_text()
    free = open_session(stripe_client, line_items=[line_item(0)])
    page = hands.page(address(free))
    assert page.select_one("#card_number") is None
    assert hands.submit(page, address(free), email="jo@example.com").status_code == 303
    done = stripe_client.v1.checkout.sessions.retrieve(free.id)
    assert (done.status, done.payment_status, done.payment_intent) == (
        "complete",
        "no_payment_required",
        None,
    )


def test_an_expired_session_says_so_and_takes_no_money(
    hands: Hands, receiver: Receiver, stripe_client: stripe.StripeClient
) -> None:
    session = open_session(stripe_client)
    page = hands.page(address(session))
    stripe_client.v1.checkout.sessions.expire(session.id)
    late = hands.submit(page, address(session), method="card", email="jo@example.com", **CARD)
    assert late.status_code == 410
    assert "This page has expired" in late.text
    receiver.wait_for("checkout.session.expired")
    assert receiver.of("payment_intent.created") == []


def test_a_failing_endpoint_holds_nobody_back(
    hands: Hands, receiver: Receiver, stripe_client: stripe.StripeClient
) -> None:
    hands.control("faults", provider="stripe", kind="drop", remaining=3)
    receiver.statuses = [500]
    session = open_session(stripe_client)
    page = hands.page(address(session))
    began = time.monotonic()
    sent = hands.submit(page, address(session), method="card", email="jo@example.com", **CARD)
    # An answer is an answer, a bad one too: the customer is not kept for the ten seconds, nor for the retry.
    assert sent.status_code == 303
    assert time.monotonic() - began < 5
    eventually(lambda: len(receiver.of("checkout.session.completed")) == 2, "the retry")
    assert len(receiver.received) == 2
