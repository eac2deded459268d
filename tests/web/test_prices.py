"""The builder's price list: what is typed, what clients see of it, and which bookings keep an old price."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from bookingapp.bookings.states import Status
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.session_types.models import Category, SaleRefusal, SessionType
from bookingapp.session_types.service import publish_type
from tests import fakes
from tests.factories import event_type_uri, list_bookings
from tests.live import press
from tests.pages import HTMX, Page, PageClient, parse
from tests.waiting import LOCK_AWAITED, eventually
from tests.web.conftest import Book, Offer, change, price_of

REFUSED = [
    ({"price": "sixty"}, "Please enter the amount as a number"),
    ({"price": "60.0011"}, "GBP has 2 decimal places"),
    ({"price": "0.10"}, "The smallest charge is £0.30"),
    ({"price": ""}, "Please enter a price, or 0 for a free session."),
    ({"price": "9000.50", "currency": "JPY"}, "JPY has no decimal places"),
    ({"price": "1000000"}, "The largest charge is"),
    ({"currency": "XXX"}, "valid choice"),
    ({"category": "nonsense"}, "valid choice"),
]


def send(client: PageClient, name: str, headers: dict[str, str] | None = None, **change: str) -> TestResponse:
    """Send one event type's form as the page fills it in, with these changes; ``published=""`` unticks it."""
    page = parse(client.get("/dashboard/session-types"))
    data = {}
    for field in page.select(f"#session-type-{name} [name^='{name}-']"):
        chosen = field.select("option[selected]")
        ticked = field.get("type") != "checkbox" or field.has_attr("checked")
        if ticked:
            data[str(field["name"])] = str((chosen[0] if chosen else field).get("value", ""))
    data |= {f"{name}-{key}": value for key, value in change.items()}
    data = {key: value for key, value in data.items() if value or not key.endswith("-published")}
    return press(client, f"/dashboard/session-types/{name}", data, headers=headers or {})


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_first_price_that_is_saved_twice(
    app: Flask, browser: PageClient, ada: Offer, postgresql_url: str
) -> None:
    """By two presses at once: both are saved, the later one counts."""
    answers = list[TestResponse]()
    later = threading.Thread(
        target=lambda: answers.append(send(browser, "UNPRICED", price="45", published="y"))
    )
    first: dict[str, Any] = {"category": Category.OTHER, "published": True, "now": utcnow()}
    with app.app_context(), psycopg.connect(postgresql_url, autocommit=True) as other:
        with transaction(db.session()) as session:
            uri = event_type_uri("UNPRICED")
            publish_type(
                session, builder=ada.builder, event_type_uri=uri, price="40", currency="GBP", **first
            )
            later.start()
            eventually(lambda: other.execute(LOCK_AWAITED).fetchone(), "a save that waits")
        later.join()
    assert [answer.status_code for answer in answers] == [303]
    assert price_of(app, "UNPRICED").price_minor == 4500


def test_the_page(browser: PageClient) -> None:
    """Every event type, whether it can be booked or not, with what it costs."""
    page = browser.page("/dashboard/session-types")
    forms = {
        str(form["id"]).removeprefix("session-type-"): form for form in page.select("form[id^=session-type-]")
    }
    assert set(forms) == {"PAID", "FREE", "UNPRICED", "HIDDEN", "INACTIVE", "SECRET", "TWICE"}
    values = {name: form.select("input[name$=-price]")[0].get("value") for name, form in forms.items()}
    assert (values["PAID"], values["FREE"], values["UNPRICED"]) == ("60.00", "0.00", "")
    assert forms["PAID"].select("input[name$=-published][checked]")
    assert not forms["HIDDEN"].select("input[name$=-published][checked]")
    assert "Off in Calendly" in forms["INACTIVE"].text
    assert "do not pay twice" in forms["TWICE"].text


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "fragment"])
def test_publishing(app: Flask, browser: PageClient, ada: Offer, headers: dict[str, str]) -> None:
    answer = send(browser, "UNPRICED", headers, price="85", currency="EUR", category="pathway", published="y")
    if headers:
        assert answer.status_code == 200
        assert "HX-Request" in answer.headers["Vary"]
        (root,) = parse(answer).find_all(True, recursive=False)
        assert root["id"] == "session-type-UNPRICED"
        assert "Saved" in root.text and "Published" in root.text
    else:
        assert answer.status_code == 303
        assert "Saved: Office Hours." in browser.page("/dashboard/session-types").words
    row = price_of(app, "UNPRICED")
    assert (row.price_minor, row.currency, row.category, row.published) == (8500, "EUR", "pathway", True)
    card = browser.page(f"{ada.path}/session-types").one("[data-session-type=UNPRICED]")
    shown = [card[f"data-{name}"] for name in ("bookable", "price-minor", "currency")]
    assert shown == ["true", "8500", "EUR"]


@pytest.mark.parametrize("listed", [True, False])
def test_who_is_not_published_yet_is_led_on(
    app: Flask, browser: PageClient, ada: Offer, listed: bool
) -> None:
    """In the part of the page that htmx replaces: the notice above it is older."""
    change(app, ada.builder, headline="Builds", bio="With you.", listed=listed)
    answer = send(browser, "UNPRICED", HTMX, price="40,50", published="y")
    assert ("Next: Publish your page" in parse(answer).words) is not listed


def test_hiding(browser: PageClient, ada: Offer) -> None:
    assert send(browser, "PAID", published="").status_code == 303
    assert not browser.page(f"{ada.path}/session-types").select("[data-session-type=PAID]")


