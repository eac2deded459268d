"""A booking's own pages, for everybody who has the link."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask
from icalendar import Calendar
from werkzeug.test import TestResponse

from bookingapp.bookings.attention import flag
from bookingapp.bookings.codes import RELEASE_FLAGS, FlagCode
from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.session_types.models import SessionType
from bookingapp.worker import run_due
from tests import fakes
from tests.factories import facts, list_bookings, reread, schedule
from tests.pages import HTMX, PageClient, parse
from tests.web.conftest import Book, Offer, change

Latest = Callable[[Booking], Booking]
NEXT_STEPS = {Status.PENDING: "schedule", Status.SCHEDULED: "pay", Status.CONFIRMED: "session.ics"}
EVENT = "https://api.calendly.com/scheduled_events/A"
# What a form of ours does not ask for.
TAMPERED = {
    "status": "paid",
    "target_state": "confirmed",
    "price": "1",
    "price_minor": "1",
    "amount": "1",
    "currency": "JPY",
    "return_url": "https://evil.example/",
    "next": "https://evil.example/",
    "success_url": "https://evil.example/",
    "ref": "chosen-by-me",
}


@pytest.fixture
def latest(app: Flask) -> Latest:
    """Reads a booking as the database has it."""

    def read(booking: Booking) -> Booking:
        with app.app_context():
            return reread(db.session(), booking)

    return read


@pytest.mark.parametrize("status", list(Status))
def test_the_truth_page_in_every_state(client: PageClient, book: Book, status: Status) -> None:
    """Page and fragment say the same to people and programs, and are not cached."""
    booking = book(status)
    for path in (f"/bookings/{booking.ref}", f"/bookings/{booking.ref}/status"):
        answer = client.get(path, headers=HTMX if path.endswith("/status") else {})
        part = parse(answer).one("#booking-status")
        assert part["data-booking-status"] == status.value
        assert part["data-payment-status"] == "none"
        assert part.select("h1")[0].text.strip()
        assert answer.headers["Cache-Control"] == "no-store"
        assert "noindex" in answer.headers["X-Robots-Tag"]
        for link in parse(answer).select("main a[href^='/']"):
            # The type of these bookings is not in Calendly, so that one of it leads to the builder's page.
            assert client.get(str(link["href"]), follow_redirects=True).status_code == 200, link["href"]


@pytest.mark.parametrize("status", list(Status))
def test_every_page_can_look_again(client: PageClient, book: Book, status: Status) -> None:
    """By itself while something is expected; what is over, only when it becomes visible."""
    part = client.page(f"/bookings/{book(status).ref}/status", headers=HTMX).one("#booking-status")
    assert (part["hx-trigger"], part["hx-sync"]) == ("look", "this:drop")
    assert part.has_attr("data-look-seconds") is (not status.is_final)


def test_looking_slows_down_and_does_not_end(client: PageClient, book: Book) -> None:
    """Each answer names the next address, ever later."""
    path = f"/bookings/{book(Status.SCHEDULED).ref}/status"
    delays: list[float] = []
    for _ in range(30):
        page = client.page(path, headers=HTMX)
        part = page.one("#booking-status")
        path = str(part["hx-get"])
        delays.append(float(str(part["data-look-seconds"])))
    assert delays == sorted(delays)
    assert delays[0] <= 1
    assert delays[-1] == 60
    assert page.select("#refresh-link")


@pytest.mark.parametrize("n", ["-1", "x", "99999999999999999999", "1.5", "٣", ""])
def test_a_strange_number_of_looks_is_the_first(client: PageClient, book: Book, n: str) -> None:
    """And no error."""
    client.page(f"/bookings/{book().ref}/status", query_string={"n": n}, headers=HTMX)


@pytest.mark.parametrize("status", list(Status))
def test_only_the_next_step_is_offered(
    client: PageClient, book: Book, stripe_wire: fakes.Stripe, status: Status
) -> None:
    """Every other one is refused."""
    path = f"/bookings/{book(status).ref}"
    page = client.page(path)
    targets = {str(tag.get("href") or tag.get("action")) for tag in page.select("main a, main form")}
    if status in NEXT_STEPS:
        steps = {name for name in NEXT_STEPS.values() if f"{path}/{name}" in targets}
        assert steps == {NEXT_STEPS[status]}
    if status is not Status.PENDING:
        answer = client.get(f"{path}/schedule")
        assert (answer.status_code, answer.location) == (303, path)
    if status is not Status.SCHEDULED:
        refused = client.submit(f"{path}/pay")
        assert refused.status_code == 409
        assert status is not Status.PENDING or "choose a time first" in refused.text
        assert stripe_wire.seen == []
    if status not in (Status.CONFIRMED, Status.COMPLETED):
        client.page(f"{path}/session.ics", status=404)
    if status in (Status.COMPLETED, Status.CANCELED, Status.EXPIRED):
        assert client.submit(f"{path}/cancel").status_code == 409
        assert client.get(f"{path}/cancel").status_code in (303, 409)
        assert not page.select("#cancel-link")


def test_attention_is_shown(app: Flask, client: PageClient, book: Book) -> None:
    booking = book(Status.SCHEDULED)
    with app.app_context(), transaction(db.session()) as session:
        flag(session.get_one(Booking, booking.id), FlagCode.WRONG_AMOUNT, now=utcnow())
    page = client.page(f"/bookings/{booking.ref}")
    assert page.one("#booking-status")["data-attention"] == FlagCode.WRONG_AMOUNT
    assert "We're checking a detail" in page.words


@pytest.mark.parametrize(
    "code", [*RELEASE_FLAGS, FlagCode.NO_SHOW_NOT_SENT, FlagCode.ERASE_IN_CALENDLY, FlagCode.ERASE_IN_STRIPE]
)
def test_what_the_builder_has_to_do_elsewhere(
    app: Flask, client: PageClient, book: Book, code: FlagCode
) -> None:
    """It is no question about the client's booking, which is over."""
    booking = book(Status.CANCELED)
    with app.app_context(), transaction(db.session()) as session:
        flag(session.get_one(Booking, booking.id), code, now=utcnow())
    assert "We're checking a detail" not in client.page(f"/bookings/{booking.ref}").words


