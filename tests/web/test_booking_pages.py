"""A booking's own pages: whoever has the link may see and act."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from icalendar import Calendar

from bookingapp.bookings.attention import flag
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from tests import fakes
from tests.factories import facts, reread
from tests.pages import HTMX, PageClient, parse
from tests.web.conftest import Offer

Book = Callable[..., Booking]


def now_of(app: Flask, booking: Booking) -> Booking:
    """The booking as the database has it."""
    with app.app_context():
        return reread(db.session(), booking)


@pytest.mark.parametrize("status", list(Status))
def test_the_truth_page_in_every_state(client: PageClient, ada: Offer, book: Book, status: Status) -> None:
    """Says the state to people and to programs, the same in page and fragment, and never to a cache."""
    booking = book(ada, status)
    for path in (f"/bookings/{booking.ref}", f"/bookings/{booking.ref}/status"):
        answer = client.get(path)
        part = parse(answer).one("#booking-status")
        assert part["data-booking-status"] == status.value
        assert part["data-payment-status"] == "none"
        assert part.select("h1")[0].text.strip()
        assert answer.headers["Cache-Control"] == "no-store"
        assert "noindex" in answer.headers["X-Robots-Tag"]


@pytest.mark.parametrize(
    ("status", "polls"),
    [(Status.PENDING, True), (Status.SCHEDULED, True), (Status.PAID, True)]
    + [(status, False) for status in (Status.CONFIRMED, Status.COMPLETED, Status.CANCELED, Status.EXPIRED)],
)
def test_only_a_living_booking_polls(
    client: PageClient, ada: Offer, book: Book, status: Status, *, polls: bool
) -> None:
    """The fragment carries its own next question, until there is nothing more to come."""
    booking = book(ada, status)
    part = client.page(f"/bookings/{booking.ref}/status", headers=HTMX).one("#booking-status")
    assert part.has_attr("hx-get") is polls


def test_polling_slows_down_and_ends(client: PageClient, ada: Offer, book: Book) -> None:
    """Each answer names the next address, ever later; the last offers a link."""
    path: str | None = f"/bookings/{book(ada, Status.SCHEDULED).ref}/status"
    delays: list[float] = []
    while path:
        page = client.page(path, headers=HTMX)
        part = page.one("#booking-status")
        path = str(part["hx-get"]) if part.has_attr("hx-get") else None
        found = re.search(r"delay:([\d.]+)s", str(part.get("hx-trigger", "")))
        delays += [float(found[1])] if found else []
        assert len(delays) < 100
    assert delays == sorted(delays)
    assert delays[0] <= 1
    assert sum(delays) >= 120
    assert page.select("#refresh-link")


@pytest.mark.parametrize("n", ["-1", "x", "99999999999999999999", "1.5", "٣", ""])
def test_a_strange_poll_number_is_the_first(client: PageClient, ada: Offer, book: Book, n: str) -> None:
    """And no error."""
    client.page(f"/bookings/{book(ada).ref}/status", query_string={"n": n}, headers=HTMX)


@pytest.mark.parametrize(
    ("status", "link"),
    [(Status.PENDING, "schedule"), (Status.SCHEDULED, "pay"), (Status.CONFIRMED, "session.ics")],
)
def test_the_next_step_is_offered(
    client: PageClient, ada: Offer, book: Book, status: Status, link: str
) -> None:
    """And the others are not."""
    booking = book(ada, status)
    page = client.page(f"/bookings/{booking.ref}")
    targets = {str(tag.get("href") or tag.get("action")) for tag in page.select("main a, main form")}
    steps = {
        name for name in ("schedule", "pay", "session.ics") if f"/bookings/{booking.ref}/{name}" in targets
    }
    assert steps == {link}


def test_every_link_on_a_bookings_page_leads_somewhere(client: PageClient, ada: Offer, book: Book) -> None:
    """In every state."""
    for status in Status:
        booking = book(ada, status)
        page = client.page(f"/bookings/{booking.ref}")
        for link in page.select("main a[href^='/']"):
            answer = client.get(str(link["href"]))
            assert answer.status_code == 200, f"{status}: {link['href']}"


def test_attention_is_told(app: Flask, client: PageClient, ada: Offer, book: Book) -> None:
    """To programs with its reason, to the client in calm words."""
    booking = book(ada, Status.SCHEDULED)
    with app.app_context(), transaction(db.session()) as session:
        flag(session.get_one(Booking, booking.id), FlagCode.WRONG_AMOUNT, now=utcnow())
    page = client.page(f"/bookings/{booking.ref}")
    assert page.one("#booking-status")["data-attention"] == FlagCode.WRONG_AMOUNT
    assert "We're checking a detail" in page.words


def test_times_are_in_the_clients_zone(app: Flask, client: PageClient, ada: Offer, book: Book) -> None:
    """With the zone's name, and the builder's own time beside it."""
    booking = book(ada, Status.CONFIRMED)
    start = utcnow().replace(month=12, day=1, hour=14, minute=0, second=0, microsecond=0)
    with app.app_context(), transaction(db.session()) as session:
        session.execute(sa.update(Booking).values(starts_at=start, ends_at=start + timedelta(hours=1)))
    page = client.page(f"/bookings/{booking.ref}")
    assert "15:00\N{EN DASH}16:00 CET" in page.words
    assert "14:00\N{EN DASH}15:00 GMT" in page.words
    assert page.select(f"time[datetime='{start:%Y-%m-%dT%H:%M:%SZ}']")


def test_the_schedule_page(app: Flask, client: PageClient, ada: Offer, book: Book) -> None:
    """The widget and the plain link carry our signed reference, name and e-mail; the policy lets it in."""
    booking = book(ada)
    answer = client.get(f"/bookings/{booking.ref}/schedule")
    page = parse(answer)
    container = page.one("[data-scheduling-url]")
    assert "calendly-inline-widget" not in (container.get("class") or [])
    link = str(container["data-scheduling-url"])
    assert page.select(f"a[href='{link}']") or link in [str(a["href"]) for a in page.select("a[href]")]
    query = parse_qs(urlsplit(link).query)
    assert urlsplit(link).netloc == "calendly.com"
    assert (query["name"], query["email"]) == (["Grace Hall"], ["grace@example.org"])
    assert query["utm_source"] == ["bookingapp"]
    with app.app_context():
        assert services.get(TrackingSigner).read(query["utm_content"][0]) == booking.tracking_id
    assert booking.ref not in link
    policy = answer.headers["Content-Security-Policy"]
    assert "frame-src https://calendly.com" in policy
    assert "https://assets.calendly.com" in policy
    assert container["data-booking-origin"] == "https://calendly.com"


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
def test_there_is_nothing_more_to_schedule(
    client: PageClient, ada: Offer, book: Book, status: Status
) -> None:
    """The schedule page leads to the truth page."""
    booking = book(ada, status)
    answer = client.get(f"/bookings/{booking.ref}/schedule")
    assert (answer.status_code, answer.location) == (303, f"/bookings/{booking.ref}")


class TestTheBrowserReports:
    """Two addresses; everything else is read back from Calendly."""

    def claim(self, client: PageClient, booking: Booking, event_uri: str, invitee_uri: str) -> int:
        """What the page's script sends."""
        data = {"event_uri": event_uri, "invitee_uri": invitee_uri}
        answer = client.submit(f"/bookings/{booking.ref}/scheduled", data)
        if answer.status_code == 303:
            assert answer.location == f"/bookings/{booking.ref}"
        return answer.status_code

    def known(
        self, app: Flask, calendly_wire: fakes.Calendly, booking: Booking, **how: object
    ) -> tuple[str, str]:
        """An invitee of this booking in Calendly."""
        slot = facts(booking)
        with app.app_context():
            content = services.get(TrackingSigner).sign(booking.tracking_id)
        values: dict[str, object] = {"event_type": booking.event_type_uri, "utm_content": content, **how}
        calendly_wire.add_invitee(slot.event_uri, slot.invitee_uri, **values)  # type: ignore[arg-type]
        return slot.event_uri, slot.invitee_uri

    def test_a_genuine_time(
        self, app: Flask, client: PageClient, ada: Offer, book: Book, calendly_wire: fakes.Calendly
    ) -> None:
        """Is taken at once, and a second report changes nothing."""
        booking = book(ada)
        uris = self.known(app, calendly_wire, booking)
        for _ in range(2):
            assert self.claim(client, booking, *uris) == 303
        found = now_of(app, booking)
        assert (found.status, found.event_uri, found.invitee_uri) == (Status.SCHEDULED, *uris)

    def test_calendlys_other_spelling(
        self, app: Flask, client: PageClient, ada: Offer, book: Book, calendly_wire: fakes.Calendly
    ) -> None:
        """Is the same invitee."""
        booking = book(ada)
        event, invitee = self.known(app, calendly_wire, booking)
        public = [uri.replace("https://api.", "https://") for uri in (event, invitee)]
        assert self.claim(client, booking, *public) == 303
        assert now_of(app, booking).invitee_uri == invitee

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
        self,
        app: Flask,
        client: PageClient,
        ada: Offer,
        book: Book,
        calendly_wire: fakes.Calendly,
        how: dict[str, object],
    ) -> None:
        """Is refused, whatever else is right about it."""
        booking = book(ada)
        uris = self.known(app, calendly_wire, booking, **how)
        assert self.claim(client, booking, *uris) == 409
        assert now_of(app, booking).status is Status.PENDING

    def test_somebody_elses_time(
        self, app: Flask, client: PageClient, ada: Offer, book: Book, calendly_wire: fakes.Calendly
    ) -> None:
        """The victim's booking stays as it is."""
        mine, theirs = book(ada), book(ada)
        uris = self.known(app, calendly_wire, theirs)
        assert self.claim(client, mine, *uris) == 409
        assert now_of(app, mine).status is now_of(app, theirs).status is Status.PENDING

    @pytest.mark.parametrize(
        ("event", "invitee"),
        [
            ("", ""),
            ("https://evil.example/scheduled_events/A", "https://evil.example/scheduled_events/A/invitees/B"),
            (
                "https://api.calendly.com/scheduled_events/A",
                "https://api.calendly.com/scheduled_events/C/invitees/B",
            ),
            ("https://api.calendly.com/users/A", "https://api.calendly.com/users/A"),
            (
                "http://169.254.169.254/scheduled_events/A",
                "http://169.254.169.254/scheduled_events/A/invitees/B",
            ),
            (
                "https://api.calendly.com@evil.example/scheduled_events/A",
                "https://api.calendly.com@evil.example/scheduled_events/A/invitees/B",
            ),
            ("x" * 600, "y" * 600),
        ],
    )
    def test_addresses_that_are_none(
        self,
        client: PageClient,
        ada: Offer,
        book: Book,
        calendly_wire: fakes.Calendly,
        event: str,
        invitee: str,
    ) -> None:
        """Are refused before anybody is asked."""
        assert self.claim(client, book(ada), event, invitee) == 422
        assert calendly_wire.seen == []

    def test_calendly_does_not_know_it(
        self, client: PageClient, ada: Offer, book: Book, calendly_wire: fakes.Calendly
    ) -> None:
        """It is not taken on trust."""
        booking = book(ada)
        slot = facts(booking)
        assert self.claim(client, booking, slot.event_uri, slot.invitee_uri) == 409

    @pytest.mark.parametrize("status", [503, 429, 401, 403])
    def test_calendly_cannot_say(
        self,
        app: Flask,
        client: PageClient,
        ada: Offer,
        book: Book,
        calendly_wire: fakes.Calendly,
        status: int,
    ) -> None:
        """The client has a time; the truth page waits for the webhook, and nobody says it is not theirs."""
        booking = book(ada)
        uris = self.known(app, calendly_wire, booking)
        calendly_wire.status = status
        assert self.claim(client, booking, *uris) == 303
        assert now_of(app, booking).status is Status.PENDING