@pytest.mark.parametrize(("change", "words"), REFUSED)
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "fragment"])
def test_what_cannot_be_charged(
    app: Flask, browser: PageClient, headers: dict[str, str], change: dict[str, str], words: str
) -> None:
    """422 with the reason beside its field; what was typed stays, what is stored does too."""
    answer = send(browser, "PAID", headers, **change)
    assert answer.status_code == 422
    page = parse(answer)
    assert words in page.one("#session-type-PAID").text
    assert page.select("#session-type-PAID [aria-invalid=true]")
    if change.get("price"):
        assert page.one("input[name=PAID-price]")["value"] == change["price"]
    row = price_of(app, "PAID")
    assert (row.price_minor, row.currency) == (6000, "GBP")


def test_a_new_price_is_not_the_old_bookings_price(app: Flask, browser: PageClient, ada: Offer) -> None:
    press(browser, f"{ada.detail('PAID')}/book", {"name": "Zoë", "email": "zoe@example.org"})
    send(browser, "PAID", price="80")
    assert [booking.price_minor for booking in list_bookings(app)] == [6000]


def test_calendly_is_down(browser: PageClient, calendly_wire: fakes.Calendly) -> None:
    calendly_wire.down = True
    answer = browser.get("/dashboard/session-types")
    assert answer.status_code == 503
    assert "We cannot fetch your session types right now" in parse(answer).words
    for ending in ("", "/card"):
        assert press(browser, f"/dashboard/session-types/PAID{ending}", {}).status_code == 503


@pytest.mark.parametrize(
    ("typed", "currency", "minor"),
    [("40,50", "EUR", 4050), ("£45", "GBP", 4500), ("1.500,00", "EUR", 150_000), ("1 500", "GBP", 150_000)],
)
def test_prices_as_people_write_them(
    app: Flask, browser: PageClient, typed: str, currency: str, minor: int
) -> None:
    assert send(browser, "PAID", price=typed, currency=currency).status_code == 303
    assert price_of(app, "PAID").price_minor == minor


def test_a_price_with_two_meanings(app: Flask, browser: PageClient) -> None:
    answer = send(browser, "PAID", price="1,500")
    assert answer.status_code == 422
    assert "“1,500” can mean two amounts. Please enter 1500 or 1.50." in parse(answer).words
    assert price_of(app, "PAID").price_minor == 6000


def card(page: Page, name: str) -> str:
    (found,) = page.select(f"#card-{name} .session-card")
    return " ".join(found.text.split())


def test_cards_as_clients_will_see_them(browser: PageClient, ada: Offer) -> None:
    """Word for word that of the profile, but for what leads on from there."""
    page = browser.page("/dashboard/session-types")
    public = browser.page(f"{ada.path}/session-types")
    for name in ("PAID", "FREE", "TWICE"):
        (shown,) = public.select(f"[data-session-type={name}]")
        words = " ".join(shown.text.split()).partition("Next available times")[0]
        title = shown.select("h4")[0].text
        assert card(page, name) == words.replace(f"Book {title}", "Book").strip()
    assert "Hidden by its builder" in card(page, "HIDDEN")
    assert "Enter a price to see the card." in page.one("#card-UNPRICED").text
    assert not page.select("#card-INACTIVE")
    assert not page.select("#type-list [data-session-type], #type-list .session-card a[href^='/']")


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "fragment"])
def test_a_card_before_it_is_saved(app: Flask, browser: PageClient, headers: dict[str, str]) -> None:
    sent = {"UNPRICED-price": "40,50", "UNPRICED-currency": "EUR"}
    answer = press(browser, "/dashboard/session-types/UNPRICED/card", sent, headers=headers)
    assert answer.status_code == 200
    assert "HX-Request" in answer.headers["Vary"]
    page = parse(answer)
    assert "€40.50" in (page.words if headers else card(page, "UNPRICED"))
    if not headers:
        assert page.one("input[name=UNPRICED-price]")["value"] == "40,50"
    with app.app_context():
        assert db.session().scalar(sa.select(sa.func.count(SessionType.id))) == 6


def test_a_card_of_another_builders_type(browser: PageClient, kenji: Offer) -> None:
    assert press(browser, "/dashboard/session-types/KENJI/card", {}).status_code == 404


def test_the_card_of_a_type_that_stripe_refuses(app: Flask, browser: PageClient) -> None:
    """As clients see it now; with another price it can be booked."""
    with app.app_context(), transaction(db.session()) as session:
        session.execute(sa.update(SessionType).values(refusal=SaleRefusal.TOO_SMALL))
    assert "Stripe does not accept" in card(browser.page("/dashboard/session-types"), "PAID")
    sent = {"PAID-price": "61", "PAID-currency": "GBP"}
    answer = press(browser, "/dashboard/session-types/PAID/card", sent, headers=HTMX)
    assert "Stripe does not accept" not in parse(answer).words


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "fragment"])
def test_open_bookings_keep_their_price(
    app: Flask, browser: PageClient, ada: Offer, book: Book, headers: dict[str, str]
) -> None:
    """Said before the price is saved, and after it."""
    kept = "2 open bookings keep their price of £60.00."
    for status in (Status.PENDING, Status.SCHEDULED, Status.PAID, Status.CONFIRMED):
        book(status, session_type=price_of(app, "PAID"))
    assert kept in browser.page("/dashboard/session-types").one("#session-type-PAID").text
    answer = send(browser, "PAID", headers, price="80")
    assert kept in (parse(answer) if headers else browser.page("/dashboard/session-types")).words
    # It is their price again.
    answer = send(browser, "PAID", headers, price="60")
    page = parse(answer) if headers else browser.page("/dashboard/session-types").one(".flashes")
    assert kept not in page.text
