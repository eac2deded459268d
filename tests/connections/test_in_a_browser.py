"""The button and Calendly's consent page in real Chromium, under our Content-Security-Policy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsers import log_in, open_page, violations
from tests.connections.conftest import Town
from tests.factories import PASSWORD
from tests.live import ADA, Live
from tests.servers import free_port

pytestmark = pytest.mark.browser


@pytest.fixture
def app_url() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def page(live: Live, app_url: str, chromium: Browser) -> Iterator[Page]:
    """A narrow window in front of the application."""
    window = open_page(chromium, app_url, viewport={"width": 320, "height": 700})
    yield window
    window.context.close()


def check(page: Page, connection: str) -> None:
    """The page shows this state, is accessible, and fits."""
    expect(page.locator("[data-connection]")).to_have_attribute("data-connection", connection)
    assert violations(page) == []
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
    log_in(page, "ada@example.com", PASSWORD)
    page.get_by_role("link", name="Connection", exact=True).click()
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