def test_the_schedule_page(app: Flask, client: PageClient, book: Book) -> None:
    """The widget and the plain link carry our signed reference, name and e-mail."""
    booking = book()
    page = client.page(f"/bookings/{booking.ref}/schedule")
    container = page.one("[data-scheduling-url]")
    assert "calendly-inline-widget" not in (container.get("class") or [])
    link = str(container["data-scheduling-url"])
    assert link in [str(a["href"]) for a in page.select("a[href]")]
    query = parse_qs(urlsplit(link).query)
    assert urlsplit(link).netloc == "calendly.com"
    assert (query["name"], query["email"]) == (["Grace Hall"], ["grace@example.org"])
    assert query["utm_source"] == ["bookingapp"]
    with app.app_context():
        assert services.get(TrackingSigner).read(query["utm_content"][0]) == booking.tracking_id
    assert booking.ref not in link
    assert container["data-booking-origin"] == "https://calendly.com"


@dataclass
class Report:
    """What the schedule page's script reports: two addresses. Everything else is read back from Calendly."""

    app: Flask
    client: PageClient
    calendly: fakes.Calendly

    def known(self, booking: Booking, **how: Any) -> tuple[str, str]:
        """An invitee of this booking in Calendly."""
        slot = facts(booking)
        with self.app.app_context():
            content = services.get(TrackingSigner).sign(booking.tracking_id)
        values = {"event_type": booking.event_type_uri, "utm_content": content, **how}
        self.calendly.add_invitee(slot.event_uri, slot.invitee_uri, **values)
        return slot.event_uri, slot.invitee_uri

    def send(self, booking: Booking, event_uri: str, invitee_uri: str) -> TestResponse:
        """The answer to the report; an accepted one leads to the booking's page."""
        data = {"event_uri": event_uri, "invitee_uri": invitee_uri}
        answer = self.client.submit(f"/bookings/{booking.ref}/scheduled", data)
        assert answer.location == (f"/bookings/{booking.ref}" if answer.status_code == 303 else None)
        return answer


@pytest.fixture
def report(app: Flask, client: PageClient, calendly_wire: fakes.Calendly) -> Report:
    return Report(app, client, calendly_wire)


