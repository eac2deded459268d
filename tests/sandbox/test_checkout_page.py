"""The hosted Checkout page, paid without JavaScript."""

from __future__ import annotations

import time

import pytest
import requests
from bs4 import BeautifulSoup
from stripe.checkout import Session

from tests.waiting import eventually

from .shop import Shop, line_item
from .support import Hands, Receiver, one

CARD = {
    "card_number": "4242 4242 4242 4242",
    "card_expiry": "12 / 34",
    "card_cvc": "123",
    "name": "Jo Bloggs",
}


def pay(hands: Hands, session: Session, **changes: str) -> requests.Response:
    return hands.fill_in(str(session.url), **{"method": "card", "email": "jo@example.com", **CARD, **changes})


def test_a_payment_completes_before_the_return(hands: Hands, receiver: Receiver, shop: Shop) -> None:
    session = shop.open(customer_email="jo@example.com")
    page = hands.page(str(session.url))
    assert "£60.00" in page.get_text()
    one(page, "#email[value='jo@example.com'][readonly]")
    one(page, "a[href='http://127.0.0.1:9/back']")
    paid = pay(hands, session)
    assert paid.status_code == 303
    assert paid.headers["Location"] == f"http://127.0.0.1:9/paid?session_id={session.id}"
    # All of it has arrived: nothing is waited for here.
    assert [each.event for each in receiver.received] == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]
    body = receiver.object("checkout.session.completed")
    assert (body["status"], body["payment_status"], body["url"]) == ("complete", "paid", None)
    assert body["customer_details"]["email"] == "jo@example.com"
    assert receiver.object("payment_intent.succeeded")["metadata"] == {"booking": "ref-1"}
    assert "4242424242424242" not in "".join(each.body.decode() for each in receiver.received)
    assert "already completed" in hands.page(str(session.url)).get_text()


@pytest.mark.parametrize(
    ("number", "words", "decline_code"),
    [
        ("4000 0000 0000 0002", "Your card was declined.", "generic_decline"),
        ("4000 0000 0000 9995", "Your card has insufficient funds.", "insufficient_funds"),
    ],
)
def test_a_declined_card_keeps_the_session_open_on_one_intent(
    hands: Hands, receiver: Receiver, shop: Shop, number: str, words: str, decline_code: str
) -> None:
    session = shop.open()
    for _ in range(2):
        refused = pay(hands, session, card_number=number)
        assert refused.status_code == 402
        assert words in refused.text
    receiver.wait_for(*("charge.failed", "payment_intent.payment_failed") * 2)
    failed = [each.json["data"]["object"] for each in receiver.of("payment_intent.payment_failed")]
    assert len({each["id"] for each in failed}) == 1
    assert failed[0]["last_payment_error"]["decline_code"] == decline_code
    assert shop.reread(session).status == "open"
    assert pay(hands, session).status_code == 303
    assert len(receiver.of("payment_intent.created")) == 1
    assert len(receiver.of("checkout.session.completed")) == 1


def test_real_cards_and_gaps_are_refused(hands: Hands, receiver: Receiver, shop: Shop) -> None:
    wrong = {"card_number": "4111 1111 1111 1111", "card_expiry": "01 / 20", "card_cvc": "1", "name": ""}
    refused = pay(hands, shop.open(), email="jo", **wrong)
    assert refused.status_code == 422
    shown = BeautifulSoup(refused.text, "html.parser")
    for name in ("email", *wrong):
        one(shown, f"#{name}[aria-invalid=true]")
    assert "Never type a real card" in shown.get_text()
    assert receiver.received == []


@pytest.mark.parametrize(("outcome", "payment_status"), [("succeeded", "paid"), ("failed", "unpaid")])
@pytest.mark.parametrize("by_itself", [True, False])
def test_a_delayed_method_completes_unpaid_and_settles_later(
    hands: Hands, receiver: Receiver, shop: Shop, outcome: str, payment_status: str, by_itself: bool
) -> None:
    if by_itself:
        hands.control("settings", settle_after_seconds=0.2, settle_outcome=outcome)
    session = shop.open()
    assert pay(hands, session, method="delayed").status_code == 303
    body = receiver.object("checkout.session.completed")
    assert (body["status"], body["payment_status"]) == ("complete", "unpaid")
    assert receiver.object("payment_intent.processing")["status"] == "processing"
    if not by_itself:
        hands.control(f"stripe/payments/{body['payment_intent']}/settle", outcome=outcome)
    settled = receiver.object(f"checkout.session.async_payment_{outcome}")
    assert settled["payment_status"] == shop.reread(session).payment_status == payment_status


def test_amounts_are_written_with_their_currency_s_decimals(hands: Hands, shop: Shop) -> None:
    yen = hands.page(str(shop.open(line_items=[line_item(5000, "jpy")]).url)).get_text()
    assert "¥5,000" in yen
    assert ".00" not in yen
    assert "KWD 1.250" in hands.page(str(shop.open(line_items=[line_item(1250, "kwd")]).url)).get_text()


def test_a_free_session_completes_without_a_payment(hands: Hands, shop: Shop) -> None:
    free = shop.open(line_items=[line_item(0)])
    assert hands.page(str(free.url)).select_one("#card_number") is None
    assert hands.fill_in(str(free.url), email="jo@example.com").status_code == 303
    done = shop.reread(free)
    assert (done.status, done.payment_status, done.payment_intent) == (
        "complete",
        "no_payment_required",
        None,
    )


def test_an_expired_session_says_so_and_charges_nothing(hands: Hands, receiver: Receiver, shop: Shop) -> None:
    session = shop.open()
    page = hands.page(str(session.url))
    shop.api.checkout.sessions.expire(session.id)
    late = hands.submit(page, str(session.url), method="card", email="jo@example.com", **CARD)
    assert late.status_code == 410
    assert "This page has expired" in late.text
    receiver.wait_for("checkout.session.expired")
    assert receiver.of("payment_intent.created") == []


def test_a_failing_endpoint_does_not_delay_the_customer(hands: Hands, receiver: Receiver, shop: Shop) -> None:
    hands.control("faults", provider="stripe", kind="drop", remaining=3)
    receiver.statuses = [500]
    began = time.monotonic()
    # Checkout waits for an answer, also for a bad one: neither for the ten seconds nor for the retry.
    assert pay(hands, shop.open()).status_code == 303
    assert time.monotonic() - began < 5
    eventually(lambda: len(receiver.of("checkout.session.completed")) == 2, "the retry")
    assert len(receiver.received) == 2
