"""Stripe's API: Checkout Sessions, PaymentIntents, charges, refunds, disputes, events, webhook endpoints."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify

from bookingapp.sandbox.clock import epoch, new_token
from bookingapp.sandbox.context import current_sandbox
from bookingapp.sandbox.seed import API_VERSION
from bookingapp.sandbox.store import Document
from bookingapp.sandbox.stripe import http
from bookingapp.sandbox.stripe.http import (
    StripeApiError,
    allow_only,
    error_response,
    integer,
    list_response,
    missing_parameter,
    no_such,
    object_response,
    params,
)
from bookingapp.sandbox.stripe.refunds import create_refund
from bookingapp.sandbox.stripe.sessions import checked_metadata, create_session, expire_due, expire_session

blueprint = Blueprint("stripe_api", __name__, url_prefix="/stripe-api/v1")
blueprint.before_request(http.begin_request)
blueprint.after_request(http.finish_request)
blueprint.teardown_request(http.release_key)
blueprint.register_error_handler(StripeApiError, error_response)

LIST_PARAMETERS = {"limit", "starting_after", "ending_before", "expand", "created"}
_COMPARISONS = {"gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__}


def _found(kind: str, noun: str, identifier: str) -> Document:
    return current_sandbox().store.get(kind, identifier) or _missing(noun, identifier)


def _missing(noun: str, identifier: str) -> Document:
    raise no_such(noun, identifier)


def _listed(kind: str, *filters: str) -> list[Document]:
    given = params()
    allow_only(given, LIST_PARAMETERS | set(filters))
    rows = current_sandbox().store.all(kind, **{name: given[name] for name in filters if name in given})
    return [row for row in rows if _created_within(row["created"], given.get("created"))]


def _created_within(created: int, wanted: Any) -> bool:
    if wanted is None:
        return True
    if not isinstance(wanted, dict):
        return created == integer(wanted, "created")
    allow_only(wanted, set(_COMPARISONS), "created")
    return all(
        _COMPARISONS[name](created, integer(value, f"created[{name}]")) for name, value in wanted.items()
    )


@blueprint.post("/checkout/sessions")
def create_checkout_session() -> Response:
    """Open a session."""
    return object_response(create_session(current_sandbox(), params()))


@blueprint.get("/checkout/sessions")
def checkout_sessions() -> Response:
    """The sessions, by PaymentIntent if one is named."""
    expire_due(current_sandbox())
    return list_response(_listed("checkout_session", "payment_intent", "status"), "/v1/checkout/sessions")


@blueprint.get("/checkout/sessions/<identifier>")
def checkout_session(identifier: str) -> Response:
    """One session."""
    expire_due(current_sandbox())
    return object_response(_found("checkout_session", "checkout.session", identifier))


@blueprint.post("/checkout/sessions/<identifier>")
def update_checkout_session(identifier: str) -> Response:
    """Change the metadata of a session."""
    sandbox, given = current_sandbox(), params()
    allow_only(given, {"metadata", "expand"})
    changes = checked_metadata(given.get("metadata"), "metadata")
    with sandbox.store.transaction():
        session = _found("checkout_session", "checkout.session", identifier)
        merged = {**session["metadata"], **changes}
        session["metadata"] = {key: value for key, value in merged.items() if value != ""}
        sandbox.store.put("checkout_session", identifier, session)
    return object_response(session)


@blueprint.post("/checkout/sessions/<identifier>/expire")
def expire_checkout_session(identifier: str) -> Response:
    """End an open session."""
    allow_only(params(), {"expand"})
    return object_response(expire_session(current_sandbox(), identifier))


@blueprint.get("/checkout/sessions/<identifier>/line_items")
def checkout_line_items(identifier: str) -> Response:
    """What a session sells."""
    session = _found("checkout_session", "checkout.session", identifier)
    return list_response(session["_line_items"][::-1], f"/v1/checkout/sessions/{identifier}/line_items")


@blueprint.get("/payment_intents/<identifier>")
def payment_intent(identifier: str) -> Response:
    """One PaymentIntent."""
    return object_response(_found("payment_intent", "payment_intent", identifier))


@blueprint.get("/payment_intents")
def payment_intents() -> Response:
    """All of them."""
    return list_response(_listed("payment_intent"), "/v1/payment_intents")


@blueprint.get("/charges/<identifier>")
def charge(identifier: str) -> Response:
    """One charge."""
    return object_response(_found("charge", "charge", identifier))


@blueprint.get("/charges")
def charges() -> Response:
    """The charges, by PaymentIntent if one is named."""
    return list_response(_listed("charge", "payment_intent"), "/v1/charges")


@blueprint.post("/refunds")
def make_refund() -> Response:
    """Give money back."""
    return object_response(create_refund(current_sandbox(), params()))


@blueprint.get("/refunds")
def refunds() -> Response:
    """The refunds, by PaymentIntent or charge if one is named."""
    return list_response(_listed("refund", "payment_intent", "charge"), "/v1/refunds")


@blueprint.get("/refunds/<identifier>")
def refund(identifier: str) -> Response:
    """One refund."""
    return object_response(_found("refund", "refund", identifier))


@blueprint.get("/disputes")
def disputes() -> Response:
    """The disputes, by PaymentIntent or charge if one is named."""
    return list_response(_listed("dispute", "payment_intent", "charge"), "/v1/disputes")


@blueprint.get("/disputes/<identifier>")
def dispute(identifier: str) -> Response:
    """One dispute."""
    return object_response(_found("dispute", "dispute", identifier))


@blueprint.get("/balance_transactions/<identifier>")
def balance_transaction(identifier: str) -> Response:
    """One movement of the balance."""
    return object_response(_found("balance_transaction", "balance transaction", identifier))


@blueprint.get("/balance")
def balance() -> Response:
    """What is in the account: the simplest question to ask of a key."""
    sums: dict[str, int] = {}
    for movement in current_sandbox().store.all("balance_transaction"):
        sums[movement["currency"]] = sums.get(movement["currency"], 0) + movement["net"]
    available = [{"amount": amount, "currency": currency} for currency, amount in sorted(sums.items())]
    return jsonify({"object": "balance", "available": available, "livemode": False, "pending": []})


@blueprint.get("/events")
def events() -> Response:
    """What happened, by type if types are named."""
    given = params()
    types = given.get("types")
    rows = _listed("stripe_event", "type") if types is None else _of_types(types)
    return list_response(rows, "/v1/events")


def _of_types(types: Any) -> list[Document]:
    wanted = set(types) if isinstance(types, list) else {types}
    given = params()
    allow_only(given, LIST_PARAMETERS | {"types", "delivery_success"})
    return [
        row
        for row in current_sandbox().store.all("stripe_event")
        if row["type"] in wanted and _created_within(row["created"], given.get("created"))
    ]


@blueprint.get("/events/<identifier>")
def event(identifier: str) -> Response:
    """One event."""
    return object_response(_found("stripe_event", "event", identifier))


def _endpoint_resource(document: Document) -> Document:
    shown = {key: value for key, value in document.items() if key != "secret"}
    return {**shown, "object": "webhook_endpoint", "application": None, "livemode": False}


@blueprint.get("/webhook_endpoints")
def webhook_endpoints() -> Response:
    """Where events are sent; secrets are shown only when an endpoint is made."""
    rows = [_endpoint_resource(row) for row in _listed("webhook_endpoint")]
    return list_response(rows, "/v1/webhook_endpoints")


@blueprint.get("/webhook_endpoints/<identifier>")
def webhook_endpoint(identifier: str) -> Response:
    """One of them."""
    return object_response(_endpoint_resource(_found("webhook_endpoint", "webhook endpoint", identifier)))


@blueprint.post("/webhook_endpoints")
def create_webhook_endpoint() -> Response:
    """Have events sent to one more address."""
    given = params()
    allow_only(
        given, {"url", "enabled_events", "api_version", "description", "metadata", "connect", "expand"}
    )
    for name in ("url", "enabled_events"):
        if not given.get(name):
            raise missing_parameter(name)
    document = {
        "id": f"we_1{new_token(23)}",
        "url": given["url"],
        "secret": f"whsec_{new_token(32)}",
        "enabled_events": list(given["enabled_events"]),
        "api_version": given.get("api_version", API_VERSION),
        "created": epoch(),
        "description": given.get("description"),
        "metadata": checked_metadata(given.get("metadata"), "metadata"),
        "status": "enabled",
    }
    current_sandbox().store.put("webhook_endpoint", str(document["id"]), document)
    return object_response({**_endpoint_resource(document), "secret": document["secret"]})


@blueprint.delete("/webhook_endpoints/<identifier>")
def delete_webhook_endpoint(identifier: str) -> Response:
    """Send no more there."""
    _found("webhook_endpoint", "webhook endpoint", identifier)
    current_sandbox().store.delete("webhook_endpoint", identifier)
    return jsonify({"id": identifier, "object": "webhook_endpoint", "deleted": True})
