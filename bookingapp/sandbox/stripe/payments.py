"""Payments: what a customer's attempt changes in a session, its PaymentIntent and its charges.

What becomes of an authorized payment is in ``authorizations``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from bookingapp.sandbox.behavior import current_behavior
from bookingapp.sandbox.clock import epoch
from bookingapp.sandbox.context import Sandbox
from bookingapp.sandbox.store import Document
from bookingapp.sandbox.stripe.authorizations import authorize
from bookingapp.sandbox.stripe.balance import record_charge
from bookingapp.sandbox.stripe.events import publish_event
from bookingapp.sandbox.stripe.money import VOUCHERS, delayed_method
from bookingapp.sandbox.stripe.objects import (
    card_method,
    new_charge,
    new_customer_details,
    new_payment_intent,
)

A_DAY = 24 * 60 * 60
# Stripe docs, Test card numbers.
PAYING_CARDS = frozenset({"4242424242424242", "4000056655665556", "5555555555554444", "378282246310005"})
# Decline code and message for the customer.
DECLINED_CARDS = {
    "4000000000000002": ("generic_decline", "Your card was declined."),
    "4000000000009995": ("insufficient_funds", "Your card has insufficient funds."),
}


class MethodExcludedError(Exception):
    """The payment page does not offer this method."""


class SessionClosedError(Exception):
    """The session is not open, so it cannot be paid."""


@dataclass(frozen=True, slots=True)
class PaymentOutcome:
    """The result of an attempt: the refusal for the customer, and the deliveries of the session's completion."""

    message: str | None
    deliveries: list[str]


def _open_session(sandbox: Sandbox, identifier: str) -> Document:
    session = sandbox.store.get("checkout_session", identifier)
    if session is None or session["status"] != "open" or session["expires_at"] <= epoch():
        raise SessionClosedError
    return session


def _intent_of(sandbox: Sandbox, session: Document) -> Document:
    """The session's one PaymentIntent, which several attempts share (Stripe API reference, Checkout Session)."""
    found = sandbox.store.get("payment_intent", session["payment_intent"] or "")
    if found is not None:
        return found
    intent = new_payment_intent(session)
    session["payment_intent"] = intent["id"]
    sandbox.store.put("checkout_session", session["id"], session)
    sandbox.store.put("payment_intent", intent["id"], intent)
    publish_event(sandbox, "payment_intent.created", intent)
    return intent


def attempt_payment(
    sandbox: Sandbox,
    session_id: str,
    customer: Document,
    *,
    card_number: str = "",
    card_expiry: tuple[int, int] = (12, 2034),
    delayed: bool = False,
) -> PaymentOutcome:
    """Pay a session with a test card, or by a delayed method that settles later; a free session needs neither.

    With ``capture_method`` ``manual`` the payment is authorized, and the session is complete and unpaid until the
    capture. ``customer`` has ``email`` and ``name`` as typed, ``card_expiry`` is month and year.

    Raises:
        SessionClosedError: the session was completed or has expired.
        MethodExcludedError: the method is not offered on this page.
    """
    with sandbox.store.transaction():
        session = _open_session(sandbox, session_id)
        if session["payment_status"] == "no_payment_required":
            return PaymentOutcome(None, _complete(sandbox, session, customer, "no_payment_required"))
        if (delayed_method(session["currency"])[0] if delayed else "card") not in session[
            "payment_method_types"
        ]:
            raise MethodExcludedError
        intent = _intent_of(sandbox, session)
        if delayed:
            _start_delayed(sandbox, intent, customer, session["currency"])
            return PaymentOutcome(None, _complete(sandbox, session, customer, "unpaid"))
        method = card_method(card_number, *card_expiry)
        if card_number in DECLINED_CARDS:
            return PaymentOutcome(_decline(sandbox, intent, customer, method, card_number), [])
        charge = new_charge(intent, customer, method, status="succeeded")
        if intent["capture_method"] == "manual":
            authorize(sandbox, intent, charge)
            return PaymentOutcome(None, _complete(sandbox, session, customer, "unpaid"))
        _succeed(sandbox, intent, charge)
        return PaymentOutcome(None, _complete(sandbox, session, customer, "paid"))