def test_where_calendlys_own_redirect_lands(app: Flask, client: PageClient, ada: Offer, book: Book) -> None:
    """Only the browser that made the booking is led back to it; anybody else gets kind words and no link."""
    client.submit(f"{ada.detail('PAID')}/book", {"name": "Zoë", "email": "zoe@example.org"})
    with app.app_context():
        mine = db.session().scalars(sa.select(Booking)).one()
        signer = services.get(TrackingSigner)
        query = {"utm_content": signer.sign(mine.tracking_id), "invitee_email": "zoe@example.org"}
    answer = client.get("/bookings/scheduled", query_string=query)
    assert (answer.status_code, answer.location) == (303, f"/bookings/{mine.ref}")
    stranger = app.test_client()
    for values in (query, {"utm_content": "forged"}, {}):
        answer = stranger.get("/bookings/scheduled", query_string=values)
        assert answer.status_code == 200
        assert mine.ref not in answer.text
        assert answer.headers["Cache-Control"] == "no-store"


class TestPaying:
    """On to Stripe, and back to the truth page, which knows nothing from there."""

    def test_to_stripe(self, client: PageClient, ada: Offer, book: Book, stripe_wire: fakes.Stripe) -> None:
        """With return addresses made from PUBLIC_URL, whatever the request says of itself."""
        booking = book(ada, Status.SCHEDULED)
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
        self, client: PageClient, ada: Offer, book: Book, stripe_wire: fakes.Stripe
    ) -> None:
        """A redirect to another origin would be followed inside the request."""
        booking = book(ada, Status.SCHEDULED)
        answer = client.submit(f"/bookings/{booking.ref}/pay", headers=HTMX)
        (made,) = stripe_wire.sessions.values()
        assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, made["url"])

    def test_a_form_names_no_amount(
        self, client: PageClient, ada: Offer, book: Book, stripe_wire: fakes.Stripe
    ) -> None:
        """The price is the booking's."""
        booking = book(ada, Status.SCHEDULED)
        client.submit(f"/bookings/{booking.ref}/pay", {"amount": "1", "price_minor": "1", "currency": "JPY"})
        assert stripe_wire.created[0]["line_items[0][price_data][unit_amount]"] == "6000"

    @pytest.mark.parametrize("status", [status for status in Status if status is not Status.SCHEDULED])
    def test_there_is_nothing_to_pay(
        self, client: PageClient, ada: Offer, book: Book, stripe_wire: fakes.Stripe, status: Status
    ) -> None:
        """In every other state, in words."""
        booking = book(ada, status)
        answer = client.submit(f"/bookings/{booking.ref}/pay")
        assert answer.status_code == 409
        assert stripe_wire.seen == []

    def test_stripe_is_down(
        self, client: PageClient, ada: Offer, book: Book, stripe_wire: fakes.Stripe
    ) -> None:
        """503 in words; the booking stays payable."""
        booking = book(ada, Status.SCHEDULED)
        stripe_wire.fail = [500, 500, 500]
        answer = client.submit(f"/bookings/{booking.ref}/pay")
        assert answer.status_code == 503
        assert "payment service" in parse(answer).words
        assert client.submit(f"/bookings/{booking.ref}/pay").status_code == 303

    def test_a_forged_return_confirms_nothing(
        self, app: Flask, client: PageClient, ada: Offer, book: Book, stripe_wire: fakes.Stripe
    ) -> None:
        """It leads to the truth page, which shows what is true."""
        booking = book(ada, Status.SCHEDULED)
        client.submit(f"/bookings/{booking.ref}/pay")
        answer = client.get(f"/bookings/{booking.ref}/paid?session_id=cs_test_somebodyelses")
        assert (answer.status_code, answer.location) == (303, f"/bookings/{booking.ref}")
        page = client.page(f"/bookings/{booking.ref}")
        assert page.one("#booking-status")["data-booking-status"] == "scheduled"
        assert "Checking your payment" in page.words
        assert not page.select(f"form[action='/bookings/{booking.ref}/pay']")
        assert "cs_test_somebodyelses" not in page.decode()
        assert now_of(app, booking).paid_at is None


