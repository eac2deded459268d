"""Our own list of times: what is shown, and what follows from choosing one of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.orm import joinedload
from werkzeug.test import TestResponse

from bookingapp.bookings.models import Booking, RequestState, SlotRequest
from bookingapp.bookings.slot_requests import Choice
from bookingapp.builders.models import Builder, Way
from bookingapp.checkout import time_list
from bookingapp.checkout.authorized import TAKE_TIME_JOB
from bookingapp.checkout.take_time import choose_time
from bookingapp.checkout.ways import offered_ways
from bookingapp.core import quotas
from bookingapp.core.clock import iso, utcnow
from bookingapp.core.db import transaction
from bookingapp.integrations.calendly import CalendlyUnavailable
from bookingapp.session_types.models import SessionType, Ways
from bookingapp.session_types.times import parse_time
from tests.live import FREE, KENJI, Live
from tests.pages import HTMX, Page, PageClient, parse

REVIEW, MAYA = "ETKENJIREVIEW030", "SBXMAYALINDQV003"
MEETING, GROUP = "ETMAYACONSULT060", "ETMAYAGRPHALF240"
PHONE = "+44 20 7946 0123"


@pytest.fixture
def free(live: Live) -> tuple[PageClient, str]:
    """A visitor with a booking of a free type, in Berlin."""
    live.builder(types={FREE: {"price_minor": 0}})
    return live.book(FREE, timezone="Europe/Berlin")


def times_of(ref: str) -> str:
    return f"/bookings/{ref}/times"


def listed(page: Page) -> list[str]:
    return [str(button["data-slot-start"]) for button in page.select("[data-slot-start]")]


def next_month(months: int = 1) -> str:
    day = utcnow().replace(day=15) + timedelta(days=30 * months)
    return f"{day:%Y-%m}"


def starts(browser: PageClient, ref: str) -> list[str]:
    """Free starts of the next month, so that the test does not depend on the day on which it runs."""
    return listed(browser.page(f"{times_of(ref)}?month={next_month()}"))


def choose(browser: PageClient, ref: str, start: str, **typed: str) -> TestResponse:
    return browser.submit(times_of(ref), {"start_time": start, **typed})


def set_type(live: Live, **values: Any) -> None:
    with live.database() as session, transaction(session):
        session.execute(sa.update(SessionType).values(**values))


def forget_answers(live: Live) -> None:
    """As after a change of the types in Calendly: nothing that is cached is used any more."""
    with live.database() as session, transaction(session):
        session.execute(sa.update(Builder).values(catalog_version=Builder.catalog_version + 1))


def requests_of(live: Live) -> list[SlotRequest]:
    with live.database() as session:
        return list(session.scalars(sa.select(SlotRequest)))


# The list


def test_a_month_in_the_bookings_zone(free: tuple[PageClient, str]) -> None:
    """Days are headings, times are buttons of one form, and the zone is named; the present month is the first."""
    browser, ref = free
    page = browser.page(f"{times_of(ref)}?month={next_month()}")
    buttons = page.select("#time-form button[name=start_time]")
    assert len(buttons) > 20
    assert [button["value"] for button in buttons] == listed(page)
    assert listed(page) == sorted(listed(page))
    assert all(button.text.split()[-1] in ("CET", "CEST") for button in buttons)
    assert page.one("#times-zone option[selected]")["value"] == "Europe/Berlin"
    days = page.select("#time-form h3")
    assert len(days) == len({heading["id"] for heading in days}) > 5
    assert {button["aria-describedby"] for button in buttons} == {heading["id"] for heading in days}
    assert page.one("a[rel=prev]")
    assert not browser.page(times_of(ref)).select("a[rel=prev]")
    assert not browser.page(f"{times_of(ref)}?month=9999-12").select("a[rel=next]")


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "Nowhere/Land", ""])
def test_the_zone_can_be_changed(free: tuple[PageClient, str], zone: str) -> None:
    browser, ref = free
    page = browser.page(times_of(ref), query_string={"month": next_month(), "timezone": zone})
    shown = zone if zone.startswith("Asia") else "Europe/Berlin"
    assert page.one("#times-zone option[selected]")["value"] == shown
    form = page.one("#zone-form")
    assert (form["method"], form["action"]) == ("get", times_of(ref))
    assert page.one("button[form=zone-form]")["value"] == next_month()
    assert f"timezone={shown}" in str(page.one("a[rel=next]")["href"])
    if shown == zone:
        assert all("UTC+05:45" in button.text for button in page.select("[data-slot-start]"))


def test_page_and_fragment(free: tuple[PageClient, str]) -> None:
    """One address; neither is cached or found, and the heading of the fragment takes the focus."""
    browser, ref = free
    for headers in ({}, HTMX):
        answer = browser.get(f"{times_of(ref)}?month={next_month()}", headers=headers)
        page = parse(answer)
        assert bool(page.find("html")) is not bool(headers)
        assert answer.vary.as_set() >= {"hx-request"}
        assert answer.headers["Cache-Control"] == "no-store"
        assert "noindex" in answer.headers["X-Robots-Tag"]
        assert page.one("#times-title").has_attr("autofocus") is bool(headers)
        link = page.one("#times a[rel=next]")
        assert link["href"] == link["hx-get"]
        assert (link["hx-target"], link["hx-push-url"]) == ("#times", "true")
    assert "free times" in page.one("[hx-swap-oob='innerHTML:#times-news']").text


def test_a_hundred_readers_of_a_month_are_one_question(live: Live, free: tuple[PageClient, str]) -> None:
    _, ref = free
    # As fast as a crowd is: what the pages say is read elsewhere.
    reader = FlaskClient(live.app, live.app.response_class)
    live.hands.control("reset-requests")
    for _ in range(100):
        assert reader.get(f"{times_of(ref)}?month={next_month()}", headers=HTMX).status_code == 200
    assert live.calls("/event_type_available_times") == 1
    assert live.calls("/") <= 2


def test_seats_of_a_group(live: Live) -> None:
    live.builder("maya", MAYA, {GROUP: {"price_minor": 0}})
    browser, ref = live.book(GROUP, "maya")
    start = starts(browser, ref)[0]
    live.hands.control("calendly/book", event_type=GROUP, start_time=start)
    other, ref = live.book(GROUP, "maya")
    page = other.page(f"{times_of(ref)}?month={next_month(2)}")
    assert "8 seats left" in page.words


def test_an_empty_month_names_the_first_free_day(live: Live, free: tuple[PageClient, str]) -> None:
    """Three further months are looked at; the stand-in offers two months."""
    browser, ref = free
    live.hands.control(f"calendly/event-types/{FREE}", duration=700)
    assert "There are none in the months after it either" in browser.page(times_of(ref)).words
    assert not browser.page(f"{times_of(ref)}?month={next_month(8)}").select("#first-free")


def test_the_time_that_was_picked_on_a_card(free: tuple[PageClient, str]) -> None:
    browser, ref = free
    start = starts(browser, ref)[3]
    page = browser.page(f"{times_of(ref)}?time={start}")
    assert page.one(".notice button[name=start_time]")["value"] == start
    assert start in listed(page)
    over = browser.page(f"{times_of(ref)}?time=2020-01-01T10:00:00Z")
    assert "may not be available any more" in over.words


def test_calendly_does_not_answer(live: Live, free: tuple[PageClient, str]) -> None:
    """A sentence and the two ways on, and no error; what was known before is shown with its time."""
    browser, ref = free
    live.fault("500", path_prefix="/calendly-api/event_type_available_times")
    page = browser.page(times_of(ref))
    assert str(CalendlyUnavailable.user_message) in page.words
    assert page.one("#calendar-way")["href"] == f"/bookings/{ref}/schedule?by=widget"
    assert not listed(page)
    answer = choose(browser, ref, iso(utcnow() + timedelta(days=3)))
    assert answer.status_code == 409
    assert str(CalendlyUnavailable.user_message) in parse(answer).words


@pytest.mark.parametrize(
    ("values", "ways"),
    [
        ({}, (Way.WIDGET, Way.TIMES)),
        ({"ways": Ways.WIDGET}, (Way.WIDGET,)),
        ({"ways": Ways.TIMES}, (Way.TIMES,)),
        ({"list_refusal": "rejected"}, (Way.WIDGET,)),
        ({"ways": Ways.TIMES, "list_refusal": "rejected"}, (Way.WIDGET,)),
    ],
)
def test_where_the_list_is_not_offered(
    live: Live, free: tuple[PageClient, str], values: dict[str, Any], ways: tuple[Way, ...]
) -> None:
    """Its page leads to the calendar, and its form says so."""
    browser, ref = free
    if values:
        set_type(live, **values)
    with live.database() as session:
        booking = session.scalars(sa.select(Booking).options(joinedload(Booking.builder))).one()
        row = session.get_one(SessionType, booking.session_type_id)
        assert offered_ways(live.client(), booking, row, default_first=Way.WIDGET) == ways
    answer = browser.get(times_of(ref))
    if Way.TIMES in ways:
        assert answer.status_code == 200
        assert bool(parse(answer).select("#calendar-way")) is (Way.WIDGET in ways)
        return
    assert (answer.status_code, answer.location) == (303, f"/bookings/{ref}/schedule?by=widget")
    assert browser.get(times_of(ref), headers=HTMX).headers["HX-Redirect"] == answer.location
    refused = choose(browser, ref, iso(utcnow() + timedelta(days=3)))
    assert refused.status_code == 409
    assert parse(refused).one("#calendar-way")
    assert requests_of(live) == []


@pytest.mark.parametrize("values", [{"is_paid": True}, {"booking_method": "poll"}, {"active": False}])
def test_types_that_the_api_cannot_book(
    live: Live, free: tuple[PageClient, str], values: dict[str, Any]
) -> None:
    browser, ref = free
    live.hands.control(f"calendly/event-types/{FREE}", **values)
    forget_answers(live)
    assert browser.get(times_of(ref)).status_code == 303


def test_all_of_calendly_is_down(live: Live) -> None:
    live.builder(types={FREE: {"price_minor": 0}})
    browser, ref = live.book(FREE)
    forget_answers(live)
    live.fault("500", path_prefix="/calendly-api")
    page = browser.page(times_of(ref))
    assert str(CalendlyUnavailable.user_message) in page.words
    assert choose(browser, ref, iso(utcnow() + timedelta(days=3))).status_code == 409


def test_calendly_accepts_no_more_bookings_today(live: Live, free: tuple[PageClient, str]) -> None:
    """A limit that lasts for a minute is waited out; a longer one closes the list."""
    browser, ref = free
    calendly, tenant = live.client(), "builder:1-0"
    with live.database():
        for seconds, status in ((30.0, 200), (3600.0, 303)):
            token = calendly._transport._tokens.token_for(tenant)
            calendly._transport._invitee_limits.close(token, seconds)
            assert browser.get(times_of(ref)).status_code == status


def test_some_of_calendlys_bookings_are_kept_for_those_who_pay(
    live: Live, free: tuple[PageClient, str]
) -> None:
    """So many free ones an hour; then Calendly's calendar is offered, which spends none of them."""
    browser, ref = free
    with live.database():
        account = live.client().account_of("builder:1-0")
        for _ in range(20):
            quotas.spend(quotas.FREE_INVITEES, account)
        assert browser.get(times_of(ref)).location == f"/bookings/{ref}/schedule?by=widget"


