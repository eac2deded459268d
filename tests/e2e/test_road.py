"""The main job in a real browser, with JavaScript."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from bookingapp.builders.models import Builder
from tests.waiting import eventually

from .browsing import BLOCKED, Surf
from .road import PAID_ROAD, book, choose_time, open_cards, pay, walk
from .stack import Stack
from .visitor import CONSULTATION, Visitor

pytestmark = pytest.mark.browser


def test_scenario_01_happy_path_with_javascript(
    stack: Stack, surf: Surf, visitor: Visitor, record_property: Callable[[str, object], None]
) -> None:
    # As after a change in Calendly every process fetches the types anew: the count starts with a cold cache.
    stack.change(sa.update(Builder).values(catalog_version=Builder.catalog_version + 1))
    stack.control("reset-requests", {})
    walked = walk(surf(stack), visitor)
    (session,) = stack.checkout_sessions(walked.ref)
    assert (session["amount_total"], session["currency"]) == (6000, "gbp")
    assert walked.ref not in session["metadata"].values()
    assert session["customer_email"] == visitor.email
    assert walked.seconds < 10
    record_property("seconds_from_pay_to_confirmed", round(walked.seconds, 2))

    eventually(
        lambda: [row.state for row in stack.inbox(session["id"])],
        what="Stripe's deliveries to be applied",
        good=lambda states: bool(states) and not {"received", "processing", "failed"} & set(states),
    )
    calls = stack.provider_calls()
    record_property("provider_calls", "; ".join(f"{method} {path}" for method, path in calls))
    # Once for the cards of a cold cache, and once for the decision, which no cached answer makes.
    assert calls.count(("GET", "/calendly-api/event_types")) == 2
    assert calls.count(("POST", "/stripe-api/v1/checkout/sessions")) == 1
    assert calls.count(("GET", f"/stripe-api/v1/checkout/sessions/{session['id']}")) == 1
    # The free times on the cards are fetched once a minute for all visitors.
    rest = [path for _, path in calls if not path.endswith("/event_type_available_times")]
    assert len(rest) <= 6, rest


def test_scenario_01_happy_path_on_postgresql(postgresql_stack: Stack, surf: Surf) -> None:
    assert postgresql_stack.engine.dialect.name == "postgresql"
    client = Visitor(postgresql_stack)
    walk(surf(postgresql_stack), client)
    client.http.close()


def test_scenario_02_free_session_is_confirmed_without_stripe(
    stack: Stack, surf: Surf, visitor: Visitor
) -> None:
    window = surf(stack)
    open_cards(window, "ada-okonkwo")
    assert window.cdn_asked == 1
    assert window.page.locator("#htmx-fallback").count() == 0
    book(window, "ETADAGETSTART030", visitor)
    choose_time(window)
    window.expect_status("confirmed", "none")
    window.shot("free-confirmed")

    expect(window.page.locator("#pay-button")).to_have_count(0)
    assert (window.clicks, window.forms) == (3, 1)
    assert stack.history(window.ref) == [">pending", "pending>scheduled", "scheduled>confirmed"]
    assert stack.checkout_sessions(window.ref) == []
    assert stack.ledger(window.ref) == []


@pytest.mark.parametrize(
    ("cdn", "complaint"),
    [("tampered", "Failed to find a valid digest in the 'integrity' attribute"), ("blocked", BLOCKED)],
)
def test_the_self_hosted_htmx_takes_over(stack: Stack, surf: Surf, cdn: str, complaint: str) -> None:
    heard: list[str] = []
    window = surf(stack, cdn=cdn, forgive=(complaint,))
    window.context.on("console", lambda message: heard.append(message.text))
    window.page.goto("/builders/kenji-mori")
    fallback = window.page.locator("#htmx-fallback")
    expect(fallback).to_have_attribute("src", re.compile(r"^/static/vendor/htmx"))
    expect(fallback).to_have_attribute("integrity", re.compile(r"^sha384-"))
    expect(window.page.locator("#session-cards [data-session-type]").first).to_be_visible()
    assert window.cdn_asked == 1
    assert any(re.search(re.escape(complaint), text) for text in heard), heard


def test_scenario_50_widget_blocked_brings_the_plain_link_forward(
    stack: Stack, surf: Surf, visitor: Visitor
) -> None:
    window = surf(stack, forgive=(BLOCKED,))
    window.context.route("**/calendly-assets/**", lambda route: route.abort())
    page = window.page
    open_cards(window, "ada-okonkwo")
    book(window, CONSULTATION, visitor)
    expect(page.locator("#scheduler")).to_have_attribute("data-state", "blocked")
    expect(page.get_by_text("The calendar could not be shown here.")).to_be_visible()
    window.shot("widget-blocked")
    ref = window.ref

    with page.expect_popup() as opened:
        page.locator("#scheduling-link").click()
    calendly = opened.value
    calendly.locator("a.time").first.click()
    calendly.get_by_role("button", name="Schedule event").click()
    expect(calendly.get_by_role("heading", name="You are scheduled")).to_be_visible()
    # Our page, which stayed open, notices the time by itself.
    page.wait_for_url(f"**/bookings/{ref}")
    window.expect_status("scheduled")
    pay(window)


def test_scenario_06_success_redirect_before_the_webhook(stack: Stack, surf: Surf, visitor: Visitor) -> None:
    stack.fault("stripe", "drop")
    window = surf(stack)
    page = window.page
    booking = visitor.book()
    booking.schedule()
    page.goto(f"/bookings/{booking.ref}")
    page.locator("#pay-button").click()
    page.wait_for_url("**/c/pay/**")
    window.type_card()
    page.locator("button.pay").click()
    page.wait_for_url(f"**/bookings/{booking.ref}")
    window.shot("paid-webhook-late")
    # Whoever has just paid is not asked for money again while the news is on its way.
    window.expect_status("scheduled")
    expect(page.locator("#pay-button")).to_have_count(0)
    page.evaluate("document.body.dataset.sameLoad = 'yes'")

    # The time that the webhook is given goes by.
    stack.hurry_jobs(f"check:{stack.payment_id(booking.ref)}:return:0")
    window.expect_status("confirmed", "paid")
    expect(page.locator("body")).to_have_attribute("data-same-load", "yes")
    assert [row for row in stack.inbox(booking.ref) if row.type.startswith("checkout.")] == []
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]

    # The lost delivery comes after all.
    stack.clear_faults()
    lost = [row for row in stack.deliveries(booking.ref) if row["event"] == "checkout.session.completed"]
    stack.control(f"deliveries/{lost[0]['id']}/resend", {})
    eventually(
        lambda: [row.state for row in stack.inbox(booking.ref) if row.type.startswith("checkout.")],
        what="the late delivery to be applied",
        good=lambda states: states == ["done"],
    )
    assert stack.history(booking.ref) == PAID_ROAD
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]
