"""The builders' private pages: their own things, and nothing of anybody else's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.queue import WorkState
from bookingapp.session_types.models import SessionType
from bookingapp.webhooks.models import InboxEvent, Provider
from tests import fakes
from tests.factories import event_type_uri
from tests.pages import HTMX, PageClient, parse
from tests.web.conftest import Offer

Book = Callable[..., Booking]
LogInAs = Callable[[Offer], PageClient]
PAGES = ("", "/bookings", "/session-types", "/connection", "/webhooks", "/profile")


def price_of(app: Flask, name: str) -> SessionType | None:
    """An event type's row in the price list."""
    with app.app_context():
        return db.session().scalar(
            sa.select(SessionType).where(SessionType.event_type_uri == event_type_uri(name))
        )


@pytest.mark.parametrize("path", PAGES)
def test_each_page(client: PageClient, ada: Offer, kenji: Offer, log_in: LogInAs, path: str) -> None:
    """Is there, says which it is, and is not kept by any cache."""
    answer = log_in(ada).get(f"/dashboard{path}")
    page = parse(answer)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    current = page.select(".sub-nav [aria-current=page]")
    assert [link["href"] for link in current] == [f"/dashboard{path}"]
    assert "Kenji" not in page.words


def test_bookings_with_their_payment(client: PageClient, ada: Offer, book: Book, log_in: LogInAs) -> None:
    """Newest first, each with its client, state and payment."""
    for status in (Status.PENDING, Status.SCHEDULED, Status.CONFIRMED):
        book(ada, status)
    rows = log_in(ada).page("/dashboard/bookings").select("ul.rows > li")
    words = [" ".join(row.text.split()) for row in rows]
    assert ["Confirmed" in words[0], "Time reserved" in words[1], "Waiting for a time" in words[2]] == [
        True
    ] * 3
    assert all("Grace Hall" in row and "£60.00" in row for row in words)


def test_the_overview(client: PageClient, ada: Offer, book: Book, log_in: LogInAs) -> None:
    """What comes next and how many."""
    book(ada, Status.CONFIRMED)
    book(ada, Status.SCHEDULED)
    book(ada, Status.CANCELED)
    words = log_in(ada).page("/dashboard").words
    assert "Sessions ahead 1" in words
    assert "Waiting for payment 1" in words


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("", 2),
        ("?status=confirmed", 1),
        ("?status=expired", 0),
        ("?status=nonsense", 2),
        ("?page=0", 2),
        ("?page=x", 2),
        ("?page=99", 0),
    ],
)
def test_filtering(
    client: PageClient, ada: Offer, book: Book, log_in: LogInAs, query: str, number: int
) -> None:
    """By state; nonsense is no filter."""
    book(ada, Status.CONFIRMED)
    book(ada, Status.PENDING)
    assert len(log_in(ada).page(f"/dashboard/bookings{query}").select("ul.rows > li")) == number


def test_many_bookings_are_on_several_pages(
    client: PageClient, ada: Offer, book: Book, log_in: LogInAs
) -> None:
    """Each booking on exactly one of them."""
    for _ in range(27):
        book(ada)
    log_in(ada)
    pages = [client.page(f"/dashboard/bookings?page={number}") for number in (1, 2)]
    links = [str(link["href"]) for page in pages for link in page.select("ul.rows a[href*='/bookings/']")]
    assert (len(links), len(set(links))) == (27, 27)
    assert "Page 1 of 2" in pages[0].words


def test_one_booking_with_its_history(client: PageClient, ada: Offer, book: Book, log_in: LogInAs) -> None:
    """What happened, in words, with who did it."""
    booking = book(ada, Status.CONFIRMED)
    words = log_in(ada).page(f"/dashboard/bookings/{booking.ref}").words
    for said in (
        "grace@example.org",
        "Waiting for a time → Time reserved",
        "Paid → Confirmed",
        "Calendly",
        "Stripe",
        "the client",
    ):
        assert said in words


