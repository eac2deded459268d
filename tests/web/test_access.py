"""Who may do what: every endpoint stands in one table, and every route is tried in every role."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from bookingapp import access
from bookingapp.access import ACCESS, Access
from bookingapp.accounts.codes import SecurityCode
from bookingapp.accounts.log_ins import add_log_in
from bookingapp.accounts.models import Account, SecurityEvent
from bookingapp.accounts.origins import Origin
from bookingapp.bookings.models import Actor, Note, UnattachedInvitee
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.queue import Job
from bookingapp.onboarding.invitations import invite
from bookingapp.onboarding.models import Application
from bookingapp.payments.models import Dispute, Payment
from bookingapp.session_types.models import SessionType
from bookingapp.webhooks.models import InboxEvent
from tests.factories import inbox_row, log_in_at_once
from tests.pages import HTMX, PageClient, new_client
from tests.web.conftest import Book, LogInAs, Offer

Objects = dict[str, Any]
Send = Callable[..., TestResponse]

# What the names in routes stand for where nothing of that kind exists. A new name needs a line here and in `objects`.
NOTHING: Objects = {
    "slug": "nobody",
    "event_type_id": "NONE",
    "delivery_id": 4711,
    "number": 4711,
    "log_in_id": 4711,
    "job_id": 4711,
    "dispute_id": 4711,
    "act": "nothing",
    "note_id": 4711,
    "builder_act": "nothing",
    "invitation_id": 4711,
    "invitation_act": "nothing",
    "application_id": 4711,
    "answer": "nothing",
    "ref": "nothing-that-exists",
    "tracking_id": "nothing-that-exists",
    "filename": "app.css",
    "value": "forged",
    "token": "forged",
    "size": "card",
    "digest": "0" * 32,
}
# Builders own these, so another builder does not find them.
OWNED = {"tracking_id", "number", "event_type_id", "delivery_id", "log_in_id"}
# The builder's pages that an operator without a profile may see too: those of the own account.
OPERATORS_TOO = "accounts."


def routes(app: Flask, *kinds: Access) -> list[tuple[str, Rule]]:
    """Each method and route of these kinds, the pages before the forms that change what they show."""
    endpoints = set(chain.from_iterable(ACCESS[kind] for kind in kinds))
    return sorted(
        (
            (method, rule)
            for rule in app.url_map.iter_rules()
            if rule.endpoint in endpoints
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        ),
        key=lambda one: (one[0], one[1].rule),
    )


def sender(app: Flask, client: PageClient, objects: Objects) -> Send:
    """Sends a request to a route filled in with these objects, and the browser's token with a form."""
    # Once, because some forms end the log-in that another token would belong to.
    token = client.page("/my-bookings").one("main input[name=csrf_token]")["value"]

    def send(method: str, rule: Rule, **how: Any) -> TestResponse:
        with app.test_request_context():
            path = app.url_for(rule.endpoint, **{name: objects[name] for name in rule.arguments})
        data = {"csrf_token": token, "direction": "down"} if method == "POST" else None
        return client.open(path, method=method, data=data, **how)

    return send


@pytest.fixture
def objects(app: Flask, ada: Offer, book: Book) -> Objects:
    """Ada's own object for every name in a route."""
    booking = book(Status.CONFIRMED)
    with app.app_context(), transaction(db.session()) as database:
        database.execute(sa.insert(InboxEvent).values(inbox_row("evt_of_ada", booking_id=booking.id)))
        query = sa.select(SessionType.id).where(SessionType.builder_id == ada.builder.id).limit(1)
        stranger = UnattachedInvitee(
            builder_id=ada.builder.id,
            session_type_id=database.scalars(query).one(),
            event_uri="https://api.calendly.com/scheduled_events/X",
            invitee_uri="https://api.calendly.com/scheduled_events/X/invitees/Y",
            title="60 Minute Consultation",
            name="Somebody",
            email="somebody@example.org",
            starts_at=utcnow() + timedelta(days=1),
            ends_at=utcnow() + timedelta(days=1, hours=1),
            found_at=utcnow(),
        )
        payment = Payment(
            booking_id=booking.id,
            attempt=1,
            amount_minor=6000,
            currency="GBP",
            expires_at=utcnow(),
            created_at=utcnow(),
            updated_at=utcnow(),
        )
        database.add(payment)
        database.flush()
        dispute = Dispute(
            booking_id=booking.id,
            payment_id=payment.id,
            stripe_id="du_of_ada",
            status="won",
            reason="general",
            amount_minor=6000,
            currency="GBP",
            created_at=utcnow(),
            updated_at=utcnow(),
        )
        note = Note(booking_id=booking.id, by=Actor.BUILDER, text="Call her", created_at=utcnow())
        application = Application(email="a@example.org", name="A", about="x", confirmed_at=utcnow())
        database.add_all((stranger, dispute, note, application))
        database.flush()
        invitation = invite(database, email="new@example.org", name="New", now=utcnow())
        account = database.get_one(Account, ada.builder.account_id)
        log_in, _ = add_log_in(database, account, Origin(), now=utcnow())
        return NOTHING | {
            "slug": ada.builder.slug,
            "builder_act": "suspend",
            "invitation_id": invitation.id,
            "invitation_act": "end",
            "application_id": application.id,
            "answer": "accept",
            "event_type_id": "PAID",
            "delivery_id": database.scalars(sa.select(InboxEvent.id)).one(),
            "number": stranger.id,
            "log_in_id": log_in.id,
            "job_id": database.scalars(sa.select(sa.func.min(Job.id))).one(),
            "dispute_id": dispute.id,
            "act": "resolve",
            "note_id": note.id,
            "ref": booking.ref,
            "tracking_id": booking.tracking_id,
        }


