"""Headers, cookies and links of every response."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from hashlib import sha256

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import BadSignature

from bookingapp.accounts.models import Account
from bookingapp.bookings.states import Status
from bookingapp.core import security
from bookingapp.core.db import db, transaction
from tests.pages import PageClient, new_client
from tests.web.conftest import Book, LogInAs, Offer

EVERYWHERE = (
    "/",
    "/login",
    "/nothing-here",
    "/healthz",
    "/builders/ada-okonkwo",
    "/builders/ada-okonkwo/session-types",
)


def policy(header: str) -> dict[str, set[str]]:
    """A Content-Security-Policy by directive."""
    return {part.split()[0]: set(part.split()[1:]) for part in header.split(";")}


@pytest.mark.parametrize("path", EVERYWHERE)
def test_every_answer_has_the_headers(client: PageClient, ada: Offer, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Permissions-Policy" in headers
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in headers
    assert "Access-Control-Allow-Origin" not in headers

    # Nothing inline, nothing evaluated, no frames; one script from elsewhere, by its whole address.
    header = headers["Content-Security-Policy"]
    found = policy(header)
    assert "unsafe" not in header
    assert "*" not in header
    assert found["default-src"] == found["frame-ancestors"] == found["base-uri"] == {"'none'"}
    assert found["script-src"] == {"'self'", security.HTMX_URL}
    assert found["style-src"] == {"'self'"}
    assert found["form-action"] == {"'self'", "https://checkout.stripe.com"}
    assert "frame-src" not in found


def test_only_the_schedule_page_lets_calendly_in(client: PageClient, book: Book) -> None:
    booking = book()
    found = policy(client.get(f"/bookings/{booking.ref}/schedule").headers["Content-Security-Policy"])
    assert found["frame-src"] == {"https://calendly.com"}
    assert found["script-src"] == {"'self'", security.HTMX_URL, "https://assets.calendly.com"}
    found = policy(client.get(f"/bookings/{booking.ref}").headers["Content-Security-Policy"])
    assert "frame-src" not in found
    assert "https://assets.calendly.com" not in found["script-src"]


def test_what_pages_load_is_what_the_policy_allows(client: PageClient, ada: Offer, book: Book) -> None:
    """Each script and style of each page; what comes from the CDN carries its hash and has a fallback."""
    for path in ("/", "/login", ada.path, f"/bookings/{book(Status.SCHEDULED).ref}"):
        page = client.page(path)
        for tag in page.select("script[src], link[rel=stylesheet]"):
            address = str(tag.get("src") or tag.get("href"))
            if address.startswith("/static/"):
                assert client.get(address).status_code == 200, address
                continue
            assert address == security.HTMX_URL
            assert tag["integrity"] == security.HTMX_INTEGRITY
            assert tag["crossorigin"] == "anonymous"
            assert client.get(str(tag["data-fallback"])).status_code == 200


def test_static_files_are_kept_for_ever(client: PageClient) -> None:
    style = str(client.page("/").select("link[rel=stylesheet]")[-1]["href"])
    assert "immutable" in client.get(style).headers["Cache-Control"]
    assert "immutable" not in client.get(style.split("?", maxsplit=1)[0]).headers["Cache-Control"]


def test_the_cookie_over_http(client: PageClient) -> None:
    cookie = client.get("/login").headers["Set-Cookie"]
    assert cookie.startswith("session=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    assert "Domain" not in cookie


def test_the_cookie_is_signed_with_sha_256(app: Flask, client: PageClient) -> None:
    """Not with Flask's SHA-1; a cookie signed so is no session."""
    client.get("/login")
    cookie = client.get_cookie("session")
    assert cookie is not None
    assert len(b64decode(f"{cookie.value.rpartition('.')[2]}=", altchars="-_")) == sha256().digest_size
    old = SecureCookieSessionInterface().get_signing_serializer(app)
    assert old is not None
    with pytest.raises(BadSignature):
        old.loads(cookie.value)
    client.set_cookie("session", old.dumps({"csrf_token": "planted"}))
    client.get("/login")
    with client.session_transaction() as session:
        assert session["csrf_token"] != "planted"


def test_over_https_it_is_secure(app_with: Callable[..., Flask]) -> None:
    """PUBLIC_URL decides, whatever the proxy sends."""
    answer = app_with(public_url="https://hours.example").test_client().get("/login")
    cookie = answer.headers["Set-Cookie"]
    # From this very host alone: what begins so has no domain, and a browser refuses it otherwise.
    assert cookie.startswith("__Host-session=")
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")


def test_a_log_in_is_not_sent_anew_with_each_page(browser: PageClient) -> None:
    """It ends after 24 hours whatever the browser does, and its cookie is valid for as long."""
    browser.get("/dashboard")
    assert "Set-Cookie" not in browser.get("/dashboard").headers
    assert browser.get("/dashboard/bookings").status_code == 200


def test_what_is_kept_of_a_page_is_kept_for_its_reader(app: Flask, browser: PageClient) -> None:
    """Visitors, builders and operators have different links above their pages, in whatever order they come."""
    visitor = new_client(app)
    for _ in range(2):
        assert "For builders: log in" in visitor.page("/").one(".site-nav").text
        for path in ("/", "/dashboard/bookings"):
            links = browser.page(path).one(".site-nav").text
            assert ("Dashboard" in links, "Console" in links, "log in" in links) == (True, False, False)
    with app.app_context(), transaction(db.session()) as session:
        session.execute(sa.update(Account).values(is_operator=True))
    assert "Console" in browser.page("/").one(".site-nav").text
    assert browser.page("/dashboard/bookings").one(".sub-nav [aria-current]").text == "Bookings"
    assert browser.page("/dashboard/profile").one(".sub-nav [aria-current]").text == "Profile"


def test_a_visitor_who_only_looks_gets_no_cookie(client: PageClient, ada: Offer) -> None:
    for path in ("/", ada.path, f"{ada.path}/session-types"):
        assert "Set-Cookie" not in client.get(path).headers, path


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1:8000.evil.example"])
def test_the_host_header_is_in_no_link(client: PageClient, ada: Offer, book: Book, host: str) -> None:
    booking = book()
    headers = {"Host": host, "X-Forwarded-Host": host, "Forwarded": f"host={host}"}
    for path in (
        "/",
        ada.path,
        "/login",
        "/dashboard",
        f"/bookings/{booking.ref}/paid",
        f"/bookings/{booking.ref}/schedule",
        "/nothing",
    ):
        answer = client.get(path, headers=headers)
        assert "evil.example" not in answer.text
        assert "evil.example" not in (answer.location or "")


def test_cookie_keys_can_be_rotated(
    app: Flask, app_with: Callable[..., Flask], ada: Offer, log_in: LogInAs
) -> None:
    """Builders stay logged in while the old key is listed, and not longer."""
    cookie = log_in(ada).get_cookie("session")
    assert cookie is not None
    for keys, status in ((f"{'n' * 40},{app.config['SECRET_KEY']}", 200), ("n" * 40, 303)):
        client = app_with(secret_key=keys).test_client()
        client.set_cookie("session", cookie.value)
        assert client.get("/dashboard").status_code == status