class TestTwoBuilders:
    """What belongs to the one does not exist for the other."""

    def test_bookings(
        self, client: PageClient, ada: Offer, kenji: Offer, book: Book, log_in: LogInAs
    ) -> None:
        """Not in a list, and 404 by address, like one that nobody has."""
        theirs = book(kenji, Status.CONFIRMED, price_minor=9000)
        log_in(ada)
        assert theirs.ref not in client.get("/dashboard/bookings").text
        assert theirs.ref not in client.get("/dashboard").text
        foreign = client.get(f"/dashboard/bookings/{theirs.ref}")
        unknown = client.get("/dashboard/bookings/nothing-like-it")
        assert foreign.status_code == unknown.status_code == 404
        assert parse(foreign).one("h1").text == parse(unknown).one("h1").text

    @pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "fragment"])
    def test_prices(
        self,
        app: Flask,
        client: PageClient,
        ada: Offer,
        kenji: Offer,
        log_in: LogInAs,
        headers: dict[str, str],
    ) -> None:
        """404, and nothing is changed."""
        data = {
            "KENJI-price": "1",
            "KENJI-currency": "GBP",
            "KENJI-category": "other",
            "KENJI-published": "y",
        }
        answer = log_in(ada).post(
            "/dashboard/session-types/KENJI", data={"csrf_token": token(client), **data}, headers=headers
        )
        assert answer.status_code == 404
        row = price_of(app, "KENJI")
        assert row is not None
        assert (row.price_minor, row.currency) == (9000, "JPY")

    def test_deliveries(
        self, app: Flask, client: PageClient, ada: Offer, kenji: Offer, book: Book, log_in: LogInAs
    ) -> None:
        """Each sees those of their own bookings."""
        mine, theirs = book(ada), book(kenji)
        with app.app_context(), transaction(db.session()) as session:
            for booking, name in ((mine, "mine.created"), (theirs, "theirs.created")):
                session.add(
                    InboxEvent(
                        provider=Provider.CALENDLY,
                        event_key=name,
                        type=name,
                        body=b"{}",
                        headers={},
                        signed_at=utcnow(),
                        key_index=0,
                        received_at=utcnow(),
                        run_at=utcnow(),
                        state=WorkState.DONE,
                        attempts=1,
                        booking_id=booking.id,
                    )
                )
        words = log_in(ada).page("/dashboard/webhooks").words
        assert "mine.created" in words
        assert "theirs.created" not in words

    def test_profiles(
        self, app: Flask, client: PageClient, ada: Offer, kenji: Offer, log_in: LogInAs
    ) -> None:
        """The form writes one's own, whatever it names."""
        log_in(ada)
        data = {**PROFILE, "id": str(kenji.builder.id), "slug": "kenji-mori", "display_name": "Changed"}
        assert (
            client.post("/dashboard/profile", data={"csrf_token": token(client), **data}).status_code == 303
        )
        with app.app_context():
            names = {one.slug: one.display_name for one in db.session().scalars(sa.select(Builder))}
        assert names == {"ada-okonkwo": "Changed", "kenji-mori": "Kenji Mori"}


PROFILE = {
    "display_name": "Ada O.",
    "headline": "New",
    "bio": "One.\r\n\r\nTwo.",
    "skills": "Python,  AI , Python,, Prompt  design",
    "timezone": "Africa/Lagos",
    "availability": "limited",
}


def token(client: PageClient) -> str:
    """A form's token for whoever is logged in."""
    return str(client.page("/dashboard").select("form[method=post] input[name=csrf_token]")[0]["value"])


