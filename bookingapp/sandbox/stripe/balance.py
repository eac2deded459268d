"""Movements of the Stripe balance, with or without Stripe's fees."""

from __future__ import annotations

from bookingapp.sandbox.behavior import current_behavior
from bookingapp.sandbox.context import Sandbox
from bookingapp.sandbox.store import Document
from bookingapp.sandbox.stripe.objects import new_balance_transaction


def record_charge(sandbox: Sandbox, charge: Document) -> None:
    """Enter what was captured of a charge, and Stripe's fee for it; name the movement and the receipt in the charge."""
    captured = charge["amount_captured"]
    # A part of the amount and a fixed sum, as for a card of the same country (Stripe, Pricing).
    fee = round(captured * 0.015) + 20
    charge["balance_transaction"] = record_movement(sandbox, charge, captured, "charge", fee)["id"]
    charge["receipt_url"] = f"{sandbox.config.checkout_url}/receipts/{charge['id']}"


def record_movement(sandbox: Sandbox, source: Document, amount: int, kind: str, fee: int = 0) -> Document:
    """Store what a charge, refund or dispute changes in the balance; ``fee`` counts where the sandbox has fees.

    ``amount`` and ``fee`` are in minor units.
    """
    charged = fee if current_behavior(sandbox.store)["fees"] else 0
    movement = new_balance_transaction(source, amount, kind, charged)
    sandbox.store.put("balance_transaction", movement["id"], movement)
    return movement
