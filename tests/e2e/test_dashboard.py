"""A builder at work in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from bookingapp.cli.demo import DEMO_EMAIL, DEMO_PASSWORD
from bookingapp.session_types.models import SessionType
from bookingapp.webhooks.models import InboxEvent
from tests.browsers import log_in
from tests.waiting import eventually

from .browsing import Surf
from .road import CARD
from .stack import Stack
from .visitor import Visitor

pytestmark = pytest.mark.browser

OFFICE_HOURS = "ETADAOFFICEHR045"


@pytest.fixture
def unpriced_again(stack: Stack) -> Iterator[None]:
    """Deletes the price that the test sets: the demo begins without."""
    yield
    stack.change(sa.delete(SessionType).where(SessionType.event_type_uri.endswith(OFFICE_HOURS)))


def test_builder_prices_a_type_and_it_becomes_bookable(
    stack: Stack, surf: Surf, visitor: Visitor, unpriced_again: None
) -> None:
    assert OFFICE_HOURS not in visitor.cards("ada-okonkwo")
    window = surf(stack, forgive=("status of 422",))
    page = window.page
    log_in(window.page, DEMO_EMAIL, DEMO_PASSWORD)
    page.goto("/dashboard/session-types")
    form = page.locator(f"#session-type-{OFFICE_HOURS}")
    expect(form).to_contain_text("No price yet")
    window.shot("dashboard-session-types")

    form.get_by_label("Price").fill("45.005")
    form.get_by_label("Price").press("Enter")
    expect(form.locator("[aria-invalid=true]")).to_have_count(1)
    assert OFFICE_HOURS not in visitor.cards("ada-okonkwo")

    form.get_by_label("Price").fill("45.50")
    form.get_by_label("Published").check()
    form.get_by_role("button", name="Save").click()
    expect(form).to_contain_text("Saved")
    expect(form).to_contain_text("Published")
    window.shot("dashboard-session-types-saved")

    card = visitor.cards("ada-okonkwo")[OFFICE_HOURS]
    assert (card["data-price-minor"], card["data-currency"], card["data-bookable"]) == ("4550", "GBP", "true")
    page.goto("/builders/ada-okonkwo")
    expect(page.locator(CARD.format(OFFICE_HOURS)).get_by_role("link", name="Book")).to_be_visible()
    booking = visitor.book("ada-okonkwo", OFFICE_HOURS)
    booking.confirm()
    assert stack.ledger(booking.ref) == [("charge", 4550, "GBP")]


def test_a_delivery_is_rehearsed_and_replayed(stack: Stack, surf: Surf, visitor: Visitor) -> None:
    """The page shows at once what a replay would do, and the button replays."""
    booking = visitor.book()
    booking.schedule()
    about = InboxEvent.booking_id == stack.booking_id(booking.ref)
    (delivery,) = stack.query(sa.select(InboxEvent.id).where(about))
    window = surf(stack)
    log_in(window.page, DEMO_EMAIL, DEMO_PASSWORD)
    page = window.page
    page.goto("/dashboard/webhooks")
    page.locator(f"a[href='/dashboard/webhooks/{delivery.id}']").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Calendly sent invitee.created")
    expect(page.locator(".timeline")).to_contain_text("Waiting for a time → Time reserved")
    page.get_by_role("link", name="What would a replay do?").click()
    expect(page.locator("#rehearsal")).to_contain_text("Nothing new")
    window.shot("delivery")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("status")).to_contain_text("It will be applied again in a moment.")
    applied = sa.select(InboxEvent.state, InboxEvent.attempts).where(InboxEvent.id == delivery.id)
    eventually(
        lambda: [tuple(row) for row in stack.query(applied)],
        what="the replay",
        good=lambda rows: rows == [("done", 2)],
    )
    assert stack.history(booking.ref) == [">pending", "pending>scheduled"]