class TestPrices:
    """Price, currency, category, published: one form for each event type of one's own."""

    def send(
        self, client: PageClient, name: str, headers: dict[str, str] | None = None, **change: str
    ) -> TestResponse:
        """Fill in one event type's form: what it shows, with these changes; an empty word is a field not sent."""
        page = parse(client.get("/dashboard/session-types"))
        data = {"csrf_token": token(client)}
        for field in page.select(f"#session-type-{name} [name^='{name}-']"):
            chosen = field.select("option[selected]")
            ticked = field.get("type") != "checkbox" or field.has_attr("checked")
            if ticked:
                data[str(field["name"])] = str((chosen[0] if chosen else field).get("value", ""))
        data |= {f"{name}-{key}": value for key, value in change.items()}
        data = {key: value for key, value in data.items() if value or not key.endswith("-published")}
        return client.post(f"/dashboard/session-types/{name}", data=data, headers=headers or {})

    def test_the_page(self, client: PageClient, ada: Offer, log_in: LogInAs) -> None:
        """Every event type, whether it can be booked or not, with what it costs."""
        page = log_in(ada).page("/dashboard/session-types")
        forms = {
            str(form["id"]).removeprefix("session-type-"): form
            for form in page.select("form[id^=session-type-]")
        }
        assert set(forms) == {"PAID", "FREE", "UNPRICED", "HIDDEN", "INACTIVE", "SECRET", "TWICE"}
        values = {name: form.select("input[name$=-price]")[0].get("value") for name, form in forms.items()}
        assert (values["PAID"], values["FREE"], values["UNPRICED"]) == ("60.00", "0.00", "")
        assert forms["PAID"].select("input[name$=-published][checked]")
        assert not forms["HIDDEN"].select("input[name$=-published][checked]")
        assert "Off in Calendly" in forms["INACTIVE"].text
        assert "nobody pays twice" in forms["TWICE"].text

    @pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "fragment"])
    def test_publishing(
        self, app: Flask, client: PageClient, ada: Offer, log_in: LogInAs, headers: dict[str, str]
    ) -> None:
        """Priced and published, it can be booked at once."""
        log_in(ada)
        answer = self.send(
            client, "UNPRICED", headers, price="85", currency="EUR", category="pathway", published="y"
        )
        if headers:
            assert answer.status_code == 200
            assert "HX-Request" in answer.headers["Vary"]
            part = parse(answer)
            (root,) = part.find_all(True, recursive=False)
            assert root["id"] == "session-type-UNPRICED"
            assert "Saved" in part.words
            assert "Published" in part.words
        else:
            assert answer.status_code == 303
            assert "Saved: Office Hours." in client.page("/dashboard/session-types").words
        row = price_of(app, "UNPRICED")
        assert row is not None
        assert (row.price_minor, row.currency, row.category.value, row.published) == (
            8500,
            "EUR",
            "pathway",
            True,
        )
        card = client.page(f"{ada.path}/session-types").one("[data-session-type=UNPRICED]")
        assert (card["data-bookable"], card["data-price-minor"], card["data-currency"]) == (
            "true",
            "8500",
            "EUR",
        )

    def test_hiding(self, app: Flask, client: PageClient, ada: Offer, log_in: LogInAs) -> None:
        """A session type that is not published is not on the profile."""
        log_in(ada)
        assert self.send(client, "PAID", published="").status_code == 303
        assert not client.page(f"{ada.path}/session-types").select("[data-session-type=PAID]")

    @pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "fragment"])
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"price": "sixty"}, "Please enter the price as a plain number"),
            ({"price": "60.001"}, "GBP has 2 decimal places"),
            ({"price": "0.10"}, "The smallest charge is £0.30"),
            ({"price": ""}, "Write a price, or 0 for a free session."),
            ({"price": "9000.50", "currency": "JPY"}, "JPY has no decimal places"),
            ({"price": "1000000"}, "The largest charge is"),
            ({"currency": "XXX"}, "valid choice"),
            ({"category": "nonsense"}, "valid choice"),
        ],
    )
    def test_what_cannot_be_charged(
        self,
        app: Flask,
        client: PageClient,
        ada: Offer,
        log_in: LogInAs,
        headers: dict[str, str],
        change: dict[str, str],
        words: str,
    ) -> None:
        """422 with the reason beside its field; what was typed stays, what is stored does too."""
        log_in(ada)
        answer = self.send(client, "PAID", headers, **change)
        assert answer.status_code == 422
        page = parse(answer)
        assert words in page.one("#session-type-PAID").text
        assert page.select("#session-type-PAID [aria-invalid=true]")
        if change.get("price"):
            assert page.one("input[name=PAID-price]")["value"] == change["price"]
        row = price_of(app, "PAID")
        assert row is not None
        assert (row.price_minor, row.currency) == (6000, "GBP")

    def test_a_new_price_is_not_the_old_bookings_price(
        self, app: Flask, client: PageClient, ada: Offer, book: Book, log_in: LogInAs
    ) -> None:
        """What was promised stays."""
        answer = client.submit(f"{ada.detail('PAID')}/book", {"name": "Zoë", "email": "zoe@example.org"})
        ref = answer.location.split("/")[2]
        self.send(log_in(ada), "PAID", price="80")
        with app.app_context():
            assert (
                db.session().scalars(sa.select(Booking).where(Booking.ref == ref)).one().price_minor == 6000
            )

    def test_calendly_is_down(
        self, client: PageClient, ada: Offer, log_in: LogInAs, calendly_wire: fakes.Calendly
    ) -> None:
        """503 in words."""
        calendly_wire.down = True
        log_in(ada)
        answer = client.get("/dashboard/session-types")
        assert answer.status_code == 503
        assert "We cannot fetch your session types right now" in parse(answer).words
        assert self.send(client, "PAID").status_code == 503


