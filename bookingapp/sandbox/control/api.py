"""The control API of the whole sandbox: state, request log, faults, settings, deliveries, clearing.

What belongs to one provider is in ``control.calendly`` and ``control.stripe``.
"""

from __future__ import annotations

from flask import Blueprint, Response, abort, jsonify, request
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.sandbox.behavior import DEFAULTS, current_behavior
from bookingapp.sandbox.context import current_sandbox, get_or_404
from bookingapp.sandbox.control.http import answer, is_true, refuse, request_values, without_secrets
from bookingapp.sandbox.seed import seed
from bookingapp.sandbox.store import Document

blueprint = Blueprint("control_api", __name__, url_prefix="/control/api")

STATE_KINDS = {
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
    "fraud_warnings": "early_fraud_warning",
    "webhook_endpoints": "webhook_endpoint",
    "stripe_events": "stripe_event",
    "deliveries": "delivery",
    "faults": "fault",
}
CLEARABLE = {
    "bookings": ("event", "invitee", "scheduling_link"),
    "payments": (
        "checkout_session",
        "payment_intent",
        "charge",
        "refund",
        "dispute",
        "balance_transaction",
        "early_fraud_warning",
    ),
    "events": ("stripe_event", "delivery"),
    "grants": ("oauth_code", "oauth_token"),
}


@blueprint.before_app_request
def _refuse_other_sites() -> BaseResponse | None:
    """Refuse a form or script of another site."""
    cross_site = request.headers.get("Sec-Fetch-Site") == "cross-site"
    if request.path.startswith("/control") and request.method != "GET" and cross_site:
        return refuse("Only the sandbox's own pages may do this.", 403)
    return None


@blueprint.get("/state")
def show_state() -> Response:
    """The whole state, without secrets."""
    sandbox = current_sandbox()
    body: Document = {name: without_secrets(sandbox.store.all(kind)) for name, kind in STATE_KINDS.items()}
    body["settings"] = current_behavior(sandbox.store)
    for name in ("revoked_tokens", "revoked_scopes"):
        body[name] = sandbox.store.setting(name, [])
    body["idle"] = sandbox.deliveries.idle()
    return jsonify(body)


@blueprint.get("/requests")
def show_requests() -> Response:
    """The request log, optionally of one ``provider``, ``method`` or ``path`` prefix."""
    log = current_sandbox().requests

    def is_wanted(row: Document) -> bool:
        equal = all(request.args.get(name) in {None, row[name]} for name in ("provider", "method"))
        return equal and str(row["path"]).startswith(request.args.get("path", ""))

    counts, latest = (list(filter(is_wanted, rows)) for rows in (log.counts(), log.latest()))
    return jsonify({"total": sum(row["count"] for row in counts), "counts": counts, "requests": latest})


@blueprint.post("/reset-requests")
def reset_requests() -> BaseResponse:
    """Empty the request log."""
    current_sandbox().requests.reset()
    return answer({"total": 0}, "The request log is empty.", "requests")


@blueprint.get("/faults")
def list_faults() -> Response:
    """The active faults."""
    return jsonify(current_sandbox().faults.all())


@blueprint.post("/faults")
def add_fault() -> BaseResponse:
    """Add a fault: provider, kind, seconds, remaining, path_prefix, method."""
    body = request_values()
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
    return answer(fault, "The fault is added.", "faults")


@blueprint.route("/faults", methods=["DELETE"])
@blueprint.post("/faults/clear", endpoint="clear_faults_by_form")
@blueprint.route("/faults/<identifier>", methods=["DELETE"], endpoint="clear_fault")
@blueprint.post("/faults/<identifier>/clear", endpoint="clear_fault_by_form")
def clear_faults(identifier: str | None = None) -> BaseResponse:
    """End one fault, or all of them."""
    current_sandbox().faults.clear(identifier)
    return answer([], "The fault is cleared." if identifier else "All faults are cleared.", "faults")


@blueprint.post("/settings")
def change_settings() -> BaseResponse:
    """Change the providers' behavior; a null sets a setting back to its default."""
    sandbox, body = current_sandbox(), request_values()
    for name, default in DEFAULTS.items():
        # A form sends an empty field as no value, and that clears the pause.
        if name not in body and not (name == "settle_after_seconds" and "settle_outcome" in request.form):
            continue
        value = body.get(name)
        if isinstance(default, bool):
            value = is_true(value)
        elif name == "settle_after_seconds" and value is not None:
            value = float(value)
        elif isinstance(default, int) and value is not None:
            value = int(value)
        elif name == "taken_status" and value is not None:
            value = str(value)
        sandbox.store.set_setting(name, default if value is None else value)
    return answer(current_behavior(sandbox.store), "The settings are saved.", "faults")


@blueprint.get("/deliveries")
def list_deliveries() -> Response:
    """The webhooks with their attempts, newest first."""
    sandbox = current_sandbox()
    return jsonify({"idle": sandbox.deliveries.idle(), "deliveries": sandbox.store.newest("delivery", 1000)})


@blueprint.post("/deliveries/<identifier>/resend")
def resend_delivery(identifier: str) -> BaseResponse:
    """Send one webhook again."""
    get_or_404("delivery", identifier)
    return answer(current_sandbox().deliveries.resend(identifier), "The webhook is sent again.", "webhooks")


@blueprint.post("/deliveries/retry")
def retry_deliveries() -> BaseResponse:
    """Send waiting and held webhooks now."""
    due = current_sandbox().deliveries.retry_now()
    return answer({"due": due}, "The waiting webhooks are sent now.", "webhooks")


@blueprint.post("/clear")
def clear_state() -> BaseResponse:
    """Empty ``bookings``, ``payments``, ``events``, ``grants``, or ``all`` (and start from the demo data)."""
    sandbox, what = current_sandbox(), str(request_values().get("what", "all"))
    if what == "all":
        with sandbox.store.transaction():
            sandbox.store.clear()
            seed(sandbox.store, sandbox.config)
        sandbox.faults.release_hanging()
        sandbox.requests.reset()
    elif what in CLEARABLE:
        sandbox.store.clear(*CLEARABLE[what])
    else:
        abort(400)
    return answer({"cleared": what}, "Cleared.")
