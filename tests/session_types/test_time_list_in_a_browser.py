"""Our own list of times in Chromium: by keyboard, without JavaScript, and without a fault for axe."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsers import open_page, overflow, violations
from tests.live import FREE, KENJI, Live
from tests.session_types.test_time_list import MAYA, MEETING, REVIEW, next_month, times_of

pytestmark = pytest.mark.browser
TITLE = "() => document.activeElement.id === 'times-title'"


def open_window(chromium: Browser, live: Live, **options: Any) -> Page:
    options = {"timezone_id": "Europe/Berlin", "viewport": {"width": 1280, "height": 900}, **options}
    return open_page(chromium, live.hands.server.config.app_url, **options)


def check(page: Page) -> None:
    """Nothing for axe to find, and nothing to scroll sideways."""
    assert violations(page) == []
    assert overflow(page) == 0


def test_months_by_keyboard(live: Live, chromium: Browser) -> None:
    """The link swaps the month, the heading has the focus, the status says what is there, and Back goes back."""
    live.builder(types={FREE: {"price_minor": 0}})
    _, ref = live.book(FREE, timezone="Europe/Berlin")
    page = open_window(chromium, live)
    page.goto(times_of(ref))
    before = page.locator("#times-title").inner_text()
    page.locator("a[rel=next]").focus()
    page.keyboard.press("Enter")
    page.wait_for_function(TITLE)
    assert page.locator("#times-title").inner_text() != before
    assert f"month={next_month()}" in page.url
    expect(page.locator("#times-news")).to_contain_text("Berlin time")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('rel')") == "prev"
    page.go_back()
    expect(page.locator("#times-title")).to_have_text(before)
    assert page.locator("h1").count() == 1


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_the_pages_have_no_fault(live: Live, chromium: Browser, width: int, scheme: str) -> None:
    live.builder("kenji", KENJI, {REVIEW: {"price_minor": 0, "allows_guests": True}})
    _, ref = live.book(REVIEW, "kenji", timezone="Europe/Berlin")
    page = open_window(
        chromium,
        live,
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        reduced_motion="reduce",
    )
    page.goto(f"{times_of(ref)}?month={next_month()}")
    check(page)
    page.locator("[data-slot-start]").first.click()
    page.wait_for_selector("#details-form")
    check(page)
    page.get_by_role("button", name="Book this time").click()
    page.wait_for_selector("#answer-0-error")
    assert page.evaluate("document.activeElement.id") == "answer-0"
    check(page)
    page.get_by_label("Something else").check()
    page.get_by_label("Another answer").fill("Quart")
    page.get_by_role("button", name="Choose another time").click()
    page.wait_for_selector("#time-form input[name=answer-1-other]", state="attached")
    page.goto(f"{times_of(ref)}?month=9999-12")
    page.wait_for_selector(".empty")
    check(page)


def test_without_javascript(live: Live, chromium: Browser) -> None:
    """From the list by the details, with a phone place, to the confirmed booking."""
    live.builder("maya", MAYA, {MEETING: {"price_minor": 0}})
    _, ref = live.book(MEETING, "maya", timezone="Europe/Berlin")
    page = open_window(chromium, live, java_script_enabled=False)
    page.goto(times_of(ref))
    page.locator("a[rel=next]").click()
    page.wait_for_url(re.compile(f"month={next_month()}"))
    page.get_by_label("Times are in this time zone").select_option("Asia/Tokyo")
    page.get_by_role("button", name="Change").click()
    page.wait_for_url(re.compile("timezone=Asia"))
    assert page.locator("[data-slot-start]").first.inner_text().endswith("JST")
    page.locator("[data-slot-start]").first.click()
    page.get_by_label("Maya calls you").check()
    page.get_by_label("Your phone number").fill("+44 20 7946 0123")
    page.get_by_role("button", name="Book this time").click()
    page.wait_for_url(re.compile(rf"/bookings/{ref}$"))
    expect(page.locator("#booking-status")).to_have_attribute("data-booking-status", "confirmed")
    assert live.booking(ref).place == "+442079460123"