class TestProfile:
    """What clients read."""

    def test_the_form_shows_what_is_stored(self, client: PageClient, ada: Offer, log_in: LogInAs) -> None:
        """In the words in which it can be written again."""
        page = log_in(ada).page("/dashboard/profile")
        assert page.one("[name=skills]")["value"] == "Python"
        assert page.one("[name=display_name]")["value"] == "Ada Okonkwo"
        assert page.one("[name=availability] option[selected]")["value"] == "available"
        assert page.one("[name=timezone] option[selected]")["value"] == "Europe/London"
        assert page.select("[name=listed][checked]")

    def test_saving(self, app: Flask, client: PageClient, ada: Offer, log_in: LogInAs) -> None:
        """Skills without repeats; a checkbox that is not there is off."""
        log_in(ada)
        answer = client.post("/dashboard/profile", data={"csrf_token": token(client), **PROFILE})
        assert (answer.status_code, answer.location) == (303, "/dashboard/profile")
        with app.app_context():
            mine = db.session().scalars(sa.select(Builder)).one()
        assert (mine.display_name, mine.skills) == ("Ada O.", ["Python", "AI", "Prompt design"])
        assert (mine.timezone, mine.availability.value, mine.listed) == ("Africa/Lagos", "limited", False)
        assert mine.paragraphs == ["One.", "Two."]
        assert "Your profile is saved." in client.page("/dashboard/profile").words

    @pytest.mark.parametrize(
        "change",
        [
            {"display_name": ""},
            {"headline": "x" * 161},
            {"timezone": "Nowhere/Land"},
            {"availability": "asleep"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_what_is_wrong(
        self, app: Flask, client: PageClient, ada: Offer, log_in: LogInAs, change: dict[str, str]
    ) -> None:
        """422, beside its field, and nothing is written."""
        log_in(ada)
        answer = client.post("/dashboard/profile", data={"csrf_token": token(client), **PROFILE, **change})
        assert answer.status_code == 422
        assert parse(answer).select(f"[name={next(iter(change))}][aria-invalid=true]")
        with app.app_context():
            assert db.session().scalars(sa.select(Builder)).one().display_name == "Ada Okonkwo"

    def test_what_a_builder_writes_is_text(self, client: PageClient, ada: Offer, log_in: LogInAs) -> None:
        """It runs nowhere."""
        log_in(ada)
        nasty = {
            **PROFILE,
            "bio": "<script>steal()</script>",
            "headline": '"><img src=x onerror=steal()>',
            "listed": "y",
        }
        client.post("/dashboard/profile", data={"csrf_token": token(client), **nasty})
        for path in ("/", ada.path, "/dashboard/profile"):
            client.page(path)
        assert "<script>steal()</script>" in client.page(ada.path).words


def test_the_connection_page(
    client: PageClient, ada: Offer, log_in: LogInAs, calendly_wire: fakes.Calendly
) -> None:
    """Says whether Calendly answers."""
    log_in(ada)
    assert "Calendly answers" in client.page("/dashboard/connection").words


def test_the_connection_page_when_the_token_is_revoked(
    client: PageClient, ada: Offer, log_in: LogInAs, calendly_wire: fakes.Calendly
) -> None:
    """It is a page, with the fault in words."""
    log_in(ada)
    calendly_wire.status = 401
    page = client.page("/dashboard/connection")
    assert "Not working" in page.words
    assert "token-of-the-tests" not in page.words
