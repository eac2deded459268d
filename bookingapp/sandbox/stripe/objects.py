"""New Stripe objects as they are stored, in the shapes of the Stripe API reference."""

from __future__ import annotations

from typing import Any

from bookingapp.sandbox.clock import epoch, new_token
from bookingapp.sandbox.store import Document
from bookingapp.sandbox.stripe.money import DELAYED_METHODS, delayed_method

API_VERSION = "2026-10-28.endive"
A_WEEK = 7 * 24 * 60 * 60


def public(document: Document) -> Document:
    """A stored object without the fields that only the sandbox uses."""
    return {key: value for key, value in document.items() if not key.startswith("_")}


def names(text: str) -> set[str]:
    """The names in a text, separated by white space."""
    return set(text.split())


def _nulls(text: str) -> Document:
    """Fields that Stripe sends and that are null here."""
    return dict.fromkeys(sorted(names(text)))


def captures_later(given: Document) -> bool:
    """Whether the parameters of a session ask for an authorization, to be captured later."""
    return bool(given.get("payment_intent_data", {}).get("capture_method") == "manual")


def new_checkout_session(given: Document, identifier: str, currency: str, total: int) -> Document:
    """An open Checkout Session from the parameters of its creation; ``total`` in minor units."""
    return {
        **_nulls(
            """after_expiration allow_promotion_codes billing_address_collection client_secret collected_information
            consent consent_collection currency_conversion customer customer_account customer_details invoice
            origin_context payment_intent payment_link payment_method_configuration_details permissions
            recovered_from saved_payment_method_options setup_intent shipping_address_collection shipping_cost
            subscription wallet_options"""
        ),
        "id": identifier,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {"enabled": False, **_nulls("liability provider status")},
        "cancel_url": given.get("cancel_url"),
        "client_reference_id": given.get("client_reference_id"),
        "created": epoch(),
        "currency": currency,
        "custom_fields": [],
        "custom_text": _nulls("after_submit shipping_address submit terms_of_service_acceptance"),
        "customer_creation": "if_required",
        "customer_email": given.get("customer_email"),
        "discounts": [],
        "invoice_creation": {"enabled": False, "invoice_data": {"metadata": {}}},
        "livemode": False,
        "locale": given.get("locale"),
        "mode": "payment",
        "payment_method_collection": "if_required",
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": [
            kind
            for kind in ("card", delayed_method(currency)[0])
            if kind not in given.get("excluded_payment_method_types", ())
            if not (kind in DELAYED_METHODS and captures_later(given))
        ],
        "payment_status": "unpaid" if total else "no_payment_required",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "submit_type": given.get("submit_type"),
        "success_url": given["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
    }


def new_line_item(name: str, currency: str, amount: int, quantity: int) -> Document:
    """A line item of a session with its one-time price; ``amount`` of one, in minor units."""
    price = {
        **_nulls("custom_unit_amount lookup_key nickname recurring tiers_mode transform_quantity"),
        "id": f"price_1{new_token(23)}",
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": epoch(),
        "currency": currency,
        "livemode": False,
        "metadata": {},
        "product": f"prod_{new_token(14)}",
        "tax_behavior": "unspecified",
        "type": "one_time",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }
    return {
        "id": f"li_1{new_token(23)}",
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": amount * quantity,
        "amount_tax": 0,
        "amount_total": amount * quantity,
        "currency": currency,
        "description": name,
        "metadata": {},
        "price": price,
        "quantity": quantity,
    }


def new_payment_intent(session: Document) -> Document:
    """The PaymentIntent of a session, created when the customer first tries to pay."""
    identifier = f"pi_3{new_token(23)}"
    data = session["_payment_intent_data"]
    return {
        **_nulls(
            """application application_fee_amount automatic_payment_methods canceled_at cancellation_reason customer
            customer_account last_payment_error latest_charge next_action on_behalf_of payment_method
            payment_method_configuration_details presentment_details processing review setup_future_usage shipping
            source transfer_data transfer_group"""
        ),
        "id": identifier,
        "object": "payment_intent",
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": data.get("capture_method", "automatic_async"),
        "client_secret": f"{identifier}_secret_{new_token(25)}",
        "confirmation_method": "automatic",
        "created": epoch(),
        "currency": session["currency"],
        "description": data.get("description"),
        "livemode": False,
        "metadata": data["metadata"],
        "payment_method_options": {},
        "payment_method_types": session["payment_method_types"],
        "receipt_email": data.get("receipt_email"),
        "statement_descriptor": data.get("statement_descriptor"),
        "statement_descriptor_suffix": data.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "_session": session["id"],
    }


def new_customer_details(customer: Document) -> Document:
    """``customer_details`` of a session, from the ``email`` and ``name`` that the customer typed."""
    nulls = _nulls("business_name individual_name phone")
    return {**customer, **nulls, "address": _no_address(), "tax_exempt": "none", "tax_ids": []}


def _no_address() -> Document:
    return _nulls("city country line1 line2 postal_code state")


