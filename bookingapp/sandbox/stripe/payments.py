"""What a customer's attempt to pay does to a session, its PaymentIntent and its charges."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bookingapp.sandbox.clock import epoch
from bookingapp.sandbox.stripe.events import emit
from bookingapp.sandbox.stripe.objects import (
    NO_ADDRESS,
    new_balance_transaction,
    new_charge,
    new_payment_intent,
)

if TYPE_CHECKING:
    from bookingapp.sandbox.context import Sandbox
    from bookingapp.sandbox.store import Document

PAYS = frozenset({"4242424242424242", "4000056655665556", "5555555555554444", "378282246310005"})
"""Card numbers that pay."""

DECLINES = {
    "4000000000000002": ("card_declined", "generic_decline", "Your card was declined."),
    "4000000000009995": ("card_declined", "insufficient_funds", "Your card has insufficient funds."),
}
"""Card numbers that are declined: error code, decline code, words for the customer."""


class SessionClosedError(Exception):
    """The session is not open, so nothing can be paid."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: what the customer is told, and the deliveries of the session's completion."""

    message: str | None
    deliveries: list[str]


def _open_session(sandbox: Sandbox, identifier: str) -> Document:
    session = sandbox.store.get("checkout_session", identifier)
    if session is None or session["status"] != "open" or session["expires_at"] <= epoch():
        raise SessionClosedError
    return session


def _intent(sandbox: Sandbox, session: Document) -> Document:
    """The session's one intent; several attempts share it."""
    found = sandbox.store.get("payment_intent", session["payment_intent"] or "")
    if found is not None:
        return found
    intent = new_payment_intent(session)
    session["payment_intent"] = intent["id"]
    sandbox.store.put("checkout_session", session["id"], session)
    sandbox.store.put("payment_intent", intent["id"], intent)
    emit(sandbox, "payment_intent.created", intent)
    return intent


def pay_by_card(
    sandbox: Sandbox, session_id: str, customer: Document, method: Document, number: str
) -> Outcome:
    """One attempt with a test card.

    Raises:
        SessionClosedError: it was paid or has expired.
    """
    with sandbox.store.transaction():
        session = _open_session(sandbox, session_id)
        intent = _intent(sandbox, session)
        if number in DECLINES:
            _decline(sandbox, intent, customer, method, number)
            return Outcome(DECLINES[number][2], [])
        charge = new_charge(intent, customer, method, status="succeeded")
        _succeed(sandbox, intent, charge)
        return Outcome(None, _complete(sandbox, session, customer, "paid"))


def pay_later(sandbox: Sandbox, session_id: str, customer: Document, method: Document) -> Outcome:
    """Start a payment that settles or fails days later: the session is complete and unpaid.

    Raises:
        SessionClosedError: it was paid or has expired.
    """
    with sandbox.store.transaction():
        session = _open_session(sandbox, session_id)
        intent = _intent(sandbox, session)
        charge = new_charge(intent, customer, method, status="pending")
        intent.update(
            status="processing", latest_charge=charge["id"], payment_method=charge["payment_method"]
        )
        pause = sandbox.store.setting("settle_after_seconds")
        intent["_settle_at"] = None if pause is None else time.time() + float(pause)
        sandbox.store.put("charge", charge["id"], charge)
        sandbox.store.put("payment_intent", intent["id"], intent)
        emit(sandbox, "payment_intent.processing", intent)
        emit(sandbox, "charge.pending", charge)
        return Outcome(None, _complete(sandbox, session, customer, "unpaid"))


def complete_for_nothing(sandbox: Sandbox, session_id: str, customer: Document) -> Outcome:
    """Complete a session that costs nothing: there is no PaymentIntent.

    Raises:
        SessionClosedError: it was completed or has expired.
    """
    with sandbox.store.transaction():
        session = _open_session(sandbox, session_id)
        return Outcome(None, _complete(sandbox, session, customer, "no_payment_required"))