class TestTheBrowserReports:
    def test_a_genuine_time(self, book: Book, report: Report, latest: Latest) -> None:
        """A second report changes nothing; nor does Calendly's other spelling of the same addresses."""
        booking = book()
        event, invitee = report.known(booking)
        public = [uri.replace("https://api.", "https://") for uri in (event, invitee)]
        for uris in (public, (event, invitee), (event, invitee)):
            assert report.send(booking, *uris).status_code == 303
            found = latest(booking)
            assert (found.status, found.event_uri, found.invitee_uri) == (Status.SCHEDULED, event, invitee)

    @pytest.mark.parametrize(
        "how",
        [
            {"utm_content": None},
            {"utm_content": "forged"},
            {"status": "canceled"},
            {"event_type": "https://api.calendly.com/event_types/OTHER"},
        ],
        ids=str,
    )
    def test_a_time_that_is_not_this_bookings(
        self, book: Book, report: Report, latest: Latest, how: dict[str, object]
    ) -> None:
        booking = book()
        assert report.send(booking, *report.known(booking, **how)).status_code == 409
        assert latest(booking).status is Status.PENDING

    @pytest.mark.parametrize("is_recorded", [False, True])
    def test_scenario_40_foreign_invitee(
        self, book: Book, report: Report, latest: Latest, *, is_recorded: bool
    ) -> None:
        """The answer shows nothing of the victim, whose booking stays as it is and can still get its time."""
        victim = book(client_name="Victoria", client_email="victoria@example.org")
        attacker, uris = book(), report.known(victim)
        if is_recorded:
            assert report.send(victim, *uris).status_code == 303
        before = latest(victim).status
        answer = report.send(attacker, *uris)
        assert answer.status_code == 409
        assert "ictoria" not in answer.text
        assert (latest(attacker).status, latest(victim).status) == (Status.PENDING, before)
        assert report.send(victim, *uris).status_code == 303
        assert latest(victim).status is Status.SCHEDULED

    @pytest.mark.parametrize(
        ("event", "invitee"),
        [
            ("", ""),
            ("https://evil.example/scheduled_events/A", "https://evil.example/scheduled_events/A/invitees/B"),
            (EVENT, EVENT.replace("A", "C") + "/invitees/B"),
            ("https://api.calendly.com/users/A", "https://api.calendly.com/users/A"),
            (EVENT, "http://169.254.169.254/scheduled_events/A/invitees/B"),
            (
                "http://169.254.169.254/scheduled_events/A",
                "http://169.254.169.254/scheduled_events/A/invitees/B",
            ),
            (
                "https://api.calendly.com@evil.example/scheduled_events/A",
                "https://api.calendly.com@evil.example/scheduled_events/A/invitees/B",
            ),
            (f"{EVENT}/../../users/me", f"{EVENT}/invitees/B"),
            (EVENT, "https://api.calendly.com/../scheduled_events/A/invitees/B"),
            ("x" * 600, "y" * 600),
        ],
    )
    def test_scenario_40_addresses_that_are_not_calendlys(
        self, book: Book, report: Report, event: str, invitee: str
    ) -> None:
        """Refused before Calendly is asked."""
        assert report.send(book(), event, invitee).status_code == 422
        assert report.calendly.seen == []

    def test_calendly_does_not_know_it(self, book: Book, report: Report) -> None:
        booking = book()
        slot = facts(booking)
        assert report.send(booking, slot.event_uri, slot.invitee_uri).status_code == 409

    @pytest.mark.parametrize("status", [503, 429, 401, 403])
    def test_calendly_cannot_say(self, book: Book, report: Report, latest: Latest, status: int) -> None:
        """The booking's page waits for the webhook, and does not say that the time is not theirs."""
        booking = book()
        uris = report.known(booking)
        report.calendly.status = status
        assert report.send(booking, *uris).status_code == 303
        assert latest(booking).status is Status.PENDING


def test_where_calendlys_own_redirect_lands(app: Flask, client: PageClient, ada: Offer, book: Book) -> None:
    """Only the browser that made the booking is led back to it; any other gets a page without a link."""
    client.submit(f"{ada.detail('PAID')}/book", {"name": "Zoë", "email": "zoe@example.org"})
    (mine,) = list_bookings(app)
    with app.app_context():
        tracking = services.get(TrackingSigner).sign(mine.tracking_id)
    query = {"utm_content": tracking, "invitee_full_name": "Mallory"}
    answer = client.get("/bookings/scheduled", query_string=query)
    assert (answer.status_code, answer.location) == (303, f"/bookings/{mine.ref}")
    stranger = app.test_client()
    for values in (query, {"utm_content": "forged"}, {}):
        answer = stranger.get("/bookings/scheduled", query_string=values)
        assert answer.status_code == 200
        for private in (mine.ref, "Zoë", "Mallory"):
            assert private not in answer.text
        assert answer.headers["Cache-Control"] == "no-store"


