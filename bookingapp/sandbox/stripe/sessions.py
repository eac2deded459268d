"""Checkout Sessions: how they are created from checked parameters, and how they expire."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from bookingapp.sandbox.behavior import current_behavior
from bookingapp.sandbox.clock import epoch, new_token
from bookingapp.sandbox.context import Sandbox
from bookingapp.sandbox.store import Document
from bookingapp.sandbox.stripe.errors import StripeApiError, missing_parameter, no_such
from bookingapp.sandbox.stripe.events import publish_event
from bookingapp.sandbox.stripe.money import (
    CURRENCIES,
    DELAYED_METHODS,
    LARGEST_AMOUNT,
    MAXIMUM,
    MINIMUM,
    converted,
    format_amount,
)
from bookingapp.sandbox.stripe.objects import captures_later, names, new_checkout_session, new_line_item
from bookingapp.sandbox.stripe.parameters import allow_only, check_step, parse_integer, parse_metadata

HALF_AN_HOUR, A_DAY = 30 * 60, 24 * 60 * 60
LONGEST_REFERENCE, MOST_LINE_ITEMS = 200, 100
# Stripe API reference, Create a Checkout Session, as of version 2026-10-28.endive (without payment_method_types).
SESSION_PARAMETERS = names(
    "adaptive_pricing after_expiration allow_promotion_codes allowed_payment_method_types automatic_tax "
    "billing_address_collection branding_settings cancel_url client_reference_id consent_collection "
    "currency custom_fields custom_text customer customer_account customer_creation customer_email "
    "customer_update discounts excluded_payment_method_types expand expires_at integration_identifier "
    "invoice_creation line_items locale managed_payments metadata mode name_collection optional_items "
    "origin_context payment_intent_data payment_method_collection payment_method_configuration "
    "payment_method_data payment_method_options permissions phone_number_collection "
    "redirect_on_completion return_url saved_payment_method_options setup_intent_data "
    "shipping_address_collection shipping_options submit_type subscription_data success_url "
    "tax_id_collection ui_mode wallet_options"
)
LINE_ITEM = {"adjustable_quantity", "metadata", "price", "price_data", "quantity", "tax_rates"}
PRICE_DATA = names("currency product product_data recurring tax_behavior unit_amount unit_amount_decimal")
PRODUCT_DATA = {"description", "images", "metadata", "name", "tax_code", "tax_details", "unit_label"}
PAYMENT_INTENT_DATA = names(
    "application_fee_amount capture_method description metadata on_behalf_of receipt_email "
    "setup_future_usage shipping statement_descriptor statement_descriptor_suffix transfer_data "
    "transfer_group"
)
# Stripe API reference, Create a Checkout Session, excluded_payment_method_types.
METHOD_TYPES = names(
    "acss_debit affirm afterpay_clearpay alipay alma amazon_pay au_becs_debit bacs_debit bancontact billie bizum blik "
    "boleto card cashapp crypto customer_balance eps fpx giropay grabpay ideal kakao_pay klarna konbini kr_card mb_way "
    "mobilepay multibanco naver_pay nz_bank_account oxxo p24 pay_by_bank payco paynow paypal paypay payto pix "
    "promptpay revolut_pay samsung_pay satispay scalapay sepa_debit sequra sofort sunbit swish twint upi "
    "us_bank_account wechat_pay zip"
)
CAPTURE_METHODS = {"automatic", "automatic_async", "manual"}
SUBMIT_TYPES = {"auto", "book", "donate", "pay", "subscribe"}


def create_session(sandbox: Sandbox, given: Document) -> Document:
    """Create an open session (Stripe API reference, Create a Checkout Session).

    Raises:
        StripeApiError: a parameter is unknown, missing or refused.
    """
    allow_only(given, SESSION_PARAMETERS)
    if given.get("mode") != "payment":
        if "mode" not in given:
            raise missing_parameter("mode")
        raise StripeApiError("This stand-in offers mode=payment only.", param="mode")
    if given.get("ui_mode", "hosted_page") != "hosted_page":
        raise StripeApiError("This stand-in offers ui_mode=hosted_page only.", param="ui_mode")
    behavior = current_behavior(sandbox.store)
    items, currency = _parse_line_items(given.get("line_items"), behavior["account_currencies"])
    total = sum(item["amount_total"] for item in items)
    _check_total(total, currency, behavior["settlement_currency"] or currency)
    _check_urls(given)
    reference = given.get("client_reference_id")
    if reference is not None and not 0 < len(reference) <= LONGEST_REFERENCE:
        message = f"Invalid string: must be at most {LONGEST_REFERENCE} characters"
        raise StripeApiError(message, code="parameter_invalid_string", param="client_reference_id")
    intent_data = given.get("payment_intent_data", {})
    allow_only(intent_data, PAYMENT_INTENT_DATA, "payment_intent_data")
    if intent_data.get("capture_method", "automatic") not in CAPTURE_METHODS:
        message = f"Invalid capture_method: must be one of {', '.join(sorted(CAPTURE_METHODS))}"
        raise StripeApiError(message, param="payment_intent_data[capture_method]")
    _check_methods(given)
    intent_data["metadata"] = parse_metadata(intent_data.get("metadata"), "payment_intent_data[metadata]")
    if (submit_type := given.get("submit_type")) is not None and submit_type not in SUBMIT_TYPES:
        raise StripeApiError(
            f"Invalid submit_type: must be one of {', '.join(sorted(SUBMIT_TYPES))}", param="submit_type"
        )
    identifier = f"cs_test_a1{new_token(56)}"
    session = new_checkout_session(given, identifier, currency, total) | {
        "expires_at": _parse_expires_at(given.get("expires_at")),
        "metadata": parse_metadata(given.get("metadata"), "metadata"),
        "url": f"{sandbox.config.checkout_url}/c/pay/{identifier}",
        "_line_items": items,
        # Checkout shows a description that the line items do not have.
        "_descriptions": [
            str(item.get("price_data", {}).get("product_data", {}).get("description") or "")
            for item in given["line_items"]
        ],
        "_payment_intent_data": intent_data,
    }
    sandbox.store.put("checkout_session", identifier, session)
    return session


def expire_session(sandbox: Sandbox, identifier: str) -> Document:
    """Expire an open session (Stripe API reference, Expire a Checkout Session).

    Raises:
        StripeApiError: 404 for an unknown one, 400 for one that is not open.
    """
    with sandbox.store.transaction():
        session = sandbox.store.get("checkout_session", identifier)
        if session is None:
            raise no_such("checkout.session", identifier, "session")
        if session["status"] != "open":
            message = (
                f'Only Checkout Sessions with a status in ["open"] can be expired. '
                f"This Checkout Session has a status of `{session['status']}`."
            )
            raise StripeApiError(message, kept=True)
        session.update(status="expired", url=None)
        sandbox.store.put("checkout_session", identifier, session)
        publish_event(sandbox, "checkout.session.expired", session)
    return session


def expire_due_sessions(sandbox: Sandbox) -> None:
    """Expire every open session whose time is over."""
    now = epoch()
    for session in sandbox.store.all("checkout_session", status="open"):
        if session["expires_at"] <= now:
            try:
                expire_session(sandbox, session["id"])
            except StripeApiError:
                # It was paid or expired after it was read.
                continue


def _parse_line_items(given: Any, accepted: list[str] | None) -> tuple[list[Document], str]:
    if not isinstance(given, list) or not given:
        raise missing_parameter("line_items")
    if len(given) > MOST_LINE_ITEMS:
        raise StripeApiError(f"You can have at most {MOST_LINE_ITEMS} line items.", param="line_items")
    items = [_parse_line_item(item, f"line_items[{index}]") for index, item in enumerate(given)]
    currencies = {item["currency"] for item in items}
    if len(currencies) > 1:
        raise StripeApiError("All line items must have the same currency.", param="line_items")
    currency = currencies.pop()
    if accepted is not None and currency not in accepted:
        message = (
            f"Invalid currency: {currency}. Stripe currently supports these currencies: {', '.join(accepted)}"
        )
        raise StripeApiError(message, param="line_items[0][price_data][currency]")
    return items, currency


def _parse_line_item(given: Any, name: str) -> Document:
    if not isinstance(given, dict):
        raise StripeApiError("Invalid hash", param=name)
    allow_only(given, LINE_ITEM, name)
    if "price" in given:
        raise no_such("price", str(given["price"]), f"{name}[price]")
    price_data = given.get("price_data")
    if not isinstance(price_data, dict):
        raise missing_parameter(f"{name}[price_data]")
    allow_only(price_data, PRICE_DATA, f"{name}[price_data]")
    product = price_data.get("product_data")
    if not isinstance(product, dict) or not str(product.get("name", "")).strip():
        raise missing_parameter(f"{name}[price_data][product_data][name]")
    allow_only(product, PRODUCT_DATA, f"{name}[price_data][product_data]")
    currency = str(price_data.get("currency", "")).lower()
    if currency not in CURRENCIES:
        raise StripeApiError(f"Invalid currency: {currency}.", param=f"{name}[price_data][currency]")
    raw = price_data.get("unit_amount", price_data.get("unit_amount_decimal"))
    if raw is None:
        raise missing_parameter(f"{name}[price_data][unit_amount]")
    amount = parse_integer(raw, f"{name}[price_data][unit_amount]")
    quantity = parse_integer(given.get("quantity", 1), f"{name}[quantity]")
    if amount < 0 or quantity < 1:
        message = "This value must be greater than or equal to 0."
        raise StripeApiError(
            message, code="parameter_invalid_integer", param=f"{name}[price_data][unit_amount]"
        )
    return new_line_item(product["name"], currency, amount, quantity)


def _check_total(total: int, currency: str, settlement: str) -> None:
    check_step(total, currency, "line_items")
    smallest = MINIMUM.get(currency, 1)
    if 0 < total < smallest:
        shown = format_amount(smallest, currency)
        message = f"The Checkout Session's total amount due must add up to at least {shown} {currency}"
        raise StripeApiError(message, code="amount_too_small")
    in_settlement = converted(total, currency, settlement)
    if total > 0 and in_settlement < MINIMUM.get(settlement, 1):
        least = format_amount(MINIMUM.get(settlement, 1), settlement)
        message = (
            f"The Checkout Session's total amount due must convert to at least {least}. "
            f"{format_amount(total, currency)} converts to approximately {format_amount(in_settlement, settlement)}."
        )
        raise StripeApiError(message, code="amount_too_small")
    largest = MAXIMUM.get(currency, LARGEST_AMOUNT)
    if total > largest:
        shown = format_amount(largest, currency)
        message = f"The Checkout Session's total amount due must be no more than {shown} {currency}"
        raise StripeApiError(message, code="amount_too_large")


def _check_methods(given: Document) -> None:
    for index, kind in enumerate(given.get("excluded_payment_method_types", ())):
        if kind not in METHOD_TYPES:
            raise StripeApiError(
                f"Invalid excluded_payment_method_types[{index}]: {kind}",
                param=f"excluded_payment_method_types[{index}]",
            )
    for index, kind in enumerate(given.get("allowed_payment_method_types", ())):
        if kind in DELAYED_METHODS and captures_later(given):
            message = f"The payment method type {kind} cannot be used with capture_method `manual`."
            raise StripeApiError(message, param=f"allowed_payment_method_types[{index}]")


def _check_urls(given: Document) -> None:
    if not given.get("success_url"):
        raise missing_parameter("success_url")
    for name in ("success_url", "cancel_url"):
        parts = urlsplit(str(given.get(name, "https://unset.invalid")))
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise StripeApiError("Not a valid URL", code="url_invalid", param=name)
    email = given.get("customer_email")
    # Stripe accepts domains in ASCII (punycode) alone.
    if email is not None and not ("@" in email and email.isascii()):
        raise StripeApiError(f"Invalid email address: {email}", code="email_invalid", param="customer_email")


def _parse_expires_at(given: Any) -> int:
    now = epoch()
    if given is None:
        return now + A_DAY
    wanted = parse_integer(given, "expires_at")
    if wanted < now + HALF_AN_HOUR:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise StripeApiError(message, param="expires_at")
    if wanted > now + A_DAY:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise StripeApiError(message, param="expires_at")
    return wanted
