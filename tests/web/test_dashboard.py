"""The builders' private pages: each shows its own builder's bookings, prices and profile, and no other's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.core.db import db
from bookingapp.session_types.models import SessionType
from tests import fakes
from tests.factories import event_type_uri
from tests.live import press
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
    """Shows which of the pages it is, and is kept by no cache."""
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
    for row, label in zip(rows, ("Confirmed", "Time reserved", "Waiting for a time"), strict=True):
        assert all(word in row.text for word in (label, "Grace Hall", "£60.00"))


def test_the_overview(client: PageClient, ada: Offer, book: Book, log_in: LogInAs) -> None:
    """How many sessions are ahead, and how many are unpaid."""
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
        (f"?page={10**30}", 0),
    ],
)
def test_filtering(
    client: PageClient, ada: Offer, book: Book, log_in: LogInAs, query: str, number: int
) -> None:
    """By status; an unknown one is no filter, and an odd number is no error."""
    book(ada, Status.CONFIRMED)
    book(ada, Status.PENDING)
    assert len(log_in(ada).page(f"/dashboard/bookings{query}").select("ul.rows > li")) == number


def test_many_bookings_are_on_several_pages(
    client: PageClient, ada: Offer, book: Book, log_in: LogInAs
) -> None:
    """Each booking is on exactly one of them."""
    for _ in range(27):
        book(ada)
    log_in(ada)
    pages = [client.page(f"/dashboard/bookings?page={number}") for number in (1, 2)]
    links = [str(link["href"]) for page in pages for link in page.select("ul.rows a[href*='/bookings/']")]
    assert (len(links), len(set(links))) == (27, 27)
    assert "Page 1 of 2" in pages[0].words


def test_one_booking_with_its_history(client: PageClient, ada: Offer, book: Book, log_in: LogInAs) -> None:
    """What happened, why, and who did it."""
    booking = book(ada, Status.CONFIRMED)
    page = log_in(ada).page(f"/dashboard/bookings/{booking.ref}")
    assert "grace@example.org" in page.words
    history = " ".join(page.one(".timeline").get_text(" ").split())
    for line in (
        "the client · picked a session type",
        "Waiting for a time → Time reserved",
        "Grace Hall chose a time · Calendly",
        "Paid → Confirmed",
        "Everything is in place · Stripe",
    ):
        assert line in history


class TestTwoBuilders:
    """Scenario 42: what belongs to one builder does not exist for another. Deliveries are in ``test_deliveries.py``."""

    def test_bookings(
        self, client: PageClient, ada: Offer, kenji: Offer, book: Book, log_in: LogInAs
    ) -> None:
        """In no list, and 404 by address, like one that does not exist."""
        theirs = book(kenji, Status.CONFIRMED, price_minor=9000)
        log_in(ada)
        for path in ("/dashboard", "/dashboard/bookings"):
            assert theirs.ref not in client.get(path).text
        foreign, unknown = (
            client.page(f"/dashboard/bookings/{ref}", status=404) for ref in (theirs.ref, "nothing-like-it")
        )
        assert foreign.one("h1").text == unknown.one("h1").text
        assert theirs.client_name not in foreign.words

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
        fields = {"price": "1", "currency": "GBP", "category": "other", "published": "y"}
        data = {f"KENJI-{name}": value for name, value in fields.items()}
        assert press(log_in(ada), "/dashboard/session-types/KENJI", data, headers=headers).status_code == 404
        row = price_of(app, "KENJI")
        assert row is not None
        assert (row.price_minor, row.currency) == (9000, "JPY")

    def test_profiles(
        self, app: Flask, client: PageClient, ada: Offer, kenji: Offer, log_in: LogInAs
    ) -> None:
        """The form writes one's own, whatever it names."""
        data = {**PROFILE, "id": str(kenji.builder.id), "slug": "kenji-mori", "display_name": "Changed"}
        assert press(log_in(ada), "/dashboard/profile", data).status_code == 303
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


REFUSED = [
    ({"price": "sixty"}, "Please enter the price as a plain number"),
    ({"price": "60.001"}, "GBP has 2 decimal places"),
    ({"price": "0.10"}, "The smallest charge is £0.30"),
    ({"price": ""}, "Please enter a price, or 0 for a free session."),
    ({"price": "9000.50", "currency": "JPY"}, "JPY has no decimal places"),
    ({"price": "1000000"}, "The largest charge is"),
    ({"currency": "XXX"}, "valid choice"),
    ({"category": "nonsense"}, "valid choice"),
]


class TestPrices:
    """Price, currency, category, published: one form for each event type of one's own."""

    def send(
        self, client: PageClient, name: str, headers: dict[str, str] | None = None, **change: str
    ) -> TestResponse:
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
            (root,) = parse(answer).find_all(True, recursive=False)
            assert root["id"] == "session-type-UNPRICED"
            assert "Saved" in root.text and "Published" in root.text
        else:
            assert answer.status_code == 303
            assert "Saved: Office Hours." in client.page("/dashboard/session-types").words
        row = price_of(app, "UNPRICED")
        assert row is not None
        assert (row.price_minor, row.currency, row.category, row.published) == (8500, "EUR", "pathway", True)
        card = client.page(f"{ada.path}/session-types").one("[data-session-type=UNPRICED]")
        shown = [card[f"data-{name}"] for name in ("bookable", "price-minor", "currency")]
        assert shown == ["true", "8500", "EUR"]

    def test_hiding(self, app: Flask, client: PageClient, ada: Offer, log_in: LogInAs) -> None:
        """A session type that is not published is not on the profile."""
        log_in(ada)
        assert self.send(client, "PAID", published="").status_code == 303
        assert not client.page(f"{ada.path}/session-types").select("[data-session-type=PAID]")

    @pytest.mark.parametrize(("change", "words"), REFUSED)
    @pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "fragment"])
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
            assert db.session().scalar(sa.select(Booking.price_minor).where(Booking.ref == ref)) == 6000

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
        answer = press(log_in(ada), "/dashboard/profile", PROFILE)
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
        answer = press(log_in(ada), "/dashboard/profile", {**PROFILE, **change})
        assert answer.status_code == 422
        assert parse(answer).select(f"[name={next(iter(change))}][aria-invalid=true]")
        with app.app_context():
            assert db.session().scalars(sa.select(Builder)).one().display_name == "Ada Okonkwo"

    def test_what_a_builder_writes_is_text(self, client: PageClient, ada: Offer, log_in: LogInAs) -> None:
        """It runs nowhere."""
        nasty = {
            "bio": "<script>steal()</script>",
            "headline": '"><img src=x onerror=steal()>',
            "listed": "y",
        }
        press(log_in(ada), "/dashboard/profile", {**PROFILE, **nasty})
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