class TestPaying:
    def test_to_stripe(self, client: PageClient, book: Book, stripe_wire: fakes.Stripe) -> None:
        """With return addresses made from PUBLIC_URL, whatever the request says of itself."""
        booking = book(Status.SCHEDULED)
        headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
        token = str(client.page("/login", headers=headers).one("main input[name=csrf_token]")["value"])
        answer = client.post(f"/bookings/{booking.ref}/pay", data={"csrf_token": token}, headers=headers)
        (made,) = stripe_wire.sessions.values()
        assert (answer.status_code, answer.location) == (303, made["url"])
        (sent,) = stripe_wire.created
        assert sent["success_url"] == (
            f"http://127.0.0.1:8000/bookings/{booking.ref}/paid?session_id={{CHECKOUT_SESSION_ID}}"
        )
        assert sent["cancel_url"] == f"http://127.0.0.1:8000/bookings/{booking.ref}"
        assert sent["line_items[0][price_data][unit_amount]"] == "6000"

    def test_htmx_is_sent_by_a_header(
        self, client: PageClient, book: Book, stripe_wire: fakes.Stripe
    ) -> None:
        """A redirect to another origin would be followed inside the request."""
        booking = book(Status.SCHEDULED)
        answer = client.submit(f"/bookings/{booking.ref}/pay", headers=HTMX)
        (made,) = stripe_wire.sessions.values()
        assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, made["url"])

    def test_scenario_43_tampered_form_fields_are_ignored(
        self, app: Flask, client: PageClient, ada: Offer, stripe_wire: fakes.Stripe, latest: Latest
    ) -> None:
        """Neither when it is booked, nor when it is paid, nor in the address of a page."""
        who = {"name": "Zoë", "email": "zoe@example.org"}
        made = client.submit(f"{ada.detail('PAID')}/book", {**who, **TAMPERED})
        (booking,) = list_bookings(app)
        assert made.location == f"/bookings/{booking.ref}/schedule"
        assert booking.ref != "chosen-by-me"
        assert (booking.price_minor, booking.currency, booking.status) == (6000, "GBP", Status.PENDING)
        now, start = utcnow(), utcnow() + timedelta(days=3)
        with app.app_context():
            times = {"starts_at": start, "ends_at": start + timedelta(hours=1)}
            schedule(db.session(), booking, now=now, since=now, **times)
        path = f"/bookings/{booking.ref}"
        client.submit(f"{path}/pay", TAMPERED)
        (sent,) = stripe_wire.created
        assert sent["line_items[0][price_data][unit_amount]"] == "6000"
        assert sent["line_items[0][price_data][currency]"] == "gbp"
        for name in ("success_url", "cancel_url"):
            assert sent[name].startswith(f"http://127.0.0.1:8000{path}")
        for below in ("", "/status", "/paid"):
            assert "evil" not in (client.get(path + below, query_string=TAMPERED).location or "")
        assert latest(booking).status is Status.SCHEDULED

    def test_stripe_is_down(self, client: PageClient, book: Book, stripe_wire: fakes.Stripe) -> None:
        """The answer leads back to the booking, whose time is still held."""
        booking = book(Status.SCHEDULED)
        stripe_wire.fail = [500, 500, 500]
        answer = client.submit(f"/bookings/{booking.ref}/pay")
        assert answer.status_code == 503
        page = parse(answer)
        assert "payment service" in page.words
        assert page.one("main .button--primary")["href"] == f"/bookings/{booking.ref}"
        assert client.submit(f"/bookings/{booking.ref}/pay").status_code == 303

    def test_scenario_44_forged_success_url_changes_nothing(
        self, app: Flask, client: PageClient, book: Book, stripe_wire: fakes.Stripe, latest: Latest
    ) -> None:
        """The booking's page says that the payment is being checked; after Stripe was asked, it can be paid again."""
        foreign, booking = book(Status.SCHEDULED), book(Status.SCHEDULED)
        client.submit(f"/bookings/{foreign.ref}/pay")
        (paid,) = stripe_wire.sessions
        stripe_wire.pay(paid)
        path = f"/bookings/{booking.ref}"
        client.submit(f"{path}/pay")
        for forged in ("cs_test_forged", paid, "", "<script>alert(1)</script>"):
            answer = client.get(f"{path}/paid", query_string={"session_id": forged})
            assert (answer.status_code, answer.location) == (303, path)
            page = client.page(path)
            assert page.one("#booking-status")["data-booking-status"] == "scheduled"
            assert "Checking your payment" in page.words
            assert not page.select(f"form[action='{path}/pay']")
            assert not forged or forged not in page.decode()
        with time_machine.travel(utcnow() + timedelta(minutes=3)):
            run_due(app)
            assert client.page(path).select(f"form[action='{path}/pay']")
        found = latest(booking)
        assert (found.status, found.paid_at) == (Status.SCHEDULED, None)