def settle_payment(sandbox: Sandbox, intent_id: str, *, succeeded: bool) -> Document | None:
    """End a delayed payment; its PaymentIntent, or None if none is processing under that id."""
    with sandbox.store.transaction():
        intent = sandbox.store.get("payment_intent", intent_id)
        if intent is None or intent["status"] not in {"processing", "requires_action"}:
            return None
        intent["next_action"] = None
        charge = sandbox.store.get("charge", intent["latest_charge"]) or {}
        session = sandbox.store.get("checkout_session", intent["_session"]) or {}
        if succeeded:
            charge.update(status="succeeded", captured=True, amount_captured=charge["amount"])
            _succeed(sandbox, intent, charge)
            session["payment_status"] = "paid"
            sandbox.store.put("checkout_session", session["id"], session)
            publish_event(sandbox, "checkout.session.async_payment_succeeded", session)
            return intent
        message = "The customer's bank could not collect the payment."
        charge.update(status="failed", paid=False, failure_code="insufficient_funds", failure_message=message)
        error = {"code": "payment_intent_payment_attempt_failed", "message": message, "type": "card_error"}
        _fail(sandbox, intent, charge, error)
        publish_event(sandbox, "checkout.session.async_payment_failed", session)
        return intent


def settle_due_payments(sandbox: Sandbox) -> None:
    """Settle the delayed payments whose time has come."""
    under_way = (
        intent
        for status in ("processing", "requires_action")
        for intent in sandbox.store.all("payment_intent", status=status)
    )
    for intent in list(under_way):
        if intent.get("_settle_at") is not None and intent["_settle_at"] <= time.time():
            outcome = current_behavior(sandbox.store)["settle_outcome"]
            settle_payment(sandbox, intent["id"], succeeded=outcome == "succeeded")


def _start_delayed(sandbox: Sandbox, intent: Document, customer: Document, currency: str) -> None:
    kind = delayed_method(currency)[0]
    charge = new_charge(intent, customer, {"type": kind, kind: {}}, status="pending")
    pause = current_behavior(sandbox.store)["settle_after_seconds"]
    intent.update(
        status="processing",
        latest_charge=charge["id"],
        payment_method=charge["payment_method"],
        _settle_at=None if pause is None else time.time() + float(pause),
    )
    _store(sandbox, intent, charge)
    if kind in VOUCHERS:
        intent.update(status="requires_action", next_action=_voucher(sandbox, intent, kind))
        sandbox.store.put("payment_intent", intent["id"], intent)
        publish_event(sandbox, "payment_intent.requires_action", intent)
        return
    publish_event(sandbox, "payment_intent.processing", intent)
    publish_event(sandbox, "charge.pending", charge)


def _voucher(sandbox: Sandbox, intent: Document, kind: str) -> Document:
    """``next_action`` of a voucher (Stripe API reference, The PaymentIntent object)."""
    url = f"{sandbox.config.checkout_url}/voucher/{intent['id']}"
    name = f"{kind}_display_details"
    return {"type": name, name: {"expires_at": epoch() + 3 * A_DAY, "hosted_voucher_url": url}}


def _succeed(sandbox: Sandbox, intent: Document, charge: Document) -> None:
    record_charge(sandbox, charge)
    intent.update(
        status="succeeded",
        amount_received=intent["amount"],
        latest_charge=charge["id"],
        payment_method=charge["payment_method"],
        last_payment_error=None,
    )
    _store(sandbox, intent, charge)
    publish_event(sandbox, "charge.succeeded", charge)
    publish_event(sandbox, "payment_intent.succeeded", intent)


def _decline(sandbox: Sandbox, intent: Document, customer: Document, method: Document, number: str) -> str:
    decline_code, message = DECLINED_CARDS[number]
    charge = new_charge(intent, customer, method, status="failed")
    charge.update(failure_code="card_declined", failure_message=message)
    charge["outcome"]["reason"] = decline_code
    error = {
        "charge": charge["id"],
        "code": "card_declined",
        "decline_code": decline_code,
        "doc_url": "https://stripe.com/docs/error-codes/card-declined",
        "message": message,
        "type": "card_error",
    }
    _fail(sandbox, intent, charge, error)
    return message


def _fail(sandbox: Sandbox, intent: Document, charge: Document, error: Document) -> None:
    intent.update(status="requires_payment_method", latest_charge=charge["id"], last_payment_error=error)
    _store(sandbox, intent, charge)
    publish_event(sandbox, "charge.failed", charge)
    publish_event(sandbox, "payment_intent.payment_failed", intent)


def _store(sandbox: Sandbox, intent: Document, charge: Document) -> None:
    sandbox.store.put("charge", charge["id"], charge)
    sandbox.store.put("payment_intent", intent["id"], intent)


def _complete(sandbox: Sandbox, session: Document, customer: Document, payment_status: str) -> list[str]:
    session.update(
        status="complete",
        payment_status=payment_status,
        url=None,
        customer_details=new_customer_details(customer),
    )
    sandbox.store.put("checkout_session", session["id"], session)
    return publish_event(sandbox, "checkout.session.completed", session)
