"""Hostile input to every route, from everybody, on both databases: never a 500, always the headers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from werkzeug.routing import Rule

from bookingapp.accounts.models import Account
from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.clients.links import LinkSigner
from bookingapp.core import services
from bookingapp.core.db import db, insert_if_new, transaction
from bookingapp.core.settings import PROJECT_ROOT, Settings
from bookingapp.webhooks.models import InboxEvent
from tests import fakes
from tests.factories import inbox_row, log_in_at_once
from tests.pages import HTMX, PageClient
from tests.web.conftest import Offer

HEADERS = (
    "Content-Security-Policy",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "Referrer-Policy",
    "Permissions-Policy",
    "Cross-Origin-Opener-Policy",
)
TEXTS = (
    "a\0b",
    "9" * 30,
    "9" * 3000,
    "-1",
    "٣",
    "x" * 300,
    "//evil.example",
    "\r\nSet-Cookie: a=b",
    "\u202e\u200b\ufeff\u2060\x1f\x7f\x9f",
    # One letter that becomes two when it is lower case.
    "İ" * 32 + "@" + ".".join(["a" * 60] * 3) + ".example",
    "𐀀\U0010ffff\ufffe",
    "9999-99-99T99:99:99Z",
    "https://[",
)
# Characters that a database does not know, numbers that it has no type for, and texts that are longer than a column.
REFUSED = ("a\0b", "9" * 30, "x" * 300, "𐀀\U0010ffff\ufffe")
# What is no UTF-8, and what is percent-encoded badly or twice.
ENCODED = ("%ff%fe%c0%80%ed%a0%80", "%", "%25%30%30")
HOSTS = ("a" * 100, "..", "[::1", "x:" + "9" * 5000, "a b", "ü", "", "evil.example", "a" * 5000)
ODD_HEADERS = (
    {"Cookie": "session=\xff.\xff; a; =; session"},
    {"Range": "bytes=" + "9" * 5000 + "-", "If-Modified-Since": "9" * 5000, "If-None-Match": "\xff"},
    {
        "Accept-Language": "\xff;q=" + "9" * 5000,
        "Accept-Encoding": "gzip;q=" + "9" * 5000,
        "User-Agent": "\xff",
    },
    {"Content-Type": "multipart/form-data"},
    {"Content-Type": "multipart/form-data; boundary=\xff"},
    {"Content-Type": "application/x-www-form-urlencoded; charset=utf-7"},
    {"Content-Type": "application/json"},
    # Each alone: whoever refuses one of them does not see the others.
    {"Referer": "https://["},
    {"Referer": "http://127.0.0.1:8000/[?%ff=%00&\xff"},
    {"Sec-Fetch-Site": "\xff"},
    {"HX-Request": "true", "HX-Target": "\xff", "HX-Current-URL": "https://["},
    {
        "Referer": "https://[",
        "Origin": "\xff",
        "Sec-Fetch-Site": "\xff",
        "HX-Request": "true",
        "HX-Target": "\xff",
    },
    {"X-CSRFToken": "\xff"},
    {"Upgrade": "websocket", "Connection": "Upgrade"},
    {"Forwarded": "\xff", "X-Forwarded-For": "\xff," * 100, "X-Forwarded-Proto": "\xff"},
    {"Stripe-Signature": "t=" + "9" * 5000 + ",v1=\xff", "Calendly-Webhook-Signature": "t=٣,v1=\xff"},
    *({"Host": host} for host in HOSTS),
)
QUERY = (
    *(
        "q",
        "skill",
        "tier",
        "availability",
        "page",
        "status",
        "state",
        "n",
        "time",
        "tz",
        "next",
        "booking",
        "v",
    ),
    *("code", "error", "month", "timezone", "utm_content", "session_id"),
    *("topic", "after", "before", "act", "operator", "builder", "flag"),
)
FORM = (
    *("present", "code"),
    *("name", "email", "timezone", "password", "return_to", "event_uri", "invitee_uri", "direction", "came"),
    *(
        "display_name",
        "headline",
        "bio",
        "skills",
        "availability",
        "listed",
        "start_time",
        "location",
        "answer-0",
        "reason",
    ),
    *(f"PAID-{name}" for name in ("price", "currency", "category", "sign_in", "published")),
)
ROLES = ("nobody", "builder", "operator")
# Whose views ask whether somebody is an operator. To all others an operator is a builder, whose requests are sent too.
KNOW_OPERATORS = ("bookingapp.dashboard.views.home", "bookingapp.accounts.views.two_step")
FUZZ = hypothesis_settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
# Any character, with what text libraries, databases and clocks stumble over more often than chance would have it.
ODD_TEXT = st.text(
    st.one_of(st.sampled_from("\0\n\r\t%&=+/\\;9-.:@\u200b\u0661İ"), st.characters()), max_size=40
)


def send_odd(
    client: FlaskClient, cookie: str, number: int, method: str, path: str, query: str = "", **how: Any
) -> None:
    """A request that may be hostile, from the address of that number. It is answered, and by us."""
    # Whatever the request before did, this one comes from the same person.
    client.set_cookie("session", cookie)
    environ = {
        "REMOTE_ADDR": f"127.{number >> 16}.{number >> 8 & 255}.{number & 255}",
        # By hand: the test client would correct them.
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
    }
    answer = client.open("/", method=method, environ_overrides=environ, buffered=True, **how)
    told = f"{method} {path[:99]} {query[:99]} {how!r:.300}: {answer.status}"
    # Providers of these tests know little, so a page may say that one does not answer.
    assert answer.status_code < 500 or answer.status_code == 503, told
    assert [name for name in HEADERS if name not in answer.headers] == [], told


@dataclass
class Site:
    """The application with something behind each kind of address, and one visitor."""

    app: Flask
    client: FlaskClient
    known: dict[str, str]
    token: str
    cookie: str
    requests: Iterator[int] = field(default_factory=itertools.count)

    def rules(self, role: str) -> list[Rule]:
        """Every route; for those who are logged in, and for operators, the ones where that makes a difference."""
        rules = list(self.app.url_map.iter_rules())
        if role == "operator":
            views = self.app.view_functions
            return [
                one
                for one in rules
                if one.rule.startswith(("/operator", "/account"))
                or views[one.endpoint].__module__ in KNOW_OPERATORS
            ]
        return [
            one for one in rules if role == "nobody" or one.rule.startswith(("/dash", "/login", "/account"))
        ]

    def path(self, rule: Rule, **values: str) -> str:
        """The route's path, with these values as they are sent: percent-encoded."""
        path = rule.rule
        for name, value in {**self.known, **values}.items():
            if name in rule.arguments:
                path = path[: path.index("<")] + value + path[path.index(">") + 1 :]
        return path

    def send(self, method: str, path: str, query: str = "", **how: Any) -> None:
        """One request, from an address that no limit knows yet. It is answered, and by us."""
        send_odd(self.client, self.cookie, next(self.requests), method, path, query, **how)

    def send_everywhere(self, rule: Rule, sent: str, typed: str, *, oddly: bool = True) -> None:
        """One text in every place of a route: ``sent`` in addresses, ``typed`` in forms; ``oddly``: in forms that no
        browser makes, too.
        """
        query = "&".join(f"{name}={sent}" for name in QUERY) if len(sent) < 150 else f"page={sent}&n={sent}"
        fields = dict.fromkeys(FORM, typed) | {"csrf_token": self.token}
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            form: dict[str, Any] = {"data": {"csrf_token": self.token}} if method == "POST" else {}
            for name in rule.arguments:
                self.send(method, self.path(rule, **{name: sent}), **form)
            if method == "GET":
                self.send(method, self.path(rule), f"{query}&{sent[:500]}=1", headers=HTMX)
        if "POST" not in (rule.methods or set()):
            return
        self.send("POST", self.path(rule), f"{query}&{sent[:500]}=1", headers=HTMX, data=fields)
        if oddly:
            self.send(
                "POST", self.path(rule), data={**fields, typed: typed}, content_type="multipart/form-data"
            )
            raw = "&".join([f"csrf_token={self.token}", f"{sent}=1", *(f"{name}={sent}" for name in FORM)])
            self.send("POST", self.path(rule), data=raw, content_type="application/x-www-form-urlencoded")