# Choosing


def test_a_free_time_is_taken_at_once(live: Live, free: tuple[PageClient, str]) -> None:
    """A program sends the start alone; a person is asked first, because this type has a question."""
    browser, ref = free
    start = starts(browser, ref)[0]
    asked = choose(browser, ref, start, step="times")
    assert asked.status_code == 303
    page = browser.page(asked.location)
    assert page.one("title").text.startswith("Your details")
    assert page.one("#details-form input[name=start_time]")["value"] == start
    assert not page.select(".field__error, [role=alert] .notice")
    answer = choose(browser, ref, start, **{"step": "details", "answer-0": "A plan"})
    assert (answer.status_code, answer.location) == (303, f"/bookings/{ref}")
    booking = live.booking(ref)
    assert (booking.status.value, iso(booking.starts_at or utcnow())) == ("confirmed", start)
    (invitee,) = live.state()["invitees"]
    assert [one["answer"] for one in invitee["questions_and_answers"]] == ["A plan"]
    # A second click, and a look at the list, lead to the booking.
    assert choose(browser, ref, start).location == f"/bookings/{ref}"
    assert browser.get(times_of(ref)).location == f"/bookings/{ref}"
    assert len(live.state()["invitees"]) == 1


def test_a_priced_time_is_paid_first(live: Live) -> None:
    live.builder()
    browser, ref = live.book()
    start = starts(browser, ref)[0]
    answer = choose(browser, ref, start)
    assert answer.status_code == 303
    assert "/stripe-checkout/" in answer.location
    assert live.booking(ref).status.value == "pending"
    assert live.state()["invitees"] == []
    page = browser.page(f"/bookings/{ref}")
    assert page.one("#booking-status")["data-booking-status"] == "pending"
    assert page.one(".ticket__when time")["datetime"] == start
    assert "not reserved yet" in page.one(".ticket__when").text
    assert page.one(".steps [aria-current]").text.split()[-1] == "Pay"
    htmx = browser.submit(times_of(ref), {"start_time": start}, headers=HTMX)
    assert (htmx.status_code, htmx.headers["HX-Redirect"]) == (204, answer.location)


