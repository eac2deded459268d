"""What the application answers where the server has not taken a body (tests/unit/test_body_reading.py)."""

from __future__ import annotations

import pytest
from werkzeug.exceptions import BadRequest, HTTPException, RequestTimeout, ServiceUnavailable

from bookingapp.core.bodies import FAILURE, LARGEST_BODY
from tests.pages import PageClient, parse

ROUTES = ["/login", "/webhooks/stripe", "/nothing-here"]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (RequestTimeout(), "did not arrive in time"),
        (BadRequest(), ""),
        (ServiceUnavailable(retry_after=5), "try again"),
    ],
    ids=["late", "broken", "no place"],
)
def test_a_body_that_was_not_read_is_refused_in_words(
    client: PageClient, path: str, failure: HTTPException, words: str
) -> None:
    answer = client.post(path, environ_overrides={FAILURE: failure})
    assert answer.status_code == failure.code
    assert words in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers.get("Retry-After") == ("5" if failure.code == 503 else None)
    if path.startswith("/webhooks/"):
        assert answer.json is not None
    else:
        assert parse(answer).one("h1").text


@pytest.mark.parametrize("path", ["/login", "/webhooks/stripe"])
def test_a_body_that_is_too_large_is_refused_by_its_length(client: PageClient, path: str) -> None:
    """Of such a one, the server gives nothing else."""
    large = {"CONTENT_LENGTH": str(LARGEST_BODY + 1), "wsgi.input_terminated": True}
    answer = client.post(path, content_type="application/x-www-form-urlencoded", environ_overrides=large)
    assert answer.status_code == 413
