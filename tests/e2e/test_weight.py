"""How much the public pages send, in how many requests, and that nothing moves when what comes in later comes in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from .browsing import BLOCKED, Surf, Surfing
from .stack import Stack
from .visitor import Visitor

pytestmark = pytest.mark.browser

PROFILE = "/builders/ada-okonkwo"
MOST_BYTES, MOST_OWN_BYTES = 60_000, 12_000
MOST_SHIFT = 0.02
DESK, PHONE = {"width": 1100, "height": 900}, {"width": 390, "height": 844}
# By how much of the window the page's parts have moved, from its first picture on.
SHIFT = """() => new Promise(resolve => {
  const seen = [];
  const observer = new PerformanceObserver(list => seen.push(...list.getEntries()));
  observer.observe({type: "layout-shift", buffered: true});
  // What has happened so far is reported before the picture after next.
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => {
    seen.push(...observer.takeRecords());
    resolve(seen.reduce((sum, entry) => sum + entry.value, 0));
  })));
})"""
Look = Callable[[Page], object]


def shift(page: Page) -> float:
    return float(page.evaluate(SHIFT))


def see_times(page: Page) -> None:
    expect(page.locator("#session-cards .time-chip").first).to_be_visible()


def see_heading(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible()


class Held:
    """Requests whose answers come when the test wants them."""

    def __init__(self, page: Page, pattern: str) -> None:
        self._routes: list[Route] = []
        self._held = True
        page.route(pattern, self._hold)

    def _hold(self, route: Route) -> None:
        if self._held:
            self._routes.append(route)
        else:
            route.continue_()

    def release(self) -> None:
        """Let those that wait, and those after them, be answered."""
        assert self._routes, "nothing waits"
        self._held = False
        for route in self._routes:
            route.continue_()


@pytest.mark.parametrize("name", ["directory", "profile", "truth"])
def test_a_first_view_is_light(stack: Stack, surf: Surf, visitor: Visitor, name: str) -> None:
    """With our own copy of htmx, which is sent where its CDN is away."""
    address, look, requests = "/", see_heading, 6
    if name == "profile":
        # The cards, and the times of as many as are in the window.
        address, look, requests = PROFILE, see_times, 9
    if name == "truth":
        booking = visitor.book()
        booking.confirm()
        address = f"/bookings/{booking.ref}"
    window = surf(stack, cdn="blocked", forgive=(BLOCKED,), viewport=DESK)
    answered: list[Request] = []

    def note(request: Request) -> None:
        answered.append(request)

    window.page.on("requestfinished", note)
    window.page.goto(address, wait_until="networkidle")
    look(window.page)
    sizes = {one.url: one.sizes() for one in answered if one.url.startswith(stack.url)}
    weights: dict[str, int] = {
        url: size["responseHeadersSize"] + size["responseBodySize"] for url, size in sizes.items()
    }
    own = sum(weight for url, weight in weights.items() if "/static/" not in url)
    assert any("/static/vendor/htmx" in url for url in weights)
    assert len(weights) <= requests, weights
    assert own <= MOST_OWN_BYTES, weights
    assert sum(weights.values()) <= MOST_BYTES, weights


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_nothing_moves_when_cards_and_times_come_in(
    stack: Stack, surf: Surf, viewport: dict[str, Any]
) -> None:
    window = surf(stack, viewport=viewport)
    page = window.page
    cards, times = Held(page, f"**{PROFILE}/session-types"), Held(page, "**/times?*")
    page.goto(PROFILE)
    # So that a phone, too, has them in its window.
    page.locator("#session-cards").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('#session-cards').scrollIntoView()")
    expect(page.locator(".skeleton").first).to_be_visible()
    with page.expect_request("**/times?*"):
        cards.release()
    expect(page.locator("#session-cards [data-session-type]").first).to_be_visible()
    times.release()
    see_times(page)
    assert shift(page) < MOST_SHIFT


def test_the_other_pages_stand_still(stack: Stack, surf: Surf, visitor: Visitor) -> None:
    booking = visitor.book()
    booking.confirm()
    window: Surfing = surf(stack, viewport=DESK)
    for address in ("/", f"/bookings/{booking.ref}", f"{PROFILE}/session-types/ETADACONSULT0060"):
        window.page.goto(address, wait_until="networkidle")
        see_heading(window.page)
        assert shift(window.page) < MOST_SHIFT, address
