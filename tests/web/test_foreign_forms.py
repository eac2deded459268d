"""Which forms are accepted: token and sender decide, against PUBLIC_URL; no Referer is needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bookingapp.core.db import db
from bookingapp.core.security import origin
from tests.conftest import close, make_app, make_settings
from tests.factories import PASSWORD, make_builder
from tests.pages import PageClient, parse

INSIDE = "https://inner.example"


@pytest.fixture
def client(tmp_path: Path, database_url: str) -> Iterator[PageClient]:
    """A browser of a site behind a proxy that speaks https and keeps the Host of the inner side."""
    settings = make_settings(
        tmp_path, database_url=database_url, public_url="https://Bücher.example:443", trusted_proxies=1
    )
    app = make_app(settings)
    with app.app_context():
        make_builder(db.session(), slug="ada")
    client = app.test_client()
    assert isinstance(client, PageClient)
    yield client
    close(app)


OUR_OWN = [
    {},
    {"Origin": "https://xn--bcher-kva.example"},
    {"Origin": "https://xn--bcher-kva.example", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
]
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://xn--bcher-kva.example"},
    {"Origin": "https://xn--bcher-kva.example.evil.example"},
    {"Origin": "https://xn--bcher-kva.example:8443"},
    {"Origin": INSIDE},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


def log_in(client: PageClient, headers: dict[str, str], token: str | None = None) -> int:
    """Send the log-in form over https, without a Referer; the answer's status."""
    page = parse(client.get("/login", base_url=INSIDE))
    data = {
        "csrf_token": token or str(page.one("main input[name=csrf_token]")["value"]),
        "email": "ada@example.com",
        "password": PASSWORD,
    }
    return client.post("/login", data=data, headers=headers, base_url=INSIDE).status_code


@pytest.mark.parametrize("headers", OUR_OWN, ids=str)
def test_a_form_of_ours_needs_no_referer(client: PageClient, headers: dict[str, str]) -> None:
    """A builder logs in, whatever the browser hides."""
    assert log_in(client, headers) == 303


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_another_sites_form_is_refused(client: PageClient, headers: dict[str, str]) -> None:
    """Even with a good token; the page says from where forms are accepted, and the builder stays logged out."""
    page = parse(client.get("/login", base_url=INSIDE))
    data = {
        "csrf_token": str(page.one("main input[name=csrf_token]")["value"]),
        "email": "ada@example.com",
        "password": PASSWORD,
    }
    answer = client.post("/login", data=data, headers=headers, base_url=INSIDE)
    assert answer.status_code == 400
    words = parse(answer).words
    assert "This form came from another site" in words
    assert "https://xn--bcher-kva.example" in words
    assert client.get("/dashboard", base_url=INSIDE).status_code == 303


@pytest.mark.parametrize("headers", OUR_OWN, ids=str)
def test_the_token_is_needed_from_every_sender(
    client: PageClient, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """A form of ours with another token is refused, and the log says so."""
    assert log_in(client, headers, token="forged") == 400
    assert "form_token_refused" in caplog.text
    assert "forged" not in caplog.text


def test_providers_send_no_origin_of_ours(client: PageClient) -> None:
    """Their signature alone decides."""
    answer = client.post("/webhooks/stripe", data=b"{}", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Hours.example/path", "https://hours.example"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("https://[::1]:8443/x", "https://[::1]:8443"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, expected: str) -> None:
    """They are compared as text."""
    assert origin(url) == expected