@pytest.fixture
def site(
    app: Flask,
    client: PageClient,
    ada: Offer,
    book: Callable[..., Booking],
    log_in: Callable[[Offer], PageClient],
    stripe_wire: fakes.Stripe,
    role: str,
) -> Site:
    """What the role sees; ``nobody`` has the links that clients have."""
    booking = book(Status.CONFIRMED)
    with app.app_context(), transaction(db.session()) as session:
        delivery = insert_if_new(session, InboxEvent, inbox_row("evt_1"), ["provider", "event_key"])
        is_me = Account.id == ada.builder.account_id
        session.execute(sa.update(Account).where(is_me).values(is_operator=role == "operator"))
        link = services.get(LinkSigner).sign("nothing")
    if role == "builder":
        log_in(ada)
    elif role == "operator":
        log_in_at_once(app, client, ada.builder.account_id)
    page = client.page("/login" if role == "nobody" else "/dashboard")
    token = str(page.select("input[name=csrf_token]")[0]["value"])
    cookie = client.get_cookie("session")
    assert cookie is not None
    known = {
        "slug": ada.builder.slug,
        "event_type_id": "PAID",
        "ref": booking.ref,
        "tracking_id": booking.tracking_id,
        "delivery_id": str(delivery),
        "job_id": "1",
        "act": "resolve",
        "log_in_id": "4711",
        "token": "nothing",
        "value": link,
        "filename": "app.css",
        "size": "card",
        "digest": "0" * 32,
    }
    # Not the client that reads every page: these are thousands.
    return Site(app, FlaskClient(app, app.response_class), known, token, cookie.value)


