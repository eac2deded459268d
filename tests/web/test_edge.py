"""What no request may carry, and what a provider's text may be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.bookings.models import Booking
from bookingapp.core.db import db
from bookingapp.core.edge import LARGEST_FORM, LONGEST_ADDRESS, MOST_FIELDS
from bookingapp.integrations.calendly.fields import LONGEST_NAME, LONGEST_TITLE
from tests import fakes
from tests.factories import event_type_uri, make_session_type
from tests.pages import PageClient, parse
from tests.web.conftest import Offer


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/bookings/a%00b", 404),
        ("/builders/a%00b", 404),
        ("/builders/a%00b/session-types/PAID", 404),
        ("/static/a%00b", 404),
        ("/nothing%00here", 404),
        ("/?q=a%00b", 400),
        ("/?a%00b=q", 400),
        (f"/dashboard/webhooks?page={'9' * 50}", 200),
        (f"/dashboard/bookings?page={'9' * 50}", 200),
        (f"/dashboard/webhooks/{'9' * 18}", 404),
        (f"/dashboard/webhooks/{'9' * 50}", 404),
        (f"/?q={'x' * LONGEST_ADDRESS}", 414),
        (f"/bookings/{'x' * LONGEST_ADDRESS}", 414),
    ],
)
def test_addresses_that_nobody_has(
    ada: Offer, log_in: Callable[[Offer], PageClient], path: str, status: int
) -> None:
    """They are answered with a page, and no database is asked."""
    answer = log_in(ada).get(path)
    assert answer.status_code == status
    assert parse(answer).one("h1").text


@pytest.mark.any_database
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
@pytest.mark.parametrize("field", ["email", "name", "something\0else"])
def test_forms_with_a_zero_byte(client: PageClient, ada: Offer, kind: str, field: str) -> None:
    token = client.token()
    for path in ("/login", "/my-bookings", f"{ada.detail('PAID')}/book"):
        typed = {"email": "z@example.org", "name": "Zoë", "password": "x", field: "a\0b", "csrf_token": token}
        answer = client.post(path, data=typed, content_type=kind)
        assert answer.status_code == 400
        assert "load the page again" in parse(answer).words


@pytest.mark.parametrize("host", ["a" * 100, f"{'a' * 100}.example", "..", "[", "x:99999", "a b", "", "ü"])
@pytest.mark.parametrize("path", ["/", "/nothing-here", "/dashboard"])
def test_whatever_host_is_asked_for(client: PageClient, ada: Offer, host: str, path: str) -> None:
    """The answer is the usual one: a health check's name, an attacker's and ours are alike."""
    usual, answer = client.get(path), client.get(path, headers={"Host": host})
    assert (answer.status_code, answer.location) == (usual.status_code, usual.location)
    assert answer.headers["Content-Security-Policy"] == usual.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_with_too_many_fields(client: PageClient, ada: Offer, kind: str) -> None:
    """413 without the token's sentence: it is refused before anything reads it."""
    fields = {f"f{number}": "" for number in range(MOST_FIELDS + 1)}
    answer = client.post("/login", data=fields, content_type=kind)
    assert answer.status_code == 413
    assert "too large" in parse(answer).words


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
@pytest.mark.parametrize("path", ["/login", "/my-bookings", "/logout"])
def test_a_form_that_is_too_large(client: PageClient, ada: Offer, kind: str, path: str) -> None:
    answer = client.post(path, data={"csrf_token": "x" * LARGEST_FORM}, content_type=kind)
    assert answer.status_code == 413


def test_deliveries_have_their_own_limit(client: PageClient) -> None:
    """Also where their content type is a form's: their signature is over the raw body."""
    for kind in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"):
        for body, status in ((b"a&" * LARGEST_FORM, 401), (b"a" * 300_000, 413)):
            answer = client.post("/webhooks/stripe", data=body, content_type=kind)
            assert (answer.status_code, answer.is_json) == (status, True)


@pytest.mark.any_database
def test_a_type_with_a_long_name(
    app: Flask, client: PageClient, ada: Offer, calendly_wire: fakes.Calendly
) -> None:
    """Its title is one line, as long as we keep, and it can be booked."""
    uri = event_type_uri("LONG")
    calendly_wire.add_type(ada.builder.calendly_user, uri, name="Long\0\n" + "🦊 word" * 40)
    with app.app_context():
        make_session_type(db.session(), ada.builder, event_type_uri=uri)
    answer = client.submit(f"{ada.detail('LONG')}/book", {"name": "Zoë", "email": "zoe@example.org"})
    assert answer.status_code == 303, answer.text
    with app.app_context():
        title = db.session().scalar(sa.select(Booking.title)) or ""
    assert title.startswith("Long 🦊 word🦊 word")
    assert title.endswith("…")
    assert len(title) <= LONGEST_TITLE


def test_what_is_read_fits_its_column() -> None:
    """Names of Calendly's that a booking keeps."""
    columns = Booking.__table__.c
    assert (columns.title.type.length, columns.client_name.type.length) == (LONGEST_TITLE, LONGEST_NAME)  # type: ignore[attr-defined]
