"""Pages in a language of long words, read from right to left, on a small phone: none is wider than its window."""

from __future__ import annotations

import pytest
from flask import Flask

from bookingapp.bookings.states import Status
from tests import pseudo
from tests.browsers import overflow, shot
from tests.web.conftest import Book
from tests.web.test_access import Objects, objects
from tests.web.test_console_in_a_browser import window
from tests.windows import Open, app_url, settings

__all__ = ["app_url", "objects", "settings", "window"]

pytestmark = pytest.mark.browser
# The options of a field that are wider than its inside.
_CUT_OPTIONS = """field => {
  const style = getComputedStyle(field), pen = document.createElement('canvas').getContext('2d')
  pen.font = style.font
  const room = field.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight)
  return [...field.options].map(one => one.text).filter(text => pen.measureText(text).width > room)
}"""
SMALL_PHONE = {"width": 320, "height": 640}
# One of each layout: others are made of the same parts.
PAGES = (
    "/",
    "/builders/{slug}",
    "/builders/{slug}/session-types",
    "/builders/{slug}/session-types/{event_type_id}",
    "/bookings/{ref}",
    "/bookings/{ref}/cancel",
    "/bookings/{pending}/schedule",
    "/my-bookings",
    "/become-a-builder",
    "/nothing-here",
    "/account/log-ins",
    "/dashboard",
    "/dashboard/bookings",
    "/dashboard/bookings/calendar",
    "/dashboard/bookings/{tracking_id}",
    "/dashboard/session-types",
    "/dashboard/profile",
    "/dashboard/webhooks/{delivery_id}",
    "/operator",
    "/operator/bookings/{tracking_id}",
    "/operator/builders",
    "/operator/builders/{slug}",
    "/operator/state",
)


def test_no_page_is_wider_than_a_small_phone(
    app: Flask, window: Open, objects: Objects, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    pseudo.offer(monkeypatch)
    names = objects | {"pending": book(Status.PENDING).ref}
    page = window(viewport=SMALL_PHONE, java_script_enabled=False, locale=pseudo.CODE)
    too_wide = {}
    for number, pattern in enumerate(PAGES):
        answer = page.goto(pattern.format(**names))
        assert answer
        assert answer.status in (200, 404), pattern
        assert page.locator("html").get_attribute("dir") == "rtl"
        shot(page, f"long-words-{number:02}")
        if (by := overflow(page)) > 0:
            too_wide[pattern] = by
    assert too_wide == {}


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("locale", ["en", "de", "es"])
def test_each_order_of_the_bookings_is_readable(window: Open, locale: str, width: int) -> None:
    """The field shows the whole of it."""
    page = window(viewport={"width": width, "height": 900}, locale=locale)
    page.goto("/dashboard/bookings")
    assert page.locator("#list-sort").evaluate(_CUT_OPTIONS) == []


def test_builders_words_keep_their_own_direction(
    window: Open, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A title that begins with a number is not torn apart, and what is folded opens to where one reads on."""
    pseudo.offer(monkeypatch)
    page = window(java_script_enabled=False, locale=pseudo.CODE)
    for path, title in (
        ("/builders/{slug}/session-types", "[data-session-type=PAID] h4"),
        ("/builders/{slug}/session-types/{event_type_id}", "h1"),
        ("/bookings/{ref}", ".ticket__title"),
    ):
        page.goto(path.format(**objects))
        words = page.locator(title)
        assert words.inner_text() == "60 Minute Consultation"
        places = words.evaluate(_PLACES)
        assert places == sorted(places), path
    page.goto("/")
    turned = page.locator(".finder__more summary").evaluate(
        "one => getComputedStyle(one, '::after').transform"
    )
    assert turned == "matrix(0, 1, -1, 0, 0, 0)"


# Where each word begins, from the left.
_PLACES = """element => {
  const text = document.createTreeWalker(element, NodeFilter.SHOW_TEXT).nextNode()
  return [...text.data.matchAll(/\\S+/g)].map(found => {
    const range = document.createRange()
    range.setStart(text, found.index)
    range.setEnd(text, found.index + found[0].length)
    return range.getBoundingClientRect().left
  })
}"""
