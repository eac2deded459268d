"""The hosted Checkout page of the stand-in Stripe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, abort, redirect, render_template, request
from werkzeug.wrappers import Response

from bookingapp.sandbox.clock import utcnow
from bookingapp.sandbox.context import current_sandbox
from bookingapp.sandbox.store import Document
from bookingapp.sandbox.stripe.money import delayed_method, format_amount
from bookingapp.sandbox.stripe.objects import card_method
from bookingapp.sandbox.stripe.payments import (
    DECLINES,
    PAYS,
    Outcome,
    SessionClosedError,
    complete_for_nothing,
    pay_by_card,
    pay_later,
)
from bookingapp.sandbox.stripe.sessions import expire_due

blueprint = Blueprint("checkout", __name__, url_prefix="/stripe-checkout")

# Checkout waits so long for the endpoint of checkout.session.completed before it sends the customer on.
HOLD_SECONDS = 10.0
CENTURY, MONTHS = 2000, 12
SUBMIT_WORDS = {"book": "Book", "donate": "Donate", "subscribe": "Subscribe"}
FIELDS = ("email", "method", "card_number", "card_expiry", "card_cvc", "name")


@blueprint.app_template_filter("money")
def money(amount: int, currency: str) -> str:
    """Minor units for people."""
    return format_amount(amount, currency)


@blueprint.get("/c/pay/<session_id>")
def show(session_id: str) -> str | tuple[str, int]:
    """What is sold, and a form to pay it."""
    session = _session(session_id)
    values = {"email": session["customer_email"] or "", "method": "card"}
    return _page(session, values, {})


@blueprint.post("/c/pay/<session_id>")
def pay(session_id: str) -> str | tuple[str, int] | Response:
    """One attempt to pay; on success the customer is sent on once the app has heard of it."""
    sandbox, session = current_sandbox(), _session(session_id)
    values = {name: request.form.get(name, "").strip() for name in FIELDS}
    if session["customer_email"]:
        values["email"] = session["customer_email"]
    errors = _errors(session, values)
    if errors:
        return _page(session, values, errors), 422
    try:
        outcome = _attempt(session, values)
    except SessionClosedError:
        return _page(_session(session_id), values, {}), 410
    if outcome.message is not None:
        return _page(_session(session_id), values, {"card_number": outcome.message}), 402
    sandbox.deliveries.wait_for_answer(outcome.deliveries, HOLD_SECONDS)
    return redirect(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session_id), 303)


def _session(session_id: str) -> Document:
    sandbox = current_sandbox()
    expire_due(sandbox)
    return sandbox.store.get("checkout_session", session_id) or abort(404)


def _attempt(session: Document, values: Mapping[str, str]) -> Outcome:
    sandbox, customer = current_sandbox(), {"email": values["email"], "name": values["name"] or None}
    if session["payment_status"] == "no_payment_required":
        return complete_for_nothing(sandbox, session["id"], customer)
    if values["method"] == "delayed":
        kind, _ = delayed_method(session["currency"])
        return pay_later(sandbox, session["id"], customer, {"type": kind, kind: {}})
    number = _digits(values["card_number"])
    month, year = _expiry(values["card_expiry"]) or (1, CENTURY)
    return pay_by_card(sandbox, session["id"], customer, card_method(number, month, year), number)


def _page(session: Document, values: Mapping[str, str], errors: Mapping[str, str]) -> str:
    cancel_url = session["cancel_url"]
    items: list[dict[str, Any]] = session["_line_items"]
    return render_template(
        "stripe/checkout.html",
        session=session,
        items=items,
        values=values,
        errors=errors,
        delayed=delayed_method(session["currency"])[1],
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
    elif values["method"] != "delayed":
        errors["method"] = "Please choose how to pay."
    if not values["name"]:
        errors["name"] = "Please enter the name of the account or card holder."
    return errors


def _card_errors(values: Mapping[str, str]) -> dict[str, str]:
    errors = {}
    number = _digits(values["card_number"])
    if not number:
        errors["card_number"] = "Your card number is incomplete."
    elif number not in PAYS and number not in DECLINES:
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
