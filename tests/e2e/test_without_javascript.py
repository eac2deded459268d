"""The main job in a real browser whose JavaScript is switched off."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Route, expect

from tests.waiting import PATIENCE_SECONDS, eventually

from .browsing import Surf, Surfing
from .road import CARD, in_language
from .stack import Stack
from .visitor import Visitor

pytestmark = pytest.mark.browser


def to_the_calendar(
    window: Surfing, client: Visitor, *, slug: str, session_type: str, code: str = "en"
) -> str:
    """From the directory by links and one form to Calendly's own page; the booking's reference."""
    page = window.page
    page.goto("/")
    page.locator(f"a[href='/builders/{slug}']").first.click()
    page.locator("#session-cards").get_by_role("link").first.click()
    page.locator(CARD.format(session_type)).get_by_role("link", name=in_language(code, "Book")).click()
    expect(page.locator("form[action$=book]")).to_be_visible()
    fields = {in_language(code, "Your name"): client.name, in_language(code, "Your e-mail"): client.email}
    window.send_form(page.locator("form[action$=book]"), fields)
    page.wait_for_url("**/schedule")
    ref = window.ref
    expect(page.locator("html")).to_have_attribute("lang", code)
    opens = "The calendar opens on Calendly. Choose a time there, then come back to this page."
    expect(page.get_by_text(in_language(code, opens))).to_be_visible()
    window.shot(f"noscript-schedule-{session_type}")
    page.locator("#scheduling-link").click()
    return ref


def choose_time(window: Surfing) -> None:
    """Calendly's own pages: a time, and the details that came along."""
    page = window.page
    page.locator("a.time").first.click()
    expect(page.get_by_label("Name")).not_to_have_value("")
    page.get_by_role("button", name="Schedule event").click()


def refresh_until(window: Surfing, status: str) -> None:
    """Follow the page's own refresh link until it says so, as a person would."""

    def look() -> str | None:
        shown = window.page.locator("#booking-status").get_attribute("data-booking-status")
        if shown != status:
            window.page.locator("#refresh-link").click()
        return shown

    eventually(look, what=status, seconds=PATIENCE_SECONDS, good=lambda shown: shown == status)


def pay(window: Surfing) -> None:
    page = window.page
    page.locator("#pay-button").click()
    window.type_card()
    page.locator("button.pay").click()
    page.wait_for_url("**/bookings/*")
    refresh_until(window, "confirmed")
    expect(page.locator("#booking-status")).to_have_attribute("data-payment-status", "paid")


def test_scenario_50_without_javascript_and_without_a_redirect(
    stack: Stack, surf: Surf, visitor: Visitor
) -> None:
    window = surf(stack, java_script_enabled=False)
    page = window.page
    ref = to_the_calendar(window, visitor, slug="kenji-mori", session_type="ETKENJICONSUL060")
    choose_time(window)
    expect(page.get_by_role("heading", name="You are scheduled")).to_be_visible()
    # Calendly's last page does not lead back: the person goes back to ours and says so.
    while urlsplit(page.url).netloc != urlsplit(stack.url).netloc:
        page.go_back()
    if page.url.endswith("/schedule"):
        page.get_by_role("link", name="I have picked a time").click()
    refresh_until(window, "scheduled")
    window.shot("noscript-scheduled")
    assert window.ref == ref
    pay(window)
    window.shot("noscript-confirmed")
    assert window.cdn_asked == 0
    (session,) = stack.checkout_sessions(ref)
    assert (session["amount_total"], session["currency"]) == (9000, "jpy")
    assert stack.ledger(ref) == [("charge", 9000, "JPY")]


@pytest.mark.parametrize("code", ["de", "es"])
def test_scenario_50_without_javascript_and_with_calendlys_redirect(
    stack: Stack, surf: Surf, visitor: Visitor, code: str
) -> None:
    """In another language, which the client has chosen by its link."""
    # The stand-in's demo data names the address that the application usually has; here it is another.
    stack.control(
        "calendly/event-types/ETMAYACONSULT060", {"redirect_url": f"{stack.url}/bookings/scheduled"}
    )
    window = surf(stack, java_script_enabled=False)
    window.page.goto("/")
    window.page.locator(f"footer a[hreflang={code}]").click()
    ref = to_the_calendar(window, visitor, slug="maya-lindqvist", session_type="ETMAYACONSULT060", code=code)
    choose_time(window)
    window.page.wait_for_url(f"**/bookings/{ref}")
    refresh_until(window, "scheduled")
    pay(window)
    assert window.ref == ref
    expect(window.page.get_by_role("heading", level=1)).to_have_text(in_language(code, "You are booked"))
    assert stack.ledger(ref) == [("charge", 8500, "EUR")]


def test_without_javascript_and_without_calendly(stack: Stack, surf: Surf, visitor: Visitor) -> None:
    """From the profile to confirmed on our own list, with a question, a phone place and paying first. Only our own
    addresses and Stripe's page are reached.
    """
    # The answer to a form that is not complete.
    window = surf(stack, java_script_enabled=False, forgive=("status of 422",))
    page, ours = window.page, urlsplit(stack.url).netloc
    elsewhere: list[str] = []

    def guard(route: Route) -> None:
        where = urlsplit(route.request.url)
        if where.netloc == ours or where.path.startswith(("/stripe-checkout/", "/static/")):
            route.fallback()
        else:
            elsewhere.append(route.request.url)
            route.abort()

    window.context.route("**/*", guard)
    page.goto("/builders/maya-lindqvist/session-types/ETMAYACONSULT060")
    fields = {"Your name": visitor.name, "Your e-mail": visitor.email}
    window.send_form(page.locator("form[action$=book]"), fields)
    page.get_by_role("link", name="List of times", exact=True).click()
    page.locator("main").get_by_role("button", name="CET").nth(2).click()
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.get_by_text("Please answer this.")).to_be_visible()
    page.get_by_role("radio", name="Maya Lindqvist calls you").check()
    page.get_by_label("Your phone number").fill("+46 70 123 45 67")
    page.get_by_label("Please share anything").fill("The tests of my shop.")
    page.get_by_role("button", name="Continue to payment").click()
    window.type_card()
    page.locator("button.pay").click()
    page.wait_for_url("**/bookings/*")
    refresh_until(window, "confirmed")
    expect(page.locator("#booking-status")).to_have_attribute("data-payment-status", "paid")
    expect(page.get_by_text("Maya Lindqvist calls +46701234567")).to_be_visible()
    assert elsewhere == []
    assert stack.ledger(window.ref) == [("charge", 8500, "EUR")]
