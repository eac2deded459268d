"""Stripe as its documentation describes it, with books of its own.

It knows nothing of our database. Its objects have the published shape, and what the gateway returns is read out of
them; the people in the simulation pay, refund and dispute through the methods below ``# What people do``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bookingapp.integrations.stripe_gateway import (
    CheckoutRequest,
    CheckoutSession,
    IdempotencyConflict,
    NotFound,
    PaymentIntent,
    Refund,
    Rejected,
    StripeEvent,
    StripeGateway,
    StripeGatewayError,
    Unavailable,
    read_checkout_session,
    read_event,
    read_payment_intent,
    read_refund,
)
from bookingapp.webhooks.models import Provider
from tests.simulation.api import Api
from tests.simulation.faults import LAST
from tests.simulation.machines import Machines
from tests.simulation.network import Network

Object = dict[str, Any]

SHORTEST, LONGEST = timedelta(minutes=30), timedelta(hours=24)
KEYS_LIVE = timedelta(hours=24)


@dataclass
class _Kept:
    """The first answer under an idempotency key."""

    at: datetime
    params: object
    answer: Object | StripeGatewayError


class SimulatedStripe(StripeGateway):
    """One Stripe account."""

    def __init__(self, machines: Machines, network: Network) -> None:
        # Not the gateway's own: it would make an HTTP client.
        self._world = machines.world
        self._faults = machines.faults
        self._network = network
        self._api = Api(machines, "stripe", Unavailable)
        self._keys: dict[str, _Kept] = {}
        self._made = 0
        self.sessions: dict[str, Object] = {}
        self.intents: dict[str, Object] = {}
        self.charges: dict[str, Object] = {}
        self.refunds: dict[str, Object] = {}
        self.disputes: dict[str, Object] = {}
        self.events: list[Object] = []

    # What our gateway asks

    def create_checkout_session(self, request: CheckoutRequest, *, idempotency_key: str) -> CheckoutSession:
        """As the gateway's."""
        made = self._once(
            "create a session",
            idempotency_key,
            request,
            check=lambda: self._check_expiry(request),
            do=lambda: self._new_session(request),
        )
        return read_checkout_session(made)

    def retrieve_checkout_session(self, session_id: str) -> CheckoutSession:
        """As the gateway's."""
        return read_checkout_session(
            self._api.call(f"read a session [{session_id}]", lambda: self._get(self.sessions, session_id))
        )

    def expire_checkout_session(self, session_id: str) -> CheckoutSession:
        """As the gateway's: a session that is over already is given as it is."""

        def expire() -> Object:
            session = self._get(self.sessions, session_id)
            if session["status"] != "open":
                raise Rejected("only an open session can be expired", status=400)
            self._expire(session)
            return copy.deepcopy(session)

        try:
            return read_checkout_session(self._api.call(f"expire a session [{session_id}]", expire))
        except Rejected:
            return self.retrieve_checkout_session(session_id)

    def create_refund(
        self,
        payment_intent: str,
        amount_minor: int,
        *,
        reason: str | None,
        metadata: Mapping[str, str],
        idempotency_key: str,
    ) -> Refund:
        """As the gateway's."""
        params = (payment_intent, amount_minor, reason, dict(metadata))
        made = self._once(
            f"create a refund [{payment_intent}]",
            idempotency_key,
            params,
            check=lambda: None,
            do=lambda: self._new_refund(payment_intent, amount_minor, reason, metadata),
        )
        return read_refund(made)

    def list_refunds(self, payment_intent: str) -> tuple[Refund, ...]:
        """As the gateway's: newest first."""

        def those() -> list[Object]:
            found = [one for one in self.refunds.values() if one["payment_intent"] == payment_intent]
            return copy.deepcopy(found[::-1])

        return tuple(read_refund(one) for one in self._api.call(f"list refunds [{payment_intent}]", those))

    def retrieve_payment_intent(self, payment_intent: str) -> PaymentIntent:
        """As the gateway's."""
        return read_payment_intent(
            self._api.call("read an intent", lambda: self._get(self.intents, payment_intent))
        )

    def list_events(self, since: datetime, types: Sequence[str]) -> tuple[StripeEvent, ...]:
        """As the gateway's: oldest first, of the last 30 days."""

        def those() -> list[Object]:
            first = max(int(since.timestamp()), self._epoch() - 30 * 86400)
            found = [one for one in self.events if one["type"] in types and one["created"] >= first]
            return copy.deepcopy(found)

        return tuple(read_event(one) for one in self._api.call("list events", those))

    # What people do

    def pay(self, session_id: str, how: str) -> str:
        """Somebody fills in the page: ``card``, ``declined`` or ``delayed``. Returns what the page says then."""
        session = self.sessions[session_id]
        if session["status"] != "open":
            return f"is {session['status']} already"
        intent = self._intent_of(session)
        status = {"card": "succeeded", "declined": "failed", "delayed": "pending"}[how]
        charge = self._new_charge(intent, status, "sepa_debit" if how == "delayed" else "card")
        if how == "declined":
            self._tell("payment_intent.payment_failed", intent, "a card is declined")
            return "declined"
        session.update(status="complete", url=None, payment_intent=intent["id"])
        if how == "card":
            self._received(session, intent, charge)
        else:
            intent["status"] = "processing"
        self._tell("checkout.session.completed", session, f"a session is completed ({how})")
        return "complete"

    def settle(self, session_id: str, *, well: bool) -> None:
        """A delayed payment comes in, or does not."""
        session = self.sessions[session_id]
        intent = self.intents[session["payment_intent"]]
        charge = self.charges[intent["latest_charge"]]
        if well:
            self._received(session, intent, charge)
        else:
            charge["status"], intent["status"] = "failed", "requires_payment_method"
        ending = "succeeded" if well else "failed"
        self._tell(f"checkout.session.async_payment_{ending}", session, f"a delayed payment has {ending}")

    def refund_by_hand(self, session_id: str, amount: int) -> bool:
        """Somebody refunds in the dashboard. False where Stripe does not let them."""
        try:
            self._new_refund(self.sessions[session_id]["payment_intent"], amount, None, {})
        except Rejected:
            return False
        return True

    def dispute(self, session_id: str, *, inquiry: bool) -> str:
        """The client goes to their bank about a payment. Returns the dispute's id."""
        intent = self.intents[self.sessions[session_id]["payment_intent"]]
        charge = self.charges[intent["latest_charge"]]
        charge["disputed"] = True
        dispute = {
            "id": self._id("dp"),
            "object": "dispute",
            "amount": charge["amount"],
            "charge": charge["id"],
            "created": self._epoch(),
            "currency": charge["currency"],
            "evidence_details": {"due_by": self._epoch() + 7 * 86400, "has_evidence": False},
            "is_charge_refundable": inquiry,
            "metadata": {},
            "payment_intent": intent["id"],
            "reason": "product_not_received",
            "status": "warning_needs_response" if inquiry else "needs_response",
        }
        self.disputes[dispute["id"]] = dispute
        self._tell("charge.dispute.created", dispute, "a payment is disputed")
        return str(dispute["id"])

    def close_dispute(self, dispute_id: str, *, won: bool) -> None:
        """The bank decides."""
        dispute = self.disputes[dispute_id]
        ending = "won" if won else "lost"
        dispute["status"] = "warning_closed" if dispute["is_charge_refundable"] else ending
        self._tell("charge.dispute.closed", dispute, f"a dispute is closed ({dispute['status']})")

    # The books, for the checks

    def received(self, booking_ref: str) -> list[Object]:
        """The charges that brought in money for a booking."""
        return [
            one
            for one in self.charges.values()
            if one["status"] == "succeeded" and one["metadata"].get("booking") == booking_ref
        ]

    def returned(self, charge: Object) -> int:
        """What of a charge has gone back for good."""
        return sum(
            one["amount"]
            for one in self.refunds.values()
            if one["charge"] == charge["id"] and one["status"] == "succeeded"
        )

    # How it works inside

    def _once(
        self, what: str, key: str, params: object, *, check: Callable[[], None], do: Callable[[], Object]
    ) -> Object:
        def effect() -> Object:
            check()
            kept = self._keys.get(key)
            if kept is not None and self._world.now - kept.at < KEYS_LIVE:
                if kept.params != params:
                    raise IdempotencyConflict("this key was used with other parameters", status=400)
            else:
                self._keys[key] = kept = _Kept(self._world.now, params, self._first(do))
            if isinstance(kept.answer, StripeGatewayError):
                raise kept.answer
            return copy.deepcopy(kept.answer)

        return self._api.call(what, effect)

    def _first(self, do: Callable[[], Object]) -> Object | StripeGatewayError:
        # An error of Stripe's own, once it has begun, is kept under the key like any other answer.
        if self._world.now < LAST and self._world.chance(self._faults.error_is_kept * 0.1):
            return Unavailable("500", status=500)
        try:
            return copy.deepcopy(do())
        except StripeGatewayError as error:
            return error

    def _check_expiry(self, request: CheckoutRequest) -> None:
        life = request.expires_at - self._world.now
        if not SHORTEST <= life <= LONGEST:
            raise Rejected("expires_at is out of range", status=400, param="expires_at")

    def _new_session(self, request: CheckoutRequest) -> Object:
        session_id = self._id("cs_test")
        metadata = {**request.metadata, "booking": request.booking_ref}
        session = {
            "id": session_id,
            "object": "checkout.session",
            "amount_subtotal": request.amount_minor,
            "amount_total": request.amount_minor,
            "client_reference_id": request.booking_ref,
            "created": self._epoch(),
            "currency": request.currency.lower(),
            "customer_email": request.customer_email,
            "expires_at": int(request.expires_at.timestamp()),
            "livemode": False,
            "metadata": metadata,
            "mode": "payment",
            "payment_intent": None,
            "payment_status": "unpaid",
            "status": "open",
            "url": f"https://checkout.stripe.com/c/pay/{session_id}",
        }
        self.sessions[session_id] = session

        def over() -> None:
            if session["status"] == "open":
                self._expire(session)

        self._world.at(request.expires_at, over)
        return session

    def _expire(self, session: Object) -> None:
        session.update(status="expired", url=None)
        self._tell("checkout.session.expired", session, "a session has expired")

    def _intent_of(self, session: Object) -> Object:
        # Made when the client first confirms; several declined tries are one intent.
        known = [one for one in self.intents.values() if one["_session"] == session["id"]]
        if known:
            return known[0]
        intent = {
            "id": self._id("pi"),
            "object": "payment_intent",
            "amount": session["amount_total"],
            "amount_received": 0,
            "created": self._epoch(),
            "currency": session["currency"],
            "latest_charge": None,
            "livemode": False,
            "metadata": dict(session["metadata"]),
            "status": "requires_payment_method",
            "_session": session["id"],
        }
        self.intents[intent["id"]] = intent
        return intent

    def _new_charge(self, intent: Object, status: str, method: str) -> Object:
        charge = {
            "id": self._id("ch"),
            "object": "charge",
            "amount": intent["amount"],
            "amount_refunded": 0,
            "created": self._epoch(),
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

    def _received(self, session: Object, intent: Object, charge: Object) -> None:
        charge["status"], charge["received_at"] = "succeeded", self._world.now
        intent.update(status="succeeded", amount_received=charge["amount"])
        session["payment_status"] = "paid"

    def _new_refund(
        self, payment_intent: str, amount: int, reason: str | None, metadata: Mapping[str, str]
    ) -> Object:
        intent = self.intents.get(payment_intent)
        charge = self.charges.get((intent or {}).get("latest_charge") or "")
        if charge is None or charge["status"] != "succeeded":
            raise NotFound("no such payment", status=404)
        if any(
            one["charge"] == charge["id"] and not one["is_charge_refundable"]
            for one in self.disputes.values()
        ):
            raise Rejected("disputed", status=400, code="charge_disputed")
        left = charge["amount"] - charge["amount_refunded"]
        if left == 0:
            raise Rejected("refunded already", status=400, code="charge_already_refunded")
        if amount > left:
            raise Rejected("more than is left", status=400, param="amount")
        way = self._world.dice.choices(("succeeded", "pending", "fails", "fails late"), (16, 3, 1, 1))[0]
        refund = {
            "id": self._id("re"),
            "object": "refund",
            "amount": amount,
            "charge": charge["id"],
            "created": self._epoch(),
            "currency": charge["currency"],
            "metadata": dict(metadata),
            "payment_intent": payment_intent,
            "reason": reason,
            "status": "succeeded" if way in ("succeeded", "fails late") else "pending",
        }
        self.refunds[refund["id"]] = refund
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        self._tell("refund.created", refund, f"a refund is made ({refund['status']})")
        self._tell("charge.refunded", charge, "a charge is refunded")
        if way != "succeeded":
            days = self._world.dice.uniform(0.01, 6)
            self._world.after(days * 86400, lambda: self._end_refund(refund, charge, well=way == "pending"))
        return refund

    def _end_refund(self, refund: Object, charge: Object, *, well: bool) -> None:
        if well:
            refund["status"] = "succeeded"
            self._tell("refund.updated", refund, "a refund has arrived")
            return
        refund.update(status="failed", failure_reason="expired_or_canceled_card")
        charge["amount_refunded"] -= refund["amount"]
        charge["refunded"] = False
        self._tell("refund.failed", refund, "a refund has failed")

    def _tell(self, kind: str, about: Object, what: str) -> None:
        shown = {key: value for key, value in about.items() if key not in ("_session", "received_at")}
        event = {
            "id": self._id("evt"),
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": self._epoch(),
            "data": {"object": copy.deepcopy(shown)},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }
        self.events.append(event)
        self._network.send(Provider.STRIPE, event, f"{what} [{about['id']}]")

    def _get(self, shelf: dict[str, Object], name: str) -> Object:
        if name not in shelf:
            raise NotFound("no such object", status=404)
        return copy.deepcopy(shelf[name])

    def _id(self, kind: str) -> str:
        self._made += 1
        return f"{kind}_{self._made:08}"

    def _epoch(self) -> int:
        return int(self._world.now.astimezone(UTC).timestamp())
