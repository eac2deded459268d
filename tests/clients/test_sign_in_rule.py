"""Session types that ask for a verified address: on the page, at the booking, in the price list."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask
from flask.testing import FlaskCliRunner

from bookingapp.builders.models import Builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.session_types.models import SessionType
from tests.clients.conftest import Post
from tests.factories import PASSWORD, event_type_uri, list_bookings, log_in_at_once
from tests.pages import HTMX, PageClient, new_client, parse

PATHWAY, OPEN = "/builders/ada/session-types/PATHWAY", "/builders/ada/session-types/OPEN"
GRACE = "grace@example.org"
pytestmark = pytest.mark.usefixtures("ada")


def sign_in(client: PageClient, post: Post, address: str = GRACE, path: str = PATHWAY) -> str:
    """From the session type's page to the mail and back; where that leads."""
    form = client.page(path).one("main form[action='/my-bookings']")
    return_to = str(form.select("[name=return_to]")[0]["value"])
    answer = client.submit("/my-bookings", {"email": address, "return_to": return_to})
    assert (answer.status_code, answer.location) == (303, "/my-bookings/sent?booking=1")
    assert "A link is on its way to" in parse(client.get(answer.location)).words
    return str(client.submit(post.link(address)).location)


def test_the_page_asks_and_leads_back(app: Flask, client: PageClient, post: Post) -> None:
    """No booking form before the address is verified; after it, one whose address is fixed."""
    page = client.page(PATHWAY)
    assert not page.select("[name=name]")
    assert "There is no password to remember" in page.words
    assert sign_in(client, post) == PATHWAY
    assert "continue booking" in str(post.mailbox.one(GRACE)["Subject"])

    answer = client.get(PATHWAY)
    assert answer.headers["Cache-Control"] == "no-store"
    page = parse(answer)
    assert GRACE in page.one(".field__fixed").text
    assert not page.select("[name=email]")
    mistaken = client.submit(f"{PATHWAY}/book", {"name": " "})
    assert mistaken.status_code == 422
    assert GRACE in parse(mistaken).one(".field__fixed").text
    answer = client.submit(f"{PATHWAY}/book", {"name": "Grace Hall", "email": "eve@example.net"})
    assert answer.status_code == 303
    assert answer.location.endswith("/schedule")
    (booking,) = list_bookings(app)
    assert booking.client_email == GRACE


@pytest.mark.parametrize("typed", ["", "grace@"])
def test_a_mistake_in_the_address_is_shown_where_it_was_made(
    client: PageClient, post: Post, typed: str
) -> None:
    """On the session type's page, with what was typed; once."""
    path = f"{PATHWAY}?time={(utcnow() + timedelta(days=3)).strftime('%Y-%m-%dT%H:00:00Z')}"
    form = client.page(path).one("main form[action='/my-bookings']")
    return_to = str(form.select("[name=return_to]")[0]["value"])
    answer = client.submit("/my-bookings", {"email": typed, "return_to": return_to})
    assert (answer.status_code, answer.location) == (303, return_to)
    page = client.page(return_to)
    assert page.one("#email")["value"] == typed
    assert page.one("#email")["aria-invalid"] == "true"
    assert page.select("#email-error")
    assert not client.page(return_to).select("#email-error")
    post.deliver()
    assert post.mailbox.all() == []


def test_a_pathway_is_chosen_and_kept(app: Flask, client: PageClient, post: Post) -> None:
    """Where the session type asks for one; the client, the builder and their mail know it."""
    sign_in(client, post)
    page = client.page(PATHWAY)
    options = [str(one["value"]) for one in page.select("#pathway option")]
    assert options == ["", "accelerate", "pivot", "play"]
    form = {"name": "Grace Hall", "pathway": ""}
    refused = parse(client.submit(f"{PATHWAY}/book", form))
    assert refused.one("#pathway-error").text == "Please choose a pathway."
    assert client.submit(f"{PATHWAY}/book", {**form, "pathway": "nowhere"}).status_code == 422
    answer = client.submit(f"{PATHWAY}/book", {**form, "pathway": "pivot"})
    (booking,) = list_bookings(app)
    assert booking.pathway == "pivot"
    assert "Pivot: change to other work" in client.page(f"/bookings/{booking.ref}").words
    log_in_at_once(app, ada_browser := new_client(app), booking_account(app))
    dashboard = ada_browser.page(f"/dashboard/bookings/{booking.tracking_id}")
    assert "Pivot: change to other work" in dashboard.words
    assert answer.status_code == 303
    assert not client.page(OPEN).select("#pathway")


