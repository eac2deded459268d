"""The next free times of a card, and the way from one of them to Calendly's page for it."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from bookingapp.checkout.picked_time import is_below
from bookingapp.session_types.times import parse_time
from tests.live import HOUR, Live
from tests.pages import HTMX, parse

CLIENT = {"name": "Grace Hall", "email": "grace@example.org", "timezone": "UTC"}
TIMES = f"/builders/ada/session-types/{HOUR}/times"


def first_slot(live: Live) -> str:
    return str(live.hands.slots()[0]["start_time"])


def test_the_next_three_in_the_viewers_zone(live: Live) -> None:
    """Each is Calendly's time, shown in that zone by name, and leads to the form with itself and the zone."""
    live.builder(timezone="Europe/London")
    expected = [slot["start_time"] for slot in live.hands.slots()[:3]]
    page = live.browser().page(f"{TIMES}?tz=Asia/Tokyo", headers=HTMX)
    assert page.find("html") is None
    assert "Tokyo time" in page.words
    links = page.select("a.time-chip")
    assert [link.select("time")[0]["datetime"] for link in links] == expected
    assert all(link.text.strip().endswith("JST") for link in links)
    for link, start in zip(links, expected, strict=True):
        where = urlsplit(str(link["href"]))
        assert where.path == f"/builders/ada/session-types/{HOUR}"
        assert parse_qs(where.query) == {"time": [start], "tz": ["Asia/Tokyo"]}


def test_an_unknown_zone_is_not_used(live: Live) -> None:
    """Without JavaScript there is none; the times are in the builder's zone then, and the text is not repeated."""
    live.builder(timezone="Europe/Stockholm")
    browser = live.browser()
    for zone in ("", "Nowhere/Land", "<script>", "x" * 3000):
        answer = browser.get(TIMES, query_string={"tz": zone} if zone else {}, headers=HTMX)
        assert answer.status_code == 200
        assert "Stockholm time" in answer.text
        assert not zone or zone not in answer.text


def test_without_javascript_it_is_a_whole_page(live: Live) -> None:
    live.builder()
    page = live.browser().page(TIMES)
    assert page.one("h1").text == "60 Minute Consultation"
    assert len(page.select("main a.time-chip")) == 3


def test_no_free_times(live: Live) -> None:
    live.builder()
    # Longer than a working day: Calendly offers no time for it.
    live.hands.control(f"calendly/event-types/{HOUR}", duration=700)
    page = live.browser().page(TIMES, headers=HTMX)
    assert "No free times in the next weeks" in page.words
    assert not page.select("a.time-chip")


def test_many_viewers_are_one_question(live: Live) -> None:
    live.builder()
    browser = live.browser()
    live.hands.control("reset-requests")
    for zone in ("Asia/Tokyo", "Europe/London", "UTC"):
        assert len(browser.page(f"{TIMES}?tz={zone}", headers=HTMX).select("a.time-chip")) == 3
    assert live.calls("/event_type_available_times") == 1


def test_calendly_is_down(live: Live) -> None:
    live.builder()
    browser = live.browser()
    browser.page("/builders/ada/session-types")
    live.fault("500", path_prefix="/calendly-api/event_type_available_times")
    for headers in ({}, HTMX):
        answer = browser.get(TIMES, headers=headers)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        page = parse(answer)
        assert "We cannot show free times just now" in page.words
        assert any(link["href"] == TIMES for link in page.select("a") if link.text == "Try again")
        assert not page.select("a.time-chip")


def test_what_cannot_be_booked_has_no_times(live: Live) -> None:
    """Neither what is not there, nor what has no price."""
    live.builder()
    for event_type in ("NOSUCHTYPE", "ETADAOFFICEHR045"):
        assert live.browser().get(f"/builders/ada/session-types/{event_type}/times").status_code == 404
    cards = live.browser().page("/builders/ada/session-types")
    assert cards.select("[data-bookable=true] .session-card__times")
    assert not cards.select("[data-bookable=false] .session-card__times")


def test_from_the_card_to_calendlys_page_for_that_time(live: Live) -> None:
    """Card, form, schedule page: the widget opens at the chosen time, with our reference and the prefill."""
    live.builder()
    start = first_slot(live)
    browser = live.browser()
    link = browser.page(f"{TIMES}?tz=Asia/Tokyo", headers=HTMX).select("a.time-chip")[0]
    form = browser.page(str(link["href"]))
    assert form.one(".picked time")["datetime"] == start
    assert "JST" in form.one(".picked").text
    assert form.one("select[name=timezone] option[selected]")["value"] == "Asia/Tokyo"
    action = str(form.one("form[action$='/book'], form[action*='/book?']")["action"])
    sent = browser.submit(action, {**CLIENT, "timezone": "Asia/Tokyo"})
    assert sent.status_code == 303
    schedule = browser.page(sent.headers["Location"])
    url = urlsplit(str(schedule.one("[data-scheduling-url]")["data-scheduling-url"]))
    assert url.path == f"/ada-okonkwo/60-minute-consultation/{start}"
    assert f"{url.scheme}://{url.netloc}" == live.hands.base
    query = parse_qs(url.query)
    assert (query["name"], query["email"]) == (["Grace Hall"], ["grace@example.org"])
    assert query["utm_source"] == ["bookingapp"]
    assert query["utm_content"]
    assert query["date"] == [start[:10]]
    assert schedule.one("#scheduling-link")["href"] == url.geturl()
    assert "You picked" in schedule.words
    # The sandbox knows that page: it is the confirmation of that very time.
    assert live.hands.http.get(url.geturl(), timeout=10).status_code == 200


