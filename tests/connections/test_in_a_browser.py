"""The button and Calendly's consent page in real Chromium, under our Content-Security-Policy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.connections.conftest import Town
from tests.factories import PASSWORD
from tests.live import ADA, Live
from tests.servers import free_port

pytestmark = [
    pytest.mark.browser,
    # Flask-Compress reads a static file whole and leaves its closing to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def app_url() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def page(live: Live, app_url: str, chromium: Browser) -> Iterator[Page]:
    """A narrow window in front of the application."""
    context = chromium.new_context(viewport={"width": 320, "height": 700}, base_url=app_url)
    # The network ends at this machine; htmx comes from our own copy then.
    context.route("https://**", lambda route: route.abort())
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


def check(page: Page, connection: str) -> None:
    """The page says how things are, is readable for everybody, and fits."""
    expect(page.locator("[data-connection]")).to_have_attribute("data-connection", connection)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    wide = page.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > 320)"
        ".map(e => e.tagName + ' ' + e.className)"
    )
    assert wide == []


def test_from_the_button_to_the_consent_and_back(town: Town, page: Page) -> None:
    """With the keyboard, as far as it is ours; and what a dead connection looks like."""
    town.builder()
    refused: list[str] = []
    page.on(
        "console",
        lambda message: refused.append(message.text) if "Content Security" in message.text else None,
    )
    page.goto("/login")
    page.get_by_label("E-mail").fill("ada@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Connection").click()
    check(page, "platform")
    page.get_by_role("button", name="Connect my Calendly account").press("Enter")
    expect(page.get_by_text("asks for access to your account")).to_be_visible()
    page.get_by_role("button", name="Allow access").click()
    expect(page.get_by_text("Your Calendly account is connected.")).to_be_visible()
    assert "code=" not in page.url
    check(page, "connected")

    town.hands.control(f"calendly/oauth/{ADA}/revoke")
    page.reload()
    check(page, "dead")
    page.get_by_role("link", name="Profile").click()
    expect(page.get_by_text("Clients cannot book you right now")).to_be_visible()
    page.get_by_role("link", name="See what to do").click()
    page.get_by_role("button", name="Connect again").press("Enter")
    page.get_by_role("button", name="Allow access").click()
    check(page, "connected")
    page.get_by_role("button", name="Disconnect my account").press("Enter")
    expect(page.get_by_text("is disconnected")).to_be_visible()
    check(page, "platform")
    assert refused == []
