"""The embed widget and the pages inside it, in real Chromium, under a strict Content-Security-Policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stripe
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, expect

from .support import Hands, Receiver
from .test_stripe_api import session_params

pytestmark = pytest.mark.browser

LISTEN = """
window.heard = [];
window.violations = [];
addEventListener("message", ({ origin, data }) => window.heard.push({ origin, ...data }));
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    found = chromium.new_context(timezone_id="America/New_York", viewport={"width": 900, "height": 900})
    found.set_default_timeout(10_000)
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
    page.add_init_script(LISTEN)
    page.goto(receiver.url)
    return page


def heard(page: Page) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = page.evaluate("window.heard")
    return [message for message in messages if message["event"] != "calendly.page_height"]


def book_in(frame: FrameLocator) -> None:
    frame.locator("a.time").first.click()
    frame.get_by_label("Name").fill("Jo Bloggs")
    frame.get_by_label("E-mail").fill("jo@example.com")
    frame.get_by_role("button", name="Schedule event").click()


def test_the_declarative_widget_books_and_tells_its_parent(
    context: BrowserContext, hands: Hands, receiver: Receiver
) -> None:
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
    page.wait_for_function("window.heard.some((message) => message.event === 'calendly.event_scheduled')")
    messages = heard(page)
    assert [message["event"] for message in messages] == [
        "calendly.event_type_viewed",
        "calendly.date_and_time_selected",
        "calendly.event_scheduled",
    ]
    assert {message["origin"] for message in messages} == {hands.base}
    payload = receiver.wait_for("invitee.created")[0].json["payload"]
    assert messages[-1]["payload"] == {"event": {"uri": payload["event"]}, "invitee": {"uri": payload["uri"]}}
    assert payload["tracking"]["utm_content"] == "ref-7"
    assert payload["timezone"] == "America/New_York"
    heights = page.evaluate(
        "window.heard.filter((m) => m.event === 'calendly.page_height').map((m) => m.payload.height)"
    )
    assert heights
    assert all(height.endswith("px") for height in heights)
    assert page.evaluate("window.violations") == []


def test_the_widget_by_hand_passes_prefill_and_tracking(
    context: BrowserContext, hands: Hands, receiver: Receiver
) -> None:
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
    payload = receiver.wait_for("invitee.created")[0].json["payload"]
    assert payload["tracking"]["utm_content"] == "ref-8"
    assert payload["tracking"]["utm_source"] == "bookingapp"
    assert payload["questions_and_answers"][0]["answer"] == "Hello"


def test_a_redirect_after_booking_takes_the_whole_window(
    context: BrowserContext, hands: Hands, receiver: Receiver
) -> None:
    url = f"{hands.base}/maya-lindqvist/60-minute-consultation?utm_content=ref-6"
    page = show_widget(context, hands, receiver, f'<div class=calendly-inline-widget data-url="{url}"></div>')
    book_in(page.frame_locator("iframe"))
    page.wait_for_url(f"{receiver.url}/bookings/scheduled?**")
    assert parse_qs(urlsplit(page.url).query)["utm_content"] == ["ref-6"]


def test_without_javascript_the_page_books_too(chromium: Browser, hands: Hands, receiver: Receiver) -> None:
    context = chromium.new_context(java_script_enabled=False, viewport={"width": 320, "height": 640})
    page = context.new_page()
    page.goto(f"{hands.base}/ada-okonkwo/60-minute-consultation?utm_content=ref-5")
    page.get_by_label("Time zone").select_option("Asia/Tokyo")
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_text("Times are shown in Tokyo time (UTC+9).")).to_be_visible()
    page.locator("a.time").first.click()
    page.get_by_label("Name").fill("Jo")
    page.get_by_label("E-mail").fill("jo@example.com")
    page.get_by_role("button", name="Schedule event").click()
    expect(page.get_by_role("heading", name="You are scheduled")).to_be_visible()
    context.close()
    assert receiver.wait_for("invitee.created")[0].json["payload"]["tracking"]["utm_content"] == "ref-5"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_small_screen_and_is_accessible(
    chromium: Browser, hands: Hands, stripe_client: stripe.StripeClient, scheme: Any
) -> None:
    invitee = hands.control("calendly/book", event_type="ETADACONSULT0060")
    sessions = [stripe_client.v1.checkout.sessions.create(session_params()) for _ in range(3)]
    hands.control(f"stripe/sessions/{sessions[0].id}/pay")
    hands.control(f"stripe/sessions/{sessions[1].id}/pay", method="delayed")
    hands.control("faults", provider="calendly", kind="429", path_prefix="/nothing")
    done = f"/ada-okonkwo/60-minute-consultation/invitees/{invitee['uri'].rpartition('/')[2]}"
    details = hands.page("/ada-okonkwo/60-minute-consultation").select("a.time")[0]["href"]
    urls = ["/", "/control", "/maya-lindqvist", "/maya-lindqvist/group-build-half-day", str(details), done]
    urls += [
        invitee["cancel_url"],
        invitee["reschedule_url"],
        str(sessions[2].url),
        sessions_page(hands, sessions[0]),
    ]
    # Colors are all that the scheme changes.
    options = {"resultTypes": ["violations"]} | ({"runOnly": ["color-contrast"]} if scheme == "dark" else {})
    context = chromium.new_context(viewport={"width": 320, "height": 640}, color_scheme=scheme)
    page = context.new_page()
    for url in urls:
        page.goto(url if url.startswith("http") else f"{hands.base}{url}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, url
        found = Axe().run(page, options=options)
        assert found.violations_count == 0, f"{url}\n{found.generate_report()}"
    context.close()


def sessions_page(hands: Hands, session: stripe.checkout.Session) -> str:
    """The page of a session that is complete, and so has no address of its own any more."""
    return f"{hands.base}/stripe-checkout/c/pay/{session.id}"