def test_the_calendar_file(client: PageClient, book: Book) -> None:
    """RFC 5545, with an address made from PUBLIC_URL; once canceled, the file that takes it out of a calendar."""
    booking = book(Status.CONFIRMED)
    answer = client.get(f"/bookings/{booking.ref}/session.ics", headers={"Host": "evil.example"})
    assert answer.mimetype == "text/calendar"
    assert answer.headers["Cache-Control"] == "no-store"
    (event,) = Calendar.from_ical(answer.data).walk("VEVENT")
    assert event.decoded("dtstart") == booking.starts_at.replace(microsecond=0)  # type: ignore[union-attr]
    assert event.decoded("dtend") == booking.ends_at.replace(microsecond=0)  # type: ignore[union-attr]
    assert str(event["url"]) == f"http://127.0.0.1:8000/bookings/{booking.ref}"
    assert "Ada Okonkwo" in str(event["summary"])
    assert str(event["uid"]).split("@")[0] == booking.tracking_id
    assert client.submit(f"/bookings/{booking.ref}/cancel").status_code == 303
    canceled = Calendar.from_ical(client.get(f"/bookings/{booking.ref}/session.ics").data)
    (after,) = canceled.walk("VEVENT")
    sequences = [int(str(one["sequence"])) for one in (event, after)]
    assert (str(canceled["method"]), str(after["status"])) == ("CANCEL", "CANCELLED")
    assert (after["uid"], after.decoded("dtstart")) == (event["uid"], event.decoded("dtstart"))
    assert sequences == sorted(set(sequences))
    assert client.page(f"/bookings/{booking.ref}").select("#calendar-link")


def test_a_session_that_is_over_is_not_offered_to_a_calendar(
    app: Flask, client: PageClient, book: Book
) -> None:
    """Before and during it, the page offers the file. Later it is still there for calendars that fetch it."""
    booking = book(Status.CONFIRMED)
    path, now = f"/bookings/{booking.ref}", utcnow()
    for ends_at, status, is_offered in (
        (now + timedelta(minutes=5), Status.CONFIRMED, True),
        (now - timedelta(minutes=5), Status.CONFIRMED, False),
        (now - timedelta(minutes=5), Status.COMPLETED, False),
    ):
        change(app, booking, starts_at=now - timedelta(minutes=55), ends_at=ends_at, status=status)
        assert bool(client.page(path).select("#calendar-link")) is is_offered, (ends_at, status)
        assert client.get(f"{path}/session.ics").status_code == 200


def test_scenario_41_unknown_references_are_404(client: PageClient, book: Book) -> None:
    """Byte for byte alike, but for the request's own number, so that nothing shows which references exist."""
    booking = book()
    altered = booking.ref[:-1] + ("A" if booking.ref[-1] != "A" else "B")
    wrong = [altered, booking.ref[:-1], f"{booking.ref}A", booking.ref.upper()]
    wrong += [booking.tracking_id, "x", "'--", str(booking.id)]
    answers = [client.get(f"/bookings/{ref}") for ref in wrong]
    assert {answer.status_code for answer in answers} == {404}
    texts = {re.sub(r"<code>[0-9a-f]+</code>", "", answer.text) for answer in answers}
    assert len(texts) == 1


def test_the_preview_of_an_unpaid_booking_is_no_refund(client: PageClient, book: Book) -> None:
    booking = book(Status.SCHEDULED)
    page = client.page(f"/bookings/{booking.ref}/cancel")
    shown = page.one("[data-refund-minor]")
    assert (shown["data-refund-minor"], shown["data-currency"]) == ("0", "GBP")
    assert page.select(f"form[action='/bookings/{booking.ref}/cancel'][method=post]")


def test_the_same_session_is_one_click_away(app: Flask, client: PageClient, ada: Offer, book: Book) -> None:
    """After an expiry the form is filled already; nothing personal is in an address, and no cache keeps it. Where the
    type is not offered any more, the builder's page says so.
    """
    with app.app_context():
        kind = db.session().scalars(sa.select(SessionType).where(SessionType.price_minor == 6000)).first()
    booking = book(Status.EXPIRED, session_type=kind)
    button = client.page(f"/bookings/{booking.ref}").one("#again-button")
    assert button.text.strip() == "Book this session again"
    answer = client.get(str(button["href"]))
    assert answer.headers["Cache-Control"] == "no-store"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    form = parse(answer)
    assert form.one("[name=email]")["value"] == "grace@example.org"
    assert "grace" not in str(form.one("form.panel")["action"])
    with app.app_context(), transaction(db.session()) as session:
        session.execute(sa.update(SessionType).values(published=False))
    answer = client.get(str(button["href"]), follow_redirects=True)
    assert "This session is no longer offered" in parse(answer).words
    assert answer.request.path == ada.path