def test_answers_can_be_corrected_and_a_browser_can_go_back(live: Live) -> None:
    """The form has an address, and is shown for another time with what was answered for the first one."""
    live.builder("kenji", KENJI, {REVIEW: {}})
    browser, ref = live.book(REVIEW, "kenji", timezone="Europe/Berlin")
    first, second = starts(browser, ref)[:2]
    form = choose(browser, ref, first, step="times", timezone="Asia/Tokyo").location
    assert "/times?start_time=" in form
    assert "timezone=Asia/Tokyo" in form
    typed = {"step": "details", "timezone": "Asia/Tokyo", "answer-0": "The form", "answer-2": PHONE}
    assert "/stripe-checkout/" in choose(browser, ref, first, **typed).location
    assert browser.page(form).one("#answer-0").text.strip() == "The form"
    # The zone of the list is the booking's from now on.
    assert live.booking(ref).client_timezone == "Asia/Tokyo"
    assert "JST" in browser.page(f"/bookings/{ref}").one(".ticket__when").text
    again = choose(browser, ref, second, step="times").location
    page = browser.page(again)
    assert page.one("#details-form input[name=start_time]")["value"] == second
    assert page.one("#answer-0").text.strip() == "The form"
    # A program sends the start alone, and need not answer again.
    assert "/stripe-checkout/" in choose(browser, ref, second).location
    gone = browser.page(times_of(ref), query_string={"start_time": "2020-01-01T10:00:00Z"})
    assert "may not be available any more" in gone.words
    nonsense = browser.page(times_of(ref), query_string={"start_time": "1000-01-01T10:00:00Z"})
    assert "1000" not in nonsense.words


