"""The confirmation as it is printed: only what belongs on paper, in one size, from one edge."""

from __future__ import annotations

import re

import pytest

from bookingapp.bookings.states import Status
from tests.web.conftest import Book
from tests.web.test_console_in_a_browser import window
from tests.windows import Open, app_url, settings

__all__ = ["app_url", "settings", "window"]

pytestmark = pytest.mark.browser
LEFT = "e => e.getBoundingClientRect().left"
SIZE = "e => getComputedStyle(e).fontSize"


def test_a_confirmation_on_paper(window: Open, book: Book) -> None:
    page = window()
    page.goto(f"/bookings/{book(Status.CONFIRMED).ref}")
    page.emulate_media(media="print")
    assert not page.locator(".site-header, .site-footer").locator("visible=true").count()
    status = page.locator("#booking-status")
    head = status.locator(".disc svg").first
    assert head.evaluate(LEFT) == pytest.approx(status.evaluate(LEFT), abs=1)
    facts = status.locator(".ticket__facts dd")
    sizes = {one.evaluate(SIZE) for one in (facts.first, *facts.locator(".badge").all())}
    assert len(sizes) == 1


def test_a_confirmation_fills_no_sheet_with_nothing(window: Open, book: Book) -> None:
    """It fits on a sheet that is as high as its last line, also in German, whose sentences are longer."""
    page = window(locale="de", viewport={"width": 720, "height": 400})
    page.goto(f"/bookings/{book(Status.CONFIRMED).ref}")
    page.emulate_media(media="print")
    last = page.locator(".policy li").last.bounding_box()
    assert last
    height = last["y"] + last["height"] + 24
    sheets = re.findall(rb"/Type /Page\b", page.pdf(width="720px", height=f"{height}px"))
    assert len(sheets) == 1