def test_no_other_view_knows_operators() -> None:
    """Else an operator has to send everything to it."""
    package = PROJECT_ROOT / "bookingapp"
    modules = {
        ".".join(path.relative_to(PROJECT_ROOT).with_suffix("").parts)
        for path in package.rglob("*.py")
        if "is_operator" in path.read_text() and path.parent.name not in ("accounts", "cli", "console")
    }
    assert modules == set(KNOW_OPERATORS)
    templates = {path.name for path in package.rglob("*.html") if "is_operator" in path.read_text()}
    # Most are those of /account; one is of the console.
    assert templates == {"base.html", "account.html", "builder.html"}


@pytest.mark.any_database
@pytest.mark.parametrize("role", ROLES)
def test_every_place_of_every_route(site: Site, role: str, settings: Settings) -> None:
    """The fixed list, in each part of an address and each field of a form; on PostgreSQL what a database may refuse:
    what is encoded oddly is decoded before, to characters that any takes.
    """
    is_sqlite = settings.database_url.startswith("sqlite")
    texts = TEXTS if is_sqlite else REFUSED
    for rule in site.rules(role):
        for text in texts:
            site.send_everywhere(rule, quote(text, safe=""), text, oddly=text == texts[0])
        for encoded in ENCODED if is_sqlite else ():
            site.send_everywhere(rule, encoded, encoded)


@pytest.mark.parametrize("role", ROLES)
def test_odd_headers_to_every_route(site: Site, role: str) -> None:
    """A Host of 100 letters among them, which is replaced before anything reads it."""
    sent = [one for one in ODD_HEADERS if role == "nobody" or one.get("Host") not in HOSTS[1:]]
    for rule, headers in itertools.product(site.rules(role), sent):
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            site.send(method, site.path(rule), headers=headers, data=b"csrf_token=" + site.token.encode())
    for headers in ODD_HEADERS:
        site.send("GET", "/nothing-here", headers=headers)


@pytest.mark.any_database
@pytest.mark.parametrize("role", ROLES)
@FUZZ
@given(data=st.data())
def test_anything_to_any_route(site: Site, role: str, data: st.DataObject) -> None:
    """What nobody has thought of."""
    rule = data.draw(st.sampled_from(site.rules(role)), label="route")
    typed = data.draw(ODD_TEXT).encode("utf-8", "replace").decode()
    site.send_everywhere(rule, quote(typed, safe=""), typed)
