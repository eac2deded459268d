"""Session types and profile in real Chromium: accessible, as wide as a small phone, and changing while one types."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from tests.browsers import overflow, shot, violations
from tests.pages import PageClient
from tests.web.test_profile import photo
from tests.windows import Open, app_url, settings, windows_of

__all__ = ["app_url", "settings"]

pytestmark = pytest.mark.browser


@pytest.fixture
def window(app: Flask, app_url: str, browser: PageClient, chromium: Browser) -> Iterator[Open]:
    """Opens windows of the builder's browser."""
    with windows_of(browser, app, app_url, chromium) as opener:
        yield opener


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
    expect(said).to_contain_text("Cancel at least 72 hours before the start: you get 80% of the price back.")
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
