"""Refunds and disputes: what may be asked for, and what becomes of the charge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bookingapp.sandbox.clock import epoch, new_token
from bookingapp.sandbox.stripe.events import emit
from bookingapp.sandbox.stripe.http import (
    StripeApiError,
    allow_only,
    integer,
    missing_parameter,
    no_such,
    words,
)
from bookingapp.sandbox.stripe.money import format_amount
from bookingapp.sandbox.stripe.objects import new_balance_transaction
from bookingapp.sandbox.stripe.sessions import check_step, checked_metadata

if TYPE_CHECKING:
    from bookingapp.sandbox.context import Sandbox
    from bookingapp.sandbox.store import Document

PARAMETERS = words(
    "amount charge currency customer expand instructions_email metadata origin payment_intent reason "
    "refund_application_fee reverse_transfer "
)
REASONS = {"duplicate", "fraudulent", "requested_by_customer"}
DISPUTE_FEE = 1500
A_WEEK = 7 * 24 * 60 * 60


def create_refund(sandbox: Sandbox, given: Document) -> Document:
    """Give money back, in whole or in part.

    Raises:
        StripeApiError: as Stripe refuses; see each message.
    """
    allow_only(given, PARAMETERS)
    metadata = checked_metadata(given.get("metadata"), "metadata")
    reason = given.get("reason")
    if reason is not None and reason not in REASONS:
        message = f"Invalid reason: must be one of {', '.join(sorted(REASONS))}"
        raise StripeApiError(message, param="reason")
    amount = None if given.get("amount") is None else integer(given["amount"], "amount")
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
        status = sandbox.store.setting("refund_status", "succeeded")
        refund = _new_refund(charge, wanted, status, reason, metadata)
        movement = new_balance_transaction({**refund, "description": None}, -wanted, "refund")
        refund["balance_transaction"] = movement["id"]
        charge["amount_refunded"] += wanted
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        sandbox.store.put("balance_transaction", movement["id"], movement)
        sandbox.store.put("refund", refund["id"], refund)
        sandbox.store.put("charge", charge["id"], charge)
        emit(sandbox, "refund.created", refund)
        emit(sandbox, "charge.refunded", charge)
    return refund


def settle_refund(sandbox: Sandbox, identifier: str, *, succeeded: bool) -> Document | None:
    """The bank's word on a refund: a pending one succeeds; any one may fail, and the money is ours again."""
    with sandbox.store.transaction():
        refund = sandbox.store.get("refund", identifier)
        if refund is None or refund["status"] not in {"pending", "succeeded"}:
            return None
        refund.pop("pending_reason", None)
        if succeeded:
            refund["status"] = "succeeded"
            sandbox.store.put("refund", identifier, refund)
            emit(sandbox, "refund.updated", refund)
            return refund
        charge = sandbox.store.get("charge", refund["charge"]) or {}
        movement = new_balance_transaction(
            {**refund, "description": None}, refund["amount"], "refund_failure"
        )
        refund.update(
            status="failed",
            failure_reason="expired_or_canceled_card",
            failure_balance_transaction=movement["id"],
        )
        charge["amount_refunded"] -= refund["amount"]
        charge["refunded"] = False
        sandbox.store.put("balance_transaction", movement["id"], movement)
        sandbox.store.put("refund", identifier, refund)
        sandbox.store.put("charge", charge["id"], charge)
        emit(sandbox, "refund.updated", refund)
        emit(sandbox, "refund.failed", refund)
    return refund


def open_dispute(sandbox: Sandbox, charge_id: str, *, reason: str = "fraudulent") -> Document | None:
    """The cardholder's bank takes the money back for now; None for a charge that cannot be disputed."""
    with sandbox.store.transaction():
        charge = sandbox.store.get("charge", charge_id)
        if charge is None or charge["status"] != "succeeded" or charge["disputed"]:
            return None
        dispute = _new_dispute(charge, reason)
        fee = DISPUTE_FEE if sandbox.store.setting("fees", default=False) else 0
        _move(sandbox, dispute, -dispute["amount"], "dispute", fee=fee)
        charge["disputed"] = True
        sandbox.store.put("charge", charge_id, charge)
        sandbox.store.put("dispute", dispute["id"], dispute)
        emit(sandbox, "charge.dispute.created", dispute)
        emit(sandbox, "charge.dispute.funds_withdrawn", dispute)
    return dispute


def close_dispute(sandbox: Sandbox, identifier: str, *, won: bool) -> Document | None:
    """The bank decides; None for a dispute that is not open."""
    with sandbox.store.transaction():
        dispute = sandbox.store.get("dispute", identifier)
        if dispute is None or dispute["status"] in {"won", "lost"}:
            return None
        dispute["status"] = "won" if won else "lost"
        if won:
            _move(sandbox, dispute, dispute["amount"], "dispute_reversal")
        sandbox.store.put("dispute", identifier, dispute)
        emit(sandbox, "charge.dispute.closed", dispute)
        if won:
            emit(sandbox, "charge.dispute.funds_reinstated", dispute)
    return dispute


def _move(sandbox: Sandbox, dispute: Document, amount: int, kind: str, *, fee: int = 0) -> None:
    movement = new_balance_transaction({**dispute, "description": None}, amount, kind, fee=fee)
    dispute["balance_transactions"].append(movement)
    sandbox.store.put("balance_transaction", movement["id"], movement)


def _refundable_charge(sandbox: Sandbox, given: Document) -> Document:
    charge_id = given.get("charge")
    if intent_id := given.get("payment_intent"):
        intent = sandbox.store.get("payment_intent", intent_id)
        if intent is None:
            raise no_such("payment_intent", intent_id, "payment_intent")
        if intent["status"] != "succeeded":
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
    dispute = next(iter(sandbox.store.all("dispute", charge=charge_id)), None)
    if dispute is not None and dispute["status"] != "won":
        message = f"Charge {charge_id} has been charged back; cannot issue a refund."
        raise StripeApiError(message, code="charge_disputed", kept=True)
    if charge["refunded"]:
        message = f"Charge {charge_id} has already been refunded."
        raise StripeApiError(message, code="charge_already_refunded", kept=True)
    return charge


def _new_refund(
    charge: Document, amount: int, status: str, reason: str | None, metadata: dict[str, str]
) -> Document:
    kind = charge["payment_method_details"]["type"]
    refund: Document = {
        "id": f"re_3{new_token(23)}",
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": epoch(),
        "currency": charge["currency"],
        "destination_details": {
            kind: {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            }
            if kind == "card"
            else {},
            "type": kind,
        },
        "metadata": metadata,
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
    }
    if status == "pending":
        refund["pending_reason"] = "processing"
    return refund


def _new_dispute(charge: Document, reason: str) -> Document:
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
        "evidence_details": {
            "due_by": epoch() + A_WEEK,
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": "needs_response",
    }