def booking_account(app: Flask) -> int:
    """The account of the builder."""
    with app.app_context():
        return db.session().scalars(sa.select(Builder.account_id)).one()


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_booking_without_it_is_sent_to_the_page(
    app: Flask, client: PageClient, headers: dict[str, str]
) -> None:
    answer = client.submit(f"{PATHWAY}/book", {"name": "Eve", "email": GRACE}, headers=headers)
    location = answer.headers.get("HX-Redirect") or answer.location
    assert (answer.status_code, location) == (204 if headers else 303, PATHWAY)
    assert list_bookings(app) == []


def test_after_a_day_it_asks_again(app: Flask, client: PageClient, post: Post) -> None:
    sign_in(client, post)
    with time_machine.travel(utcnow() + timedelta(hours=25), tick=False):
        answer = client.submit(f"{PATHWAY}/book", {"name": "Grace"})
    assert (answer.status_code, answer.location) == (303, PATHWAY)
    assert list_bookings(app) == []


def test_other_session_types_ask_for_nothing(app: Flask, client: PageClient) -> None:
    assert client.page(OPEN).select("[name=email]")
    answer = client.submit(f"{OPEN}/book", {"name": "Grace Hall", "email": GRACE})
    assert answer.location.endswith("/schedule")
    assert [booking.client_email for booking in list_bookings(app)] == [GRACE]


def test_a_picked_time_survives_the_way_through_the_mail(client: PageClient, post: Post) -> None:
    start = (utcnow() + timedelta(days=3)).strftime("%Y-%m-%dT%H:00:00Z")
    path = f"{PATHWAY}?time={start}"
    assert sign_in(client, post, path=path).split("?")[0] == PATHWAY
    page = client.page(path)
    assert page.select(".field__fixed")


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/builders/ada/session-types/PATHWAY",
        "/\\evil.example",
        "/dashboard",
        "/builders/ada/session-types/../../../logout",
        "/builders/ada/session-types/PATHWAY\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "/builders/ada/session-types/PATHWAY?next=//evil.example\\x",
    ],
)
def test_a_link_leads_to_nowhere_else(client: PageClient, post: Post, target: str) -> None:
    """An address that is not a session type's is ignored; without bookings no mail is sent."""
    answer = client.submit("/my-bookings", {"email": GRACE, "return_to": target})
    assert (answer.status_code, answer.location) == (303, "/my-bookings/sent")
    post.deliver()
    assert post.mailbox.all() == []


def log_in(client: PageClient) -> None:
    assert client.submit("/login", {"email": "ada@example.com", "password": PASSWORD}).status_code == 303


def rule(app: Flask, name: str) -> bool:
    with app.app_context():
        query = sa.select(SessionType.requires_sign_in).where(
            SessionType.event_type_uri == event_type_uri(name)
        )
        return bool(db.session().scalars(query).one())


@pytest.mark.parametrize(
    ("category", "chosen", "asks"),
    [
        ("pathway", "", True),
        ("pathway", "no", False),
        ("other", "", False),
        ("other", "yes", True),
        ("free", "yes", True),
    ],
)
def test_the_builder_sets_the_rule(
    app: Flask, client: PageClient, category: str, chosen: str, *, asks: bool
) -> None:
    """The category's own unless another is chosen; the form shows it again."""
    log_in(client)
    values = {"price": "60.00", "currency": "GBP", "category": category, "sign_in": chosen, "published": "y"}
    data = {f"OPEN-{name}": value for name, value in values.items()}
    token = str(client.page("/my-bookings").one("main input[name=csrf_token]")["value"])
    answer = client.post("/dashboard/session-types/OPEN", data={**data, "csrf_token": token})
    assert answer.status_code == 303
    assert rule(app, "OPEN") is asks
    assert bool(client.page(OPEN).select("form[action='/my-bookings']")) is asks
    form = client.page("/dashboard/session-types").one("#session-type-OPEN")
    selected = form.select("[name=OPEN-sign_in] option[selected]")
    assert [str(option["value"]) for option in selected] == [chosen]


@pytest.mark.parametrize(
    ("arguments", "asks"),
    [
        (["--category", "pathway"], True),
        (["--category", "pathway", "--no-sign-in"], False),
        (["--category", "specialized"], False),
        (["--category", "specialized", "--sign-in"], True),
    ],
)
def test_the_command_sets_the_rule(
    app: Flask, runner: FlaskCliRunner, arguments: list[str], *, asks: bool
) -> None:
    command = ["session-types", "publish", "--builder", "ada", "--event-type", event_type_uri("OPEN")]
    done = runner.invoke(args=[*command, "--price", "60", "--currency", "GBP", *arguments])
    assert done.exit_code == 0, done.output
    assert rule(app, "OPEN") is asks
