"""Calendly's API v2: webhook subscriptions."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Response, request

from bookingapp.sandbox.calendly.http import (
    CalendlyApiError,
    blueprint,
    caller,
    get_stored,
    invalid,
    page_response,
    parse_body,
    parse_uri,
    require_access,
    require_scope,
    resource_response,
)
from bookingapp.sandbox.calendly.objects import copied, organization_uri, uri
from bookingapp.sandbox.calendly.webhooks import APP_EVENTS, new_subscription
from bookingapp.sandbox.context import Sandbox, current_sandbox
from bookingapp.sandbox.store import Document

# Calendly API reference, Create Webhook Subscription, ``events``.
ROUTING_FORM_EVENT = "routing_form_submission.created"
KNOWN_EVENTS = {*APP_EVENTS, ROUTING_FORM_EVENT}


@blueprint.get("/webhook_subscriptions")
def list_subscriptions() -> Response:
    """The subscriptions of the organization or of one user (Calendly API reference, List Webhook Subscriptions)."""
    require_scope("webhooks:read")
    scope = request.args.get("scope", "")
    _check_organization(request.args.get("organization"))
    owner = _parse_owner(scope, request.args.get("user"))
    rows = current_sandbox().store.all("subscription", scope=scope, user=owner)
    return page_response(rows, _subscription_resource, sort="created_at:asc", sortable={"created_at"})


@blueprint.post("/webhook_subscriptions")
def create_subscription() -> Response:
    """Subscribe an address; the signing key is never shown (Calendly API reference, Create Webhook Subscription)."""
    require_scope("webhooks:write")
    sandbox, body = current_sandbox(), parse_body()
    url, events, scope = body.get("url"), body.get("events"), str(body.get("scope", ""))
    if not isinstance(url, str) or urlsplit(url).scheme not in {"http", "https"}:
        raise invalid("url", "is invalid")
    events = _parse_events(events, scope)
    _check_organization(body.get("organization"))
    owner = _parse_owner(scope, body.get("user"))
    signing_key = body.get("signing_key")
    if signing_key is None and caller().scopes is not None:
        # An OAuth application has one key for all of its webhooks (Calendly docs, Webhook Signatures).
        signing_key = sandbox.config.calendly_signing_key
    document = new_subscription(url, events, signing_key, scope=scope, user=owner, creator=caller().user)
    with sandbox.store.transaction():
        if sandbox.store.all("subscription", callback_url=url):
            raise CalendlyApiError(409, "Already Exists", "Hook with this url already exists")
        sandbox.store.put("subscription", document["id"], document)
    shown = _subscription_resource(sandbox, document)
    response = resource_response(shown, 201)
    response.headers["Location"] = shown["uri"]
    return response


@blueprint.get("/webhook_subscriptions/<identifier>")
def get_subscription(identifier: str) -> Response:
    """One subscription (Calendly API reference, Get Webhook Subscription)."""
    require_scope("webhooks:read")
    return resource_response(_subscription_resource(current_sandbox(), _readable_subscription(identifier)))


@blueprint.delete("/webhook_subscriptions/<identifier>")
def delete_subscription(identifier: str) -> Response:
    """Delete one subscription (Calendly API reference, Delete Webhook Subscription)."""
    require_scope("webhooks:write")
    current_sandbox().store.delete("subscription", _readable_subscription(identifier)["id"])
    return Response(status=204)


def _readable_subscription(identifier: str) -> Document:
    found = get_stored("subscription", identifier)
    require_access(found["creator"])
    return found


def _parse_events(events: Any, scope: str) -> list[str]:
    if not isinstance(events, list) or not events:
        raise invalid("events", "is missing")
    unknown = [event for event in events if event not in KNOWN_EVENTS]
    if unknown:
        raise invalid("events", f"contains an unknown event: {unknown[0]}")
    if ROUTING_FORM_EVENT in events and scope != "organization":
        raise invalid("events", f"{ROUTING_FORM_EVENT} needs the scope organization")
    return events


def _check_organization(organization: Any) -> None:
    if organization != organization_uri(current_sandbox()):
        raise invalid("organization", "is missing or invalid")


def _parse_owner(scope: str, user: Any) -> str | None:
    if scope not in {"organization", "user"}:
        raise invalid("scope", "must be organization or user")
    if scope == "organization":
        require_access(None)
        return None
    if not user:
        raise invalid("user", "is required when the scope is user")
    identifier = parse_uri(str(user), "users", "user")
    require_access(identifier)
    return identifier


def _subscription_resource(sandbox: Sandbox, document: Document) -> Document:
    owner = document["user"]
    return {
        **copied(document, "callback_url created_at updated_at retry_started_at state events scope group"),
        "uri": uri(sandbox, "webhook_subscriptions", document["id"]),
        "organization": organization_uri(sandbox),
        "user": None if owner is None else uri(sandbox, "users", owner),
        "creator": uri(sandbox, "users", document["creator"]),
    }
