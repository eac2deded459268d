"""Authorized payments: how they begin, and how they are captured, canceled or expire.

Stripe docs, Place a hold on a payment method. Payments that need no capture are in ``payments``.
"""

from __future__ import annotations

from bookingapp.sandbox.behavior import current_behavior
from bookingapp.sandbox.clock import epoch
from bookingapp.sandbox.context import Sandbox
from bookingapp.sandbox.store import Document
from bookingapp.sandbox.stripe.balance import record_charge
from bookingapp.sandbox.stripe.errors import StripeApiError, no_such
from bookingapp.sandbox.stripe.events import publish_event
from bookingapp.sandbox.stripe.objects import names, public
from bookingapp.sandbox.stripe.parameters import allow_only, parse_integer, parse_metadata

# Stripe API reference, Capture a PaymentIntent, and Cancel a PaymentIntent.
CAPTURE_PARAMETERS = names(
    "amount_details amount_to_capture application_fee_amount expand final_capture hooks metadata payment_details "
    "statement_descriptor statement_descriptor_suffix transfer_data"
)
CANCEL_PARAMETERS = {"cancellation_reason", "expand"}
CANCELLATION_REASONS = {"abandoned", "duplicate", "fraudulent", "requested_by_customer"}
CANCELABLE = "requires_payment_method, requires_capture, requires_confirmation, requires_action, processing"


def authorize(sandbox: Sandbox, intent: Document, charge: Document) -> None:
    """Hold the amount on the customer's card: the charge succeeds and is not captured."""
    lifetime = float(current_behavior(sandbox.store)["authorization_seconds"])
    charge.update(captured=False, amount_captured=0)
    charge["payment_method_details"]["card"].update(
        amount_authorized=charge["amount"], capture_before=int(epoch() + lifetime)
    )
    intent.update(
        status="requires_capture",
        amount_capturable=intent["amount"],
        latest_charge=charge["id"],
        payment_method=charge["payment_method"],
        last_payment_error=None,
    )
    _store(sandbox, intent, charge)
    publish_event(sandbox, "charge.succeeded", charge)
    publish_event(sandbox, "payment_intent.amount_capturable_updated", intent)


def capture_payment(sandbox: Sandbox, identifier: str, given: Document) -> Document:
    """Capture an authorized payment, once: all of it, or a part and release the rest (Stripe API reference, Capture a
    PaymentIntent).

    Raises:
        StripeApiError: the payment is not authorized, or a parameter is refused.
    """
    allow_only(given, CAPTURE_PARAMETERS)
    metadata = parse_metadata(given.get("metadata"), "metadata")
    amount = given.get("amount_to_capture")
    wanted = None if amount is None else parse_integer(amount, "amount_to_capture")
    if wanted is not None and wanted < 1:
        message = "This value must be greater than or equal to 1."
        raise StripeApiError(message, code="parameter_invalid_integer", param="amount_to_capture")
    expire_due_authorizations(sandbox)
    with sandbox.store.transaction():
        intent = _find(sandbox, identifier)
        if intent["status"] != "requires_capture":
            message = (
                f"This PaymentIntent could not be captured because it has a status of {intent['status']}. Only a "
                "PaymentIntent with one of the following statuses may be captured: requires_capture."
            )
            raise _unexpected_state(message, intent)
        captured = intent["amount_capturable"] if wanted is None else wanted
        if captured > intent["amount_capturable"]:
            message = "The amount to capture is greater than the amount that can be captured."
            raise StripeApiError(message, code="amount_too_large", param="amount_to_capture", kept=True)
        charge = sandbox.store.get("charge", intent["latest_charge"]) or {}
        # What is not captured goes back to the customer (Stripe API reference, The Charge object, amount_refunded).
        charge.update(captured=True, amount_captured=captured, amount_refunded=charge["amount"] - captured)
        record_charge(sandbox, charge)
        intent.update(status="succeeded", amount_capturable=0, amount_received=captured)
        intent["metadata"] = {**intent["metadata"], **metadata}
        _store(sandbox, intent, charge)
        session = sandbox.store.get("checkout_session", intent["_session"]) or {}
        session["payment_status"] = "paid"
        sandbox.store.put("checkout_session", session["id"], session)
        publish_event(sandbox, "charge.captured", charge)
        publish_event(sandbox, "payment_intent.succeeded", intent)
    return intent


def cancel_payment(sandbox: Sandbox, identifier: str, given: Document) -> Document:
    """Release an authorized payment, without a refund (Stripe API reference, Cancel a PaymentIntent).

    Raises:
        StripeApiError: the payment is not authorized, or a parameter is refused.
    """
    allow_only(given, CANCEL_PARAMETERS)
    reason = given.get("cancellation_reason")
    if reason is not None and reason not in CANCELLATION_REASONS:
        message = f"Invalid cancellation_reason: must be one of {', '.join(sorted(CANCELLATION_REASONS))}"
        raise StripeApiError(message, param="cancellation_reason")
    with sandbox.store.transaction():
        intent = _find(sandbox, identifier)
        if intent["status"] in {"succeeded", "canceled"}:
            message = (
                f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}. Only a "
                f"PaymentIntent with one of the following statuses may be canceled: {CANCELABLE}."
            )
            raise _unexpected_state(message, intent)
        if intent["status"] != "requires_capture":
            # Every PaymentIntent here is one of Checkout's.
            message = (
                "You can cancel the PaymentIntent of a Checkout Session only when it has a status of "
                "requires_capture. Expire the Checkout Session instead."
            )
            raise _unexpected_state(message, intent)
        _end(sandbox, intent, reason, "charge.refunded")
    return intent


def expire_authorization(sandbox: Sandbox, identifier: str) -> Document | None:
    """End an authorization that was not captured in time; None if none is open under that id."""
    with sandbox.store.transaction():
        intent = sandbox.store.get("payment_intent", identifier)
        if intent is None or intent["status"] != "requires_capture":
            return None
        _end(sandbox, intent, "automatic", "charge.expired")
    return intent


def expire_due_authorizations(sandbox: Sandbox) -> None:
    """End the authorizations whose time is over."""
    now = epoch()
    for intent in sandbox.store.all("payment_intent", status="requires_capture"):
        charge = sandbox.store.get("charge", intent["latest_charge"]) or {}
        if charge["payment_method_details"]["card"]["capture_before"] <= now:
            expire_authorization(sandbox, intent["id"])


def _end(sandbox: Sandbox, intent: Document, reason: str | None, event: str) -> None:
    """Cancel a payment that is authorized. Its charge counts as refunded, and no Refund is made."""
    charge = sandbox.store.get("charge", intent["latest_charge"]) or {}
    charge.update(amount_refunded=charge["amount"], refunded=True)
    intent.update(status="canceled", amount_capturable=0, canceled_at=epoch(), cancellation_reason=reason)
    _store(sandbox, intent, charge)
    publish_event(sandbox, event, charge)
    publish_event(sandbox, "payment_intent.canceled", intent)


def _find(sandbox: Sandbox, identifier: str) -> Document:
    intent = sandbox.store.get("payment_intent", identifier)
    if intent is None:
        raise no_such("payment_intent", identifier, "intent")
    return intent


def _unexpected_state(message: str, intent: Document) -> StripeApiError:
    error = StripeApiError(message, code="payment_intent_unexpected_state", kept=True)
    error.error["payment_intent"] = public(intent)
    return error


def _store(sandbox: Sandbox, intent: Document, charge: Document) -> None:
    sandbox.store.put("charge", charge["id"], charge)
    sandbox.store.put("payment_intent", intent["id"], intent)