def test_a_mistake_in_the_form_does_not_lose_the_time(live: Live) -> None:
    live.builder()
    start = first_slot(live)
    browser = live.browser()
    path = f"/builders/ada/session-types/{HOUR}/book?time={start}"
    refused = browser.submit(path, {**CLIENT, "email": "nonsense"})
    assert refused.status_code == 422
    assert start in refused.text
    sent = browser.submit(path, CLIENT)
    assert parse_qs(urlsplit(sent.headers["Location"]).query) == {"time": [start]}


def test_an_invalid_time_is_ignored(live: Live) -> None:
    live.builder()
    path, browser = f"/builders/ada/session-types/{HOUR}", live.browser()
    times = ("", "soon", "2026-13-01T10:00:00Z", "2026-11-24T10:00:00", "2026-11-24T10:00:00Z&x=1")
    for number, time in enumerate((*times, "//evil.example/", "٢")):
        answer = browser.get(path, query_string={"time": time})
        assert answer.status_code == 200
        assert 'class="picked"' not in answer.text
        form = {**CLIENT, "email": f"grace{number}@example.org"}
        sent = live.browser().submit(f"{path}/book", form, query_string={"time": time})
        assert urlsplit(sent.headers["Location"]).query == ""


def test_a_time_that_was_booked_meanwhile(live: Live) -> None:
    live.builder()
    start = first_slot(live)
    live.hands.control("calendly/book", event_type=HOUR, start_time=start)
    browser, ref = live.book(query=f"?time={start}")
    page = browser.page(f"/bookings/{ref}/schedule?time={start}")
    url = urlsplit(str(page.one("[data-scheduling-url]")["data-scheduling-url"]))
    assert url.path == "/ada-okonkwo/60-minute-consultation"
    assert "The time you picked may not be available any more" in page.words


def test_calendly_is_down_after_a_time_was_picked(live: Live) -> None:
    """The plain calendar is offered, on the page that needs no answer of Calendly."""
    live.builder()
    start = first_slot(live)
    browser, ref = live.book(query=f"?time={start}")
    live.fault("500", path_prefix="/calendly-api")
    page = browser.page(f"/bookings/{ref}/schedule?time={start}")
    assert "/ada-okonkwo/60-minute-consultation?" in str(page.one("#scheduling-link")["href"])
    live.hands.control("reset-requests")
    browser.page(f"/bookings/{ref}/schedule")
    assert live.calls("/") == 0


@pytest.mark.parametrize(
    ("address", "below"),
    [
        ("https://calendly.com/ada/60min/2026-11-24T14:30:00Z?month=2026-11", True),
        ("https://calendly.com/ada/60min", False),
        ("https://calendly.com/ada/60min-and-more/2026-11-24T14:30:00Z", False),
        ("https://calendly.com/ada/60min/../../evil/2026", False),
        ("https://calendly.com/ada/60min/%2e%2e/evil", False),
        ("https://calendly.com.evil.example/ada/60min/2026", False),
        ("https://calendly.com@evil.example/ada/60min/2026", False),
        ("http://calendly.com/ada/60min/2026", False),
        ("javascript:alert(1)", False),
        ("https://calendly.com\\@evil.example/ada/60min/2026", False),
        ("https://[calendly.com/ada/60min/2026", False),
    ],
)
def test_only_pages_below_the_types_own_are_opened(address: str, below: bool) -> None:
    """Nothing else of Calendly's answer goes into the widget."""
    page = "https://calendly.com/ada/60min"
    assert is_below(address, page, booking_url="https://calendly.com") is below
    assert not is_below(address, page, booking_url="https://elsewhere.example")


def test_times_are_read_strictly() -> None:
    assert parse_time("2026-11-24T14:30:00Z") == datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
    for other in (
        None,
        "",
        "2026-11-24 14:30:00Z",
        "2026-11-24T14:30:00+00:00",
        "2026-02-30T10:00:00Z",
        # West or east of Greenwich, these are in no year.
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        " 2026-11-24T14:30:00Z\n",
    ):
        assert parse_time(other) is None
