"""What the stand-in Stripe refuses, leaves out or reports late, as Stripe documents it."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from .shop import Shop, line_item
from .support import Hands


@pytest.mark.parametrize(
    ("settings", "changes", "code", "param"),
    [
        (
            {"settlement_currency": "usd"},
            {"line_items": [line_item(300_000, "idr")]},
            "amount_too_small",
            None,
        ),
        (
            {"account_currencies": ["gbp"]},
            {"line_items": [line_item(900, "jpy")]},
            None,
            "line_items[0][price_data][currency]",
        ),
        ({}, {"customer_email": "info@müller.de"}, "email_invalid", "customer_email"),
        ({}, {"excluded_payment_method_types": ["cheque"]}, None, "excluded_payment_method_types[0]"),
    ],
    ids=["too small where it settles", "currency", "address", "method"],
)
def test_what_an_account_refuses(
    hands: Hands, shop: Shop, settings: dict[str, Any], changes: dict[str, Any], code: str, param: str
) -> None:
    """With Stripe's code and parameter; the largest amount of a currency is accepted."""
    hands.control("settings", **settings)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.open(**changes)
    assert (refused.value.code, refused.value.param) == (code, param)
    hands.control("settings", **dict.fromkeys(settings))
    assert shop.open(line_items=[line_item(999_999_999_999, "idr")]).amount_total == 999_999_999_999


def test_an_excluded_method_cannot_be_used(hands: Hands, shop: Shop) -> None:
    """Neither on the page nor by the control API."""
    session = shop.open(excluded_payment_method_types=["bacs_debit"])
    assert session.payment_method_types == ["card"]
    assert "Bacs" not in hands.http.get(str(session.url), timeout=5).text
    answer = hands.http.post(
        f"{hands.base}/control/api/stripe/sessions/{session.id}/pay", json={"method": "delayed"}, timeout=5
    )
    assert answer.status_code == 409


def test_a_voucher_completes_unpaid_with_its_page(hands: Hands, shop: Shop) -> None:
    """Until it is paid at the shop."""
    session = shop.open(line_items=[line_item(5000, "jpy")])
    hands.control(f"stripe/sessions/{session.id}/pay", method="delayed")
    intent: Any = shop.reread(session, "payment_intent").payment_intent
    assert (intent.status, intent.next_action.type) == ("requires_action", "konbini_display_details")
    page = hands.http.get(intent.next_action.konbini_display_details.hosted_voucher_url, timeout=5)
    assert "Pay this voucher at a shop" in page.text
    hands.control(f"stripe/payments/{intent.id}/settle", outcome="succeeded")
    paid: Any = shop.reread(session, "payment_intent")
    assert (paid.payment_status, paid.payment_intent.next_action) == ("paid", None)


def test_a_fraud_warning_is_actionable_until_the_refund(hands: Hands, shop: Shop) -> None:
    """Read by its id, as the application does."""
    intent = shop.paid_intent()
    made = hands.control(f"stripe/payments/{intent}/fraud-warning")
    assert shop.api.radar.early_fraud_warnings.retrieve(made["id"]).actionable
    shop.api.refunds.create({"payment_intent": intent})
    assert not shop.api.radar.early_fraud_warnings.retrieve(made["id"]).actionable
