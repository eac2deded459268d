"""Control over the stand-in Stripe: what a dashboard, a bank or a hurried test would do."""

from __future__ import annotations

from flask import Blueprint
from werkzeug.wrappers import Response

from bookingapp.sandbox.context import current_sandbox
from bookingapp.sandbox.control.http import answer, given, refuse, required
from bookingapp.sandbox.stripe.http import StripeApiError
from bookingapp.sandbox.stripe.money import delayed_method
from bookingapp.sandbox.stripe.objects import card_method
from bookingapp.sandbox.stripe.payments import (
    SessionClosedError,
    complete_for_nothing,
    pay_by_card,
    pay_later,
    settle,
)
from bookingapp.sandbox.stripe.refunds import close_dispute, create_refund, open_dispute, settle_refund
from bookingapp.sandbox.stripe.sessions import expire_session

blueprint = Blueprint("control_stripe", __name__, url_prefix="/control/api/stripe")

ALTERABLE = ("amount_total", "amount_subtotal", "currency", "expires_at", "client_reference_id", "metadata")


@blueprint.post("/sessions/<identifier>/pay")
def pay(identifier: str) -> Response:
    """Pay without the page: ``method`` is ``card`` or ``delayed``, ``card_number`` a test card."""
    sandbox, body = current_sandbox(), given()
    session = required(sandbox.store.get("checkout_session", identifier))
    email = session["customer_email"] or body.get("email", "sam@example.com")
    customer = {"email": email, "name": body.get("name", "Sam Visitor")}
    number = str(body.get("card_number", "4242424242424242")).replace(" ", "")
    try:
        if session["payment_status"] == "no_payment_required":
            outcome = complete_for_nothing(sandbox, identifier, customer)
        elif body.get("method") == "delayed":
            kind = delayed_method(session["currency"])[0]
            outcome = pay_later(sandbox, identifier, customer, {"type": kind, kind: {}})
        else:
            outcome = pay_by_card(sandbox, identifier, customer, card_method(number, 12, 2034), number)
    except SessionClosedError:
        return refuse("The session is not open.")
    session = required(sandbox.store.get("checkout_session", identifier))
    return answer({"message": outcome.message, "session": session}, outcome.message or "Paid.", "payments")


@blueprint.post("/sessions/<identifier>/expire")
def expire(identifier: str) -> Response:
    """End an open session."""
    required(current_sandbox().store.get("checkout_session", identifier))
    try:
        session = expire_session(current_sandbox(), identifier)
    except StripeApiError as error:
        return refuse(str(error))
    return answer(session, "The session has expired.", "payments")


@blueprint.post("/sessions/<identifier>/alter")
def alter(identifier: str) -> Response:
    """Change what Stripe says of a session (amount, currency, expiry, reference), to see who notices."""
    sandbox, body = current_sandbox(), given()
    session = required(sandbox.store.get("checkout_session", identifier))
    for name in ALTERABLE:
        if name in body:
            session[name] = int(body[name]) if isinstance(session[name], int) else body[name]
    sandbox.store.put("checkout_session", identifier, session)
    return answer(session, "The session is altered.", "payments")


@blueprint.post("/payments/<identifier>/settle")
def settle_payment(identifier: str) -> Response:
    """The bank's word on a delayed payment: ``outcome`` is ``succeeded`` or ``failed``."""
    outcome = str(given().get("outcome", "succeeded"))
    intent = settle(current_sandbox(), identifier, succeeded=outcome == "succeeded")
    if intent is None:
        return refuse("No payment is being processed under that id.")
    return answer(intent, f"The payment {outcome}.", "payments")


@blueprint.post("/payments/<identifier>/refund")
def refund(identifier: str) -> Response:
    """Refund from "the dashboard": ``amount`` in minor units, or all that is left."""
    wanted = {"payment_intent": identifier, "reason": "requested_by_customer"}
    if "amount" in given():
        wanted["amount"] = str(given()["amount"])
    try:
        made = create_refund(current_sandbox(), wanted)
    except StripeApiError as error:
        return refuse(str(error))
    return answer(made, "Refunded.", "payments")


@blueprint.post("/refunds/<identifier>/settle")
def settle_one_refund(identifier: str) -> Response:
    """The bank's word on a refund: ``outcome`` is ``succeeded`` or ``failed``."""
    outcome = str(given().get("outcome", "failed"))
    made = settle_refund(current_sandbox(), identifier, succeeded=outcome == "succeeded")
    if made is None:
        return refuse("That refund is settled already, or does not exist.")
    return answer(made, f"The refund {outcome}.", "payments")


@blueprint.post("/payments/<identifier>/dispute")
def dispute(identifier: str) -> Response:
    """The cardholder's bank disputes the charge."""
    sandbox = current_sandbox()
    intent = required(sandbox.store.get("payment_intent", identifier))
    made = open_dispute(
        sandbox, intent["latest_charge"] or "", reason=str(given().get("reason", "fraudulent"))
    )
    if made is None:
        return refuse("That payment cannot be disputed.")
    return answer(made, "A dispute is open.", "payments")


@blueprint.post("/disputes/<identifier>/close")
def close(identifier: str) -> Response:
    """The bank decides: ``outcome`` is ``won`` or ``lost``."""
    outcome = str(given().get("outcome", "lost"))
    closed = close_dispute(current_sandbox(), identifier, won=outcome == "won")
    if closed is None:
        return refuse("That dispute is closed already, or does not exist.")
    return answer(closed, f"The dispute is {outcome}.", "payments")
