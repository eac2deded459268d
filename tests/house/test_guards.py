"""Every endpoint is classified by hand, and its guard does what its class says."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from structlog.testing import capture_logs
from werkzeug.routing import Rule

from bookingapp.core.db import db
from tests.factories import PASSWORD, make_booking, make_builder
from tests.pages import HTMX, PageClient

PUBLIC = {  # Everyone.
    "static",
    "builders.index",
    "builders.profile",
    "session_types.cards",
    "session_types.times",
    "bookings.new",
    "bookings.create",
    "checkout.landed",
    "accounts.login",
    "accounts.log_in",
    "accounts.logout",
    "my_bookings.index",
    "clients.ask",
    "clients.sent",
    "clients.link",
    "clients.confirm",
    "clients.forget",
}
LINK = {  # Those who know the booking's unguessable address.
    "checkout.show",
    "checkout.status",
    "checkout.schedule",
    "checkout.consent_to_calendar",
    "checkout.scheduled",
    "checkout.choose_address",
    "checkout.pay",
    "checkout.to_checkout",
    "checkout.check",
    "checkout.paid",
    "checkout.session_file",
    "checkout.confirm_cancel",
    "checkout.cancel",
    "times.index",
    "times.choose",
}
BUILDER = {  # A builder who is logged in, for their own things.
    "dashboard.index",
    "dashboard.keep_unattached",
    "dashboard.bookings",
    "dashboard.booking",
    "dashboard.cancel",
    "dashboard.confirm_cancel",
    "dashboard.cancel_event",
    "dashboard.no_show",
    "dashboard.seen",
    "dashboard.refund_warned",
    "dashboard.send_again",
    "dashboard.evidence",
    "dashboard.prices",
    "dashboard.publish",
    "dashboard.move",
    "dashboard.check",
    "dashboard.connection",
    "deliveries.index",
    "deliveries.show",
    "deliveries.rehearsal",
    "deliveries.apply_again",
    "dashboard.profile",
    "connections.connect",
    "connections.disconnect",
}
OPERATOR = {  # An operator who is logged in.
    "operator.index",
}
RETURNING = {"connections.callback"}  # A builder whom Calendly sends back; its code travels nowhere else.
PROVIDER = {"webhooks.calendly", "webhooks.stripe"}  # A provider that signed the body.
OPERATIONS = {"operations.alive", "operations.ready"}  # Everyone; the answers show nothing private.
NEAR = {"operations.metrics_page"}  # A scraper on this machine or its own network.

CLASSES = {
    "public": PUBLIC,
    "link": LINK,
    "builder": BUILDER,
    "operator": OPERATOR,
    "returning": RETURNING,
    "provider": PROVIDER,
    "operations": OPERATIONS,
    "near": NEAR,
}
VALUES = {
    "slug": "nobody",
    "event_type_id": "NONE",
    "delivery_id": 4711,
    "number": 4711,
    "ref": "nothing-that-exists",
    "tracking_id": "nothing-that-exists",
    "filename": "app.css",
    "value": "forged",
}


def rules(app: Flask, names: set[str]) -> list[Rule]:
    """The addresses of these endpoints."""
    return [rule for rule in app.url_map.iter_rules() if rule.endpoint in names]


def address(app: Flask, rule: Rule, **values: Any) -> str:
    """The path of a rule, filled in."""
    known: dict[str, Any] = {**VALUES, **values}
    return app.url_for(rule.endpoint, **{name: known[name] for name in rule.arguments})


def requests(app: Flask, names: set[str]) -> list[tuple[str, str]]:
    """Each method and path of these endpoints, with values that do not exist."""
    with app.test_request_context():
        return [
            (method, address(app, rule))
            for rule in rules(app, names)
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        ]


def test_every_endpoint_is_classified(app: Flask) -> None:
    """A new one fails here until its author has decided who may call it."""
    known: set[str] = set().union(*CLASSES.values())
    assert {rule.endpoint for rule in app.url_map.iter_rules()} - known == set()
    assert sum(len(names) for names in CLASSES.values()) == len(known)


def test_private_pages_need_a_log_in(app: Flask, client: PageClient) -> None:
    """A browser is redirected to the log-in page, htmx by a header; nothing of the page is shown."""
    paths = requests(app, BUILDER | OPERATOR)
    assert len(paths) >= 9
    for method, path in paths:
        data = {"csrf_token": client.token()} if method == "POST" else None
        answer = client.open(path, method=method, data=data)
        assert (answer.status_code, answer.location.split("?")[0]) == (303, "/login"), path
        fragment = client.open(path, method=method, data=data, headers=HTMX)
        assert (fragment.status_code, fragment.headers["HX-Redirect"], fragment.data) == (
            401,
            "/login",
            b"",
        ), path


def test_consoles_pages_are_not_there_for_builders(app: Flask, client: PageClient) -> None:
    """404, like an address that does not exist; the log says which page which account wanted."""
    with app.app_context():
        builder = make_builder(db.session(), slug="ada")
    client.submit("/login", {"email": "ada@example.com", "password": PASSWORD})
    for method, path in requests(app, OPERATOR):
        data = {"csrf_token": client.token("/dashboard/profile")} if method == "POST" else None
        with capture_logs() as logs:
            answer = client.open(path, method=method, data=data)
        assert answer.status_code == 404, (method, path)
        assert "There is nothing at this address." in answer.text
        (denied,) = (line for line in logs if line["event"] == "denied")
        assert (denied["code"], denied["account"]) == ("not_operator", builder.account_id)


def test_who_comes_back_from_calendly_needs_a_log_in(app: Flask, client: PageClient) -> None:
    """A page says so; the code in the address is not handed on to the log-in page."""
    for _, path in requests(app, RETURNING):
        answer = client.get(f"{path}?code=SECRET-CODE&state=x")
        assert answer.status_code == 401
        assert "SECRET-CODE" not in answer.text


def test_a_bookings_pages_need_its_address(app: Flask, client: PageClient) -> None:
    """A wrong one is 404, for each of them."""
    for method, path in requests(app, LINK):
        data = {"csrf_token": client.token()} if method == "POST" else None
        assert client.open(path, method=method, data=data).status_code == 404, (method, path)


def test_deliveries_need_a_signature(app: Flask, client: PageClient) -> None:
    """Without one it is 401."""
    for method, path in requests(app, PROVIDER):
        assert client.open(path, method=method, data=b"{}").status_code == 401, path


@pytest.mark.parametrize("names", [PUBLIC, LINK, BUILDER | OPERATOR], ids=["public", "link", "private"])
def test_every_post_of_a_person_needs_a_token(
    app: Flask, client: PageClient, session: Any, names: set[str]
) -> None:
    """Without the form's own token nothing is done, logged in or not."""
    booking = make_booking(session)
    with app.test_request_context():
        posts = [
            address(app, rule, ref=booking.ref, tracking_id=booking.tracking_id)
            for rule in rules(app, names)
            if "POST" in (rule.methods or set())
        ]
    assert posts
    for path in posts:
        for data in ({}, {"csrf_token": "forged"}):
            answer = client.post(path, data=data)
            assert answer.status_code == 400, path
            assert "Go back, load the page again" in answer.text


def test_operations_tell_nothing(app: Flask, client: PageClient) -> None:
    """Whether it lives, and no more."""
    for _, path in requests(app, OPERATIONS):
        answer = client.get(path)
        assert answer.status_code == 200
        assert set(answer.json or {}) <= {"status", "database", "redis", "workers"}


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("10.1.2.3", {}, 200),
        ("8.8.8.8", {}, 404),
        ("127.0.0.1", {"X-Forwarded-For": "10.1.2.3"}, 404),
        ("127.0.0.1", {"Forwarded": "for=10.1.2.3"}, 404),
    ],
)
def test_numbers_are_not_public(
    app: Flask, client: PageClient, address: str, headers: dict[str, str], status: int
) -> None:
    """A request from outside, or through the proxy, gets 404."""
    for _, path in requests(app, NEAR):
        answer = client.get(path, headers=headers, environ_base={"REMOTE_ADDR": address})
        assert answer.status_code == status
