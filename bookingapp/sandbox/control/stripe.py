"""Control of the stand-in Stripe: what customers, banks and Stripe's dashboard do."""

from __future__ import annotations

from flask import Blueprint
from werkzeug.wrappers import Response

from bookingapp.sandbox.context import current_sandbox, get_or_404
from bookingapp.sandbox.control.http import answer, refuse, request_values
from bookingapp.sandbox.store import Document
from bookingapp.sandbox.stripe.authorizations import cancel_payment, capture_payment, expire_authorization
from bookingapp.sandbox.stripe.disputes import close_dispute, open_dispute, warn_of_fraud
from bookingapp.sandbox.stripe.errors import StripeApiError
from bookingapp.sandbox.stripe.payments import (
    MethodExcludedError,
    SessionClosedError,
    attempt_payment,
    settle_payment,
)
from bookingapp.sandbox.stripe.refunds import create_refund, settle_refund
from bookingapp.sandbox.stripe.sessions import expire_session

blueprint = Blueprint("control_stripe", __name__, url_prefix="/control/api/stripe")

ALTERABLE = ("amount_total", "amount_subtotal", "currency", "expires_at", "client_reference_id", "metadata")


@blueprint.errorhandler(StripeApiError)
def _refuse_as_stripe(error: StripeApiError) -> Response:
    return refuse(str(error))


def _answer(result: Document | None, done: str, refusal: str) -> Response:
    return refuse(refusal) if result is None else answer(result, done, "payments")


@blueprint.post("/sessions/<identifier>/pay")
def pay_session(identifier: str) -> Response:
    """Pay without the page: ``method`` is ``card`` or ``delayed``, ``card_number`` a test card."""
    session, body = get_or_404("checkout_session", identifier), request_values()
    email = session["customer_email"] or body.get("email", "sam@example.com")
    try:
        outcome = attempt_payment(
            current_sandbox(),
            identifier,
            {"email": email, "name": body.get("name", "Sam Visitor")},
            card_number=str(body.get("card_number", "4242424242424242")).replace(" ", ""),
            delayed=body.get("method") == "delayed",
        )
    except SessionClosedError:
        return refuse("The session is not open.")
    except MethodExcludedError:
        return refuse("The payment page does not offer this method.")
    session = get_or_404("checkout_session", identifier)
    intent = current_sandbox().store.get("payment_intent", session["payment_intent"] or "")
    done = "Authorized." if intent is not None and intent["status"] == "requires_capture" else "Paid."
    result = {"message": outcome.message, "session": session, "payment_intent": intent}
    return answer(result, outcome.message or done, "payments")


@blueprint.post("/sessions/<identifier>/expire")
def expire_open_session(identifier: str) -> Response:
    """Expire an open session."""
    get_or_404("checkout_session", identifier)
    return answer(expire_session(current_sandbox(), identifier), "The session has expired.", "payments")


@blueprint.post("/sessions/<identifier>/alter")
def alter_session(identifier: str) -> Response:
    """Change what Stripe says about a session (amount, currency, expiry, reference), to test who notices."""
    session, body = get_or_404("checkout_session", identifier), request_values()
    for name in ALTERABLE:
        if name in body:
            session[name] = int(body[name]) if isinstance(session[name], int) else body[name]
    current_sandbox().store.put("checkout_session", identifier, session)
    return answer(session, "The session is altered.", "payments")


@blueprint.post("/keys")
def set_keys() -> Response:
    """Accept these ``keys`` of the API and no others, as after rolling one: old and new for a while, then the new one.
    Without any, the one of the configuration.
    """
    keys = [str(key) for key in request_values().get("keys", [])]
    current_sandbox().store.set_setting("stripe_keys", keys)
    return answer({"accepted": len(keys) or 1}, "The keys are changed.", "payments")


@blueprint.post("/payments/<identifier>/settle")
def settle_delayed_payment(identifier: str) -> Response:
    """End a delayed payment: ``outcome`` is ``succeeded`` or ``failed``."""
    outcome = str(request_values().get("outcome", "succeeded"))
    intent = settle_payment(current_sandbox(), identifier, succeeded=outcome == "succeeded")
    return _answer(intent, f"The payment {outcome}.", "No payment is processing under that id.")


@blueprint.post("/payments/<identifier>/capture")
def capture_authorized_payment(identifier: str) -> Response:
    """Capture as from Stripe's dashboard: ``amount`` in minor units, or all of it."""
    amount = request_values().get("amount")
    wanted = {} if amount is None else {"amount_to_capture": str(amount)}
    return answer(capture_payment(current_sandbox(), identifier, wanted), "Captured.", "payments")


@blueprint.post("/payments/<identifier>/cancel")
def cancel_authorized_payment(identifier: str) -> Response:
    """Release an authorized payment as from Stripe's dashboard."""
    return answer(cancel_payment(current_sandbox(), identifier, {}), "Released.", "payments")


@blueprint.post("/payments/<identifier>/expire")
def expire_authorized_payment(identifier: str) -> Response:
    """End an authorization, as after seven days."""
    intent = expire_authorization(current_sandbox(), identifier)
    return _answer(intent, "The authorization has expired.", "No payment is authorized under that id.")


@blueprint.post("/payments/<identifier>/refund")
def refund_payment(identifier: str) -> Response:
    """Refund as from Stripe's dashboard: ``amount`` in minor units, or all that is left."""
    wanted = {"payment_intent": identifier, "reason": "requested_by_customer"}
    if "amount" in request_values():
        wanted["amount"] = str(request_values()["amount"])
    return answer(create_refund(current_sandbox(), wanted), "Refunded.", "payments")


@blueprint.post("/refunds/<identifier>/settle")
def settle_pending_refund(identifier: str) -> Response:
    """End a refund: ``outcome`` is ``succeeded`` or ``failed``."""
    outcome = str(request_values().get("outcome", "failed"))
    refund = settle_refund(current_sandbox(), identifier, succeeded=outcome == "succeeded")
    return _answer(refund, f"The refund {outcome}.", "That refund has failed already, or does not exist.")


@blueprint.post("/payments/<identifier>/dispute")
def dispute_payment(identifier: str) -> Response:
    """Dispute the charge, as the cardholder's bank; with ``status`` ``lost``, one that cannot be answered."""
    intent = get_or_404("payment_intent", identifier)
    reason = str(request_values().get("reason", "fraudulent"))
    is_lost = request_values().get("status") == "lost"
    dispute = open_dispute(current_sandbox(), intent["latest_charge"] or "", reason=reason, is_lost=is_lost)
    return _answer(dispute, "A dispute is open.", "That payment cannot be disputed.")


@blueprint.post("/payments/<identifier>/fraud-warning")
def warn_of_payment(identifier: str) -> Response:
    """Report the charge as fraud, as the card network."""
    intent = get_or_404("payment_intent", identifier)
    warning = warn_of_fraud(current_sandbox(), intent["latest_charge"] or "")
    return _answer(warning, "A fraud warning is sent.", "That payment cannot be reported.")


@blueprint.post("/disputes/<identifier>/close")
def decide_dispute(identifier: str) -> Response:
    """Decide a dispute, as the bank: ``outcome`` is ``won`` or ``lost``."""
    outcome = str(request_values().get("outcome", "lost"))
    dispute = close_dispute(current_sandbox(), identifier, won=outcome == "won")
    return _answer(
        dispute, f"The dispute is {outcome}.", "That dispute is closed already, or does not exist."
    )
