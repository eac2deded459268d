"""Stripe's API: Checkout Sessions, PaymentIntents, charges, refunds, disputes, balance, events, webhook endpoints.

Each endpoint is named and behaves as in the Stripe API reference.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response, jsonify

from bookingapp.sandbox.context import current_sandbox
from bookingapp.sandbox.store import Document
from bookingapp.sandbox.stripe.authorizations import cancel_payment, capture_payment
from bookingapp.sandbox.stripe.errors import missing_parameter, no_such
from bookingapp.sandbox.stripe.http import blueprint, list_response, object_response, params
from bookingapp.sandbox.stripe.objects import API_VERSION, names, new_webhook_endpoint
from bookingapp.sandbox.stripe.parameters import allow_only, parse_integer, parse_metadata
from bookingapp.sandbox.stripe.refunds import create_refund
from bookingapp.sandbox.stripe.sessions import create_session, expire_due_sessions, expire_session

LIST_PARAMETERS = {"limit", "starting_after", "ending_before", "expand", "created"}
ENDPOINT_PARAMETERS = names("url enabled_events api_version description metadata connect expand")
ENDPOINT_CHANGES = names("url enabled_events disabled description metadata expand")
_COMPARISONS = {"gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__}


def _find(kind: str, noun: str, identifier: str) -> Document:
    found = current_sandbox().store.get(kind, identifier)
    if found is None:
        raise no_such(noun, identifier)
    return found


def _filtered(kind: str, *filters: str, more: tuple[str, ...] = ()) -> list[Document]:
    given = params()
    allow_only(given, LIST_PARAMETERS.union(filters, more))
    rows = current_sandbox().store.all(kind, **{name: given[name] for name in filters if name in given})
    return [row for row in rows if _created_within(row["created"], given.get("created"))]


def _created_within(created: int, wanted: Any) -> bool:
    if wanted is None:
        return True
    if not isinstance(wanted, dict):
        return created == parse_integer(wanted, "created")
    allow_only(wanted, set(_COMPARISONS), "created")
    return all(
        _COMPARISONS[name](created, parse_integer(value, f"created[{name}]"))
        for name, value in wanted.items()
    )


def _get(kind: str, noun: str, identifier: str) -> Response:
    return object_response(_find(kind, noun, identifier))


def _list(kind: str, path: str, filters: tuple[str, ...]) -> Response:
    return list_response(_filtered(kind, *filters), f"/v1/{path}")


# What can be read one by one and listed with filters: path, kind in the store, noun in errors, filters.
for _path, _kind, _noun, _filters in (
    ("payment_intents", "payment_intent", "payment_intent", ()),
    ("charges", "charge", "charge", ("payment_intent",)),
    ("refunds", "refund", "refund", ("payment_intent", "charge")),
    ("disputes", "dispute", "dispute", ("payment_intent", "charge")),
    (
        "radar/early_fraud_warnings",
        "early_fraud_warning",
        "early_fraud_warning",
        ("payment_intent", "charge"),
    ),
    ("balance_transactions", "balance_transaction", "balance transaction", ("source",)),
):
    blueprint.add_url_rule(f"/{_path}", f"list_{_kind}", partial(_list, _kind, _path, _filters))
    blueprint.add_url_rule(f"/{_path}/<identifier>", f"get_{_kind}", partial(_get, _kind, _noun))


@blueprint.post("/checkout/sessions")
def create_checkout_session() -> Response:
    """Create a session."""
    return object_response(create_session(current_sandbox(), params()))


@blueprint.get("/checkout/sessions")
def list_checkout_sessions() -> Response:
    """The sessions, with PaymentIntent and status as filters."""
    expire_due_sessions(current_sandbox())
    return _list("checkout_session", "checkout/sessions", ("payment_intent", "status"))


@blueprint.get("/checkout/sessions/<identifier>")
def get_checkout_session(identifier: str) -> Response:
    """One session."""
    expire_due_sessions(current_sandbox())
    return _get("checkout_session", "checkout.session", identifier)


@blueprint.post("/checkout/sessions/<identifier>")
def update_checkout_session(identifier: str) -> Response:
    """Change the metadata of a session."""
    sandbox, given = current_sandbox(), params()
    allow_only(given, {"metadata", "expand"})
    changes = parse_metadata(given.get("metadata"), "metadata")
    with sandbox.store.transaction():
        session = _find("checkout_session", "checkout.session", identifier)
        merged = {**session["metadata"], **changes}
        session["metadata"] = {key: value for key, value in merged.items() if value != ""}
        sandbox.store.put("checkout_session", identifier, session)
    return object_response(session)


@blueprint.post("/checkout/sessions/<identifier>/expire")
def expire_checkout_session(identifier: str) -> Response:
    """Expire an open session."""
    allow_only(params(), {"expand"})
    return object_response(expire_session(current_sandbox(), identifier))


@blueprint.get("/checkout/sessions/<identifier>/line_items")
def list_line_items(identifier: str) -> Response:
    """The line items of a session."""
    session = _find("checkout_session", "checkout.session", identifier)
    return list_response(session["_line_items"][::-1], f"/v1/checkout/sessions/{identifier}/line_items")


@blueprint.post("/payment_intents/<identifier>/capture")
def capture_payment_intent(identifier: str) -> Response:
    """Capture an authorized payment."""
    return object_response(capture_payment(current_sandbox(), identifier, params()))


@blueprint.post("/payment_intents/<identifier>/cancel")
def cancel_payment_intent(identifier: str) -> Response:
    """Release an authorized payment."""
    return object_response(cancel_payment(current_sandbox(), identifier, params()))


@blueprint.post("/refunds")
def refund_charge() -> Response:
    """Create a refund."""
    return object_response(create_refund(current_sandbox(), params()))


@blueprint.get("/balance")
def get_balance() -> Response:
    """The sum of all movements by currency."""
    sums: dict[str, int] = {}
    for movement in current_sandbox().store.all("balance_transaction"):
        sums[movement["currency"]] = sums.get(movement["currency"], 0) + movement["net"]
    available = [{"amount": amount, "currency": currency} for currency, amount in sorted(sums.items())]
    return jsonify({"object": "balance", "available": available, "livemode": False, "pending": []})


@blueprint.get("/events")
def list_stripe_events() -> Response:
    """The events, with one type or several types as filter."""
    types = params().get("types")
    if types is None:
        return _list("stripe_event", "events", ("type",))
    wanted = set(types) if isinstance(types, list) else {types}
    rows = _filtered("stripe_event", more=("types", "delivery_success"))
    return list_response([row for row in rows if row["type"] in wanted], "/v1/events")


@blueprint.get("/events/<identifier>")
def get_stripe_event(identifier: str) -> Response:
    """One event."""
    return _get("stripe_event", "event", identifier)


def _endpoint_resource(document: Document) -> Document:
    """An endpoint as it is shown: its secret only when it is created."""
    shown = {key: value for key, value in document.items() if key != "secret"}
    return {**shown, "object": "webhook_endpoint", "application": None, "livemode": False}


@blueprint.get("/webhook_endpoints")
def list_webhook_endpoints() -> Response:
    """The webhook endpoints."""
    rows = [_endpoint_resource(row) for row in _filtered("webhook_endpoint")]
    return list_response(rows, "/v1/webhook_endpoints")


@blueprint.get("/webhook_endpoints/<identifier>")
def get_webhook_endpoint(identifier: str) -> Response:
    """One webhook endpoint."""
    return object_response(_endpoint_resource(_find("webhook_endpoint", "webhook endpoint", identifier)))


@blueprint.post("/webhook_endpoints")
def create_webhook_endpoint() -> Response:
    """Create a webhook endpoint."""
    given = params()
    allow_only(given, ENDPOINT_PARAMETERS)
    for name in ("url", "enabled_events"):
        if not given.get(name):
            raise missing_parameter(name)
    document = new_webhook_endpoint(
        given["url"],
        list(given["enabled_events"]),
        api_version=given.get("api_version", API_VERSION),
        description=given.get("description"),
        metadata=parse_metadata(given.get("metadata"), "metadata"),
    )
    current_sandbox().store.put("webhook_endpoint", document["id"], document)
    return object_response({**_endpoint_resource(document), "secret": document["secret"]})


@blueprint.post("/webhook_endpoints/<identifier>")
def update_webhook_endpoint(identifier: str) -> Response:
    """Change which events it gets, or switch it on or off; its secret and version stay."""
    document, given = _find("webhook_endpoint", "webhook endpoint", identifier), params()
    allow_only(given, ENDPOINT_CHANGES)
    changes: Document = {name: given[name] for name in ("url", "description") if name in given}
    if "enabled_events" in given:
        changes["enabled_events"] = list(given["enabled_events"])
    if "disabled" in given:
        changes["status"] = "disabled" if given["disabled"] == "true" else "enabled"
    if "metadata" in given:
        changes["metadata"] = parse_metadata(given["metadata"], "metadata")
    document = {**document, **changes}
    current_sandbox().store.put("webhook_endpoint", identifier, document)
    return object_response(_endpoint_resource(document))


@blueprint.delete("/webhook_endpoints/<identifier>")
def delete_webhook_endpoint(identifier: str) -> Response:
    """Delete a webhook endpoint."""
    _find("webhook_endpoint", "webhook endpoint", identifier)
    current_sandbox().store.delete("webhook_endpoint", identifier)
    return jsonify({"id": identifier, "object": "webhook_endpoint", "deleted": True})