@pytest.fixture
def operator(app: Flask, client: PageClient, kenji: Offer) -> PageClient:
    """An operator's browser; they have no builder's profile."""
    with app.app_context(), transaction(db.session()) as database:
        database.execute(sa.delete(SessionType).where(SessionType.builder_id == kenji.builder.id))
        database.execute(sa.delete(Builder).where(Builder.id == kenji.builder.id))
        is_kenji = Account.id == kenji.builder.account_id
        database.execute(sa.update(Account).where(is_kenji).values(is_operator=True))
    log_in_at_once(app, client, kenji.builder.account_id)
    return client


def is_log_in(answer: TestResponse) -> bool:
    return answer.status_code == 401 or (
        answer.status_code == 303 and answer.location.split("?")[0] == "/login"
    )


def denials(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The lines about tries of what is not theirs."""
    lines = [record.msg for record in caplog.records]
    return [line for line in lines if isinstance(line, dict) and line.get("code") == "denied"]


def test_every_endpoint_stands_in_the_table(app: Flask) -> None:
    """A new one stops the start until its author has decided who may call it."""
    listed = list(chain.from_iterable(ACCESS.values()))
    assert sorted(listed) == sorted(app.view_functions)


def test_an_endpoint_outside_of_the_table_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, app: Flask
) -> None:
    monkeypatch.setitem(ACCESS, Access.CLIENT, frozenset())

    with pytest.raises(RuntimeError, match=r"my_bookings\.index"):
        access.init_app(app)


def test_nobody_needs_to_log_in_for_public_pages(app: Flask, client: PageClient, objects: Objects) -> None:
    """What an address of nothing answers, is 404."""
    send = sender(app, client, objects)
    for method, rule in routes(app, Access.PUBLIC, Access.CLIENT):
        answer = send(method, rule)
        assert not is_log_in(answer), (method, rule)
        assert answer.status_code != 403, (method, rule)


def test_the_address_of_a_booking_is_its_key(app: Flask, client: PageClient, objects: Objects) -> None:
    """Whoever has it may; by another, or by the identifier that builders know, nothing is found."""
    by_ref, by_nothing = sender(app, client, objects), sender(app, client, NOTHING)
    by_tracking_id = sender(app, client, {**objects, "ref": objects["tracking_id"]})
    for method, rule in routes(app, Access.LINK):
        assert by_nothing(method, rule).status_code == 404, (method, rule)
        assert by_tracking_id(method, rule).status_code == 404, (method, rule)
        answer = by_ref(method, rule)
        assert answer.status_code not in (401, 403, 404), (method, rule)
        assert not is_log_in(answer), (method, rule)


@pytest.mark.parametrize("kind", [Access.BUILDER, Access.OPERATOR])
def test_private_pages_need_a_log_in(app: Flask, client: PageClient, objects: Objects, kind: Access) -> None:
    """A browser is redirected to the log-in page, htmx by a header; nothing of the page is shown."""
    send = sender(app, client, objects)
    for method, rule in routes(app, kind):
        answer = send(method, rule)
        assert (answer.status_code, answer.location.split("?")[0]) == (303, "/login"), (method, rule)
        fragment = send(method, rule, headers=HTMX)
        assert (fragment.status_code, fragment.data) == (401, b""), (method, rule)
        assert fragment.headers["HX-Redirect"] == "/login", (method, rule)


def test_another_builders_objects_are_not_found(
    app: Flask, kenji: Offer, log_in: LogInAs, objects: Objects, caplog: pytest.LogCaptureFixture
) -> None:
    """They answer like objects that do not exist, nothing happens to them, and the log has each try."""
    send = sender(app, log_in(kenji), objects)
    before = _everything(app)
    tried = [(method, rule) for method, rule in routes(app, Access.BUILDER) if OWNED & rule.arguments]
    assert len(tried) > 12
    for method, rule in tried:
        caplog.clear()
        assert send(method, rule).status_code == 404, (method, rule)
        (denial,) = denials(caplog)
        assert denial["account"] == kenji.builder.account_id
        assert denial["endpoint"] == rule.endpoint
        assert denial["object"] == {name: objects[name] for name in rule.arguments}
    assert _everything(app) == before


def test_the_record_does_not_grow_by_asking(app: Flask, browser: PageClient, objects: Objects) -> None:
    """Of each endpoint it has the first try within an hour."""
    for number in range(4):
        assert browser.get(f"/dashboard/bookings/nothing-{number}").status_code == 404
    assert browser.get("/operator").status_code == 404
    with app.app_context():
        query = sa.select(SecurityEvent.facts).where(SecurityEvent.code == SecurityCode.DENIED)
        facts = db.session().scalars(query.order_by(SecurityEvent.id)).all()
    assert [(one["endpoint"], one["object"]) for one in facts] == [
        ("dashboard.booking", {"tracking_id": "nothing-0"}),
        ("operator.index", {}),
    ]


def test_builders_find_their_own_objects(app: Flask, browser: PageClient, objects: Objects) -> None:
    send = sender(app, browser, objects)
    for method, rule in routes(app, Access.BUILDER):
        answer = send(method, rule)
        assert answer.status_code not in (401, 403, 404), (method, rule)
        assert not is_log_in(answer), (method, rule)


def test_operators_pages_are_not_found_by_builders(app: Flask, browser: PageClient, objects: Objects) -> None:
    send = sender(app, browser, objects)
    for method, rule in routes(app, Access.OPERATOR):
        assert send(method, rule).status_code == 404, (method, rule)


def test_operators_have_their_pages_and_no_builders(
    app: Flask, operator: PageClient, objects: Objects
) -> None:
    """Where they are no builder, builders' objects are theirs on the console alone."""
    send = sender(app, operator, objects)
    for method, rule in routes(app, Access.OPERATOR):
        answer = send(method, rule)
        assert answer.status_code not in (401, 403, 404), (method, rule)
        assert not is_log_in(answer), (method, rule)
    for method, rule in routes(app, Access.BUILDER):
        if OWNED & rule.arguments and not rule.endpoint.startswith(OPERATORS_TOO):
            assert send(method, rule).status_code == 404, (method, rule)


def test_a_key_that_is_tried_as_an_id_is_not_logged(
    app: Flask, browser: PageClient, objects: Objects, caplog: pytest.LogCaptureFixture
) -> None:
    """A booking's ``ref`` in the place of an identifier opens nothing, and is in no line."""
    assert browser.get(f"/dashboard/bookings/{objects['ref']}").status_code == 404
    assert len(denials(caplog)) == 1
    assert objects["ref"] not in caplog.text


def test_who_comes_back_from_calendly_needs_a_log_in(app: Flask, client: PageClient) -> None:
    """A page says so; the code in the address is not handed on to the log-in page."""
    for _, rule in routes(app, Access.RETURNING):
        answer = client.get(f"{rule.rule}?code=SECRET-CODE&state=x")
        assert answer.status_code == 401
        assert "SECRET-CODE" not in answer.text


def test_deliveries_need_a_signature(app: Flask, client: PageClient, browser: PageClient) -> None:
    """From anybody, logged in or not."""
    for one in (new_client(app), browser):
        for _, rule in routes(app, Access.SIGNATURE):
            assert one.post(rule.rule, data=b"{}").status_code == 401, rule


@pytest.mark.parametrize("kind", [one for one in Access if one is not Access.SIGNATURE])
def test_every_post_of_a_person_needs_a_token(
    app: Flask, browser: PageClient, objects: Objects, kind: Access
) -> None:
    """Without the form's own token nothing is done, logged in or not."""
    before = _everything(app)
    for client in (new_client(app), browser):
        for method, rule in routes(app, kind):
            if method != "POST":
                continue
            with app.test_request_context():
                path = app.url_for(rule.endpoint, **{name: objects[name] for name in rule.arguments})
            for data in ({}, {"csrf_token": "forged"}):
                answer = client.post(path, data=data)
                assert answer.status_code == 400, path
                assert "Go back, load the page again" in answer.text
    assert _everything(app) == before


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_operations_tell_nothing(client: PageClient, path: str) -> None:
    """Whether it lives, and no more."""
    answer = client.get(path)
    assert answer.status_code == 200
    assert set(answer.json or {}) <= {"status", "clock", "database", "disk", "redis", "workers"}


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("10.1.2.3", {}, 404),
        ("8.8.8.8", {}, 404),
        ("127.0.0.1", {"X-Forwarded-For": "10.1.2.3"}, 404),
        ("127.0.0.1", {"Forwarded": "for=10.1.2.3"}, 404),
    ],
)
def test_numbers_are_not_public(
    app: Flask, client: PageClient, address: str, headers: dict[str, str], status: int
) -> None:
    """A request from another machine, or through the proxy, gets 404."""
    for _, rule in routes(app, Access.NEAR):
        answer = client.get(rule.rule, headers=headers, environ_base={"REMOTE_ADDR": address})
        assert answer.status_code == status


def _everything(app: Flask) -> dict[str, list[Any]]:
    """All that is stored, but the record of what was refused."""
    with app.app_context():
        return {
            table.name: [tuple(row) for row in db.session().execute(sa.select(table))]
            for table in db.metadata.sorted_tables
            if table.name != "security_events"
        }