def test_a_race_against_oneself(live: Live, free: tuple[PageClient, str], monkeypatch: Any) -> None:
    """The same start leads to the booking; for another one, the page says what happens and leads there, too."""
    browser, ref = free
    first, second = starts(browser, ref)[:2]
    choose_first = choose_time

    def be_asked_meanwhile(session: Any, **how: Any) -> bool:
        choose_first(session, **{**how, "choice": Choice(parse_time(first) or utcnow())})
        with transaction(session):
            session.execute(sa.update(SlotRequest).values(state=RequestState.ASKING))
        return choose_first(session, **how)

    monkeypatch.setattr(time_list, "choose_time", be_asked_meanwhile)
    same = choose(browser, ref, first)
    assert (same.status_code, same.location) == (303, f"/bookings/{ref}")
    with live.database() as session, transaction(session):
        session.execute(sa.update(SlotRequest).values(state=RequestState.GONE))
    other = choose(browser, ref, second)
    assert other.status_code == 409
    page = parse(other)
    assert "We are booking the time that you chose before" in page.words
    assert page.one("#booking-way")["href"] == f"/bookings/{ref}"


def test_stripe_does_not_answer(live: Live) -> None:
    """The choice is kept: the booking's page has the button to pay."""
    live.builder()
    browser, ref = live.book()
    start = starts(browser, ref)[0]
    live.hands.control("faults", provider="stripe", kind="500")
    answer = choose(browser, ref, start)
    assert (answer.status_code, answer.location) == (303, f"/bookings/{ref}")
    assert browser.page(f"/bookings/{ref}").one("#pay-button")


def test_the_time_is_gone(live: Live, free: tuple[PageClient, str]) -> None:
    """409 with the others, what was typed is kept, and the next choice needs no second form."""
    browser, ref = free
    first, second = starts(browser, ref)[:2]
    live.hands.control("calendly/take", event_type=FREE, start_time=first)
    forget_answers(live)
    answer = choose(browser, ref, first, **{"step": "details", "answer-0": "A plan"})
    assert answer.status_code == 409
    page = parse(answer)
    assert "is not available any more" in page.words
    assert first not in listed(page)
    form = {str(one["name"]): str(one["value"]) for one in page.select("#time-form input[type=hidden]")}
    assert form["answer-0"] == "A plan"
    other = browser.submit(times_of(ref), {**form, "show": next_month(2)})
    assert other.status_code == 200
    assert parse(other).one("#time-form input[name=answer-0]")["value"] == "A plan"
    taken = browser.submit(times_of(ref), {**form, "start_time": second})
    assert (taken.status_code, taken.location) == (303, f"/bookings/{ref}")
    (invitee,) = [one for one in live.state()["invitees"] if one["tracking"]["utm_content"]]
    assert [one["answer"] for one in invitee["questions_and_answers"]] == ["A plan"]


