"""The builders' private pages: each shows its own builder's bookings, prices and profile, and no other's."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import selectinload

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import AttentionFlag, Booking
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.payments.models import EntryKind, LedgerEntry, Payment, PaymentState
from tests import fakes
from tests.live import press
from tests.pages import HTMX, PageClient, parse
from tests.web.conftest import Book, Offer, price_of

PAGES = ("", "/bookings", "/session-types", "/connection", "/webhooks", "/profile")


@pytest.mark.parametrize("path", PAGES)
def test_enter_sends_a_form_to_its_own_address(browser: PageClient, path: str) -> None:
    """A browser takes the first button for it, which may be neither a preview nor what deletes something."""
    for form in browser.page(f"/dashboard{path}").select("form"):
        first = form.select("button, input[type=submit]")[0]
        assert not first.get("formaction"), first


@pytest.mark.parametrize("path", PAGES)
def test_each_page(browser: PageClient, kenji: Offer, path: str) -> None:
    answer = browser.get(f"/dashboard{path}")
    page = parse(answer)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    current = page.select(".sub-nav [aria-current=page]")
    assert [link["href"] for link in current] == [f"/dashboard{path}"]
    assert "Kenji" not in page.words


def test_bookings_with_their_payment(browser: PageClient, book: Book) -> None:
    """Each with its client, state and payment."""
    for status in (Status.SCHEDULED, Status.CONFIRMED):
        book(status)
    rows = browser.page("/dashboard/bookings").select("ul.rows > li")
    assert len(rows) == 2
    for label in ("Confirmed", "Time reserved"):
        (row,) = (one for one in rows if label in one.text)
        assert all(word in row.text for word in ("Grace Hall", "£60.00"))


def test_the_first_page(app: Flask, browser: PageClient, book: Book) -> None:
    """The next sessions, what needs a person with its button, this month's money beside last month's, and health."""
    coming = book(Status.CONFIRMED)
    book(Status.CANCELED)
    with app.app_context(), transaction(db.session()) as session:
        flag = {"booking_id": coming.id, "facts": {}, "raised_at": utcnow()}
        session.add(AttentionFlag(code=FlagCode.OVERLAP, **flag))
        payment = Payment(
            booking_id=coming.id,
            attempt=1,
            state=PaymentState.PAID,
            amount_minor=6000,
            currency="GBP",
            expires_at=utcnow(),
            created_at=utcnow(),
            updated_at=utcnow(),
        )
        session.add(payment)
        session.flush()
        entry = {
            "booking_id": coming.id,
            "payment_id": payment.id,
            "kind": EntryKind.CHARGE,
            "currency": "GBP",
        }
        session.add(LedgerEntry(amount_minor=6000, stripe_id="pi_1", at=utcnow(), **entry))
        before = utcnow().replace(day=1) - timedelta(days=3)
        session.add(LedgerEntry(amount_minor=2000, stripe_id="pi_2", at=before, **entry))
    page = browser.page("/dashboard")
    assert [row["data-booking-ref"] for row in page.select("[data-booking-ref]")] == [coming.tracking_id]
    item = page.one(".todo[data-attention]")
    assert item["data-attention"] == "overlap"
    assert coming.starts_at is not None
    assert item.select("time")[0]["datetime"] == coming.starts_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert [row.text.split()[-1] for row in page.select("#money-title ~ table tr")] == ["£20.00", "£60.00"]
    widths = [bar["width"] for bar in page.select("svg rect")]
    assert widths == ["33", "100"]
    assert "Calendly: connected." in page.words
    action = str(item.select("form")[0]["action"])
    assert press(browser, action, {}).status_code == 303
    assert not browser.page("/dashboard").select("[data-attention]")


def test_what_settles_each_condition(app: Flask, browser: PageClient, book: Book) -> None:
    """A button or a link leads to what settles it; each is marked as resolved by itself, and the others stay."""
    coming = book(Status.CONFIRMED)
    links = {
        FlagCode.OTHER_HOST: f"/dashboard/bookings/{coming.tracking_id}/cancel",
        FlagCode.TIME_NOT_READABLE: "/dashboard/connection",
        FlagCode.DISPUTE_OPEN: "https://dashboard.stripe.com/disputes",
    }
    at_once = {FlagCode.PAID_WITHOUT_TIME: "check", FlagCode.MAIL_NOT_SENT: "send-again"}
    with app.app_context(), transaction(db.session()) as session:
        for code in (*links, *at_once, FlagCode.TYPE_WITHDRAWN):
            session.add(AttentionFlag(booking_id=coming.id, code=code, facts={}, raised_at=utcnow()))
    items = {str(one["data-attention"]): one for one in browser.page("/dashboard").select(".todo")}
    for code, address in links.items():
        assert [link["href"] for link in items[code].select(".actions a")] == [address]
    for code, act in at_once.items():
        assert str(items[code].select("form")[0]["action"]).endswith(f"/{act}")
    (resolve,) = items[FlagCode.TYPE_WITHDRAWN].select("form")
    fields = {"flag": str(resolve.select("button")[0]["value"])}
    fields |= {str(one["name"]): str(one["value"]) for one in resolve.select("input[name=on]")}
    answer = press(browser, str(resolve["action"]), fields)
    assert (answer.status_code, answer.location) == (303, "/dashboard")
    assert "Marked as resolved." in browser.page("/dashboard").one("[role=status]").text
    assert press(browser, str(resolve["action"]), fields).status_code == 303
    assert "It is resolved already." in browser.page("/dashboard").one("[role=status]").text
    left = {str(one["data-attention"]) for one in browser.page("/dashboard").select(".todo")}
    assert items.keys() - left == {FlagCode.TYPE_WITHDRAWN}


def test_one_booking_with_its_history(browser: PageClient, book: Book) -> None:
    booking = book(Status.CONFIRMED)
    page = browser.page(f"/dashboard/bookings/{booking.tracking_id}")
    assert "grace@example.org" in page.words
    history = " ".join(page.one("#timeline").get_text(" ").split())
    for line in (
        "the client · picked a session type",
        "Waiting for a time → Time reserved",
        "Grace Hall chose a time · Calendly",
        "Paid → Confirmed",
        "Everything is in place · Stripe",
    ):
        assert line in history


@pytest.mark.parametrize(("minutes", "is_main"), [(3 * 24 * 60, False), (16, False), (14, True), (-30, True)])
def test_joining_the_call_is_the_main_button_when_it_is_time(
    app: Flask, browser: PageClient, book: Book, minutes: int, *, is_main: bool
) -> None:
    """As on the client's page: until then the link is there in quiet text, and says from when on."""
    booking, link = book(Status.CONFIRMED), "https://zoom.example/j/1"
    start = utcnow() + timedelta(minutes=minutes)
    with app.app_context(), transaction(db.session()) as session:
        row = sa.update(Booking).where(Booking.id == booking.id)
        session.execute(row.values(starts_at=start, ends_at=start + timedelta(hours=1), join_url=link))
    page = browser.page(f"/dashboard/bookings/{booking.tracking_id}")
    (found,) = page.select(f"a[href='{link}']")
    assert ("button--primary" in str(found.get("class"))) is is_main
    assert ("You can join from" in page.words) is not is_main


