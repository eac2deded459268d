"""New PaymentIntents, charges and balance transactions in Stripe's shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bookingapp.sandbox.clock import epoch, new_token

if TYPE_CHECKING:
    from bookingapp.sandbox.store import Document

NO_ADDRESS = {"city": None, "country": None, "line1": None, "line2": None, "postal_code": None, "state": None}


def new_payment_intent(session: Document) -> Document:
    """The intent behind a session, made when the customer first tries to pay."""
    identifier = f"pi_3{new_token(23)}"
    data = session["_payment_intent_data"]
    return {
        "id": identifier,
        "object": "payment_intent",
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{identifier}_secret_{new_token(25)}",
        "confirmation_method": "automatic",
        "created": epoch(),
        "currency": session["currency"],
        "customer": None,
        "customer_account": None,
        "description": data.get("description"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": data["metadata"],
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": session["payment_method_types"],
        "presentment_details": None,
        "processing": None,
        "receipt_email": data.get("receipt_email"),
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": data.get("statement_descriptor"),
        "statement_descriptor_suffix": data.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
        "_session": session["id"],
    }


def new_charge(intent: Document, customer: Document, method: Document, *, status: str) -> Document:
    """One attempt to take the money.

    Args:
        intent: the PaymentIntent it belongs to.
        customer: ``email`` and ``name`` as typed.
        method: ``type`` and the details of that type under its own name.
        status: ``succeeded``, ``pending`` or ``failed``.
    """
    identifier = f"{'ch' if method['type'] == 'card' else 'py'}_3{new_token(23)}"
    paid = status == "succeeded"
    return {
        "id": identifier,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if paid else 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": {
            "address": NO_ADDRESS,
            "email": customer["email"],
            "name": customer["name"],
            "phone": None,
            "tax_id": None,
        },
        "calculated_statement_descriptor": "BOOKING SANDBOX",
        "captured": paid,
        "created": epoch(),
        "currency": intent["currency"],
        "customer": None,
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent["metadata"],
        "on_behalf_of": None,
        "outcome": {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "declined_by_network" if status == "failed" else "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "seller_message": "Payment complete." if paid else None,
            "type": "issuer_declined" if status == "failed" else "authorized",
        },
        "paid": status != "failed",
        "payment_intent": intent["id"],
        "payment_method": f"pm_1{new_token(23)}",
        "payment_method_details": method,
        "presentment_details": None,
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": status,
        "transfer_data": None,
        "transfer_group": None,
    }


def card_method(number: str, expiry_month: int, expiry_year: int) -> Document:
    """``payment_method_details`` of a card; only its last four digits are kept."""
    brand = {"4": "visa", "5": "mastercard", "3": "amex"}.get(number[:1], "unknown")
    card: dict[str, Any] = {
        "amount_authorized": None,
        "authorization_code": None,
        "brand": brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "exp_month": expiry_month,
        "exp_year": expiry_year,
        "funding": "credit",
        "installments": None,
        "last4": number[-4:],
        "network": brand,
        "three_d_secure": None,
        "wallet": None,
    }
    return {"type": "card", "card": card}


def new_balance_transaction(source: Document, amount: int, kind: str, *, fee: int = 0) -> Document:
    """What a charge, refund or dispute did to the balance, and what Stripe kept of it."""
    details = [
        {"amount": fee, "application": None, "currency": source["currency"], "description": "Stripe fees"}
        | {"type": "stripe_fee"}
    ]
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
        "fee_details": details if fee else [],
        "net": amount - fee,
        "reporting_category": kind,
        "source": source["id"],
        "status": "available",
        "type": kind,
    }
