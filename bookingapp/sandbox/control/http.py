"""How the control surface is asked and answers: JSON for programs, a redirect back to the page for forms."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Response as FlaskResponse
from flask import abort, jsonify, redirect, request
from werkzeug.wrappers import Response

from bookingapp.sandbox.store import Document

_SECRET_FIELDS = {"signing_key", "secret"}


def given() -> Document:
    """What was sent along: a JSON object, or form fields without the empty ones."""
    if request.is_json:
        body = request.get_json(silent=True)
        return body if isinstance(body, dict) else {}
    return {key: value for key, value in request.form.items() if value != ""}


def answer(result: Any, message: str, anchor: str = "") -> Response:
    """The result as JSON, or back to the control page with a message for a person's form."""
    if _from_a_form():
        query = urlencode({"done": message})
        return redirect(f"/control?{query}{f'#{anchor}' if anchor else ''}", 303)
    response: FlaskResponse = jsonify(without_secrets(result))
    return response


def refuse(message: str, status: int = 409) -> Response:
    """Why it was not done."""
    if _from_a_form():
        return redirect(f"/control?{urlencode({'problem': message})}", 303)
    response: FlaskResponse = jsonify({"error": message})
    response.status_code = status
    return response


def required(document: Document | None) -> Document:
    """The document, or 404."""
    if document is None:
        abort(404)
    return document


def flag(value: Any) -> bool:
    """A yes or no from JSON or from a form."""
    return value in (True, "true", "1", "on", "yes")


def without_secrets(value: Any) -> Any:
    """A copy without signing keys, and without what only the sandbox itself needs."""
    if isinstance(value, dict):
        return {
            key: without_secrets(inner)
            for key, inner in value.items()
            if key not in _SECRET_FIELDS and not key.startswith("_")
        }
    return [without_secrets(inner) for inner in value] if isinstance(value, list) else value


def _from_a_form() -> bool:
    return not request.is_json and "text/html" in request.headers.get("Accept", "")
