"""Payments of the stand-in Stripe that are authorized first, and captured or released later."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import stripe
from bs4 import Tag
from stripe.checkout import Session

from .shop import Shop, line_item
from .support import Hands, Receiver, one

MANUAL = {"metadata": {"booking": "ref-1"}, "capture_method": "manual"}
CARD = {
    "card_number": "4242 4242 4242 4242",
    "card_expiry": "12 / 34",
    "card_cvc": "123",
    "name": "Jo Bloggs",
}
A_WEEK = 7 * 24 * 60 * 60


def authorized(shop: Shop, **changes: Any) -> str:
    """A session that is paid on its page, and its payment intent."""
    return shop.paid_intent(payment_intent_data=MANUAL, **changes)


def read(shop: Shop, intent: str) -> Any:
    return shop.api.payment_intents.retrieve(intent, {"expand": ["latest_charge"]})


def session_of(shop: Shop, intent: str) -> Session:
    [found] = shop.api.checkout.sessions.list({"payment_intent": intent}).data
    return found


def refusal(call: Callable[[], object]) -> stripe.InvalidRequestError:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call()
    return caught.value


def row_of(hands: Hands) -> Tag:
    """The only payment, as the control page shows it."""
    return one(hands.page("/control"), "#payments tbody tr")


def test_paying_on_the_page_authorizes(hands: Hands, receiver: Receiver, shop: Shop) -> None:
    session = shop.open(payment_intent_data=MANUAL, customer_email="jo@example.com")
    assert hands.fill_in(str(session.url), method="card", **CARD).status_code == 303
    assert [each.event for each in receiver.received] == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "checkout.session.completed",
    ]
    done: Any = shop.reread(session, "payment_intent.latest_charge.balance_transaction")
    assert (done.status, done.payment_status) == ("complete", "unpaid")
    intent = done.payment_intent
    assert (intent.status, intent.capture_method) == ("requires_capture", "manual")
    assert (intent.amount_capturable, intent.amount_received) == (6000, 0)
    charge = intent.latest_charge
    assert (charge.status, charge.paid, charge.captured) == ("succeeded", True, False)
    assert (charge.amount_captured, charge.balance_transaction) == (0, None)
    assert abs(charge.payment_method_details.card.capture_before - charge.created - A_WEEK) <= 1
    assert shop.api.balance.retrieve().available == []
    sent = receiver.object("payment_intent.amount_capturable_updated")
    assert (sent["id"], sent["amount_capturable"]) == (intent.id, 6000)


def test_a_capture_takes_the_money_once(hands: Hands, receiver: Receiver, shop: Shop) -> None:
    hands.control("settings", fees=True)
    intent = authorized(shop)
    captured = shop.api.payment_intents.capture(intent)
    assert (captured.status, captured.amount_received, captured.amount_capturable) == ("succeeded", 6000, 0)
    charge = read(shop, intent).latest_charge
    assert (charge.captured, charge.amount_captured, charge.refunded) == (True, 6000, False)
    movement = shop.api.balance_transactions.retrieve(charge.balance_transaction)
    assert (movement.amount, movement.fee, movement.type) == (6000, 110, "charge")
    receiver.wait_for("checkout.session.completed", "charge.captured", "payment_intent.succeeded")
    assert session_of(shop, intent).payment_status == "paid"
    again = refusal(lambda: shop.api.payment_intents.capture(intent))
    assert (again.http_status, again.code) == (400, "payment_intent_unexpected_state")
    late = refusal(lambda: shop.api.payment_intents.cancel(intent))
    assert (late.http_status, late.code) == (400, "payment_intent_unexpected_state")
    assert len(shop.api.balance_transactions.list().data) == 1
    assert shop.api.refunds.create({"payment_intent": intent}).amount == 6000


def test_a_part_is_captured_and_the_rest_released(shop: Shop) -> None:
    intent = authorized(shop)
    over = refusal(lambda: shop.api.payment_intents.capture(intent, {"amount_to_capture": 6001}))
    assert (over.code, over.param) == ("amount_too_large", "amount_to_capture")
    none = refusal(lambda: shop.api.payment_intents.capture(intent, {"amount_to_capture": 0}))
    assert none.code == "parameter_invalid_integer"
    captured = shop.api.payment_intents.capture(intent, {"amount_to_capture": 4000})
    assert (captured.amount, captured.amount_received) == (6000, 4000)
    assert read(shop, intent).latest_charge.amount_captured == 4000
    assert shop.api.refunds.create({"payment_intent": intent}).amount == 4000


def test_a_release_takes_nothing_and_makes_no_refund(hands: Hands, receiver: Receiver, shop: Shop) -> None:
    intent = authorized(shop)
    released = shop.api.payment_intents.cancel(intent, {"cancellation_reason": "requested_by_customer"})
    assert (released.status, released.amount_capturable, released.amount_received) == ("canceled", 0, 0)
    assert released.cancellation_reason == "requested_by_customer"
    assert receiver.object("payment_intent.canceled")["canceled_at"] == released.canceled_at
    assert receiver.object("charge.refunded")["captured"] is False
    assert receiver.of("refund.created") == []
    session = session_of(shop, intent)
    assert (session.status, session.payment_status) == ("complete", "unpaid")
    for call in (shop.api.payment_intents.capture, shop.api.payment_intents.cancel):
        again = refusal(partial(call, intent))
        assert (again.http_status, again.code) == (400, "payment_intent_unexpected_state")
    state = hands.http.get(f"{hands.base}/control/api/state", timeout=5).json()
    assert [each["amount_captured"] for each in state["charges"]] == [0]
    assert [each["amount_received"] for each in state["payment_intents"]] == [0]
    assert state["refunds"] == []
    assert shop.api.balance.retrieve().available == []


@pytest.mark.parametrize("by_itself", [True, False])
def test_an_authorization_ends_when_its_time_is_over(
    hands: Hands, receiver: Receiver, shop: Shop, by_itself: bool
) -> None:
    if by_itself:
        hands.control("settings", authorization_seconds=1)
    intent = authorized(shop)
    if not by_itself:
        hands.control(f"stripe/payments/{intent}/expire")
    canceled = receiver.object("payment_intent.canceled")
    assert (canceled["id"], canceled["status"]) == (intent, "canceled")
    assert (canceled["cancellation_reason"], canceled["amount_received"]) == ("automatic", 0)
    assert receiver.object("charge.expired")["captured"] is False
    assert refusal(lambda: shop.api.payment_intents.capture(intent)).code == "payment_intent_unexpected_state"


@pytest.mark.parametrize(
    ("name", "kind", "events"),
    [
        ("capture", "succeeded", ["payment_intent.succeeded"]),
        ("cancel", "canceled", ["payment_intent.canceled"]),
    ],
)
def test_an_idempotency_key_repeats_the_answer(shop: Shop, name: str, kind: str, events: list[str]) -> None:
    intent = authorized(shop)
    end = getattr(shop.api.payment_intents, name)
    first, again = (end(intent, {}, {"idempotency_key": "payment:1:end"}) for _ in range(2))
    assert (first.status, again.status) == (kind, kind)
    assert again.last_response.headers["idempotent-replayed"] == "true"
    sent = [each.type for each in shop.api.events.list({"limit": 100}).data]
    assert [each for each in sent if each in events] == events
    # A refusal is kept too.
    for _ in range(2):
        code = refusal(lambda: end(intent, {}, {"idempotency_key": "payment:1:late"})).code
        assert code == "payment_intent_unexpected_state"


def test_an_authorized_payment_can_be_neither_refunded_nor_disputed(hands: Hands, shop: Shop) -> None:
    intent = authorized(shop)
    charge = str(read(shop, intent).latest_charge.id)
    by_intent: Any = {"payment_intent": intent}
    by_charge: Any = {"charge": charge}
    for given in (by_intent, by_charge):
        refused = refusal(partial(shop.api.refunds.create, given))
        assert "You must cancel the PaymentIntent" in str(refused.user_message)
    url = f"{hands.base}/control/api/stripe/payments/{intent}/dispute"
    assert hands.http.post(url, json={}, timeout=5).status_code == 409
    assert shop.api.refunds.list().data == []


def test_a_declined_card_is_not_authorized(hands: Hands, shop: Shop) -> None:
    session = shop.open(payment_intent_data=MANUAL)
    hands.control(f"stripe/sessions/{session.id}/pay", card_number="4000000000000002")
    reread: Any = shop.reread(session, "payment_intent")
    assert (reread.status, reread.payment_intent.status) == ("open", "requires_payment_method")
    # The client can still pay it, so it is the session that has to end.
    refused = refusal(lambda: shop.api.payment_intents.cancel(reread.payment_intent.id))
    assert "Expire the Checkout Session" in str(refused.user_message)
    hands.control(f"stripe/sessions/{session.id}/pay")
    assert shop.api.payment_intents.capture(reread.payment_intent.id).status == "succeeded"


def test_delayed_methods_cannot_be_authorized(hands: Hands, shop: Shop) -> None:
    """They are hidden, and a request that names one is refused. Others may be excluded as ever."""
    session = shop.open(payment_intent_data=MANUAL, excluded_payment_method_types=["bacs_debit", "klarna"])
    assert session.payment_method_types == ["card"]
    assert shop.open(payment_intent_data=MANUAL).payment_method_types == ["card"]
    assert "Bacs" not in hands.http.get(str(session.url), timeout=5).text
    url = f"{hands.base}/control/api/stripe/sessions/{session.id}/pay"
    assert hands.http.post(url, json={"method": "delayed"}, timeout=5).status_code == 409
    named = {"allowed_payment_method_types": ["card", "bacs_debit"]}
    assert refusal(lambda: shop.open(payment_intent_data=MANUAL, **named)).param == (
        "allowed_payment_method_types[1]"
    )
    assert shop.open(**named).status == "open"


@pytest.mark.parametrize(
    ("call", "status", "param"),
    [
        (
            lambda shop: shop.open(payment_intent_data={"capture_method": "later"}),
            400,
            "payment_intent_data[capture_method]",
        ),
        (lambda shop: shop.api.payment_intents.capture("pi_none"), 404, "intent"),
        (lambda shop: shop.api.payment_intents.cancel("pi_none"), 404, "intent"),
        (lambda shop: shop.api.payment_intents.capture("pi_none", {"amount": 1}), 400, "amount"),
        (
            lambda shop: shop.api.payment_intents.cancel("pi_none", {"cancellation_reason": "late"}),
            400,
            "cancellation_reason",
        ),
    ],
)
def test_what_is_refused(shop: Shop, call: Callable[[Shop], object], status: int, param: str) -> None:
    refused = refusal(lambda: call(shop))
    assert (refused.http_status, refused.param) == (status, param)


def test_a_free_session_needs_no_authorization(hands: Hands, shop: Shop) -> None:
    free = shop.open(line_items=[line_item(0)], payment_intent_data=MANUAL)
    hands.control(f"stripe/sessions/{free.id}/pay")
    assert shop.reread(free).payment_status == "no_payment_required"


@pytest.mark.parametrize(
    ("action", "word"), [("capture", "captured"), ("cancel", "released"), ("expire", "released")]
)
def test_the_control_page_ends_an_authorization(hands: Hands, shop: Shop, action: str, word: str) -> None:
    session = shop.open(payment_intent_data=MANUAL)
    paid = hands.control(f"stripe/sessions/{session.id}/pay")
    assert (paid["payment_intent"]["status"], paid["payment_intent"]["amount_received"]) == (
        "requires_capture",
        0,
    )
    row = row_of(hands)
    assert row.select(".badge")[1].get_text() == "authorized"
    assert row.select_one("form.refund") is None
    form = one(row, f"form[action$='/{action}']")
    sent = hands.http.post(f"{hands.base}{form['action']}", headers={"Accept": "text/html"}, timeout=5)
    assert sent.status_code == 200
    row = row_of(hands)
    assert row.select(".badge")[1].get_text() == word
    assert (row.select_one("form.refund") is not None) is (word == "captured")
