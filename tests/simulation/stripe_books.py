"""Stripe's objects in their published shape, and the books that they stand in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from bookingapp.integrations.stripe_gateway import CheckoutRequest
from tests.factories import published
from tests.simulation.world import World

Object = dict[str, Any]
DISPUTE_FEE = 2000
METHODS = {
    "gbp": ("card", "bacs_debit"),
    "eur": ("card", "sepa_debit", "multibanco"),
    "jpy": ("card", "konbini"),
}
VOUCHERS = {"konbini": 3, "multibanco": 7}
"""Paid later, in cash or at a bank, within so many days. Stripe asks by e-mail where to send a refund of one."""
VOUCHER_PAGE = "https://payments.stripe.com/voucher/"


class Books:
    """Everything that a Stripe account knows. Keys that begin with ``_`` are Stripe's own and never shown."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._made = 0
        self.sessions: dict[str, Object] = {}
        self.intents: dict[str, Object] = {}
        self.charges: dict[str, Object] = {}
        self.refunds: dict[str, Object] = {}
        self.disputes: dict[str, Object] = {}
        self.events: list[Object] = []

    # For the checks

    def received(self, client_reference_id: str) -> list[Object]:
        """The charges that brought in money for a booking; authorized money is none."""
        return [one for one in self.charges_of(client_reference_id) if one["captured"]]

    def charges_of(self, client_reference_id: str) -> list[Object]:
        """All tries to pay for a booking."""
        return [one for one in self.charges.values() if one["metadata"].get("booking") == client_reference_id]

    def returned(self, charge: Object) -> int:
        """What of a charge has gone back for good."""
        return sum(one["amount"] for one in self.refunds_of(charge) if one["status"] == "succeeded")

    def refunds_of(self, charge: Object) -> list[Object]:
        return [one for one in self.refunds.values() if one["charge"] == charge["id"]]

    def moved(self, charge: Object) -> tuple[int, int]:
        """What a charge and all that came of it have done to the balance, and what Stripe kept of it."""
        of_charge = [one for one in self.disputes.values() if one["charge"] == charge["id"]]
        moved = [charge["balance_transaction"]]
        for refund in self.refunds_of(charge):
            moved += [refund["balance_transaction"], refund["failure_balance_transaction"]]
        moved += [one for dispute in of_charge for one in dispute["balance_transactions"]]
        found = [one for one in moved if one is not None]
        return sum(one["amount"] for one in found), sum(one["fee"] for one in found)

    def disputed(self, charge: Object) -> int:
        """What banks have taken back of a charge, and not given again."""
        of_charge = [one for one in self.disputes.values() if one["charge"] == charge["id"]]
        return -sum(int(moved["amount"]) for one in of_charge for moved in one["balance_transactions"])

    # New objects

    def new_session(self, request: CheckoutRequest) -> Object:
        session_id = self.new_id("cs_test")
        # What cannot be authorized is not offered where the money is captured later.
        methods = ("card",) if request.captures_later else METHODS[request.currency.lower()]
        self.sessions[session_id] = session = {
            **published("stripe/checkout_session.open.json"),
            "id": session_id,
            "amount_subtotal": request.amount_minor,
            "amount_total": request.amount_minor,
            "client_reference_id": request.client_reference_id,
            "created": self.epoch(),
            "currency": request.currency.lower(),
            "customer_email": request.customer_email,
            "expires_at": int(request.expires_at.timestamp()),
            "metadata": {**request.metadata, "booking": request.client_reference_id},
            "payment_method_types": [one for one in methods if one not in request.excluded_methods],
            "url": f"https://checkout.stripe.com/c/pay/{session_id}",
            "_captures_later": request.captures_later,
        }
        return session

    def intent_of(self, session: Object) -> Object:
        """The session's payment intent: made when the client first confirms, and one for all their tries."""
        known = [one for one in self.intents.values() if one["_session"] == session["id"]]
        if known:
            return known[0]
        intent = {
            "id": self.new_id("pi"),
            "object": "payment_intent",
            "amount": session["amount_total"],
            "amount_capturable": 0,
            "amount_received": 0,
            "capture_method": "manual" if session["_captures_later"] else "automatic_async",
            "created": self.epoch(),
            "currency": session["currency"],
            "latest_charge": None,
            "livemode": False,
            "metadata": dict(session["metadata"]),
            "next_action": None,
            "status": "requires_payment_method",
            "_session": session["id"],
        }
        self.intents[intent["id"]] = intent
        return intent

    def new_charge(self, intent: Object, status: str, method: str) -> Object:
        charge = {
            "id": self.new_id("ch"),
            "object": "charge",
            "amount": intent["amount"],
            "amount_refunded": 0,
            "balance_transaction": None,
            "captured": False,
            "created": self.epoch(),
            "currency": intent["currency"],
            "disputed": False,
            "livemode": False,
            "metadata": dict(intent["metadata"]),
            "payment_intent": intent["id"],
            "payment_method": method,
            "refunded": False,
            "status": status,
        }
        self.charges[charge["id"]] = charge
        intent["latest_charge"] = charge["id"]
        return charge

    def new_refund(
        self, charge: Object, amount: int, status: str, reason: str | None, metadata: Mapping[str, str]
    ) -> Object:
        refund = {
            "id": self.new_id("re"),
            "object": "refund",
            "amount": amount,
            "balance_transaction": self.movement(-amount, 0, charge["currency"]),
            "charge": charge["id"],
            "created": self.epoch(),
            "currency": charge["currency"],
            "failure_balance_transaction": None,
            "metadata": dict(metadata),
            "payment_intent": charge["payment_intent"],
            "reason": reason,
            "status": status,
        }
        self.refunds[refund["id"]] = refund
        return refund

    def new_dispute(self, charge: Object, *, inquiry: bool) -> Object:
        """A bank that asks (an ``inquiry``), or takes the money back at once."""
        taken = self.movement(-charge["amount"], DISPUTE_FEE, charge["currency"])
        dispute = {
            "id": self.new_id("dp"),
            "object": "dispute",
            "amount": charge["amount"],
            "balance_transactions": [] if inquiry else [taken],
            "charge": charge["id"],
            "created": self.epoch(),
            "currency": charge["currency"],
            "evidence_details": {"due_by": self.epoch() + 7 * 86400, "has_evidence": False},
            "is_charge_refundable": inquiry,
            "metadata": {},
            "payment_intent": charge["payment_intent"],
            "reason": "product_not_received",
            "status": "warning_needs_response" if inquiry else "needs_response",
        }
        self.disputes[dispute["id"]] = dispute
        return dispute

    def movement(self, amount: int, fee: int, currency: str) -> Object:
        return {
            "id": self.new_id("txn"),
            "object": "balance_transaction",
            "amount": amount,
            "currency": currency,
            "fee": fee,
            "net": amount - fee,
        }

    def new_event(self, kind: str, about: Object) -> Object:
        event = {
            "id": self.new_id("evt"),
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": self.epoch(),
            "data": {"object": self.shown(about)},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }
        self.events.append(event)
        return event

    def shown(self, about: Object, *, expand: bool = False) -> Object:
        """An object as Stripe shows it; with ``expand``, what our gateway asks to be shown with it."""
        found = {key: value for key, value in about.items() if not key.startswith("_")}
        movement, failure = found.get("balance_transaction"), found.get("failure_balance_transaction")
        if isinstance(failure, dict):
            found["failure_balance_transaction"] = failure["id"]
        if not expand and isinstance(movement, dict):
            found["balance_transaction"] = movement["id"]
        elif expand and about["object"] == "checkout.session" and about["payment_intent"]:
            found["payment_intent"] = self.shown(self.intents[about["payment_intent"]], expand=True)
        elif expand and about["object"] == "payment_intent" and about["latest_charge"]:
            found["latest_charge"] = self.shown(self.charges[about["latest_charge"]], expand=True)
        return found

    def new_id(self, kind: str) -> str:
        self._made += 1
        return f"{kind}_{self._made:08}"

    def epoch(self) -> int:
        return int(self._world.now.astimezone(UTC).timestamp())
