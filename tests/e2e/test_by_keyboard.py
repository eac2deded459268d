"""The main job in a real browser by keyboard alone, in each language."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from .browsing import Surf, Surfing
from .road import CARD, PAID_ROAD, in_language
from .stack import Stack
from .visitor import CONSULTATION, PAYS, Visitor

pytestmark = pytest.mark.browser

MOST_STOPS = 120
HAS_FOCUS = "e => e === e.ownerDocument.activeElement && e.ownerDocument.hasFocus()"
# A link that covers its card has the outline around the card.
IS_SEEN = "e => [null, '::after'].some((part) => getComputedStyle(e, part).outlineStyle !== 'none')"


def tab_to(window: Surfing, target: Locator) -> None:
    """Press Tab until the target has the focus."""
    expect(target).to_be_visible()
    for _ in range(MOST_STOPS):
        window.page.keyboard.press("Tab")
        if target.evaluate(HAS_FOCUS):
            return
    pytest.fail(f"no way to {target} by keyboard")


def press(window: Surfing, target: Locator) -> None:
    """Go to a link or button of ours, see that it has the focus, and press Enter."""
    tab_to(window, target)
    assert target.evaluate(IS_SEEN), f"nobody sees the focus on {target}"
    window.page.keyboard.press("Enter")


def type_into(window: Surfing, fields: dict[str, str]) -> None:
    """Go to one field after another, by their names, and type."""
    for name, text in fields.items():
        tab_to(window, window.page.locator(f"main [name={name}]"))
        window.page.keyboard.type(text)


def book_in_the_calendar(window: Surfing) -> None:
    calendar = window.calendar
    expect(window.page.locator("#scheduler")).to_have_attribute("data-state", "ready")
    tab_to(window, calendar.locator("a.time").first)
    window.page.keyboard.press("Enter")
    tab_to(window, calendar.get_by_role("button", name="Schedule event"))
    window.page.keyboard.press("Enter")
    press(window, window.page.locator("#pay-button"))


def book_on_the_list(window: Surfing) -> None:
    main = window.page.locator("main")
    press(window, main.locator("#list-way"))
    window.page.wait_for_url("**/times")
    # Near its end, a month has few times: other tests take them, and a list may be a minute old.
    month = main.locator("#times-title").inner_text()
    press(window, main.locator("#times a[rel=next]"))
    expect(main.locator("#times-title")).not_to_have_text(month)
    press(window, main.locator("[data-slot-start]").nth(9))
    press(window, main.locator("#details-form .button--primary"))


@pytest.mark.parametrize(
    ("code", "choose_time"),
    [("en", book_in_the_calendar), ("de", book_on_the_list), ("es", book_in_the_calendar)],
)
def test_scenario_01_by_keyboard(
    stack: Stack, surf: Surf, visitor: Visitor, code: str, choose_time: Callable[[Surfing], None]
) -> None:
    """From the directory to *confirmed*; no pointer, and the focus is always seen."""
    window = surf(stack)
    page = window.page
    page.goto("/")
    if code != "en":
        press(window, page.locator(f"footer a[hreflang={code}]"))
        expect(page.locator("html")).to_have_attribute("lang", code)
    press(window, page.locator("main a[href='/builders/ada-okonkwo']").first)
    press(window, page.locator(CARD.format(CONSULTATION)).get_by_role("link", name=in_language(code, "Book")))
    type_into(window, {"name": visitor.name, "email": visitor.email})
    page.keyboard.press("Enter")
    page.wait_for_url("**/schedule")
    ref = window.ref
    choose_time(window)
    page.wait_for_url("**/c/pay/**")
    card = {"card_number": PAYS, "card_expiry": "12 / 34", "card_cvc": "123", "name": visitor.name}
    type_into(window, card)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/bookings/{ref}")
    window.expect_status("confirmed", "paid")
    expect(page.get_by_role("heading", level=1)).to_have_text(in_language(code, "You are booked"))
    assert stack.ledger(ref) == [("charge", 6000, "GBP")]
    if choose_time is book_in_the_calendar:
        assert stack.history(ref) == PAID_ROAD
