"""What every endpoint of Stripe's API shares: API keys, idempotency keys, expansion, lists."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from http import HTTPStatus

from flask import Blueprint, Response, g, jsonify, request

from bookingapp.sandbox.clock import new_token
from bookingapp.sandbox.context import Sandbox, current_sandbox
from bookingapp.sandbox.store import Document
from bookingapp.sandbox.stripe.errors import StripeApiError, no_such
from bookingapp.sandbox.stripe.objects import API_VERSION, public
from bookingapp.sandbox.stripe.parameters import decode_parameters, parse_integer

blueprint = Blueprint("stripe_api", __name__, url_prefix="/stripe-api/v1")
KINDS = {
    "pi_": "payment_intent",
    "ch_": "charge",
    "py_": "charge",
    "re_": "refund",
    "txn_": "balance_transaction",
    "cs_": "checkout_session",
    "du_": "dispute",
}
# Stripe API reference, Idempotent requests, and Pagination.
LONGEST_IDEMPOTENCY_KEY = 255
DEFAULT_LIMIT, LARGEST_LIMIT = 10, 100
_running: set[str] = set()
_running_lock = threading.Lock()


def stripe_fault_response(status: int) -> Response:
    """The 429 or 500 of a fault (Stripe API reference, Errors)."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        message = "Too many requests hit the API too quickly."
        return _render_error(StripeApiError(message, status=status, code="rate_limit"))
    return _render_error(StripeApiError("An error occurred on our side.", status=status, kind="api_error"))


@blueprint.before_request
def _begin_request() -> Response | None:
    """Check the API key; repeat the answer of an idempotency key that was used before."""
    g.stripe_request_id = f"req_{new_token(14)}"
    try:
        _authenticate(current_sandbox())
        pairs = request.form if request.method == "POST" else request.args
        g.stripe_params = decode_parameters(pairs.items(multi=True))
        repeated = _repeat_answer()
    except StripeApiError as error:
        return _render_error(error)
    if repeated is None:
        time.sleep(g.get("stripe_latency", 0))
    return repeated


@blueprint.after_request
def _end_request(response: Response) -> Response:
    """Add the request's id, and keep the answer for its idempotency key."""
    response.headers["Request-Id"] = g.get("stripe_request_id", f"req_{new_token(14)}")
    response.headers["Stripe-Version"] = request.headers.get("Stripe-Version", API_VERSION)
    key = g.get("stripe_idempotency")
    if key is None:
        return response
    response.headers["Idempotency-Key"] = request.headers["Idempotency-Key"]
    if response.status_code < HTTPStatus.BAD_REQUEST or g.get("stripe_kept"):
        answer = {
            "id": key,
            "fingerprint": g.stripe_fingerprint,
            "status": response.status_code,
            "body": response.get_data(as_text=True),
            "request_id": g.stripe_request_id,
        }
        current_sandbox().store.put("idempotency", key, answer)
    return response


@blueprint.teardown_request
def _release_key(_: BaseException | None = None) -> None:
    if key := g.get("stripe_idempotency"):
        with _running_lock:
            _running.discard(key)


@blueprint.errorhandler(StripeApiError)
def _render_error(error: StripeApiError) -> Response:
    g.stripe_kept = error.kept
    response = jsonify({"error": error.error})
    response.status_code = error.status
    return response


def _authenticate(sandbox: Sandbox) -> None:
    given = ""
    if request.authorization is not None:
        given = request.authorization.token or request.authorization.username or ""
    if not given:
        message = (
            "You did not provide an API key. You need to provide your API key in the Authorization header."
        )
        raise StripeApiError(message, status=401)
    accepted: list[str] = sandbox.store.setting("stripe_keys") or [sandbox.config.stripe_secret_key]
    if not any(hmac.compare_digest(given.encode(), key.encode()) for key in accepted):
        hidden = f"{given[:8]}{'*' * 8}{given[-4:]}"
        raise StripeApiError(f"Invalid API Key provided: {hidden}", status=401)


