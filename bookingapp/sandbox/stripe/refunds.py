"""Refunds: what Stripe refuses, and what a refund changes in its charge."""

from __future__ import annotations

from bookingapp.sandbox.behavior import current_behavior
from bookingapp.sandbox.context import Sandbox
from bookingapp.sandbox.store import Document
from bookingapp.sandbox.stripe.balance import record_movement
from bookingapp.sandbox.stripe.disputes import end_warning
from bookingapp.sandbox.stripe.errors import StripeApiError, missing_parameter, no_such
from bookingapp.sandbox.stripe.events import publish_event
from bookingapp.sandbox.stripe.money import format_amount
from bookingapp.sandbox.stripe.objects import names, new_refund
from bookingapp.sandbox.stripe.parameters import allow_only, check_step, parse_integer, parse_metadata

# Stripe API reference, Create a refund.
REFUND_PARAMETERS = names(
    "amount charge currency customer expand instructions_email metadata origin payment_intent reason "
    "refund_application_fee reverse_transfer"
)
REFUND_REASONS = {"duplicate", "fraudulent", "requested_by_customer"}


def create_refund(sandbox: Sandbox, given: Document) -> Document:
    """Refund a charge, in whole or in part (Stripe API reference, Create a refund).

    Raises:
        StripeApiError: a parameter is refused, or the charge cannot be refunded.
    """
    allow_only(given, REFUND_PARAMETERS)
    metadata = parse_metadata(given.get("metadata"), "metadata")
    reason = given.get("reason")
    if reason is not None and reason not in REFUND_REASONS:
        raise StripeApiError(
            f"Invalid reason: must be one of {', '.join(sorted(REFUND_REASONS))}", param="reason"
        )
    amount = None if given.get("amount") is None else parse_integer(given["amount"], "amount")
    if amount is not None and amount < 1:
        message = "This value must be greater than or equal to 1."
        raise StripeApiError(message, code="parameter_invalid_integer", param="amount")
    with sandbox.store.transaction():
        charge = _refundable_charge(sandbox, given)
        left = charge["amount"] - charge["amount_refunded"]
        wanted = left if amount is None else amount
        if wanted > left:
            shown, rest = format_amount(wanted, charge["currency"]), format_amount(left, charge["currency"])
            message = f"Refund amount ({shown}) is greater than unrefunded amount on charge ({rest})"
            raise StripeApiError(message, param="amount", kept=True)
        check_step(wanted, charge["currency"], "amount")
        status = current_behavior(sandbox.store)["refund_status"]
        refund = new_refund(charge, wanted, status, reason, metadata)
        refund["balance_transaction"] = record_movement(sandbox, refund, -wanted, "refund")["id"]
        charge["amount_refunded"] += wanted
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        sandbox.store.put("refund", refund["id"], refund)
        sandbox.store.put("charge", charge["id"], charge)
        publish_event(sandbox, "refund.created", refund)
        publish_event(sandbox, "charge.refunded", charge)
        if charge["refunded"]:
            for warning in sandbox.store.all("early_fraud_warning", charge=charge["id"]):
                end_warning(sandbox, warning)
    return refund


def settle_refund(sandbox: Sandbox, identifier: str, *, succeeded: bool) -> Document | None:
    """Make a refund succeed, or fail even after it succeeded (Stripe docs, Refunds); None if it already failed."""
    with sandbox.store.transaction():
        refund = sandbox.store.get("refund", identifier)
        if refund is None or refund["status"] not in {"pending", "requires_action", "succeeded"}:
            return None
        refund.pop("pending_reason", None)
        refund.pop("next_action", None)
        refund["status"] = "succeeded" if succeeded else "failed"
        if not succeeded:
            movement = record_movement(sandbox, refund, refund["amount"], "refund_failure")
            refund["failure_reason"] = "expired_or_canceled_card"
            refund["failure_balance_transaction"] = movement["id"]
            charge = sandbox.store.get("charge", refund["charge"]) or {}
            charge.update(amount_refunded=charge["amount_refunded"] - refund["amount"], refunded=False)
            sandbox.store.put("charge", charge["id"], charge)
        sandbox.store.put("refund", identifier, refund)
        publish_event(sandbox, "refund.updated", refund)
        publish_event(sandbox, "charge.refund.updated", refund)
        if not succeeded:
            publish_event(sandbox, "refund.failed", refund)
    return refund


def _refundable_charge(sandbox: Sandbox, given: Document) -> Document:
    charge_id = given.get("charge")
    if intent_id := given.get("payment_intent"):
        intent = sandbox.store.get("payment_intent", intent_id)
        if intent is None:
            raise no_such("payment_intent", intent_id, "payment_intent")
        if intent["status"] not in {"succeeded", "requires_capture"}:
            message = f"This PaymentIntent ({intent_id}) does not have a successful charge to refund."
            raise StripeApiError(message, param="payment_intent", kept=True)
        charge_id = intent["latest_charge"]
    if not charge_id:
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise StripeApiError(message) if given else missing_parameter("charge")
    charge = sandbox.store.get("charge", charge_id)
    if charge is None:
        raise no_such("charge", charge_id, "charge")
    if charge["status"] != "succeeded":
        message = f"Charge {charge_id} did not succeed, so it cannot be refunded."
        raise StripeApiError(message, param="charge", kept=True)
    if not charge["captured"]:
        message = (
            f"Charge {charge_id} has not been captured. You must cancel the PaymentIntent "
            f"({charge['payment_intent']}) to release it."
        )
        raise StripeApiError(message, param="charge", kept=True)
    dispute = next(iter(sandbox.store.all("dispute", charge=charge_id)), None)
    if dispute is not None and dispute["status"] != "won":
        message = f"Charge {charge_id} has been charged back; cannot issue a refund."
        raise StripeApiError(message, code="charge_disputed", kept=True)
    if charge["refunded"]:
        message = f"Charge {charge_id} has already been refunded."
        raise StripeApiError(message, code="charge_already_refunded", kept=True)
    return charge
