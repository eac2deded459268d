"""Calendly's API v2: webhook subscriptions."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, request

from bookingapp.sandbox.calendly.http import (
    CalendlyApiError,
    caller,
    collection,
    denied,
    invalid,
    json_body,
    last_segment,
    not_found,
    require_scope,
    resource,
    sorted_rows,
)
from bookingapp.sandbox.calendly.objects import organization_uri, uri
from bookingapp.sandbox.clock import new_uuid, now_iso
from bookingapp.sandbox.context import Sandbox, current_sandbox
from bookingapp.sandbox.seed import CALENDLY_EVENTS
from bookingapp.sandbox.store import Document

KNOWN_EVENTS = {*CALENDLY_EVENTS, "routing_form_submission.created"}
SCOPES = {"organization", "user"}


def register(blueprint: Blueprint) -> None:
    """Put these endpoints on the API."""
    blueprint.get("/webhook_subscriptions")(subscriptions)
    blueprint.post("/webhook_subscriptions")(create_subscription)
    blueprint.get("/webhook_subscriptions/<identifier>")(subscription)
    blueprint.delete("/webhook_subscriptions/<identifier>")(delete_subscription)


def subscriptions() -> Response:
    """The subscriptions of the organization, or of one user."""
    require_scope("webhooks:read")
    sandbox, scope = current_sandbox(), request.args.get("scope", "")
    _check_organization(sandbox, request.args.get("organization", ""))
    owner = _check_scope(scope, request.args.get("user"))
    rows = sandbox.store.all("subscription", scope=scope, user=owner)
    rows = sorted_rows(rows, request.args.get("sort", "created_at:asc"), {"created_at"})
    return collection(rows, lambda row: _subscription_resource(sandbox, row), lambda row: str(row["id"]))


def create_subscription() -> Response:
    """Ask for webhooks; the signing key is kept and never shown again."""
    require_scope("webhooks:write")
    sandbox, body = current_sandbox(), json_body()
    url, events = body.get("url"), body.get("events")
    if not isinstance(url, str) or urlsplit(url).scheme not in {"http", "https"}:
        raise invalid("url", "is invalid")
    _check_events(events, body.get("scope"))
    _check_organization(sandbox, str(body.get("organization", "")))
    owner = _check_scope(str(body.get("scope", "")), body.get("user"))
    signing_key = body.get("signing_key")
    if signing_key is None and caller().scopes is not None:
        # An OAuth application has one key for all of its webhooks.
        signing_key = sandbox.config.calendly_signing_key
    identifier, now = new_uuid(), now_iso()
    document = {
        "id": identifier,
        "callback_url": url,
        "events": events,
        "scope": body["scope"],
        "user": owner,
        "group": None,
        "creator": caller().user,
        "signing_key": signing_key,
        "state": "active",
        "retry_started_at": None,
        "created_at": now,
        "updated_at": now,
    }
    with sandbox.store.transaction():
        if sandbox.store.all("subscription", callback_url=url):
            raise CalendlyApiError(409, "Already Exists", "Hook with this url already exists")
        sandbox.store.put("subscription", identifier, document)
    made = _subscription_resource(sandbox, document)
    response = resource(made, 201)
    response.headers["Location"] = made["uri"]
    return response


def subscription(identifier: str) -> Response:
    """One subscription."""
    require_scope("webhooks:read")
    return resource(_subscription_resource(current_sandbox(), _found(identifier)))


def delete_subscription(identifier: str) -> Response:
    """Ask for no more webhooks."""
    require_scope("webhooks:write")
    current_sandbox().store.delete("subscription", _found(identifier)["id"])
    return Response(status=204)


def _found(identifier: str) -> Document:
    found = current_sandbox().store.get("subscription", identifier)
    if found is None:
        raise not_found()
    if not caller().is_owner and found["creator"] != caller().user:
        raise denied()
    return found


def _check_events(events: Any, scope: Any) -> None:
    if not isinstance(events, list) or not events:
        raise invalid("events", "is missing")
    unknown = [event for event in events if event not in KNOWN_EVENTS]
    if unknown:
        raise invalid("events", f"contains an unknown event: {unknown[0]}")
    if "routing_form_submission.created" in events and scope != "organization":
        raise invalid("events", "routing_form_submission.created needs the scope organization")


def _check_organization(sandbox: Sandbox, organization: str) -> None:
    if organization != organization_uri(sandbox):
        raise invalid("organization", "is missing or invalid")


def _check_scope(scope: str, user: Any) -> str | None:
    if scope not in SCOPES:
        raise invalid("scope", "must be organization or user")
    if scope == "organization":
        if not caller().is_owner:
            raise denied()
        return None
    if not user:
        raise invalid("user", "is required when the scope is user")
    identifier = last_segment(str(user), "users", "user")
    if not caller().is_owner and identifier != caller().user:
        raise denied()
    return identifier


def _subscription_resource(sandbox: Sandbox, document: Document) -> Document:
    owner = document["user"]
    return {
        "uri": uri(sandbox, "webhook_subscriptions", document["id"]),
        "callback_url": document["callback_url"],
        "created_at": document["created_at"],
        "updated_at": document["updated_at"],
        "retry_started_at": document["retry_started_at"],
        "state": document["state"],
        "events": document["events"],
        "scope": document["scope"],
        "organization": organization_uri(sandbox),
        "user": None if owner is None else uri(sandbox, "users", owner),
        "group": None,
        "creator": uri(sandbox, "users", document["creator"]),
    }