@pytest.mark.parametrize(
    ("start", "status"),
    [
        ("", 422),
        ("tomorrow", 422),
        ("2026-12-01T14:00:00+00:00", 422),
        ("2026-02-30T14:00:00Z", 422),
        ("2020-01-01T10:00:00Z", 409),
        ("9999-12-31T23:59:59Z", 422),
        ("9998-12-31T23:59:59Z", 422),
        ("1000-01-01T00:00:00Z", 422),
        ("2026-12-25T03:07:00Z", 409),
    ],
)
def test_what_is_no_free_time_is_refused(
    live: Live, free: tuple[PageClient, str], start: str, status: int
) -> None:
    """With the list; nothing is recorded, and what was typed is kept."""
    browser, ref = free
    answer = choose(browser, ref, start, **{"answer-0": "A plan"})
    assert answer.status_code == status
    page = parse(answer)
    assert page.one("#times [role=alert]").text.strip()
    assert page.one("#time-form input[name=answer-0]")["value"] == "A plan"
    assert requests_of(live) == []
    assert not [one for one in live.state()["invitees"] if one["tracking"]["utm_content"]]


def test_somebody_is_faster_while_calendly_is_asked(live: Live, free: tuple[PageClient, str]) -> None:
    browser, ref = free
    start = starts(browser, ref)[0]
    live.hands.control("calendly/take", next=True)
    answer = choose(browser, ref, start)
    assert answer.status_code == 409
    assert start not in listed(parse(answer))
    assert [one.state for one in requests_of(live)] == [RequestState.GONE]


def test_the_answer_is_lost(live: Live, free: tuple[PageClient, str]) -> None:
    """The booking's page waits for the worker, which goes on."""
    browser, ref = free
    start = starts(browser, ref)[0]
    live.fault("500", path_prefix="/calendly-api/invitees")
    answer = choose(browser, ref, start)
    assert (answer.status_code, answer.location) == (303, f"/bookings/{ref}")
    assert "We are booking your time" in browser.page(f"/bookings/{ref}").words
    assert len(live.jobs(TAKE_TIME_JOB)) == 1
    assert choose(browser, ref, start).location == f"/bookings/{ref}"


def test_calendly_refuses_it(live: Live, free: tuple[PageClient, str]) -> None:
    """The list is not offered any more, and the calendar is."""
    browser, ref = free
    start = starts(browser, ref)[0]
    live.hands.control("calendly/scopes")
    answer = choose(browser, ref, start)
    assert answer.status_code == 409
    page = parse(answer)
    assert "cannot be booked from our list right now" in page.words
    assert page.one("#calendar-way")
    assert browser.get(times_of(ref)).status_code == 303


def test_a_stranger_is_the_guest_of_few_free_sessions(live: Live) -> None:
    """Calendly invites guests, who never asked for it: they are counted like addresses that nobody has confirmed."""
    live.builder("kenji", KENJI, {REVIEW: {"price_minor": 0, "allows_guests": True}})
    answers = []
    for number in range(6):
        browser, ref = live.book(REVIEW, "kenji")
        typed = {"step": "details", "answer-0": "All of it", "guests": f"victim+{number}@example.net"}
        answers.append(choose(browser, ref, starts(browser, ref)[number], **typed))
    assert [answer.status_code for answer in answers] == [303] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert sum(bool(one["guests"]) for one in live.state()["events"]) == 5