def _repeat_answer() -> Response | None:
    name = request.headers.get("Idempotency-Key")
    if request.method != "POST" or not name:
        return None
    if len(name) > LONGEST_IDEMPOTENCY_KEY:
        message = f"Idempotency keys can be at most {LONGEST_IDEMPOTENCY_KEY} characters long."
        raise StripeApiError(message, kind="idempotency_error")
    sandbox = current_sandbox()
    key = f"{sandbox.config.base_url} {name}"
    content = json.dumps([request.path, g.stripe_params], sort_keys=True).encode()
    fingerprint = hashlib.sha256(content).hexdigest()
    with _running_lock:
        if key in _running:
            message = f"Another request is in progress with this idempotency key ({name})."
            raise StripeApiError(message, status=409, kind="idempotency_error", code="idempotency_key_in_use")
        _running.add(key)
    g.stripe_idempotency, g.stripe_fingerprint = key, fingerprint
    kept = sandbox.store.get("idempotency", key)
    if kept is None:
        return None
    g.stripe_idempotency = None
    with _running_lock:
        _running.discard(key)
    if kept["fingerprint"] != fingerprint:
        message = (
            "Keys for idempotent requests can only be used with the same parameters they were first used with. "
            f"Try using a key other than '{name}' if you meant to execute a different request."
        )
        raise StripeApiError(message, kind="idempotency_error")
    response = Response(kept["body"], status=kept["status"], mimetype="application/json")
    response.headers["Idempotent-Replayed"] = "true"
    response.headers["Original-Request"] = kept["request_id"]
    return response


def params() -> Document:
    """The decoded parameters of the current request."""
    found: Document = g.stripe_params
    return found


def object_response(document: Document) -> Response:
    """One object, expanded as asked (Stripe API reference, Expanding responses)."""
    body = public(document)
    for path in _expansions():
        _expand(body, path.split("."), path)
    return jsonify(body)


def list_response(rows: list[Document], url: str) -> Response:
    """One page of a list, newest first, by ``limit`` and cursors (Stripe API reference, Pagination).

    Raises:
        StripeApiError: 400 for a bad limit or an unknown cursor.
    """
    given = params()
    limit = parse_integer(given.get("limit", DEFAULT_LIMIT), "limit")
    if not 1 <= limit <= LARGEST_LIMIT:
        raise StripeApiError(f"Invalid limit: must be between 1 and {LARGEST_LIMIT}", param="limit")
    newest_first = rows[::-1]
    ids = [row["id"] for row in newest_first]
    begin, end = 0, len(ids)
    for name in ("starting_after", "ending_before"):
        if name in given and given[name] not in ids:
            raise no_such("object", str(given[name]), name)
    if "starting_after" in given:
        begin = ids.index(given["starting_after"]) + 1
    if "ending_before" in given:
        end = ids.index(given["ending_before"])
        begin = max(begin, end - limit)
    page = [public(row) for row in newest_first[begin : min(end, begin + limit)]]
    for path in _expansions():
        head, _, rest = path.partition(".")
        if head != "data" or not rest:
            raise _not_expandable(path)
        for body in page:
            _expand(body, rest.split("."), path)
    has_more = begin > 0 if "ending_before" in given else begin + limit < end
    return jsonify({"object": "list", "data": page, "has_more": has_more, "url": url})


def _expansions() -> list[str]:
    given = params().get("expand", [])
    return [str(path) for path in (given if isinstance(given, list) else [given])]


def _not_expandable(path: str) -> StripeApiError:
    return StripeApiError(f"This property cannot be expanded ({path}).", param="expand")


def _expand(body: Document, parts: list[str], path: str) -> None:
    name, rest = parts[0], parts[1:]
    store = current_sandbox().store
    if name == "line_items" and body.get("object") == "checkout.session":
        session = store.get("checkout_session", body["id"]) or {}
        body[name] = _inner_list(
            session.get("_line_items", []), f"/v1/checkout/sessions/{body['id']}/line_items"
        )
    elif name == "refunds" and body.get("object") == "charge":
        rows = store.all("refund", charge=body["id"])[::-1]
        body[name] = _inner_list([public(row) for row in rows], f"/v1/charges/{body['id']}/refunds")
    elif name not in body:
        raise _not_expandable(path)
    elif isinstance(body[name], str):
        kind = next((kind for prefix, kind in KINDS.items() if body[name].startswith(prefix)), None)
        found = store.get(kind, body[name]) if kind else None
        if found is None:
            raise _not_expandable(path)
        body[name] = public(found)
    if rest and isinstance(body[name], dict):
        inner = body[name]
        for entry in inner["data"] if inner.get("object") == "list" else [inner]:
            _expand(entry, rest[1:] if rest[0] == "data" else rest, path)


def _inner_list(rows: list[Document], url: str) -> Document:
    return {"object": "list", "data": rows, "has_more": False, "url": url}
