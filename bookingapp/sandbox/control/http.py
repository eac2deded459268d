"""Requests and answers of the control API: JSON for programs, a redirect to the control page for forms."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Response as FlaskResponse
from flask import jsonify, redirect, request
from werkzeug.wrappers import Response

from bookingapp.sandbox.store import Document

_SECRET_FIELDS = {"signing_key", "secret"}


def request_values() -> Document:
    """The values of the request: a JSON object, or form fields without the empty ones."""
    if request.is_json:
        body = request.get_json(silent=True)
        return body if isinstance(body, dict) else {}
    return {key: value for key, value in request.form.items() if value != ""}


def answer(result: Any, message: str, anchor: str = "") -> Response:
    """The result as JSON, or a redirect to a section of the control page with a message."""
    if _is_form():
        return redirect(f"/control?{urlencode({'done': message})}{f'#{anchor}' if anchor else ''}", 303)
    response: FlaskResponse = jsonify(without_secrets(result))
    return response


def refuse(message: str, status: int = 409) -> Response:
    """The reason of a refusal as JSON, or a redirect to the control page with it."""
    if _is_form():
        return redirect(f"/control?{urlencode({'problem': message})}", 303)
    response: FlaskResponse = jsonify({"error": message})
    response.status_code = status
    return response


def is_true(value: Any) -> bool:
    """A yes or no from JSON or from a form."""
    return value in (True, "true", "1", "on", "yes")


def without_secrets(value: Any) -> Any:
    """A copy without signing keys, and without the fields that only the sandbox uses."""
    if isinstance(value, dict):
        return {
            key: without_secrets(inner)
            for key, inner in value.items()
            if key not in _SECRET_FIELDS and not key.startswith("_")
        }
    return [without_secrets(inner) for inner in value] if isinstance(value, list) else value


def _is_form() -> bool:
    return not request.is_json and "text/html" in request.headers.get("Accept", "")
