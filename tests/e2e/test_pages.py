"""Every main page: no accessibility violation in light and dark, and nothing wider than a small phone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from bookingapp.cli.demo import DEMO_EMAIL, DEMO_PASSWORD
from bookingapp.webhooks.models import InboxEvent
from tests.browsers import AXE, log_in, overflow, violations

from .browsing import Surf, Surfing
from .stack import Stack
from .visitor import Visitor

pytestmark = pytest.mark.browser

SMALL_PHONE = {"width": 320, "height": 640}
DETAIL = "/builders/ada-okonkwo/session-types/ETADACONSULT0060"
OPEN_TO_ALL = {
    "directory": "/",
    "nobody-found": "/?q=nobody-at-all",
    "profile": "/builders/ada-okonkwo",
    "cards": "/builders/ada-okonkwo/session-types",
    "detail": DETAIL,
    "not-bookable": "/builders/ada-okonkwo/session-types/ETADAOFFICEHR045",
    "landed": "/bookings/scheduled",
    "login": "/login",
    "not-found": "/bookings/nothing-here",
}
DASHBOARD = ("", "/bookings", "/session-types", "/connection", "/webhooks", "/profile")


@dataclass(frozen=True)
class Shown:
    """A page in a state, by name."""

    name: str
    address: str


@pytest.fixture
def bookings(stack: Stack, visitor: Visitor) -> list[Shown]:
    """The truth page in each of its states, and the schedule page."""
    expired = visitor.book()
    expired.end_hold()
    expired.wait("expired")
    by_state = {name: visitor.book() for name in ("pending", "scheduled")} | {"expired": expired}
    by_state["confirmed"] = visitor.book("ada-okonkwo", "ETADAGETSTART030")
    by_state["scheduled"].schedule()
    by_state["confirmed"].schedule()
    by_state["confirmed"].wait("confirmed")
    shown = [Shown(f"booking-{name}", f"/bookings/{one.ref}") for name, one in by_state.items()]
    shown.append(Shown("cancel", f"/bookings/{by_state['confirmed'].ref}/cancel"))
    return [*shown, Shown("schedule", f"/bookings/{by_state['pending'].ref}/schedule")]


def wrong_in_any_light(page: Page) -> list[str]:
    """What axe finds in light, and what a dark scheme can change of it."""
    found = violations(page)
    page.emulate_media(color_scheme="dark")
    rules = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
    found += [f"dark: {one}" for one in violations(page, {**AXE, "runOnly": rules})]
    page.emulate_media(color_scheme="light")
    return found


def settle(window: Surfing, name: str) -> None:
    """Until what comes in later has come in."""
    if name == "profile":
        expect(window.page.locator("#session-cards [data-session-type]").first).to_be_visible()
    if name == "schedule":
        expect(window.page.locator("#scheduler")).to_have_attribute("data-state", "ready")
        expect(window.calendar.locator("a.time").first).to_be_visible()


def look_at_each(
    window: Surfing, pages: list[Shown], look: Callable[[Page], object], prefix: str
) -> list[str]:
    wrong = []
    for one in pages:
        window.page.goto(one.address)
        settle(window, one.name)
        window.shot(f"{prefix}-{one.name}")
        if seen := look(window.page):
            wrong.append(f"{one.name}: {seen}")
    return wrong


def behind_the_log_in(stack: Stack, booking: Shown) -> list[Shown]:
    """The dashboard's pages, with those of one booking and of the delivery that scheduled it."""
    shown = [Shown(f"dashboard{below.replace('/', '-')}", f"/dashboard{below}") for below in DASHBOARD]
    shown.append(Shown("dashboard-booking", f"/dashboard{booking.address}"))
    about = InboxEvent.booking_id == stack.booking_id(booking.address.rsplit("/", 1)[-1])
    delivery = stack.query(sa.select(InboxEvent.id).where(about))[0].id
    shown.append(Shown("dashboard-delivery", f"/dashboard/webhooks/{delivery}"))
    return [*shown, Shown("dashboard-rehearsal", f"/dashboard/webhooks/{delivery}/rehearsal")]


@pytest.mark.parametrize(
    ("name", "look", "options"),
    [
        ("wide", wrong_in_any_light, {"color_scheme": "light", "reduced_motion": "reduce"}),
        # In German, whose words are the longest.
        ("320", overflow, {"viewport": SMALL_PHONE, "has_touch": True, "is_mobile": True, "locale": "de"}),
    ],
)
def test_every_page_is_accessible_and_fits_a_small_phone(
    stack: Stack,
    surf: Surf,
    bookings: list[Shown],
    name: str,
    look: Callable[[Page], object],
    options: dict[str, Any],
) -> None:
    window = surf(stack, forgive=("status of 404",), **options)
    pages = [Shown(shown, address) for shown, address in OPEN_TO_ALL.items()] + bookings
    assert look_at_each(window, pages, look, name) == []
    log_in(window.page, DEMO_EMAIL, DEMO_PASSWORD)
    # The account keeps the language, for the tests that share it, too.
    window.page.goto(f"/dashboard?lang={options.get('locale', 'en')}")
    try:
        assert look_at_each(window, behind_the_log_in(stack, bookings[1]), look, name) == []
    finally:
        window.page.goto("/dashboard?lang=en")


def test_a_form_that_was_typed_wrong_is_accessible(stack: Stack, surf: Surf) -> None:
    window = surf(stack, forgive=("status of 422",))
    page = window.page
    page.goto(DETAIL)
    window.send_form(page.locator("form[action$=book]"), {"Your name": " ", "Your e-mail": "no address"})
    expect(page.get_by_role("alert").filter(has_text="Please check the form")).to_be_visible()
    window.shot("form-wrong")
    assert violations(page) == []


def test_the_whole_form_by_keyboard(stack: Stack, surf: Surf, visitor: Visitor) -> None:
    """Tab alone leads from the first field to the button, in the order in which they stand."""
    window = surf(stack)
    page = window.page
    page.goto(DETAIL)
    page.get_by_label("Your name").focus()
    page.keyboard.type(visitor.name)
    page.keyboard.press("Tab")
    page.keyboard.type(visitor.email)
    page.keyboard.press("Tab")
    expect(page.get_by_label("Your time zone")).to_be_focused()
    expect(page.get_by_label("Your time zone")).to_have_value("America/New_York")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Choose a time")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/schedule")