class TestTwoBuilders:
    """Scenario 42: what belongs to one builder does not exist for another. Deliveries are in ``test_deliveries.py``."""

    def test_bookings(self, browser: PageClient, kenji: Offer, book: Book) -> None:
        theirs = book(Status.CONFIRMED, offer=kenji, price_minor=9000)
        for path in ("/dashboard", "/dashboard/bookings"):
            assert theirs.ref not in browser.get(path).text
        foreign, unknown = (
            browser.page(f"/dashboard/bookings/{ref}", status=404)
            for ref in (theirs.tracking_id, "nothing-like-it")
        )
        assert foreign.one("h1").text == unknown.one("h1").text
        assert theirs.client_name not in foreign.words

    @pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "fragment"])
    def test_prices(self, app: Flask, browser: PageClient, kenji: Offer, headers: dict[str, str]) -> None:
        fields = {"price": "1", "currency": "GBP", "category": "other", "published": "y"}
        data = {f"KENJI-{name}": value for name, value in fields.items()}
        assert press(browser, "/dashboard/session-types/KENJI", data, headers=headers).status_code == 404
        row = price_of(app, "KENJI")
        assert (row.price_minor, row.currency) == (9000, "JPY")

    def test_profiles(self, app: Flask, browser: PageClient, ada: Offer, kenji: Offer) -> None:
        """The form writes one's own, whatever it names."""
        data = {**PROFILE, "id": str(kenji.builder.id), "slug": "kenji-mori", "display_name": "Changed"}
        assert press(browser, "/dashboard/profile", data).status_code == 303
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


class TestProfile:
    def test_the_form_shows_what_is_stored(self, browser: PageClient) -> None:
        page = browser.page("/dashboard/profile")
        assert page.one("[name=skills]")["value"] == "Python"
        assert page.one("[name=display_name]")["value"] == "Ada Okonkwo"
        assert page.one("[name=availability] option[selected]")["value"] == "available"
        assert page.one("[name=timezone] option[selected]")["value"] == "Europe/London"
        assert page.select("[name=listed][checked]")

    def test_saving(self, app: Flask, browser: PageClient) -> None:
        """Skills without repeats; a checkbox that is not there is off."""
        answer = press(browser, "/dashboard/profile", PROFILE)
        assert (answer.status_code, answer.location) == (303, "/dashboard/profile")
        with app.app_context():
            mine = db.session().scalars(sa.select(Builder).options(selectinload(Builder.skill_rows))).one()
        assert (mine.display_name, mine.skills) == ("Ada O.", ["Python", "AI", "Prompt design"])
        assert (mine.timezone, mine.availability.value, mine.listed) == ("Africa/Lagos", "limited", False)
        assert mine.about == "<p>One.</p>\n<p>Two.</p>\n"
        assert "Your profile is saved." in browser.page("/dashboard/profile").words

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
    def test_what_is_wrong(self, app: Flask, browser: PageClient, change: dict[str, str]) -> None:
        answer = press(browser, "/dashboard/profile", {**PROFILE, **change})
        assert answer.status_code == 422
        assert parse(answer).select(f"[name={next(iter(change))}][aria-invalid=true]")
        with app.app_context():
            assert db.session().scalars(sa.select(Builder)).one().display_name == "Ada Okonkwo"

    def test_what_a_builder_writes_is_text(self, browser: PageClient, ada: Offer) -> None:
        nasty = {
            "bio": "<script>steal()</script>",
            "headline": '"><img src=x onerror=steal()>',
            "listed": "y",
        }
        press(browser, "/dashboard/profile", {**PROFILE, **nasty})
        for path in ("/", ada.path, "/dashboard/profile"):
            browser.page(path)
        assert "<script>steal()</script>" in browser.page(ada.path).words


@pytest.mark.parametrize(("status", "said"), [(None, "Calendly answers"), (401, "Not working")])
def test_the_connection_page(
    browser: PageClient, calendly_wire: fakes.Calendly, status: int | None, said: str
) -> None:
    calendly_wire.status = status
    page = browser.page("/dashboard/connection")
    assert said in page.words
    assert "token-of-the-tests" not in page.words
