"""What every Stripe endpoint has in common: keys, errors, idempotency, expansion, lists."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from typing import Any

from flask import Response, g, jsonify, request

from bookingapp.sandbox.clock import new_token
from bookingapp.sandbox.context import Sandbox, current_sandbox
from bookingapp.sandbox.seed import API_VERSION
from bookingapp.sandbox.store import Document
from bookingapp.sandbox.stripe.forms import decode

KINDS = {
    "pi_": "payment_intent",
    "ch_": "charge",
    "py_": "charge",
    "re_": "refund",
    "txn_": "balance_transaction",
    "cs_": "checkout_session",
    "du_": "dispute",
}
LONGEST_KEY = 255
DEFAULT_LIMIT, LARGEST_LIMIT = 10, 100
_running: set[str] = set()
_running_lock = threading.Lock()


class StripeApiError(Exception):
    """An answer in Stripe's error shape.

    ``kept`` marks refusals that happen while the request is carried out: an idempotency key remembers
    those, and does not remember requests whose parameters were refused.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        kept: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kept = kept
        self.error: dict[str, Any] = {"type": kind, "message": message}
        if code is not None:
            self.error["code"] = code
            self.error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        if param is not None:
            self.error["param"] = param


def unknown_parameter(name: str) -> StripeApiError:
    """400 for a parameter that is not offered, or no longer."""
    return StripeApiError(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)


def missing_parameter(name: str) -> StripeApiError:
    """400 for a parameter that is needed."""
    return StripeApiError(f"Missing required param: {name}.", code="parameter_missing", param=name)


def no_such(noun: str, identifier: str, param: str = "id") -> StripeApiError:
    """404."""
    return StripeApiError(f"No such {noun}: '{identifier}'", status=404, code="resource_missing", param=param)


def begin_request() -> Response | None:
    """Check the key; answer from memory where the idempotency key was used before."""
    g.stripe_request_id = f"req_{new_token(14)}"
    try:
        _authenticate(current_sandbox())
        pairs = request.form if request.method == "POST" else request.args
        g.stripe_params = decode(pairs.items(multi=True))
        answered = _replay()
    except StripeApiError as error:
        return error_response(error)
    if answered is None:
        time.sleep(g.get("stripe_latency", 0))
    return answered


def finish_request(response: Response) -> Response:
    """Sign the answer with its request's id, and remember it for its idempotency key."""
    response.headers["Request-Id"] = g.get("stripe_request_id", f"req_{new_token(14)}")
    response.headers["Stripe-Version"] = request.headers.get("Stripe-Version", API_VERSION)
    key = g.get("stripe_idempotency")
    if key is None:
        return response
    response.headers["Idempotency-Key"] = request.headers["Idempotency-Key"]
    if response.status_code < 400 or g.get("stripe_kept"):  # noqa: PLR2004 - the first error status.
        current_sandbox().store.put(
            "idempotency",
            key,
            {
                "id": key,
                "fingerprint": g.stripe_fingerprint,
                "status": response.status_code,
                "body": response.get_data(as_text=True),
                "request_id": g.stripe_request_id,
            },
        )
    return response


def release_key(_: BaseException | None = None) -> None:
    """The request is over, however it ended: its idempotency key may be used again."""
    if key := g.get("stripe_idempotency"):
        with _running_lock:
            _running.discard(key)


def error_response(error: StripeApiError) -> Response:
    """The error as JSON, with the id of its request."""
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
    if not hmac.compare_digest(given.encode(), sandbox.config.stripe_secret_key.encode()):
        hidden = f"{given[:8]}{'*' * 8}{given[-4:]}"
        raise StripeApiError(f"Invalid API Key provided: {hidden}", status=401)


def _replay() -> Response | None:
    name = request.headers.get("Idempotency-Key")
    if request.method != "POST" or not name:
        return None
    if len(name) > LONGEST_KEY:
        message = f"Idempotency keys can be at most {LONGEST_KEY} characters long."
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
    """The decoded parameters of this request."""
    found: Document = g.stripe_params
    return found


def words(text: str) -> set[str]:
    """The words of a text, for long lists of parameter names."""
    return set(text.split())


def allow_only(given: Document, allowed: set[str], prefix: str = "") -> None:
    """Refuse every parameter that is not offered.

    Raises:
        StripeApiError: 400 ``parameter_unknown``.
    """
    for name in given:
        if name not in allowed:
            raise unknown_parameter(f"{prefix}[{name}]" if prefix else name)


def integer(value: Any, name: str) -> int:
    """A whole number.

    Raises:
        StripeApiError: 400 ``parameter_invalid_integer``.
    """
    try:
        return int(str(value))
    except ValueError:
        message = f"Invalid integer: {value}"
        raise StripeApiError(message, code="parameter_invalid_integer", param=name) from None


def public(document: Document) -> Document:
    """A stored object without what only the sandbox knows of it."""
    return {key: value for key, value in document.items() if not key.startswith("_")}


def object_response(document: Document) -> Response:
    """One object, with what was asked to be expanded."""
    body = public(document)
    for path in _expansions():
        _expand(body, path.split("."), path)
    return jsonify(body)


def list_response(rows: list[Document], url: str) -> Response:
    """One page of a list, newest first, by ``limit``, ``starting_after`` and ``ending_before``.

    Raises:
        StripeApiError: 400 for a bad limit or an unknown cursor.
    """
    given = params()
    limit = integer(given.get("limit", DEFAULT_LIMIT), "limit")
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
