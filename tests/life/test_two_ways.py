"""The calendar of the schedule page, in Chromium: when it is loaded, after whose consent, and what if it is silent."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from bookingapp.core.settings import Settings
from tests import browsers
from tests.browsers import violations
from tests.life.test_open_pages import context, open_page, settings
from tests.live import Live

pytestmark = pytest.mark.browser

__all__ = ["context", "settings"]

FRAME = re.compile(r"embed_type=Inline")
ASSETS = re.compile(r"/calendly-assets/")


def requested(page: Page) -> list[str]:
    """The addresses of Calendly's that the page asks for, from now on."""
    found: list[str] = []
    page.on(
        "request",
        lambda one: found.append(one.url) if ASSETS.search(one.url) or FRAME.search(one.url) else None,
    )
    return found


def expect_state(page: Page, state: str) -> None:
    expect(page.locator("#scheduler")).to_have_attribute("data-state", state)


def test_nothing_is_loaded_before_the_calendar_is_near(live: Live, context: BrowserContext) -> None:
    """In a window so small that it lies below; the visitor scrolls to it."""
    live.builder()
    _, ref = live.book()
    page = context.new_page()
    page.set_viewport_size({"width": 320, "height": 120})
    asked = requested(page)
    page.goto(f"/bookings/{ref}/schedule", wait_until="networkidle")
    expect_state(page, "waiting")
    assert asked == []
    page.locator("#scheduling-widget").scroll_into_view_if_needed()
    expect_state(page, "ready")
    assert any(FRAME.search(one) for one in asked)


@pytest.mark.parametrize("blocked", [FRAME, ASSETS], ids=["frame", "script"])
def test_a_silent_calendar_gives_way_to_the_list(
    live: Live, context: BrowserContext, blocked: re.Pattern[str]
) -> None:
    """After six seconds, announced before and after; Back leads to the calendar, which then stays."""
    live.builder()
    _, ref = live.book()
    context.route(blocked, lambda route: route.abort())
    page = open_page(context, f"/bookings/{ref}/schedule", paused=True)
    expect_state(page, "blocked" if blocked is ASSETS else "loading")
    page.clock.fast_forward(5500)
    expect(page.locator("#scheduler")).not_to_have_attribute("data-state", "moving")
    page.clock.fast_forward(600)
    expect_state(page, "moving")
    expect(
        page.get_by_role("status").get_by_text("We are opening our list of times instead.")
    ).to_be_visible()
    page.clock.fast_forward(2000)
    page.wait_for_url(f"**/bookings/{ref}/times")
    expect(page.get_by_role("status").get_by_text("calendar did not answer")).to_be_visible()
    expect(page.locator("[data-slot-start]").first).to_be_visible()
    page.go_back()
    expect(page).to_have_url(re.compile(r"by=widget"))
    page.clock.fast_forward(9000)
    expect_state(page, "blocked")
    page.clock.fast_forward(9000)
    expect_state(page, "blocked")
    expect(page.get_by_role("link", name="Choose from our list of times")).to_be_visible()


@pytest.mark.parametrize("choice", ["the calendar", "Calendly"])
def test_who_has_chosen_is_not_moved(live: Live, context: BrowserContext, choice: str) -> None:
    """The calendar by its link, or Calendly's page in a tab of its own."""
    live.builder()
    _, ref = live.book()
    context.route(FRAME, lambda route: route.abort())
    page = open_page(context, f"/bookings/{ref}/schedule", paused=True)
    if choice == "the calendar":
        page.get_by_role("navigation", name="Ways to choose a time").get_by_role(
            "link", name="Calendar"
        ).click()
        page.wait_for_url("**by=widget")
    else:
        with page.expect_popup():
            page.locator("#scheduling-link").click()
    expect(page.locator("#scheduling-widget iframe")).to_have_count(1)
    page.clock.fast_forward(9000)
    expect_state(page, "blocked")
    page.clock.fast_forward(9000)
    expect_state(page, "blocked")
    assert "/schedule" in page.url


def test_a_late_message_brings_the_calendar_back(live: Live, context: BrowserContext) -> None:
    """While the page says that it moves on."""
    live.builder()
    _, ref = live.book()
    context.route(FRAME, lambda route: route.fulfill(content_type="text/html", body="<title>Slow</title>"))
    page = open_page(context, f"/bookings/{ref}/schedule", paused=True)
    expect(page.locator("#scheduling-widget iframe")).to_have_count(1)
    page.frames[1].wait_for_load_state()
    page.clock.fast_forward(6100)
    expect_state(page, "moving")
    page.frames[1].evaluate("parent.postMessage({event: 'calendly.event_type_viewed', payload: {}}, '*')")
    expect_state(page, "ready")
    page.clock.fast_forward(9000)
    expect_state(page, "ready")


class TestConsent:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"embed_consent": "ask"})

    def test_nothing_of_calendlys_before_it(self, live: Live, context: BrowserContext) -> None:
        """Then the calendar; the next page does not ask, and the answer can be taken back."""
        live.builder()
        _, ref = live.book()
        page = context.new_page()
        asked = requested(page)
        page.goto(f"/bookings/{ref}/schedule", wait_until="networkidle")
        expect_state(page, "asking")
        expect(page.locator("#scheduling-link")).to_be_visible()
        expect(page.locator("#scheduler .scheduler__done")).to_be_hidden()
        assert violations(page) == []
        assert asked == []
        page.get_by_role("button", name="Show the calendar").press("Enter")
        expect_state(page, "ready")
        page.goto(f"/bookings/{ref}/schedule")
        expect_state(page, "ready")
        assert violations(page) == []
        page.get_by_role("button", name="Stop showing it").click()
        expect_state(page, "asking")
        expect(page.locator("#scheduling-widget iframe")).to_have_count(0)

    def test_without_javascript(self, live: Live, chromium: Browser) -> None:
        """The form works, and the plain link stays before and after."""
        live.builder()
        _, ref = live.book()
        page = browsers.open_page(chromium, live.hands.server.config.app_url, java_script_enabled=False)
        asked = requested(page)
        page.goto(f"/bookings/{ref}/schedule")
        for button in ("Show the calendar", "Stop showing it"):
            expect(page.locator("#scheduling-link")).to_be_visible()
            expect(page.locator("#scheduler .scheduler__done")).to_be_visible()
            page.get_by_role("button", name=button).click()
        expect(page.get_by_role("button", name="Show the calendar")).to_be_visible()
        assert asked == []
        page.context.close()