def test_the_calendar_file(app: Flask, client: PageClient, ada: Offer, book: Book) -> None:
    """RFC 5545, in UTC, with an address made from PUBLIC_URL."""
    booking = book(ada, Status.CONFIRMED)
    answer = client.get(f"/bookings/{booking.ref}/session.ics", headers={"Host": "evil.example"})
    assert answer.mimetype == "text/calendar"
    assert answer.headers["Cache-Control"] == "no-store"
    (event,) = Calendar.from_ical(answer.data).walk("VEVENT")
    assert event.decoded("dtstart") == booking.starts_at.replace(microsecond=0)  # type: ignore[union-attr]
    assert event.decoded("dtend") == booking.ends_at.replace(microsecond=0)  # type: ignore[union-attr]
    assert str(event["url"]) == f"http://127.0.0.1:8000/bookings/{booking.ref}"
    assert "Ada Okonkwo" in str(event["summary"])
    assert str(event["uid"]).split("@")[0] == booking.tracking_id


@pytest.mark.parametrize(
    "status", [Status.PENDING, Status.SCHEDULED, Status.PAID, Status.CANCELED, Status.EXPIRED]
)
def test_no_calendar_file_before_it_is_confirmed(
    client: PageClient, ada: Offer, book: Book, status: Status
) -> None:
    """404."""
    client.page(f"/bookings/{book(ada, status).ref}/session.ics", status=404)


