"""The embed widget and the sandbox's pages in Chromium, under a strict Content-Security-Policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, expect

from tests.waiting import eventually

from .shop import Shop
from .support import Hands, Receiver, last_segment

pytestmark = pytest.mark.browser

KEEP_MESSAGES = """
window.messages = [];
window.violations = [];
addEventListener("message", ({ origin, data }) => window.messages.push({ origin, ...data }));
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    found = chromium.new_context(timezone_id="America/New_York", viewport={"width": 900, "height": 900})
    found.set_default_timeout(60_000)
    yield found
    found.close()


def show_widget(context: BrowserContext, hands: Hands, receiver: Receiver, container: str) -> Page:
    assets = f"{hands.base}/calendly-assets/assets/external"
    receiver.page = (
        "<!doctype html><html lang=en><title>App</title>"
        f"<link rel=stylesheet href={assets}/widget.css><script src={assets}/widget.js></script>{container}"
    )
    receiver.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src {hands.base}; style-src {hands.base}; frame-src {hands.base}"
    )
    page = context.new_page()
    page.add_init_script(KEEP_MESSAGES)
    page.goto(receiver.url)
    return page


def messages_of(page: Page) -> tuple[list[dict[str, Any]], list[str]]:
    """The messages so far, and the heights of the page among them."""
    messages: list[dict[str, Any]] = page.evaluate("window.messages")
    heights = [str(each["payload"]["height"]) for each in messages if each["event"] == "calendly.page_height"]
    return [each for each in messages if each["event"] != "calendly.page_height"], heights


def book_in(frame: FrameLocator) -> None:
    frame.locator("a.time").first.click()
    frame.get_by_label("Name").fill("Jo Bloggs")
    frame.get_by_label("E-mail").fill("jo@example.com")
    frame.get_by_role("button", name="Schedule event").click()


def test_the_declarative_widget_books(context: BrowserContext, hands: Hands, receiver: Receiver) -> None:
    url = f"{hands.base}/ada-okonkwo/60-minute-consultation?utm_content=ref-7"
    page = show_widget(context, hands, receiver, f'<div class=calendly-inline-widget data-url="{url}"></div>')
    expect(page.locator(".calendly-inline-widget[data-processed=true] iframe")).to_have_count(1)
    source = urlsplit(page.locator("iframe").get_attribute("src") or "")
    query = parse_qs(source.query)
    assert query["embed_type"] == ["Inline"]
    assert query["embed_domain"] == [urlsplit(receiver.url).netloc]
    assert page.locator("iframe").get_attribute("title")
    frame = page.frame_locator("iframe")
    # The visitor's own zone, without being asked.
    expect(frame.locator("#timezone")).to_have_value("America/New_York")
    book_in(frame)
    expect(frame.get_by_role("heading", name="You are scheduled")).to_be_visible()
    # A page's policy forbids the evaluation that waiting inside of it needs.
    eventually(lambda: len(messages_of(page)[0]) >= 3, "three messages")
    messages, heights = messages_of(page)
    assert [message["event"].removeprefix("calendly.") for message in messages] == [
        "event_type_viewed",
        "date_and_time_selected",
        "event_scheduled",
    ]
    assert {message["origin"] for message in messages} == {hands.base}
    payload = receiver.payload("invitee.created")
    assert messages[-1]["payload"] == {"event": {"uri": payload["event"]}, "invitee": {"uri": payload["uri"]}}
    assert payload["tracking"]["utm_content"] == "ref-7"
    assert payload["timezone"] == "America/New_York"
    assert heights
    assert all(height.endswith("px") for height in heights)
    assert page.evaluate("window.violations") == []


def test_the_widget_made_by_script_books(context: BrowserContext, hands: Hands, receiver: Receiver) -> None:
    url = f"{hands.base}/ada-okonkwo/30-minute-consultation"
    container = f'<div class=calendly-inline-widget data-auto-load=false data-url="{url}"></div><main id=place></main>'
    page = show_widget(context, hands, receiver, container)
    expect(page.locator("iframe")).to_have_count(0)
    page.evaluate(
        """(url) => Calendly.initInlineWidget({
            url,
            parentElement: document.getElementById("place"),
            prefill: { name: "Jo Bloggs", email: "jo@example.com", customAnswers: { a1: "Hello" } },
            utm: { utmContent: "ref-8", utmSource: "bookingapp" },
        })""",
        url,
    )
    page.evaluate("Calendly.initInlineWidgets()")
    expect(page.locator("iframe")).to_have_count(1)
    frame = page.frame_locator("#place iframe")
    frame.locator("a.time").first.click()
    expect(frame.get_by_label("Name")).to_have_value("Jo Bloggs")
    expect(frame.get_by_label("E-mail")).to_have_value("jo@example.com")
    frame.get_by_role("button", name="Schedule event").click()
    payload = receiver.payload("invitee.created")
    assert payload["tracking"]["utm_content"] == "ref-8"
    assert payload["tracking"]["utm_source"] == "bookingapp"
    assert payload["questions_and_answers"][0]["answer"] == "Hello"


def test_a_redirect_leaves_the_frame(context: BrowserContext, hands: Hands, receiver: Receiver) -> None:
    url = f"{hands.base}/maya-lindqvist/60-minute-consultation?utm_content=ref-6"
    page = show_widget(context, hands, receiver, f'<div class=calendly-inline-widget data-url="{url}"></div>')
    book_in(page.frame_locator("iframe"))
    page.wait_for_url(f"{receiver.url}/bookings/scheduled?**")
    assert parse_qs(urlsplit(page.url).query)["utm_content"] == ["ref-6"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible(chromium: Browser, hands: Hands, shop: Shop, scheme: Any) -> None:
    invitee = hands.book()
    paid, delayed, unpaid = (shop.open() for _ in range(3))
    hands.control(f"stripe/sessions/{paid.id}/pay")
    hands.control(f"stripe/sessions/{delayed.id}/pay", method="delayed")
    hands.control("faults", provider="calendly", kind="429", path_prefix="/nothing")
    booking_page = f"{hands.base}/ada-okonkwo/60-minute-consultation"
    urls = [f"{hands.base}{path}" for path in ("/", "/control", "/maya-lindqvist")]
    urls += [f"{hands.base}/maya-lindqvist/group-build-half-day", hands.first_time(booking_page)]
    urls += [f"{booking_page}/invitees/{last_segment(invitee['uri'])}"]
    urls += [invitee["cancel_url"], invitee["reschedule_url"]]
    # A complete session has no address of its own any more.
    urls += [str(unpaid.url), f"{hands.base}/stripe-checkout/c/pay/{paid.id}"]
    # Colors are all that the scheme changes.
    options = {"resultTypes": ["violations"]} | ({"runOnly": ["color-contrast"]} if scheme == "dark" else {})
    context = chromium.new_context(viewport={"width": 320, "height": 640}, color_scheme=scheme)
    page = context.new_page()
    for url in urls:
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, url
        found = Axe().run(page, options=options)
        assert found.violations_count == 0, f"{url}\n{found.generate_report()}"
    context.close()
