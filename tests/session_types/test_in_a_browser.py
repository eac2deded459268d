"""Free times and set-up checks in Chromium: in the viewer's zone, without a jump, and without a fault for axe."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsers import log_in, open_page, overflow, violations
from tests.factories import PASSWORD
from tests.live import FREE, HALF, HOUR, Live

pytestmark = pytest.mark.browser

HEIGHTS = "[...document.querySelectorAll('.session-card')].map(card => card.getBoundingClientRect().height)"
CHIPS = ".time-chip"


def open_window(chromium: Browser, live: Live, **options: Any) -> Page:
    """A window in Tokyo."""
    options = {"timezone_id": "Asia/Tokyo", "viewport": {"width": 1280, "height": 900}, **options}
    return open_page(chromium, live.hands.server.config.app_url, **options)


def scroll_through(page: Page) -> None:
    for card in page.locator(".session-card, .type-form").all():
        card.scroll_into_view_if_needed()


def check(page: Page) -> None:
    """Nothing for axe to find, and nothing to scroll sideways."""
    assert violations(page) == []
    assert overflow(page) == 0


@pytest.mark.parametrize("width", [320, 1280])
def test_times_come_in_the_viewers_zone_and_nothing_moves(live: Live, chromium: Browser, width: int) -> None:
    """Every card is as high before its times are there as after."""
    live.builder(types={FREE: {"price_minor": 0}, HALF: {}, HOUR: {}})
    page = open_window(chromium, live, viewport={"width": width, "height": 700})
    held: list[Any] = []
    page.route(re.compile(r"/times\?"), lambda route: held.append(route))  # noqa: PLW0108 - it has to be ours.
    page.goto("/builders/ada")
    page.wait_for_selector(".session-card")
    scroll_through(page)
    page.wait_for_function("() => document.querySelectorAll('.htmx-request').length === 3")
    before = page.evaluate(HEIGHTS)
    assert page.locator(CHIPS).count() == 0
    assert all("tz=Asia/Tokyo" in unquote(route.request.url) for route in held)
    for route in held:
        route.continue_()
    page.wait_for_function(f"() => document.querySelectorAll('{CHIPS}').length === 9")
    assert page.evaluate(HEIGHTS) == before
    assert page.locator(".times__label").first.inner_text() == "Next available times, Tokyo time"
    assert all(text.endswith("JST") for text in page.locator(CHIPS).all_inner_texts())
    check(page)


def test_from_a_time_to_the_widget(live: Live, chromium: Browser) -> None:
    """By keyboard: the chip, the form in the right zone, and the schedule page that opens at that time."""
    live.builder()
    page = open_window(chromium, live)
    page.goto("/builders/ada")
    chip = page.locator(CHIPS).first
    chip.wait_for()
    start = chip.locator("time").get_attribute("datetime")
    chip.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(rf"/session-types/{HOUR}\?"))
    assert page.input_value("select[name=timezone]") == "Asia/Tokyo"
    check(page)
    page.fill("[name=name]", "Grace Hall")
    page.fill("[name=email]", "grace@example.org")
    with page.expect_navigation(url=re.compile(r"/schedule\?time=")):
        page.keyboard.press("Enter")
    url = page.locator("[data-scheduling-url]").get_attribute("data-scheduling-url")
    assert f"/60-minute-consultation/{start}?" in (url or "")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_typing_finds_a_zone(live: Live, chromium: Browser, *, scripts: bool) -> None:
    """In the list of the form, as a person types a city, also by a former name; what is sent is today's."""
    live.builder()
    page = open_window(chromium, live, java_script_enabled=scripts, timezone_id="Europe/Paris")
    for typed, shown in (
        ("Lisb", "Lisbon (UTC"),
        ("Kyiv", "Kyiv (UTC"),
        ("Kiev", "Kiev → Kyiv (UTC"),
        ("New Y", "New York (UTC"),
        ("Kolk", "Kolkata (UTC"),
        ("Calc", "Calcutta → Kolkata (UTC"),
        ("Berl", "Berlin (UTC"),
    ):
        page.goto(f"/builders/ada/session-types/{HOUR}")
        page.locator("select[name=timezone]").focus()
        page.keyboard.type(typed)
        assert page.locator("select[name=timezone] option:checked").inner_text().startswith(shown)
    page.goto(f"/builders/ada/session-types/{HOUR}")
    page.fill("[name=name]", "Grace Hall")
    page.fill("[name=email]", "grace@example.org")
    page.locator("select[name=timezone]").focus()
    page.keyboard.type("Calc")
    page.locator("form[action$=book] [type=submit]").press("Enter")
    page.wait_for_url(re.compile(r"/schedule"))
    assert "Kolkata time" in page.inner_text("main")


def test_without_javascript_the_times_are_a_page(live: Live, chromium: Browser) -> None:
    """A link leads there, and a time from there to the form; no empty box is kept for what cannot come."""
    live.builder()
    page = open_window(chromium, live, java_script_enabled=False)
    page.goto("/builders/ada/session-types")
    link = page.locator(f"[data-session-type={HOUR}] .session-card__times a")
    box = page.locator(f"[data-session-type={HOUR}] .session-card__times").bounding_box()
    assert box is not None
    assert box["height"] < 80
    link.click()
    page.locator(CHIPS).first.click()
    page.wait_for_url(re.compile(r"/session-types/\w+\?time="))
    assert page.locator(".picked").count() == 1


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_the_set_up_checks(live: Live, chromium: Browser, width: int, scheme: str) -> None:
    """Each comes when it is seen; its list opens by keyboard."""
    live.builder(types={HALF: {}, HOUR: {}})
    live.hands.control(f"calendly/event-types/{HALF}", is_paid=True)
    live.work()
    page = open_window(
        chromium, live, viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    log_in(page, "ada@example.com", PASSWORD)
    page.goto("/dashboard/session-types")
    scroll_through(page)
    summary = page.locator(f"#session-type-{HALF} summary")
    summary.wait_for()
    assert "Cannot be booked" in summary.inner_text()
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator(f"#session-type-{HALF} [data-level=red]").is_visible()
    check(page)
    # What is typed and not saved yet stays.
    page.locator(f"#session-type-{HOUR}").get_by_label("Price").fill("75.5")
    page.locator(f"#move-down-{HALF}").focus()
    page.keyboard.press("Enter")
    page.wait_for_function(
        f"() => document.querySelector('#type-list form.type-form').id === 'session-type-{HOUR}'"
    )
    assert page.evaluate("document.activeElement.id") == f"move-down-{HALF}"
    form = page.locator(f"#session-type-{HOUR}")
    assert form.get_by_label("Price").input_value() == "75.5"
    form.get_by_role("button", name="Save").last.click()
    expect(form).to_contain_text("Saved")
