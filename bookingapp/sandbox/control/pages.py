"""The pages for people: the index of the sandbox, and the control page."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from bookingapp.sandbox.behavior import current_behavior
from bookingapp.sandbox.calendly.objects import PLATFORM_USER_ID
from bookingapp.sandbox.context import current_sandbox
from bookingapp.sandbox.faults import REQUEST_FAULTS, WEBHOOK_FAULTS

blueprint = Blueprint("control", __name__)

ROWS_SHOWN = 40


@blueprint.get("/")
def show_index() -> str:
    """What the sandbox is, and its addresses."""
    sandbox = current_sandbox()
    builders = [user for user in sandbox.store.all("user") if user["id"] != PLATFORM_USER_ID]
    return render_template("control/index.html", builders=builders, config=sandbox.config)


@blueprint.get("/control")
def show_control_page() -> str:
    """Faults, bookings, payments, webhooks and requests, with a button for each control."""
    sandbox = current_sandbox()
    store = sandbox.store
    events = {event["id"]: event for event in store.all("event")}
    intents = {intent["id"]: intent for intent in store.all("payment_intent")}
    return render_template(
        "control/control.html",
        done=request.args.get("done"),
        problem=request.args.get("problem"),
        config=sandbox.config,
        faults=sandbox.faults.all(),
        request_faults=REQUEST_FAULTS,
        webhook_faults=WEBHOOK_FAULTS,
        revoked=store.setting("revoked_tokens", []),
        revoked_scopes=store.setting("revoked_scopes", []),
        settings=current_behavior(store),
        bookings=[(invitee, events[invitee["event"]]) for invitee in store.newest("invitee", ROWS_SHOWN)],
        sessions=[
            (session, intents.get(session["payment_intent"] or ""))
            for session in store.newest("checkout_session", ROWS_SHOWN)
        ],
        charges={charge["id"]: charge for charge in store.all("charge")},
        refunds=store.newest("refund", ROWS_SHOWN),
        disputes=store.newest("dispute", ROWS_SHOWN),
        subscriptions=store.all("subscription"),
        endpoints=store.all("webhook_endpoint"),
        deliveries=store.newest("delivery", ROWS_SHOWN),
        event_types=store.all("event_type", deleted_at=None),
        users={user["id"]: user for user in store.all("user")},
        counts=sandbox.requests.counts()[:ROWS_SHOWN],
        latest=sandbox.requests.latest(ROWS_SHOWN),
    )
