"""What no request may carry, refused once for all routes: before a form is parsed and before anything is queried.

The Host header is not refused but replaced by PUBLIC_URL's: nothing here may depend on it, not even an error page, and
proxies and health checks send names of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Blueprint, Flask, abort, request
from werkzeug.routing import IntegerConverter, ValidationError

from bookingapp.core import bodies
from bookingapp.core.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LARGEST_FORM = 64 * 1024
MOST_FIELDS = 200
LONGEST_ADDRESS = 4000  # Path and query together, as sent.
LARGEST_ID = 2**31 - 1
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
# What PostgreSQL keeps in no text, and what cannot be encoded.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_raw: set[str] = set()


class _StorableNumber(IntegerConverter):
    """``<int:…>``: the id of a row, no larger than PostgreSQL's integers."""

    regex = r"[0-9]{1,10}"

    def to_python(self, value: str) -> int:
        """The number. Raises ``ValidationError``, which is 404, where no row can have it."""
        number: int = super().to_python(value)
        if number > LARGEST_ID:
            raise ValidationError
        return number


class _OurHost:
    """Gives every request the host of PUBLIC_URL."""

    def __init__(self, wsgi_app: WSGIApplication, public_url: str) -> None:
        self._wsgi_app = wsgi_app
        self._host = urlsplit(public_url).netloc

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._wsgi_app({**environ, "HTTP_HOST": self._host}, start_response)


def read_raw(blueprint: Blueprint) -> None:
    """Leave the bodies of this blueprint's requests to its views, which limit them."""
    _raw.add(blueprint.name)


def init_app(app: Flask, settings: Settings) -> None:
    """Check every request. Comes before every other extension that reads one."""
    app.wsgi_app = _OurHost(app.wsgi_app, settings.public_url)  # type: ignore[method-assign]
    app.url_map.converters["int"] = _StorableNumber
    app.config.update(MAX_CONTENT_LENGTH=LARGEST_FORM, MAX_FORM_PARTS=MOST_FIELDS)
    app.before_request(_refuse_what_cannot_be_used)


def _refuse_what_cannot_be_used() -> None:
    if failure := bodies.failure(request.environ):
        raise failure
    if _UNSTORABLE.search(request.path):
        abort(404)
    if len(request.path) + len(request.query_string) > LONGEST_ADDRESS:
        abort(414)
    if _is_unstorable(request.args.items(multi=True)):
        abort(400)
    if (largest := bodies.largest_upload(request.path)) is not None:
        request.max_content_length = largest
    if request.mimetype in _FORMS and request.blueprint not in _raw:
        # Werkzeug counts the parts of a multipart form alone.
        if request.mimetype == _FORMS[0] and request.get_data().count(b"&") >= MOST_FIELDS:
            abort(413)
        if _is_unstorable(request.form.items(multi=True)):
            abort(400)


def _is_unstorable(fields: Iterable[tuple[str | None, str]]) -> bool:
    # A part of a multipart form may lack its name.
    return any(
        name is None or _UNSTORABLE.search(name) or _UNSTORABLE.search(value) for name, value in fields
    )
