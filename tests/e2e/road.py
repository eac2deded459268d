"""The main road in a browser, as a person walks it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from playwright.sync_api import expect

from bookingapp.core import i18n

from .browsing import Surfing, assert_integrity_intact
from .visitor import CONSULTATION, Visitor

PAID_ROAD = [">pending", "pending>scheduled", "scheduled>paid", "paid>confirmed"]
CARD = "[data-session-type={}]"


def in_language(code: str, message: str) -> str:
    """A sentence as readers of that language see it."""
    with i18n.speaking(code):
        return i18n.gettext(message)


@dataclass(frozen=True)
class Walk:
    """How the road went. ``seconds`` run from the click on Stripe's Pay button to *confirmed* on the screen."""

    ref: str
    seconds: float


def open_cards(window: Surfing, slug: str) -> None:
    """The profile, until its session-type cards have come in through htmx."""
    page = window.page
    page.goto(f"/builders/{slug}")
    assert_integrity_intact(page)
    expect(page.locator("#session-cards [data-session-type]").first).to_be_visible()


def book(window: Surfing, session_type: str, client: Visitor) -> None:
    """From the cards to the schedule page: one click and one form."""
    page = window.page
    window.click(page.locator(CARD.format(session_type)).get_by_role("link", name="Book"))
    window.shot("03-form")
    fields = {"Your name": client.name, "Your e-mail": client.email}
    window.send_form(page.locator("form[action$=book]"), fields)
    page.wait_for_url("**/schedule")


def choose_time(window: Surfing, *, index: int = 0) -> None:
    """Two clicks inside the widget; then the page moves on by itself."""
    calendar = window.calendar
    times = calendar.locator("a.time")
    expect(times.first).to_be_visible()
    expect(window.page.locator("#scheduler")).to_have_attribute("data-state", "ready")
    window.shot("04-schedule")
    window.click(times.nth(index))
    expect(calendar.get_by_label("Name")).not_to_have_value("")
    window.shot("05-details")
    window.click(calendar.get_by_role("button", name="Schedule event"))
    window.page.wait_for_url("**/bookings/*", wait_until="domcontentloaded")


def pay(window: Surfing) -> float:
    """To Stripe, pay by card, and back; the seconds until *confirmed* is on the screen."""
    page = window.page
    window.click(page.locator("#pay-button"))
    page.wait_for_url("**/c/pay/**")
    window.type_card()
    window.shot("07-stripe")
    began = time.monotonic()
    window.click(page.locator("button.pay"))
    page.wait_for_url("**/bookings/*", wait_until="commit")
    loads: list[str] = []
    page.on("domcontentloaded", lambda loaded: loads.append(loaded.url))
    window.expect_status("confirmed", "paid")
    seconds = time.monotonic() - began
    assert len(loads) <= 1, f"the page was loaded again: {loads}"
    return seconds


def walk(window: Surfing, client: Visitor) -> Walk:
    """From the directory to *confirmed*: an hour at £60.00."""
    window.page.goto("/")
    window.shot("01-directory")
    open_cards(window, "ada-okonkwo")
    window.shot("02-profile")
    book(window, CONSULTATION, client)
    choose_time(window)
    ref = window.ref
    window.expect_status("scheduled")
    window.shot("06-scheduled")
    seconds = pay(window)
    assert window.ref == ref
    window.shot("08-confirmed")
    # Five clicks: Book, a time, Schedule event, Pay, and Pay at Stripe. One form: ours. The card is typed at Stripe.
    assert (window.clicks, window.forms) == (5, 1)
    assert window.stack.history(ref) == PAID_ROAD
    assert window.stack.ledger(ref) == [("charge", 6000, "GBP")]
    return Walk(ref, seconds)