def new_charge(intent: Document, customer: Document, method: Document, *, status: str) -> Document:
    """One attempt to charge the customer.

    Args:
        intent: the PaymentIntent of the charge.
        customer: ``email`` and ``name`` as typed.
        method: ``type`` and the details of that type under its own name.
        status: ``succeeded``, ``pending`` or ``failed``.
    """
    paid, failed = status == "succeeded", status == "failed"
    return {
        **_nulls(
            """application application_fee application_fee_amount balance_transaction customer
            failure_balance_transaction failure_code failure_message on_behalf_of presentment_details receipt_number
            receipt_url review shipping source source_transfer statement_descriptor statement_descriptor_suffix
            transfer_data transfer_group"""
        ),
        "id": f"{'ch' if method['type'] == 'card' else 'py'}_3{new_token(23)}",
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if paid else 0,
        "amount_refunded": 0,
        "billing_details": {**customer, **_nulls("phone tax_id"), "address": _no_address()},
        "calculated_statement_descriptor": "BOOKING SANDBOX",
        "captured": paid,
        "created": epoch(),
        "currency": intent["currency"],
        "description": intent["description"],
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent["metadata"],
        "outcome": {
            **_nulls("advice_code network_advice_code network_decline_code reason"),
            "network_status": "declined_by_network" if failed else "approved_by_network",
            "risk_level": "normal",
            "seller_message": "Payment complete." if paid else None,
            "type": "issuer_declined" if failed else "authorized",
        },
        "paid": not failed,
        "payment_intent": intent["id"],
        "payment_method": f"pm_1{new_token(23)}",
        "payment_method_details": method,
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "refunded": False,
        "status": status,
    }


def card_method(number: str, expiry_month: int, expiry_year: int) -> Document:
    """``payment_method_details`` of a card, with only the last four digits of its number."""
    brand = {"4": "visa", "5": "mastercard", "3": "amex"}.get(number[:1], "unknown")
    card: dict[str, Any] = {
        **_nulls("amount_authorized authorization_code installments three_d_secure wallet"),
        "brand": brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "exp_month": expiry_month,
        "exp_year": expiry_year,
        "funding": "credit",
        "last4": number[-4:],
        "network": brand,
    }
    return {"type": "card", "card": card}


def new_balance_transaction(source: Document, amount: int, kind: str, fee: int) -> Document:
    """What a charge, refund or dispute changes in the balance, and Stripe's fee for it, in minor units."""
    detail = {
        "amount": fee,
        "application": None,
        "currency": source["currency"],
        "description": "Stripe fees",
        "type": "stripe_fee",
    }
    return {
        "id": f"txn_3{new_token(23)}",
        "object": "balance_transaction",
        "amount": amount,
        "available_on": epoch(),
        "created": epoch(),
        "currency": source["currency"],
        "description": source.get("description"),
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [detail] if fee else [],
        "net": amount - fee,
        "reporting_category": kind,
        "source": source["id"],
        "status": "available",
        "type": kind,
    }


def new_refund(
    charge: Document, amount: int, status: str, reason: str | None, metadata: dict[str, str]
) -> Document:
    """A refund of a charge, ``succeeded``, ``pending`` or ``requires_action``; ``amount`` in minor units."""
    kind = charge["payment_method_details"]["type"]
    card = {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}
    refund: Document = {
        **_nulls("balance_transaction receipt_number source_transfer_reversal transfer_reversal"),
        "id": f"re_3{new_token(23)}",
        "object": "refund",
        "amount": amount,
        "charge": charge["id"],
        "created": epoch(),
        "currency": charge["currency"],
        "destination_details": {kind: card if kind == "card" else {}, "type": kind},
        "metadata": metadata,
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": status,
    }
    if status == "pending":
        refund["pending_reason"] = "processing"
    if status == "requires_action":
        asked = {"email_sent_at": epoch(), "email_sent_to": charge["billing_details"].get("email")}
        details = {"email_sent": asked, "expires_at": epoch() + A_WEEK}
        refund["next_action"] = {"type": "display_details", "display_details": details}
    return refund


def new_dispute(charge: Document, reason: str) -> Document:
    """A dispute of a whole charge that awaits the merchant's response."""
    evidence = {"due_by": epoch() + A_WEEK, "has_evidence": False, "past_due": False, "submission_count": 0}
    return {
        "id": f"du_1{new_token(23)}",
        "object": "dispute",
        "amount": charge["amount"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": epoch(),
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {},
        "evidence_details": evidence,
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": "needs_response",
    }


def new_fraud_warning(charge: Document, *, actionable: bool) -> Document:
    """An early fraud warning about a charge."""
    return {
        "id": f"issfr_1{new_token(23)}",
        "object": "radar.early_fraud_warning",
        "actionable": actionable,
        "charge": charge["id"],
        "created": epoch(),
        "fraud_type": "unauthorized_use_of_card",
        "livemode": False,
        "payment_intent": charge["payment_intent"],
    }


def new_webhook_endpoint(
    url: str,
    enabled_events: list[str],
    *,
    secret: str | None = None,
    api_version: str = API_VERSION,
    description: str | None = None,
    metadata: dict[str, str] | None = None,
) -> Document:
    """A webhook endpoint, with a new signing secret where none is given."""
    return {
        "id": f"we_1{new_token(23)}",
        "url": url,
        "secret": secret or f"whsec_{new_token(32)}",
        "enabled_events": enabled_events,
        "api_version": api_version,
        "created": epoch(),
        "description": description,
        "metadata": metadata or {},
        "status": "enabled",
    }
