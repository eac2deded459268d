"""The control page and its JSON: troubles, ledgers, deliveries, the request log."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, jsonify, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.sandbox.context import Sandbox, current_sandbox
from bookingapp.sandbox.control.http import answer, flag, given, refuse, required, without_secrets
from bookingapp.sandbox.faults import REQUEST_FAULTS, WEBHOOK_FAULTS
from bookingapp.sandbox.seed import PLATFORM_USER_ID, seed
from bookingapp.sandbox.store import Document

blueprint = Blueprint("control", __name__)

SHOWN = 40
CLEARABLE = {
    "bookings": ("event", "invitee", "scheduling_link"),
    "payments": ("checkout_session", "payment_intent", "charge", "refund", "dispute", "balance_transaction"),
    "events": ("stripe_event", "delivery"),
    "grants": ("oauth_code", "oauth_token"),
}
SETTINGS: dict[str, Any] = {
    "settle_after_seconds": None,
    "settle_outcome": "succeeded",
    "refund_status": "succeeded",
    "reschedule_keeps_tracking": True,
    "fees": False,
}


@blueprint.before_app_request
def _same_site_only() -> BaseResponse | None:
    """A page on somebody else's site may not press the buttons here."""
    if not request.path.startswith("/control") or request.method == "GET":
        return None
    return refuse("Only from this machine's own pages.", 403) if _cross_site() else None


def _cross_site() -> bool:
    return request.headers.get("Sec-Fetch-Site") == "cross-site"


@blueprint.get("/")
def index() -> str:
    """What this is, and where everything is."""
    sandbox = current_sandbox()
    builders = [user for user in sandbox.store.all("user") if user["id"] != PLATFORM_USER_ID]
    return render_template("control/index.html", builders=builders, config=sandbox.config)


@blueprint.get("/control")
def page() -> str:
    """Everything for people."""
    sandbox = current_sandbox()
    store = sandbox.store
    events = {event["id"]: event for event in store.all("event")}
    intents = {intent["id"]: intent for intent in store.all("payment_intent")}
    charges = {charge["id"]: charge for charge in store.all("charge")}
    return render_template(
        "control/control.html",
        done=request.args.get("done"),
        problem=request.args.get("problem"),
        config=sandbox.config,
        faults=sandbox.faults.all(),
        request_faults=REQUEST_FAULTS,
        webhook_faults=WEBHOOK_FAULTS,
        revoked=store.setting("revoked_tokens", []),
        settings=settings(sandbox),
        bookings=[(invitee, events[invitee["event"]]) for invitee in store.newest("invitee", SHOWN)],
        sessions=[
            (session, intents.get(session["payment_intent"] or ""))
            for session in store.newest("checkout_session", SHOWN)
        ],
        charges=charges,
        refunds=store.newest("refund", SHOWN),
        disputes=store.newest("dispute", SHOWN),
        subscriptions=store.all("subscription"),
        endpoints=store.all("webhook_endpoint"),
        deliveries=store.newest("delivery", SHOWN),
        event_types=[row for row in store.all("event_type") if row["deleted_at"] is None],
        users={user["id"]: user for user in store.all("user")},
        counts=sandbox.requests.counts()[:SHOWN],
        latest=sandbox.requests.latest(SHOWN),
    )


def settings(sandbox: Sandbox) -> Document:
    """How the providers behave where the real ones differ from day to day."""
    return {name: sandbox.store.setting(name, default) for name, default in SETTINGS.items()}


@blueprint.get("/control/api/state")
def state() -> Response:
    """Everything, without secrets."""
    sandbox = current_sandbox()
    kinds = {
        "users": "user",
        "event_types": "event_type",
        "events": "event",
        "invitees": "invitee",
        "scheduling_links": "scheduling_link",
        "subscriptions": "subscription",
        "sessions": "checkout_session",
        "payment_intents": "payment_intent",
        "charges": "charge",
        "refunds": "refund",
        "disputes": "dispute",
        "webhook_endpoints": "webhook_endpoint",
        "stripe_events": "stripe_event",
        "deliveries": "delivery",
        "faults": "fault",
    }
    body: Document = {name: without_secrets(sandbox.store.all(kind)) for name, kind in kinds.items()}
    body["settings"] = settings(sandbox)
    body["revoked_tokens"] = sandbox.store.setting("revoked_tokens", [])
    body["idle"] = sandbox.deliveries.idle()
    return jsonify(body)


