"""The set-up check on the dashboard and on the command line."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live import FREE, HALF, HOUR, KENJI, Live
from tests.pages import HTMX, Page

CHECK = f"/dashboard/session-types/{HOUR}/check"


def setup(live: Live, event_type: str = HOUR) -> tuple[str, Page]:
    """The color of a type, and the fragment."""
    path = f"/dashboard/session-types/{event_type}/check"
    page = live.browser("ada").page(path, headers=HTMX)
    return str(page.one("[data-setup]")["data-setup"]), page


def test_green(live: Live) -> None:
    live.builder()
    level, page = setup(live)
    assert level == "green"
    assert "Everything is in place." in page.words
    for words in (
        "£60.00",
        "published",
        "switched on",
        "asks for no payment",
        "1 hour",
        "free times in the next 31",
    ):
        assert words in page.words
    # Calendly's API does not say whether a redirect is set: that is a note, and no color.
    assert "/bookings/scheduled" in page.one("[data-level=note]").text


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({"active": False}, "red", "switched off in Calendly"),
        ({"booking_method": "poll"}, "red", "a meeting poll"),
        ({"is_paid": True}, "red", "Calendly itself asks for a payment"),
        ({"locations": []}, "amber", "no place in Calendly"),
        ({"locations": None}, "amber", "no place in Calendly"),
        ({"duration_options": [15, 30, 60]}, "amber", "15 minutes, 30 minutes, 1 hour, all for one price"),
        ({"duration": 700}, "amber", "no free time in the next 31 days"),
        ({"duration": 2}, "amber", "is that intended?"),
        ({"secret": True}, "green", "only clients with its link"),
    ],
)
def test_what_calendly_says(live: Live, change: dict[str, Any], level: str, words: str) -> None:
    live.builder()
    live.hands.control(f"calendly/event-types/{HOUR}", **change)
    live.work()
    found, page = setup(live)
    assert found == level
    assert words in page.words
    if level != "green":
        assert words in page.one("summary").text.replace("\n", " ")


@pytest.mark.parametrize(
    ("row", "level", "words"),
    [
        ({HALF: {}}, "red", "no price yet"),
        ({HOUR: {"published": False}}, "amber", "not published"),
        ({HOUR: {"price_minor": 0}}, "green", "It is free."),
    ],
)
def test_what_the_builder_has_set(live: Live, row: dict[str, Any], level: str, words: str) -> None:
    live.builder(types=row)
    found, page = setup(live)
    assert found == level
    assert words in page.words


QUESTION = {"name": "When?", "type": "calendar", "position": 0, "enabled": True, "required": False}


@pytest.mark.parametrize(
    ("row", "change", "level", "words"),
    [
        ({}, {}, "green", "Clients can book it on our list of times."),
        ({"ways": "widget"}, {}, "green", "You offer it in Calendly's calendar only."),
        ({}, {"custom_questions": [QUESTION]}, "green", "One of its questions is of a kind"),
        (
            {"ways": "times"},
            {"custom_questions": [QUESTION]},
            "amber",
            "You want bookings on our list only, but",
        ),
        ({"list_refusal": "forbidden"}, {}, "amber", "Our access lacks the permission to book for you"),
        ({"list_refusal": "rate_limited"}, {}, "amber", "accepts from us in a day was reached"),
        ({"list_refusal": "rejected", "ways": "times"}, {}, "amber", "Then save this session type again"),
        ({"list_refusal": "unauthorized"}, {}, "amber", "Please connect your Calendly account again."),
        (
            {"list_refusal": "forbidden", "ways": "widget"},
            {},
            "green",
            "You offer it in Calendly's calendar only.",
        ),
    ],
)
def test_whether_our_list_can_book_it(
    live: Live, row: dict[str, Any], change: dict[str, Any], level: str, words: str
) -> None:
    """Where it cannot, clients have Calendly's calendar, so it is never red for that."""
    live.builder(types={HOUR: row})
    if change:
        live.hands.control(f"calendly/event-types/{HOUR}", **change)
        live.work()
    found, page = setup(live)
    assert found == level
    assert words in page.words


def test_what_cannot_be_booked_at_all_is_said_once(live: Live) -> None:
    live.builder()
    live.hands.control(f"calendly/event-types/{HOUR}", is_paid=True)
    live.work()
    _, page = setup(live)
    assert "List of times" not in page.words


def test_when_free_times_cannot_be_fetched(live: Live) -> None:
    live.builder()
    live.fault("500", path_prefix="/calendly-api/event_type_available_times")
    found, page = setup(live)
    assert found == "amber"
    assert "We could not fetch them" in page.words


def test_when_calendly_is_silent(live: Live) -> None:
    live.builder()
    live.fault("500", path_prefix="/calendly-api")
    page = live.browser("ada").page(CHECK, headers=HTMX, status=503)
    assert "We cannot check the set-up right now" in page.words
    assert page.one("a")["href"] == CHECK


def test_the_price_page_does_not_wait_for_the_checks(live: Live) -> None:
    """Each is loaded when it is seen, and is a page of its own without JavaScript."""
    live.builder(types={HOUR: {}, HALF: {}})
    browser = live.browser("ada")
    live.hands.control("reset-requests")
    page = browser.page("/dashboard/session-types")
    box = page.one(f"#session-type-{HOUR} .type-form__check")
    assert (box["hx-get"], box["hx-trigger"], box["hx-target"]) == (CHECK, "intersect once", "this")
    assert live.calls("/event_type_available_times") == 0
    whole = browser.page(str(box.select("a")[0]["href"]))
    assert whole.one("h1").text == "60 Minute Consultation"
    assert whole.one("[data-setup]")


def test_only_ones_own(live: Live) -> None:
    live.builder()
    live.builder("kenji", KENJI, types={"ETKENJICONSUL060": {}})
    assert live.browser("kenji").get(CHECK).status_code == 404


def test_on_the_command_line(live: Live) -> None:
    """One line for each type. Only ``--strict`` fails, and only for published ones."""
    live.builder(types={HOUR: {}, FREE: {"price_minor": 0}})
    found = live.runner().invoke(args=["calendly", "check"])
    assert found.exit_code == 0, found.output
    assert "ada: 60 Minute Consultation: green. Everything is in place." in found.output
    assert "ada: Office Hours: red. It has no price yet" in found.output
    assert "subscription: active" in found.output
    assert live.runner().invoke(args=["calendly", "check", "--strict"]).exit_code == 0
    live.hands.control(f"calendly/event-types/{HOUR}", is_paid=True)
    live.hands.control(f"calendly/event-types/{FREE}/delete")
    live.work()
    relaxed = live.runner().invoke(args=["calendly", "check"])
    assert relaxed.exit_code == 0
    assert "ada: 60 Minute Consultation: red. Calendly itself asks for a payment" in relaxed.output
    assert f"ada: {FREE}: red. It is gone from Calendly." in relaxed.output
    strict = live.runner().invoke(args=["calendly", "check", "--strict"])
    assert strict.exit_code != 0
    assert strict.stderr == "Error: 2 published session types cannot be booked; see above\n"
