"""Stripe's hosted Checkout page."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from bookingapp.sandbox.clock import utcnow
from bookingapp.sandbox.context import current_sandbox, get_or_404
from bookingapp.sandbox.store import Document
from bookingapp.sandbox.stripe.money import delayed_method, format_amount
from bookingapp.sandbox.stripe.payments import (
    DECLINED_CARDS,
    PAYING_CARDS,
    SessionClosedError,
    attempt_payment,
)
from bookingapp.sandbox.stripe.sessions import expire_due_sessions

blueprint = Blueprint("checkout", __name__, url_prefix="/stripe-checkout")

# The longest that Checkout holds the customer for the endpoint of checkout.session.completed
# (Stripe docs, Fulfill orders).
HOLD_SECONDS = 10.0
CENTURY, MONTHS = 2000, 12
SUBMIT_WORDS = {"book": "Book", "donate": "Donate", "subscribe": "Subscribe"}
FIELDS = ("email", "method", "card_number", "card_expiry", "card_cvc", "name")


blueprint.add_app_template_filter(format_amount, "money")


@blueprint.get("/c/pay/<session_id>")
def show_checkout(session_id: str) -> str:
    """The line items, and a form to pay them."""
    session = _session(session_id)
    return _page(session, {"email": session["customer_email"] or "", "method": "card"}, {})


@blueprint.post("/c/pay/<session_id>")
def submit_checkout(session_id: str) -> tuple[str, int] | Response:
    """Attempt to pay; on success redirect the customer after the app has received the completion."""
    sandbox, session = current_sandbox(), _session(session_id)
    values = {name: request.form.get(name, "").strip() for name in FIELDS}
    if session["customer_email"]:
        values["email"] = session["customer_email"]
    errors = _errors(session, values)
    if errors:
        return _page(session, values, errors), 422
    try:
        outcome = attempt_payment(
            sandbox,
            session_id,
            {"email": values["email"], "name": values["name"] or None},
            card_number=_digits(values["card_number"]),
            card_expiry=_expiry(values["card_expiry"]) or (1, CENTURY),
            delayed=values["method"] == "delayed",
        )
    except SessionClosedError:
        return _page(_session(session_id), values, {}), 410
    if outcome.message is not None:
        return _page(_session(session_id), values, {"card_number": outcome.message}), 402
    sandbox.deliveries.wait_for_attempts(outcome.deliveries, HOLD_SECONDS)
    return redirect(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session_id), 303)


def _session(session_id: str) -> Document:
    expire_due_sessions(current_sandbox())
    return get_or_404("checkout_session", session_id)


def _page(session: Document, values: Mapping[str, str], errors: Mapping[str, str]) -> str:
    cancel_url = session["cancel_url"]
    return render_template(
        "stripe/checkout.html",
        session=session,
        items=list(zip(session["_line_items"], session["_descriptions"], strict=True)),
        values=values,
        errors=errors,
        delayed=delayed_method(session["currency"])[1] if _offers_delayed(session) else None,
        merchant="Booking App",
        cancel_url=cancel_url,
        cancel_host=urlsplit(cancel_url).netloc if cancel_url else None,
        submit_word=SUBMIT_WORDS.get(session["submit_type"] or "", "Pay"),
    )


def _errors(session: Document, values: Mapping[str, str]) -> dict[str, str]:
    errors = {}
    local, _, domain = values["email"].partition("@")
    if not local or "." not in domain or " " in values["email"]:
        errors["email"] = "Your email is incomplete."
    if session["payment_status"] == "no_payment_required":
        return errors
    if values["method"] == "card":
        errors |= _card_errors(values)
    elif values["method"] != "delayed" or not _offers_delayed(session):
        errors["method"] = "Please choose how to pay."
    if not values["name"]:
        errors["name"] = "Please enter the name of the account or card holder."
    return errors


def _offers_delayed(session: Document) -> bool:
    return delayed_method(session["currency"])[0] in session["payment_method_types"]


@blueprint.get("/voucher/<intent_id>")
def show_voucher(intent_id: str) -> str:
    """A voucher to be paid at a shop."""
    return render_template("stripe/voucher.html", intent=get_or_404("payment_intent", intent_id))


@blueprint.get("/receipts/<charge_id>")
def show_receipt(charge_id: str) -> str:
    """Stripe's receipt of a charge, with what was refunded of it."""
    return render_template("stripe/receipt.html", charge=get_or_404("charge", charge_id))


def _card_errors(values: Mapping[str, str]) -> dict[str, str]:
    errors = {}
    number = _digits(values["card_number"])
    if not number:
        errors["card_number"] = "Your card number is incomplete."
    elif number not in PAYING_CARDS and number not in DECLINED_CARDS:
        errors["card_number"] = (
            "Only the test card numbers shown on this page are accepted. Never type a real card here."
        )
    expiry = _expiry(values["card_expiry"])
    if expiry is None:
        errors["card_expiry"] = "Your card's expiration date is incomplete. Write it as MM / YY."
    elif (expiry[1], expiry[0]) < (utcnow().year, utcnow().month):
        errors["card_expiry"] = "Your card's expiration year is in the past."
    if len(_digits(values["card_cvc"])) not in {3, 4}:
        errors["card_cvc"] = "Your card's security code is incomplete."
    return errors


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isascii() and character.isdigit())


def _expiry(text: str) -> tuple[int, int] | None:
    month, _, year = text.partition("/")
    month, year = (_digits(month), _digits(year)) if year else (_digits(text)[:2], _digits(text)[2:])
    if len(year) not in {2, 4} or not month or not 1 <= int(month) <= MONTHS:
        return None
    return int(month), int(year) + (CENTURY if int(year) < CENTURY else 0)
