"""A builder's bookings in real Chromium: what a search found is read out, and what is half-written on the page of one
stays when that is renewed.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.queue import Job, WorkState
from bookingapp.sync.models import Missing, Reconciliation
from tests.browsers import violations
from tests.pages import PageClient
from tests.web.conftest import Book, change
from tests.windows import app_url, settings, windows_of

__all__ = ["app_url", "settings"]

pytestmark = pytest.mark.browser

NOTE = "Call Grace before the sess"
FOUND = "we found 1 change that had not reached us"
# What a screen reader is given to read: what comes into live regions that are there already.
LISTEN = """() => {
  window.heard = []
  new MutationObserver(found => found.forEach(one => one.addedNodes.forEach(node => {
    if (one.target.closest('[aria-live]')) heard.push(node.textContent)
  }))).observe(document.body, { childList: true, subtree: true })
}"""


@pytest.fixture
def booking(book: Book) -> Booking:
    return book(Status.CONFIRMED)


@pytest.fixture
def page(
    app: Flask, app_url: str, browser: PageClient, chromium: Browser, booking: Booking
) -> Iterator[Page]:
    """The booking's page, in a window of the builder's."""
    with windows_of(browser, app, app_url, chromium) as window:
        opened: Page = window()
        opened.goto(f"/dashboard/bookings/{booking.tracking_id}")
        opened.evaluate(LISTEN)
        yield opened


def finish_check(app: Flask, booking: Booking) -> None:
    """The job has found that the client canceled."""
    now = utcnow()
    change(app, booking, status=Status.CANCELED)
    with app.app_context(), transaction(db.session()) as session:
        is_it = Job.name == "providers.check_booking"
        session.execute(sa.update(Job).where(is_it).values(state=WorkState.DONE, finished_at=now))
        facts = {"booking_id": booking.id}
        missing = [{"code": Missing.TIME_CANCELED, "facts": facts}]
        report = Reconciliation(at=now, since=now, booking_id=booking.id, missing=missing, failed=[])
        session.add(report)


def test_how_many_bookings_were_found_is_read_out(page: Page) -> None:
    page.goto("/dashboard/bookings")
    news = page.locator("[role=status][data-announces]")
    page.get_by_label("Search").press_sequentially("grace")
    expect(news).to_have_text("1 booking on this page")
    page.get_by_label("Search").fill("nobody at all")
    expect(news).to_have_text("No bookings here")


def test_a_check_leaves_the_note_that_one_writes(app: Flask, page: Page, booking: Booking) -> None:
    """Asking both providers, and what they brought, renew the page around it; both are said."""
    note = page.get_by_role("textbox", name="Note")
    note.fill(NOTE)
    page.get_by_role("button", name="Ask Stripe and Calendly now").press("Enter")
    expect(page.locator("#check")).to_contain_text("We are asking Stripe and Calendly.")
    expect(page.get_by_role("heading", name="Is this page right?")).to_be_focused()
    expect(page.locator("#check-button")).to_have_count(0)
    expect(note).to_have_value(NOTE)

    note.focus()
    note.evaluate("field => field.setSelectionRange(5, 5)")
    finish_check(app, booking)
    expect(page.locator("#check")).to_contain_text(FOUND)
    expect(page.locator(".page-head")).to_contain_text("Canceled")
    expect(page.get_by_role("button", name="Ask Stripe and Calendly now")).to_be_visible()
    expect(note).to_be_focused()
    page.keyboard.type("up ")
    expect(note).to_have_value(NOTE.replace("Call ", "Call up "))
    heard = " ".join(page.evaluate("heard"))
    assert "We are asking Stripe and Calendly." in heard
    assert FOUND in heard
    assert violations(page) == []
