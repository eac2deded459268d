"""Session types and profile in real Chromium: accessible, as wide as a small phone, and changing while one types."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from bookingapp.core.settings import Settings
from tests.browsers import open_page, overflow, violations
from tests.conftest import make_settings
from tests.pages import PageClient
from tests.servers import free_port
from tests.web.test_profile import photo

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("E2E_SCREENSHOTS")
Open = Callable[..., Page]


@pytest.fixture
def app_url() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def settings(tmp_path: Path, database_url: str, app_url: str) -> Settings:
    return make_settings(tmp_path, database_url=database_url, public_url=app_url)


@pytest.fixture
def window(app: Flask, app_url: str, browser: PageClient, chromium: Browser) -> Iterator[Open]:
    """Opens windows of the builder's browser on the application."""
    server = make_server("127.0.0.1", int(app_url.rpartition(":")[2]), app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    cookie, opened = browser.get_cookie("session"), []
    assert cookie is not None

    def do(**options: object) -> Page:
        page = open_page(chromium, app_url, **options)
        page.context.add_cookies([{"name": "session", "value": cookie.value, "url": app_url}])
        opened.append(page)
        return page

    yield do
    for page in opened:
        page.context.close()
    server.shutdown()
    thread.join(timeout=5)
    server.server_close()


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}),
        ("dark", {"viewport": {"width": 320, "height": 640}, "color_scheme": "dark", "is_mobile": True}),
    ],
)
def test_a_builder_changes_what_clients_see(window: Open, name: str, options: dict[str, object]) -> None:
    """Sentences and cards follow what is typed; pages are accessible and fit."""
    page = window(**options)
    page.goto("/dashboard/profile")
    page.locator("[name=picture]").set_input_files(
        {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": photo()}
    )
    page.get_by_label("What it shows").fill("Ada at her desk")
    page.get_by_role("button", name="Save picture").click()
    expect(page.get_by_role("img", name="Ada at her desk")).to_be_visible()

    page.locator("[name=steps-0-hours_before]").fill("72")
    page.locator("[name=steps-0-percent]").fill("80")
    said = page.locator("#policy-sentences")
    expect(said).to_contain_text("Cancel at least 72 hours before the start: you get 80 % of the price back.")
    page.locator("[name=steps-0-percent]").fill("101")
    expect(said).to_contain_text("Please enter between 1 and 100 percent.")
    check(page, f"profile-{name}")

    page.get_by_label("About you").fill("I build **shops**.\n\n# How I work\n\n- Together\n- Slowly")
    page.get_by_role("button", name="Preview before saving").click()
    expect(page.get_by_text("This is a preview.")).to_be_visible()
    expect(page.locator(".profile__about strong")).to_have_text("shops")
    expect(page.locator(".session-card").first).to_be_visible()
    check(page, f"profile-preview-{name}")
    page.get_by_role("button", name="Keep editing").click()
    expect(page.get_by_label("About you")).to_have_value(
        "I build **shops**.\n\n# How I work\n\n- Together\n- Slowly"
    )

    page.goto("/dashboard/session-types")
    form = page.locator("#session-type-UNPRICED")
    form.get_by_label("Price").fill("40,50")
    form.get_by_label("Price").blur()
    expect(page.locator("#card-UNPRICED")).to_contain_text("£40.50")
    check(page, f"session-types-{name}")


def check(page: Page, name: str) -> None:
    shot(page, name)
    assert violations(page) == []
    assert overflow(page) == 0