def test_unknown_and_foreign_bookings_answer_alike(client: PageClient, ada: Offer, book: Book) -> None:
    """Byte for byte, but for the request's own number: nobody learns which references exist."""
    booking = book(ada)
    wrong = [
        booking.ref[:-1] + ("A" if booking.ref[-1] != "A" else "B"),
        booking.tracking_id,
        "x",
        str(booking.id),
    ]
    answers = [client.get(f"/bookings/{ref}") for ref in wrong]
    assert {answer.status_code for answer in answers} == {404}
    texts = {re.sub(r"<code>[0-9a-f]+</code>", "", answer.text) for answer in answers}
    assert len(texts) == 1


class TestCanceling:
    """The exact refund first, then the cancellation."""

    def test_the_preview_is_the_refund(self, client: PageClient, ada: Offer, book: Book) -> None:
        """Nothing was charged yet: nothing goes back."""
        booking = book(ada, Status.SCHEDULED)
        page = client.page(f"/bookings/{booking.ref}/cancel")
        shown = page.one("[data-refund-minor]")
        assert (shown["data-refund-minor"], shown["data-currency"]) == ("0", "GBP")
        assert page.select(f"form[action='/bookings/{booking.ref}/cancel'][method=post]")

    def test_canceling(self, app: Flask, client: PageClient, ada: Offer, book: Book) -> None:
        """Leads to the truth page; a second time it is refused in words."""
        booking = book(ada, Status.SCHEDULED)
        answer = client.submit(f"/bookings/{booking.ref}/cancel", {"reason": "ill"})
        assert (answer.status_code, answer.location) == (303, f"/bookings/{booking.ref}")
        assert now_of(app, booking).status is Status.CANCELED
        assert client.submit(f"/bookings/{booking.ref}/cancel").status_code == 409
        assert client.get(f"/bookings/{booking.ref}/cancel").status_code in (303, 409)

    @pytest.mark.parametrize("status", [Status.COMPLETED, Status.CANCELED, Status.EXPIRED])
    def test_what_is_over_stays(self, client: PageClient, ada: Offer, book: Book, status: Status) -> None:
        """409, and the page offers no link to it."""
        booking = book(ada, status)
        assert client.submit(f"/bookings/{booking.ref}/cancel").status_code == 409
        assert not client.page(f"/bookings/{booking.ref}").select("#cancel-link")
