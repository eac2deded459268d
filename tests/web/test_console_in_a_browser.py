"""The console in real Chromium: accessible, as wide as a small phone, and settling an item in place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from playwright.sync_api import Browser, expect

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.heartbeat import WorkerBeat
from bookingapp.payments.models import Dispute, Payment
from bookingapp.sync.models import Found, Reconciliation, SubscriptionCheck
from tests.browsers import list_faults, shot, violations
from tests.pages import PageClient
from tests.web.conftest import Book, Offer
from tests.web.test_console import add_delivery, add_job, flag
from tests.windows import Open, app_url, settings, windows_of

__all__ = ["app_url", "settings"]

pytestmark = pytest.mark.browser


@pytest.fixture
def window(app: Flask, app_url: str, operator: PageClient, chromium: Browser) -> Iterator[Open]:
    """Opens windows of the operator's browser."""
    with windows_of(operator, app, app_url, chromium) as opener:
        yield opener


@pytest.fixture
def busy(app: Flask, kenji: Offer, book: Book) -> Booking:
    """Something on every page. Returns a booking with a dispute."""
    now = utcnow()
    disputed = book(Status.CONFIRMED, client_name="Grace Hall")
    for booking, code, hours in (
        (disputed, FlagCode.DISPUTE_OPEN, 30),
        (book(client_name="Priya Venkataraman"), FlagCode.REFUND_REFUSED, 70),
        (book(Status.CONFIRMED, offer=kenji, client_name="Tomás Ødegaard"), FlagCode.PAID_WITHOUT_TIME, 2),
        (book(Status.CONFIRMED, client_name="Wei Zhang"), FlagCode.OTHER_HOST, 200),
        (book(client_name="Amélie Beaufort-Smythe"), FlagCode.MAIL_NOT_SENT, 5),
    ):
        flag(app, booking, code, hours=hours)
    add_delivery(app, booking_id=disputed.id)
    add_job(app, "payments.refund", args={"booking_id": disputed.id})
    add_job(app, "connections.revoke")
    with app.app_context(), transaction(db.session()) as session:
        payment = Payment(
            booking_id=disputed.id,
            attempt=1,
            state="paid",
            amount_minor=6000,
            currency="GBP",
            payment_intent_id="pi_1",
            expires_at=now,
            created_at=now,
            updated_at=now,
        )
        session.add(payment)
        session.flush()
        for number, status in enumerate(("needs_response", "lost")):
            session.add(
                Dispute(
                    booking_id=disputed.id,
                    payment_id=payment.id,
                    stripe_id=f"du_{number}",
                    status=status,
                    reason="product_not_received",
                    amount_minor=6000,
                    currency="GBP",
                    due_by=now + timedelta(days=2),
                    created_at=now - timedelta(days=5),
                    updated_at=now,
                )
            )
        session.add(WorkerBeat(name="booking-1:4711:a1b2c3d4", started_at=now, beat_at=now))
        session.add(Reconciliation(at=now, since=now, with_events=True, missing=[], failed=[]))
        session.add(SubscriptionCheck(at=now, found=Found.ACTIVE))
    return disputed


def pages(app: Flask, booking: Booking) -> list[str]:
    with app.app_context():
        (delivery,) = db.session().scalars(sa.text("SELECT id FROM inbox_events"))
    address = f"/operator/bookings/{booking.tracking_id}"
    return [
        "/operator",
        "/operator/bookings",
        "/operator/bookings?q=nobody",
        address,
        f"{address}/resolve",
        "/operator/disputes",
        "/operator/disputes?state=ended",
        "/operator/disputes/1",
        "/operator/deliveries",
        f"/operator/deliveries/{delivery}",
        f"/operator/deliveries/{delivery}/body",
        "/operator/jobs",
        "/operator/state",
        "/operator/acts",
        "/operator/connections",
    ]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}),
        # In German, whose words are the longest.
        (
            "dark",
            {
                "viewport": {"width": 320, "height": 640},
                "color_scheme": "dark",
                "is_mobile": True,
                "locale": "de",
            },
        ),
    ],
)
def test_every_page_is_accessible_and_fits(
    app: Flask, window: Open, operator: PageClient, busy: Booking, name: str, options: dict[str, object]
) -> None:
    for _ in range(2):
        answer = operator.post(
            f"/operator/jobs/{add_job(app, 'connections.revoke')}/retry",
            data={"csrf_token": operator.token("/operator/state"), "reason": "Stripe answers again."},
        )
        assert answer.status_code == 303
    page = window(**options, reduced_motion="reduce")
    wrong = list_faults(page, pages(app, busy), name)
    assert wrong == []


