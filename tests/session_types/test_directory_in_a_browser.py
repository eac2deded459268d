"""The directory in Chromium: searching as one types, and without scripts; without a fault for axe."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from bookingapp.builders.models import Tier
from tests.browsers import open_page, overflow, violations
from tests.directory.people import add_builders
from tests.live import Live

pytestmark = pytest.mark.browser

CARDS = "#builder-results .builder-card"


def open_directory(chromium: Browser, live: Live, **options: Any) -> Page:
    """With 30 builders, one of them Zoë."""
    with live.database() as session:
        add_builders(
            session,
            {"display_name": "Zoë Ångström", "skills": ["Rust", "C++"], "types": [(0, "GBP"), (4500, "GBP")]},
            *(
                {
                    "display_name": f"Ada Number {n:02}",
                    "headline": "Ships small, honest products, and shows you how each part works",
                    "skills": ["Python", "Prompt design", "Testing", "Deployment", "Workshops"][: n % 6],
                    "tier": list(Tier)[n % 3],
                    "types": [(n * 1000, "GBP")],
                }
                for n in range(1, 30)
            ),
        )
    return open_page(chromium, live.hands.server.config.app_url, **options)


def test_searching_as_one_types(live: Live, chromium: Browser) -> None:
    """The results and the address follow; the focus stays; the number is announced; Back leads back."""
    page = open_directory(chromium, live, viewport={"width": 1280, "height": 900})
    page.goto("/")
    expect(page.locator(CARDS)).to_have_count(24)
    page.locator("#finder-q").press_sequentially("angs")
    expect(page.locator(CARDS)).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/\?q=angs$"))
    expect(page.locator("#finder-q")).to_be_focused()
    expect(page.locator("[role=status][data-announces]")).to_have_text("One builder for your search")
    page.locator(".finder__more summary").click()
    page.locator("#finder-skill").select_option("Python")
    expect(page.locator(".empty__title")).to_be_visible()
    assert violations(page) == []
    page.go_back()
    expect(page.locator(CARDS)).to_have_count(1)
    assert page.locator("#finder-q").input_value() == "angs"


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_without_scripts(live: Live, chromium: Browser, width: int, scheme: Any) -> None:
    """The same, by the button and by links; on a phone the results begin above the fold."""
    options: dict[str, Any] = {"viewport": {"width": width, "height": 640}, "color_scheme": scheme}
    page = open_directory(chromium, live, java_script_enabled=False, **options)
    page.goto("/")
    first = page.locator(CARDS).first.bounding_box()
    assert first is not None
    assert width > 320 or first["y"] < 640
    page.locator("a[rel=next]").click()
    expect(page.locator(CARDS)).to_have_count(6)
    page.locator(".finder__more summary").click()
    page.locator("#finder-to").fill("95,00")
    page.locator("#finder-q").fill("ada")
    page.keyboard.press("Enter")
    expect(page.locator(CARDS)).to_have_count(9)
    expect(page.locator(".finder__more")).to_have_attribute("open", "")
    assert overflow(page) == 0
    context = open_page(chromium, live.hands.server.config.app_url, **options)
    context.goto(page.url)
    assert violations(context) == []