def test_details_and_their_errors(live: Live) -> None:
    """Each error stands at its field, and everything that was typed is still there."""
    live.builder("kenji", KENJI, {REVIEW: {"price_minor": 0, "allows_guests": True}})
    browser, ref = live.book(REVIEW, "kenji")
    start = starts(browser, ref)[0]
    missing = parse(choose(browser, ref, start))
    assert missing.one("#details-form")
    assert not missing.select(".field__error")
    typed = {
        "step": "details",
        "answer-0": "",
        "answer-1": "-other-",
        "answer-1-other": "Quart",
        "answer-2": "0170 1",
        "guests": "a@example.org, nobody",
    }
    answer = choose(browser, ref, start, **typed)
    assert answer.status_code == 422
    page = parse(answer)
    assert page.one("#answer-0-error")
    assert page.one("#answer-2-error")
    assert page.one("#guests-error")
    assert not page.select("#answer-1-error")
    assert page.one("#answer-0").has_attr("autofocus")
    assert page.one("input[name=answer-1][checked]")["value"] == "-other-"
    assert page.one("#answer-1-other")["value"] == "Quart"
    assert page.one("#answer-2")["value"] == "0170 1"
    assert page.one("#guests").text.strip() == "a@example.org, nobody"
    assert requests_of(live) == []
    good = {**typed, "answer-0": "The form", "answer-2": PHONE, "guests": "a@example.org"}
    assert choose(browser, ref, start, **good).status_code == 303
    (invitee,) = live.state()["invitees"]
    assert [one["answer"] for one in invitee["questions_and_answers"]] == [
        "The form",
        "Quart",
        "+442079460123",
    ]
    (event,) = live.state()["events"]
    assert event["guests"] == ["a@example.org"]


@pytest.mark.parametrize("chosen", ["-other-", "the first"])
def test_a_choice_is_kept_when_its_field_has_an_error(live: Live, chosen: str) -> None:
    live.builder("kenji", KENJI, {REVIEW: {"price_minor": 0}})
    browser, ref = live.book(REVIEW, "kenji")
    start = starts(browser, ref)[0]
    asked = parse(choose(browser, ref, start))
    offered = [str(one["value"]) for one in asked.select("input[name=answer-1]")]
    chosen = chosen if chosen in offered else offered[0]
    other = "" if chosen == "-other-" else "Quart"
    typed = {"step": "details", "answer-0": "The form", "answer-1": chosen, "answer-1-other": other}
    page = parse(choose(browser, ref, start, **typed))
    assert page.one("#answer-1-error")
    radios = page.select("input[name=answer-1]")
    assert [one["value"] for one in radios if one.has_attr("checked")] == [chosen]
    assert all(one.get("aria-invalid") == "true" for one in radios)
    assert [one["value"] for one in radios if one.has_attr("autofocus")] == offered[:1]
    assert all(
        set(one.attrs) <= {"type", "name", "value", "checked", "aria-invalid", "autofocus"} for one in radios
    )


def test_a_place_that_the_client_chooses(live: Live) -> None:
    live.builder("maya", MAYA, {MEETING: {"price_minor": 0}})
    browser, ref = live.book(MEETING, "maya")
    start = starts(browser, ref)[0]
    asked = choose(browser, ref, start)
    assert asked.status_code == 422
    assert "Maya calls you" in parse(asked).words
    wrong = parse(choose(browser, ref, start, location="outbound_call", **{"location-value": "0170"}))
    assert wrong.one("[autofocus]")["name"] == "location-value"
    assert wrong.one("input[name=location][checked]")["value"] == "outbound_call"
    assert "required" in wrong.one("label[for=location-value]").text
    answer = choose(browser, ref, start, location="outbound_call", **{"location-value": PHONE})
    assert answer.status_code == 303
    booking = live.booking(ref)
    assert (booking.place_kind, booking.place) == ("outbound_call", "+442079460123")


def test_a_booking_that_is_over(live: Live, free: tuple[PageClient, str]) -> None:
    browser, ref = free
    start = starts(browser, ref)[0]
    browser.submit(f"/bookings/{ref}/cancel")
    assert browser.get(times_of(ref)).location == f"/bookings/{ref}"
    assert choose(browser, ref, start).status_code == 409
    assert browser.get("/bookings/unknown/times").status_code == 404


def test_a_priced_group_that_is_paid_first_needs_no_confirmed_address(live: Live) -> None:
    """A seat of it is taken once it is paid for, so none has to be given back."""
    live.builder("maya", MAYA, {GROUP: {}})
    page = live.browser().page(f"/builders/maya/session-types/{GROUP}")
    assert page.select("form[action='/my-bookings']")
    set_type(live, ways=Ways.TIMES)
    page = live.browser().page(f"/builders/maya/session-types/{GROUP}")
    assert not page.select("form[action='/my-bookings']")
