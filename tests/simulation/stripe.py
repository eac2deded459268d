"""Stripe as its documentation describes it, with books of its own.

It knows nothing of our database. What the gateway returns is read out of its objects; the people in the simulation
pay, refund and dispute through the methods below ``# What people do``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bookingapp.integrations.stripe_gateway import (
    CheckoutRequest,
    CheckoutSession,
    Dispute,
    IdempotencyConflict,
    PaymentIntent,
    Refund,
    StripeEvent,
    StripeGateway,
    StripeGatewayError,
    StripeNotFound,
    StripeRejected,
    StripeUnavailable,
    read_checkout_session,
    read_dispute,
    read_event,
    read_payment_intent,
    read_refund,
)
from bookingapp.webhooks.models import Provider
from tests.simulation.machines import Machines
from tests.simulation.network import Api, Network
from tests.simulation.stripe_books import VOUCHER_PAGE, VOUCHERS, Books, Object

SHORTEST, LONGEST = timedelta(minutes=30), timedelta(hours=24)
KEYS_LIVE = timedelta(hours=24)
AUTHORIZED_DAYS = 7
EVENTS_LIVE = timedelta(days=30)
A_DAY = 86400
# How long Stripe waits for a client's answer, and how long after a refund it may still fail.
ANSWER_DAYS, FAILS_WITHIN_DAYS = 14, 30
# What endpoints hear of a refund that fails: old ones, those that subscribe to what is needed, and to everything.
FAILURE_EVENTS = (
    ("charge.refund.updated",),
    ("refund.failed",),
    ("refund.updated", "charge.refund.updated", "refund.failed"),
)


@dataclass
class _Kept:
    at: datetime
    params: object
    answer: Object | StripeGatewayError


class SimulatedStripe(StripeGateway):
    def __init__(self, machines: Machines, network: Network) -> None:
        # Not the gateway's own: it would make an HTTP client.
        self._world = machines.world
        self._machines = machines
        self._network = network
        self._api = Api(machines, "stripe", StripeUnavailable)
        self._keys: dict[str, _Kept] = {}
        self._failure_events = self._world.dice.choice(FAILURE_EVENTS)
        # In some seeds banks end authorizations whenever they like.
        self._has_impatient_banks = self._world.chance(0.25)
        # When we first stored each event, or could have fetched it.
        self._told: dict[str, datetime] = {}
        self.books = Books(self._world)

    # What our gateway asks

    def create_checkout_session(self, request: CheckoutRequest, *, idempotency_key: str) -> CheckoutSession:
        is_repeated = idempotency_key in self._keys
        made = self._once(
            "create a session",
            idempotency_key,
            request,
            check=lambda: self._check_expiry(request),
            do=lambda: self._new_session(request),
        )
        return self.retrieve_checkout_session(made["id"]) if is_repeated else read_checkout_session(made)

    def retrieve_checkout_session(self, session_id: str) -> CheckoutSession:
        return read_checkout_session(self._read("a session", self.books.sessions, session_id))

    def find_checkout_session(self, payment_intent: str) -> CheckoutSession | None:
        """As the gateway's: by two calls."""

        def those() -> list[str]:
            return [
                str(one["id"])
                for one in self.books.sessions.values()
                if one["payment_intent"] == payment_intent
            ]

        found = self._api.call(f"find a session [{payment_intent}]", those)
        return self.retrieve_checkout_session(found[0]) if found else None

    def list_checkout_sessions(self, since: datetime, until: datetime) -> tuple[CheckoutSession, ...]:
        """As the gateway's: newest first."""

        def those() -> list[Object]:
            first, last = int(since.timestamp()), int(until.timestamp()) + 1
            found = [one for one in self.books.sessions.values() if first <= one["created"] <= last]
            return copy.deepcopy(found[::-1])

        return tuple(read_checkout_session(one) for one in self._api.call("list sessions", those))

    def expire_checkout_session(self, session_id: str) -> CheckoutSession:
        """As the gateway's: a session that is over already is given as it is."""

        def expire() -> Object:
            session = self._get(self.books.sessions, session_id)
            if session["status"] != "open":
                raise StripeRejected("only an open session can be expired", status=400)
            self._expire(session)
            return copy.deepcopy(session)

        try:
            return read_checkout_session(self._api.call(f"expire a session [{session_id}]", expire))
        except StripeRejected:
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
        made = self._once(
            f"create a refund [{payment_intent}]",
            idempotency_key,
            (payment_intent, amount_minor, reason, dict(metadata)),
            check=lambda: None,
            do=lambda: self._new_refund(payment_intent, amount_minor, reason, metadata),
        )
        return read_refund(made)

    def list_refunds(self, payment_intent: str) -> tuple[Refund, ...]:
        """As the gateway's: newest first."""
        found = self._list_of("refunds", self.books.refunds, payment_intent)
        return tuple(read_refund(one) for one in found[::-1])

    def retrieve_payment_intent(self, payment_intent: str) -> PaymentIntent:
        return read_payment_intent(self._read("an intent", self.books.intents, payment_intent))

    def capture_payment(self, payment_intent: str, *, idempotency_key: str) -> PaymentIntent:
        return self._end_once("capture a payment", payment_intent, idempotency_key, self._capture)

    def release_payment(self, payment_intent: str, *, idempotency_key: str) -> PaymentIntent:
        def release(intent: Object) -> None:
            self._release(intent, "ours")

        return self._end_once("release a payment", payment_intent, idempotency_key, release)

    def retrieve_dispute(self, dispute_id: str) -> Dispute:
        return read_dispute(self._read("a dispute", self.books.disputes, dispute_id))

    def list_disputes(self, payment_intent: str) -> tuple[Dispute, ...]:
        found = self._list_of("disputes", self.books.disputes, payment_intent)
        return tuple(read_dispute(one) for one in found)

    def list_events(self, since: datetime, types: Sequence[str]) -> tuple[StripeEvent, ...]:
        """As the gateway's: oldest first, of the last 30 days."""

        def those() -> list[Object]:
            first = max(since, self._world.now - EVENTS_LIVE).timestamp()
            found = [
                one for one in self.books.events if one["type"] in types and one["created"] >= int(first)
            ]
            return copy.deepcopy(found)

        return tuple(read_event(one) for one in self._api.call("list events", those))

    # What people do

    def offered(self, session_id: str) -> list[str]:
        """The payment methods that the page shows."""
        return list(self.books.sessions[session_id]["payment_method_types"])

    def pay(self, session_id: str, how: str) -> str:
        """Pay by one of the methods, or ``declined``: by a card that is."""
        session = self.books.sessions[session_id]
        method = "card" if how == "declined" else how
        if session["status"] != "open":
            return f"is {session['status']} already"
        if method not in self.offered(session_id):
            return "is not offered"
        intent = self.books.intent_of(session)
        status = {"card": "succeeded", "declined": "failed"}.get(how, "pending")
        charge = self.books.new_charge(intent, status, method)
        if how == "declined":
            self._emit("payment_intent.payment_failed", intent, "a card is declined")
            return "declined"
        session.update(status="complete", url=None, payment_intent=intent["id"])
        if session["_captures_later"]:
            self._authorize(intent, charge)
        elif how == "card":
            self._received(session, intent, charge)
        elif how in VOUCHERS:
            self._give_voucher(session, intent, how)
        else:
            intent["status"] = "processing"
        self._emit("checkout.session.completed", session, f"a session is completed ({how})")
        return "complete"

    def settle(self, session_id: str, *, well: bool) -> bool:
        """A debit arrives, a voucher is paid, or neither. False where it was over already."""
        session = self.books.sessions[session_id]
        intent = self.books.intents[session["payment_intent"]]
        charge = self.books.charges[intent["latest_charge"]]
        if intent["status"] not in ("processing", "requires_action"):
            return False
        intent["next_action"] = None
        if well:
            self._received(session, intent, charge)
        else:
            charge["status"], intent["status"] = "failed", "requires_payment_method"
            self._emit("payment_intent.payment_failed", intent, "a delayed payment has failed")
        ending = "succeeded" if well else "failed"
        self._emit(f"checkout.session.async_payment_{ending}", session, f"a delayed payment has {ending}")
        return True

    def release_by_hand(self, session_id: str) -> bool:
        """Cancel an authorized payment in Stripe's dashboard. False where it is over already."""
        intent = self.books.intents[self.books.sessions[session_id]["payment_intent"]]
        return self._release(intent, "by hand")

    def refund_by_hand(self, session_id: str, amount: int) -> bool:
        """Refund in Stripe's dashboard. False where Stripe refuses."""
        try:
            self._new_refund(self.books.sessions[session_id]["payment_intent"], amount, None, {})
        except StripeRejected:
            return False
        return True

    def dispute(self, session_id: str, *, inquiry: bool) -> str | None:
        """The client disputes a payment. Returns the dispute's id, or None where the money is back already."""
        intent = self.books.intents[self.books.sessions[session_id]["payment_intent"]]
        charge = self.books.charges[intent["latest_charge"]]
        if not charge["captured"] or charge["disputed"] or charge["amount_refunded"]:
            return None
        charge["disputed"] = True
        dispute = self.books.new_dispute(charge, inquiry=inquiry)
        self._emit("charge.dispute.created", dispute, "a payment is disputed")
        if not inquiry:
            self._emit("charge.dispute.funds_withdrawn", dispute, "the bank takes the money")
        return str(dispute["id"])

    def close_dispute(self, dispute_id: str, *, won: bool) -> None:
        dispute = self.books.disputes[dispute_id]
        if dispute["is_charge_refundable"]:
            dispute["status"] = "warning_closed"
        else:
            dispute["status"] = "won" if won else "lost"
            if won:
                given = self.books.movement(dispute["amount"], 0, dispute["currency"])
                dispute["balance_transactions"].append(given)
                dispute["is_charge_refundable"] = True
                self._emit("charge.dispute.funds_reinstated", dispute, "the bank gives the money again")
        self._emit("charge.dispute.closed", dispute, f"a dispute is closed ({dispute['status']})")

    # For the checks

    def note_told(self) -> None:
        """All of the events could be fetched."""
        for event in self.books.events:
            self._note_told(event["id"])

    def told_at(self, name: str, *kinds: str) -> datetime | None:
        """When we first knew of one of these events about that object; None where we never did."""
        about = [one for one in self.books.events if one["data"]["object"]["id"] == name]
        told = [self._told.get(one["id"]) for one in about if one["type"] in kinds]
        return min((at for at in told if at is not None), default=None)

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
        if self._machines.fails(self._machines.faults.error_is_kept * 0.1):
            return StripeUnavailable("500", status=500)
        try:
            return copy.deepcopy(self.books.shown(do(), expand=True))
        except StripeGatewayError as error:
            return error

    def _check_expiry(self, request: CheckoutRequest) -> None:
        life = request.expires_at - self._world.now
        if not SHORTEST <= life <= LONGEST:
            raise StripeRejected("expires_at is out of range", status=400, param="expires_at")

    def _new_session(self, request: CheckoutRequest) -> Object:
        session = self.books.new_session(request)

        def over() -> None:
            if session["status"] == "open":
                self._expire(session)

        self._world.at(request.expires_at, over)
        return session

    def _expire(self, session: Object) -> None:
        session.update(status="expired", url=None)
        self._emit("checkout.session.expired", session, "a session has expired")

    def _give_voucher(self, session: Object, intent: Object, method: str) -> None:
        days, kind = VOUCHERS[method], f"{method}_display_details"
        details = {
            "expires_at": self.books.epoch() + days * A_DAY,
            "hosted_voucher_url": VOUCHER_PAGE + intent["id"],
        }
        intent.update(status="requires_action", next_action={"type": kind, kind: details})
        self._world.after(days * A_DAY, lambda: self.settle(session["id"], well=False))

    def _authorize(self, intent: Object, charge: Object) -> None:
        """Hold the money on the card: nothing is charged, and the session stays unpaid."""
        intent.update(status="requires_capture", amount_capturable=intent["amount"])
        self._emit("payment_intent.amount_capturable_updated", intent, "a payment is authorized")
        days: float = AUTHORIZED_DAYS
        if self._has_impatient_banks:
            days *= self._world.dice.random() ** 4
        self._world.after(days * A_DAY, lambda: self._release(intent, "bank"))

    def _capture(self, intent: Object) -> None:
        charge = self.books.charges[intent["latest_charge"]]
        intent["amount_capturable"] = 0
        self._received(self.books.sessions[intent["_session"]], intent, charge)

    def _release(self, intent: Object, by: str) -> bool:
        """End an authorization without a charge; no refund is made, though Stripe says that the charge is refunded."""
        if intent["status"] != "requires_capture":
            return False
        charge = self.books.charges[intent["latest_charge"]]
        charge.update(amount_refunded=charge["amount"], refunded=True)
        intent.update(status="canceled", amount_capturable=0, _released=(by, self._world.now))
        if by != "bank":
            self._emit("charge.refunded", charge, "a charge counts as refunded")
        self._emit("payment_intent.canceled", intent, f"an authorization ends ({by})")
        return True

    def _end_once(
        self, what: str, payment_intent: str, key: str, end: Callable[[Object], object]
    ) -> PaymentIntent:
        """As the gateway's: one that is over already is given as it is."""

        def once() -> Object:
            intent = self._get(self.books.intents, payment_intent)
            if intent["status"] != "requires_capture":
                raise StripeRejected("not authorized", status=400, code="payment_intent_unexpected_state")
            end(intent)
            return intent

        try:
            done = self._once(f"{what} [{payment_intent}]", key, payment_intent, check=lambda: None, do=once)
            return read_payment_intent(done)
        except StripeRejected:
            now = self.retrieve_payment_intent(payment_intent)
            if now.status == "requires_capture":
                raise
            return now

    def _received(self, session: Object, intent: Object, charge: Object) -> None:
        charge.update(status="succeeded", captured=True)
        intent.update(status="succeeded", amount_received=charge["amount"])
        session["payment_status"] = "paid"
        fee = charge["amount"] * 15 // 1000 + 20
        movement = self.books.movement(charge["amount"], fee, charge["currency"])
        if self._world.chance(0.5):
            charge["balance_transaction"] = movement
            return

        # What Stripe keeps of it is known a moment later.
        def balance() -> None:
            charge["balance_transaction"] = movement
            self._emit("charge.updated", charge, "what Stripe keeps is known")

        self._world.after(self._world.dice.uniform(0.5, 60), balance)

    def _new_refund(
        self, payment_intent: str, amount: int, reason: str | None, metadata: Mapping[str, str]
    ) -> Object:
        intent = self.books.intents.get(payment_intent)
        charge = self.books.charges.get((intent or {}).get("latest_charge") or "")
        if charge is None or charge["status"] != "succeeded":
            raise StripeNotFound("no such payment", status=404)
        if not charge["captured"]:
            raise StripeRejected("nothing was charged", status=400, code="charge_not_captured")
        of_charge = (one for one in self.books.disputes.values() if one["charge"] == charge["id"])
        if any(not one["is_charge_refundable"] for one in of_charge):
            raise StripeRejected("disputed", status=400, code="charge_disputed")
        left = charge["amount"] - charge["amount_refunded"]
        if left == 0:
            raise StripeRejected("refunded already", status=400, code="charge_already_refunded")
        if amount > left:
            raise StripeRejected("more than is left", status=400, param="amount")
        is_asked = charge["payment_method"] in VOUCHERS
        is_pending = self._world.chance(0.2)
        status = "requires_action" if is_asked else "pending" if is_pending else "succeeded"
        refund = self.books.new_refund(charge, amount, status, reason, metadata)
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        self._emit("refund.created", refund, f"a refund is made ({status})")
        self._emit("charge.refunded", charge, "a charge is refunded")
        if is_asked:
            self._ask(refund)
        elif is_pending:
            self._in_days(6, lambda: self._end_refund(refund))
        else:
            self._may_fail_late(refund)
        return refund

    def _ask(self, refund: Object) -> None:
        """Ask the client by e-mail where to send it. They answer, or never do; or the refund is canceled meanwhile."""
        expires_at = self.books.epoch() + ANSWER_DAYS * A_DAY
        refund["next_action"] = {"type": "display_details", "display_details": {"expires_at": expires_at}}
        self._world.after(ANSWER_DAYS * A_DAY, lambda: self._stop_asking(refund, "failed"))
        if self._world.chance(0.6):
            self._in_days(ANSWER_DAYS, lambda: self._stop_asking(refund, "pending"))
        elif self._world.chance(0.2):
            self._in_days(ANSWER_DAYS, lambda: self._stop_asking(refund, "canceled"))

    def _stop_asking(self, refund: Object, status: str) -> None:
        if refund["status"] != "requires_action":
            return
        refund.update(next_action=None, _asked_until=self._world.now)
        if status != "pending":
            self._fail_refund(refund, status)
            return
        refund["status"] = status
        self._emit("refund.updated", refund, "a client has answered about a refund")
        self._in_days(6, lambda: self._end_refund(refund))

    def _end_refund(self, refund: Object) -> None:
        if self._world.chance(0.25):
            self._fail_refund(refund)
            return
        refund["status"] = "succeeded"
        self._emit("refund.updated", refund, "a refund has arrived")
        self._may_fail_late(refund)

    def _may_fail_late(self, refund: Object) -> None:
        if self._world.chance(0.15):
            self._in_days(FAILS_WITHIN_DAYS, lambda: self._fail_refund(refund))

    def _fail_refund(self, refund: Object, status: str = "failed") -> None:
        """The money is back in the balance."""
        charge = self.books.charges[refund["charge"]]
        refund["status"] = status
        refund["failure_balance_transaction"] = self.books.movement(refund["amount"], 0, refund["currency"])
        charge["amount_refunded"] -= refund["amount"]
        charge["refunded"] = False
        if status == "failed":
            refund["failure_reason"] = "expired_or_canceled_card"
        for kind in (
            self._failure_events if status == "failed" else ("refund.updated", "charge.refund.updated")
        ):
            self._emit(kind, refund, f"a refund has {status}")

    def _in_days(self, most: float, do: Callable[[], None]) -> None:
        self._world.after(self._world.dice.uniform(0.01, most) * A_DAY, do)

    def _emit(self, kind: str, about: Object, what: str) -> None:
        event = copy.deepcopy(self.books.new_event(kind, about))
        self._network.send(
            Provider.STRIPE,
            event,
            f"{what} [{about['id']}]",
            then=lambda: self._note_told(event["id"]),
        )

    def _note_told(self, event_id: str) -> None:
        self._told.setdefault(event_id, self._world.now)

    def _read(self, what: str, shelf: dict[str, Object], name: str) -> Object:
        def show() -> Object:
            return copy.deepcopy(self.books.shown(self._get(shelf, name), expand=True))

        return self._api.call(f"read {what} [{name}]", show)

    def _list_of(self, what: str, shelf: dict[str, Object], payment_intent: str) -> list[Object]:
        def those() -> list[Object]:
            found = [one for one in shelf.values() if one["payment_intent"] == payment_intent]
            return [copy.deepcopy(self.books.shown(one, expand=True)) for one in found]

        return self._api.call(f"list {what} [{payment_intent}]", those)

    def _get(self, shelf: dict[str, Object], name: str) -> Object:
        if name not in shelf:
            raise StripeNotFound("no such object", status=404)
        return shelf[name]