def settle(sandbox: Sandbox, intent_id: str, *, succeeded: bool) -> Document | None:
    """The bank's word on a delayed payment; the intent, or None if none is being processed under that id."""
    with sandbox.store.transaction():
        intent = sandbox.store.get("payment_intent", intent_id)
        if intent is None or intent["status"] != "processing":
            return None
        charge = sandbox.store.get("charge", intent["latest_charge"]) or {}
        session = sandbox.store.get("checkout_session", intent["_session"]) or {}
        if succeeded:
            charge.update(status="succeeded", captured=True, amount_captured=charge["amount"])
            _succeed(sandbox, intent, charge)
            session["payment_status"] = "paid"
            sandbox.store.put("checkout_session", session["id"], session)
            emit(sandbox, "checkout.session.async_payment_succeeded", session)
            return intent
        message = "The customer's bank could not collect the payment."
        charge.update(status="failed", paid=False, failure_code="insufficient_funds", failure_message=message)
        error = {"code": "payment_intent_payment_attempt_failed", "message": message, "type": "card_error"}
        _fail(sandbox, intent, charge, error)
        emit(sandbox, "checkout.session.async_payment_failed", session)
        return intent


def settle_due(sandbox: Sandbox) -> None:
    """Settle the delayed payments whose time has come."""
    for intent in sandbox.store.all("payment_intent", status="processing"):
        if intent.get("_settle_at") is not None and intent["_settle_at"] <= time.time():
            settle(
                sandbox,
                intent["id"],
                succeeded=sandbox.store.setting("settle_outcome", "succeeded") == "succeeded",
            )


def _succeed(sandbox: Sandbox, intent: Document, charge: Document) -> None:
    # A part of the amount and a fixed sum, as for a card of the same country.
    fee = round(charge["amount"] * 0.015) + 20 if sandbox.store.setting("fees", default=False) else 0
    movement = new_balance_transaction(charge, charge["amount"], "charge", fee=fee)
    charge["balance_transaction"] = movement["id"]
    intent.update(
        status="succeeded",
        amount_received=intent["amount"],
        latest_charge=charge["id"],
        payment_method=charge["payment_method"],
        last_payment_error=None,
    )
    sandbox.store.put("balance_transaction", movement["id"], movement)
    sandbox.store.put("charge", charge["id"], charge)
    sandbox.store.put("payment_intent", intent["id"], intent)
    emit(sandbox, "charge.succeeded", charge)
    emit(sandbox, "payment_intent.succeeded", intent)


def _decline(sandbox: Sandbox, intent: Document, customer: Document, method: Document, number: str) -> None:
    code, decline_code, message = DECLINES[number]
    charge = new_charge(intent, customer, method, status="failed")
    charge.update(failure_code=code, failure_message=message)
    charge["outcome"]["reason"] = decline_code
    error = {
        "charge": charge["id"],
        "code": code,
        "decline_code": decline_code,
        "doc_url": "https://stripe.com/docs/error-codes/card-declined",
        "message": message,
        "type": "card_error",
    }
    _fail(sandbox, intent, charge, error)


def _fail(sandbox: Sandbox, intent: Document, charge: Document, error: Document) -> None:
    intent.update(status="requires_payment_method", latest_charge=charge["id"], last_payment_error=error)
    sandbox.store.put("charge", charge["id"], charge)
    sandbox.store.put("payment_intent", intent["id"], intent)
    emit(sandbox, "charge.failed", charge)
    emit(sandbox, "payment_intent.payment_failed", intent)


def _complete(sandbox: Sandbox, session: Document, customer: Document, payment_status: str) -> list[str]:
    session.update(
        status="complete",
        payment_status=payment_status,
        url=None,
        customer_details={
            "address": NO_ADDRESS,
            "business_name": None,
            "email": customer["email"],
            "individual_name": None,
            "name": customer["name"],
            "phone": None,
            "tax_exempt": "none",
            "tax_ids": [],
        },
    )
    sandbox.store.put("checkout_session", session["id"], session)
    return emit(sandbox, "checkout.session.completed", session)
