"""Disputes: what a cardholder's bank withdraws and returns (Stripe API reference, The Dispute object)."""

from __future__ import annotations

from bookingapp.sandbox.context import Sandbox
from bookingapp.sandbox.store import Document
from bookingapp.sandbox.stripe.balance import record_movement
from bookingapp.sandbox.stripe.events import publish_event
from bookingapp.sandbox.stripe.objects import new_dispute, new_fraud_warning

DISPUTE_FEE = 1500


def open_dispute(
    sandbox: Sandbox, charge_id: str, *, reason: str = "fraudulent", is_lost: bool = False
) -> Document | None:
    """Dispute a charge and withdraw its amount; None for a charge that cannot be disputed. One that ``is_lost`` cannot
    be answered: it is closed when it is created.
    """
    with sandbox.store.transaction():
        charge = sandbox.store.get("charge", charge_id)
        if charge is None or not charge["captured"] or charge["disputed"]:
            return None
        dispute = new_dispute(charge, reason)
        movement = record_movement(sandbox, dispute, -dispute["amount"], "dispute", DISPUTE_FEE)
        dispute["balance_transactions"].append(movement)
        if is_lost:
            dispute["status"] = "lost"
        charge["disputed"] = True
        sandbox.store.put("charge", charge_id, charge)
        sandbox.store.put("dispute", dispute["id"], dispute)
        publish_event(sandbox, "charge.dispute.created", dispute)
        publish_event(sandbox, "charge.dispute.funds_withdrawn", dispute)
        for warning in sandbox.store.all("early_fraud_warning", charge=charge_id):
            end_warning(sandbox, warning)
    return dispute


def warn_of_fraud(sandbox: Sandbox, charge_id: str) -> Document | None:
    """The card network reports a charge as fraud (Stripe API reference, The Early Fraud Warning object); None for a
    charge that did not succeed.
    """
    with sandbox.store.transaction():
        charge = sandbox.store.get("charge", charge_id)
        if charge is None or charge["status"] != "succeeded":
            return None
        warning = new_fraud_warning(charge, actionable=not (charge["refunded"] or charge["disputed"]))
        sandbox.store.put("early_fraud_warning", warning["id"], warning)
        publish_event(sandbox, "radar.early_fraud_warning.created", warning)
    return warning


def end_warning(sandbox: Sandbox, warning: Document) -> None:
    """Refunded or disputed, there is nothing to do about a warning any more."""
    if warning["actionable"]:
        warning["actionable"] = False
        sandbox.store.put("early_fraud_warning", warning["id"], warning)
        publish_event(sandbox, "radar.early_fraud_warning.updated", warning)


def close_dispute(sandbox: Sandbox, identifier: str, *, won: bool) -> Document | None:
    """Decide a dispute, and return its amount if it is won; None for a dispute that is not open."""
    with sandbox.store.transaction():
        dispute = sandbox.store.get("dispute", identifier)
        if dispute is None or dispute["status"] in {"won", "lost"}:
            return None
        dispute["status"] = "won" if won else "lost"
        if won:
            movement = record_movement(sandbox, dispute, dispute["amount"], "dispute_reversal")
            dispute["balance_transactions"].append(movement)
        sandbox.store.put("dispute", identifier, dispute)
        publish_event(sandbox, "charge.dispute.closed", dispute)
        if won:
            publish_event(sandbox, "charge.dispute.funds_reinstated", dispute)
    return dispute