@blueprint.get("/control/api/requests")
def requests_log() -> Response:
    """The request log, optionally of one ``provider``, ``method`` or ``path`` prefix."""
    log = current_sandbox().requests

    def wanted(row: Document) -> bool:
        equal = all(request.args.get(name) in {None, row[name]} for name in ("provider", "method"))
        return equal and str(row["path"]).startswith(request.args.get("path", ""))

    counts = [row for row in log.counts() if wanted(row)]
    latest = [row for row in log.latest() if wanted(row)]
    return jsonify({"total": sum(row["count"] for row in counts), "counts": counts, "requests": latest})


@blueprint.post("/control/api/reset-requests")
def reset_requests() -> BaseResponse:
    """Begin to count anew."""
    current_sandbox().requests.reset()
    return answer({"total": 0}, "The request log is empty.", "requests")


@blueprint.get("/control/api/faults")
def faults() -> Response:
    """The troubles in force."""
    return jsonify(current_sandbox().faults.all())


@blueprint.post("/control/api/faults")
def add_fault() -> BaseResponse:
    """Order a trouble: provider, kind, seconds, remaining, path_prefix, method."""
    body = given()
    remaining = body.get("remaining")
    try:
        fault = current_sandbox().faults.add(
            provider=str(body.get("provider", "")),
            kind=str(body.get("kind", "")),
            seconds=float(body.get("seconds", 0)),
            remaining=None if remaining is None else int(remaining),
            path_prefix=body.get("path_prefix"),
            method=body.get("method"),
        )
    except ValueError as error:
        return refuse(str(error), 400)
    return answer(fault, "The trouble is ordered.", "faults")


@blueprint.route("/control/api/faults", methods=["DELETE"])
@blueprint.post("/control/api/faults/clear", endpoint="clear_faults_by_form")
def clear_faults() -> BaseResponse:
    """End every trouble."""
    current_sandbox().faults.clear()
    return answer([], "All troubles are over.", "faults")


@blueprint.route("/control/api/faults/<identifier>", methods=["DELETE"])
@blueprint.post("/control/api/faults/<identifier>/clear", endpoint="clear_fault_by_form")
def clear_fault(identifier: str) -> BaseResponse:
    """End one trouble."""
    current_sandbox().faults.clear(identifier)
    return answer([], "That trouble is over.", "faults")


@blueprint.post("/control/api/settings")
def change_settings() -> BaseResponse:
    """Change how the providers behave; a null takes a setting back to its default."""
    sandbox, body = current_sandbox(), given()
    for name, default in SETTINGS.items():
        if name not in body and not (name == "settle_after_seconds" and "settle_outcome" in request.form):
            continue
        value = body.get(name)
        if name in ("reschedule_keeps_tracking", "fees"):
            value = flag(value)
        elif name == "settle_after_seconds" and value is not None:
            value = float(value)
        sandbox.store.set_setting(name, default if value is None else value)
    return answer(settings(sandbox), "The settings are changed.", "faults")


@blueprint.get("/control/api/deliveries")
def deliveries() -> Response:
    """Every webhook and what became of it, newest first."""
    sandbox = current_sandbox()
    return jsonify({"idle": sandbox.deliveries.idle(), "deliveries": sandbox.store.newest("delivery", 1000)})


@blueprint.post("/control/api/deliveries/<identifier>/resend")
def resend(identifier: str) -> BaseResponse:
    """Send one webhook again."""
    return answer(required(current_sandbox().deliveries.resend(identifier)), "Sent again.", "webhooks")


@blueprint.post("/control/api/deliveries/retry")
def retry() -> BaseResponse:
    """Make waiting and held webhooks due at once."""
    return answer({"due": current_sandbox().deliveries.retry_now()}, "They are on their way.", "webhooks")


@blueprint.post("/control/api/clear")
def clear() -> BaseResponse:
    """Empty ``bookings``, ``payments``, ``events``, ``grants``, or ``all`` (and start from the demo data)."""
    sandbox, what = current_sandbox(), str(given().get("what", "all"))
    if what == "all":
        with sandbox.store.transaction():
            sandbox.store.clear()
            seed(sandbox.store, sandbox.config)
        sandbox.faults.clear_waiting()
        sandbox.requests.reset()
    elif what in CLEARABLE:
        sandbox.store.clear(*CLEARABLE[what])
    else:
        abort(400)
    return answer({"cleared": what}, "Cleared.", "")