@pytest.mark.usefixtures("busy")
def test_settling_an_item_in_place(window: Open) -> None:
    """By keyboard: the button brings the form, whose reason has the focus; Enter sends it, and the item says so."""
    page = window()
    page.goto("/operator")
    item = page.locator("[data-attention=other_host]")
    item.get_by_role("link", name="Mark as resolved").press("Enter")
    expect(item.get_by_label("Reason")).to_be_focused()
    expect(item.locator("form")).not_to_have_class(re.compile("htmx-added"))
    page.keyboard.press("Enter")
    expect(item.get_by_text("Please write why, in a short sentence.")).to_be_visible()
    assert violations(page) == []
    shot(page, "settling")
    item.get_by_label("Reason").fill("The builder agreed to swap.")
    page.keyboard.press("Enter")
    expect(item.get_by_text("Marked as resolved.")).to_be_focused()
    expect(page).to_have_url("/operator")
    page.reload()
    expect(item).to_have_count(0)


@pytest.mark.usefixtures("busy")
def test_going_back_from_the_form_in_place(window: Open) -> None:
    """The button is there again, and the page, its filter and what is begun elsewhere stay as they are."""
    page = window()
    page.goto("/operator?topic=times")
    item = page.locator("[data-attention=other_host]")
    item.get_by_role("link", name="Mark as resolved").press("Enter")
    expect(item.get_by_label("Reason")).to_be_focused()
    page.evaluate("window.isSame = true")
    item.get_by_role("link", name="Back").press("Enter")
    expect(item.locator("form")).to_have_count(0)
    expect(item.get_by_role("link", name="Mark as resolved")).to_be_visible()
    expect(item.get_by_role("heading")).to_be_focused()
    assert page.evaluate("window.isSame")
    expect(page).to_have_url("/operator?topic=times")
    page.goto("/operator/jobs")
    job = page.locator("[data-attention=job_dead]").first
    job.get_by_role("link", name="Retry").press("Enter")
    expect(job.get_by_label("Reason")).to_be_focused()
    job.get_by_role("link", name="Back").press("Enter")
    expect(job.get_by_role("link", name="Retry")).to_be_visible()
    expect(job.get_by_role("heading")).to_be_focused()


@pytest.mark.usefixtures("busy")
def test_finding_while_one_types(window: Open) -> None:
    page = window()
    page.goto("/operator/bookings")
    expect(page.locator("li[data-booking-ref]")).to_have_count(5)
    page.get_by_label("Find a booking").press_sequentially("tomas")
    expect(page.locator("li[data-booking-ref]")).to_have_count(1)
    expect(page.locator("li[data-booking-ref]")).to_contain_text("Tomás Ødegaard")
    # How many there are is read out, not each of them.
    news = page.locator("[role=status][data-announces]")
    expect(news).to_have_text("1 booking on this page")
    assert (
        page.locator("li[data-booking-ref]").evaluate("row => row.closest('[aria-live], [role=status]')")
        is None
    )
    page.get_by_label("Find a booking").fill("nobody at all")
    expect(news).to_have_text("No bookings here")
    page.goto("/operator/builders")
    page.get_by_label("Find a builder").press_sequentially("kenji")
    expect(news).to_have_text("1 builder on this page")
