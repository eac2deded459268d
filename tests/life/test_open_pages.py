"""Pages that stay open, in Chromium: they keep looking whatever fails, use only our answers, lose no picked time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from bookingapp.bookings.models import Booking
from bookingapp.core.clock import utcnow
from bookingapp.core.settings import Settings
from tests.browsers import CALM, HTMX_FILE, OUTSIDE, serve_static
from tests.live import FREE, HOUR, Live
from tests.sandbox.support import Hands
from tests.waiting import eventually

pytestmark = pytest.mark.browser

LOOKS = re.compile(r"/bookings/[\w-]+/status")
PROXYS_PAGE = "<!doctype html><title>Gateway</title><h1>The gateway's own page</h1>"


@pytest.fixture
def settings(settings: Settings, hands: Hands) -> Settings:
    """The widget comes from the sandbox too."""
    return settings.model_copy(update={"calendly_assets_url": f"{hands.base}/calendly-assets"})


@pytest.fixture
def context(chromium: Browser, live: Live) -> Iterator[BrowserContext]:
    """A window; htmx's CDN is served from the vendored file, and nothing else is outside."""
    context = chromium.new_context(base_url=live.hands.server.config.app_url, **CALM)
    context.set_default_timeout(60_000)
    context.route(
        OUTSIDE,
        lambda route: route.fulfill(
            path=HTMX_FILE, content_type="text/javascript", headers={"Access-Control-Allow-Origin": "*"}
        ),
    )
    serve_static(context)
    yield context
    context.close()


def answer(status: int, body: str = PROXYS_PAGE, **headers: str) -> Callable[[Route], None]:
    """What something in front of the application answers."""
    return lambda route: route.fulfill(status=status, body=body, content_type="text/html", headers=headers)


FAILURES: dict[str, Callable[[Route], None]] = {
    "too many": answer(429, **{"Retry-After": "30"}),
    "bad gateway": answer(502),
    "unavailable": answer(503),
    "closed for a day": answer(503, **{"Retry-After": "86400"}),
    "a log-in page": answer(200),
    "nothing": answer(204, body=""),
    "a dropped line": lambda route: route.abort("connectionreset"),
}


def open_page(context: BrowserContext, path: str, *, paused: bool = False) -> Page:
    """A page whose clock can be moved on. ``paused``: nothing else moves it, however busy the machine is."""
    page = context.new_page()
    page.clock.install()
    if paused:
        page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=1))
    page.goto(path)
    return page


def let_pass(page: Page, seconds: int, until: Callable[[], object], what: str) -> None:
    """Move the page's clock on, by so many seconds at a time, until it is so."""

    def look() -> bool:
        page.clock.fast_forward(seconds * 1000)
        return bool(until())

    eventually(look, what)


def become_visible(page: Page) -> None:
    """The person comes back to this tab."""
    page.clock.fast_forward(2000)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def expect_status(page: Page, status: str) -> None:
    """What the page shows, without a reload."""
    expect(page.locator("#booking-status")).to_have_attribute("data-booking-status", status)


def confirmed(live: Live) -> str:
    """A free booking with a time."""
    browser, ref = live.book(FREE)
    live.choose(browser, ref, FREE)
    live.work()
    return ref


def cancel_in_calendly(live: Live, ref: str) -> None:
    """The builder cancels there, and we learn it."""
    event = (live.booking(ref).event_uri or "").rpartition("/")[2]
    live.hands.control(f"calendly/events/{event}/cancel", reason="ill")
    live.work()


@pytest.mark.parametrize("failure", FAILURES)
def test_no_failure_ends_the_waiting(live: Live, context: BrowserContext, failure: str) -> None:
    """The page keeps its own words, and shows the time once we can be reached again."""
    live.builder()
    browser, ref = live.book()
    failed: list[str] = []

    def fail(route: Route) -> None:
        failed.append(route.request.url)
        FAILURES[failure](route)

    context.route(LOOKS, fail)
    page = open_page(context, f"/bookings/{ref}")
    let_pass(page, 20, lambda: len(failed) >= 5, "five looks")
    expect(page.locator("#page-alert")).to_contain_text("this page may be out of date")
    expect(page.locator("#booking-headline")).to_have_text("Choose your time")
    assert "gateway" not in page.content()
    context.unroute(LOOKS)
    live.choose(browser, ref)
    live.work()
    status = page.locator("#booking-status")
    let_pass(page, 20, lambda: status.get_attribute("data-booking-status") == "scheduled", "the time")
    expect(page.locator("#page-alert")).to_be_empty()


def test_a_confirmed_page_notices_a_cancellation_when_it_is_seen_again(
    live: Live, context: BrowserContext
) -> None:
    """Days before the session, nobody has to load it."""
    live.builder(types={FREE: {"price_minor": 0}})
    ref = confirmed(live)
    page = open_page(context, f"/bookings/{ref}")
    expect_status(page, "confirmed")
    cancel_in_calendly(live, ref)
    become_visible(page)
    expect_status(page, "canceled")
    expect(page.locator("#call-link")).to_have_count(0)


def test_a_confirmed_page_looks_each_minute_near_the_session(live: Live, context: BrowserContext) -> None:
    """Left open while the client waits for it to begin."""
    live.builder(types={FREE: {"price_minor": 0}})
    ref = confirmed(live)
    with live.database() as session:
        soon = utcnow() + timedelta(minutes=30)
        session.execute(sa.update(Booking).values(starts_at=soon, ends_at=soon + timedelta(minutes=30)))
        session.commit()
    page = open_page(context, f"/bookings/{ref}")
    expect_status(page, "confirmed")
    cancel_in_calendly(live, ref)
    page.clock.fast_forward(61_000)
    expect_status(page, "canceled")


def test_what_somebody_has_begun_survives_a_look(live: Live, context: BrowserContext) -> None:
    """The box "did not come" stays open, with the focus on its button, while the page around it changes."""
    live.builder(types={FREE: {"price_minor": 0}})
    ref = confirmed(live)
    with live.database() as session:
        start = utcnow() - timedelta(minutes=15)
        session.execute(sa.update(Booking).values(starts_at=start, ends_at=start + timedelta(minutes=30)))
        session.commit()
    page = open_page(context, f"/bookings/{ref}")
    expect(page.get_by_role("heading", level=1)).to_have_text("It's time for your session")
    page.locator("#absence-offer summary").press("Enter")
    button = page.locator("#builder-absent-button")
    button.focus()
    with live.database() as session:
        session.execute(sa.update(Booking).values(ends_at=utcnow()))
        session.commit()
    page.clock.fast_forward(61_000)
    expect(page.get_by_role("heading", level=1)).to_have_text("This session is over")
    expect(button).to_be_visible()
    expect(button).to_be_focused()
    button.press("Enter")
    expect(page.locator("#builder-came-button")).to_be_visible()


def test_a_page_that_nobody_sees_does_not_ask(live: Live, context: BrowserContext) -> None:
    """A hidden tab is silent until it is looked at."""
    live.builder()
    _, ref = live.book()
    page = context.new_page()
    page.clock.install()
    page.add_init_script("Object.defineProperty(Document.prototype, 'hidden', {get: () => !window.seen})")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if LOOKS.search(request.url) else None)
    page.goto(f"/bookings/{ref}")
    page.clock.fast_forward(600_000)
    page.wait_for_function("window.htmx !== undefined")
    assert asked == []
    page.evaluate("window.seen = true")
    with page.expect_response(LOOKS):
        become_visible(page)


def test_a_blocked_frame_is_not_ready(live: Live, context: BrowserContext) -> None:
    """The browser's error page fires `load` too; the plain link is brought forward."""
    live.builder()
    _, ref = live.book()
    context.route(re.compile(r"embed_type=Inline"), lambda route: route.abort())
    page = open_page(context, f"/bookings/{ref}/schedule?by=widget")
    expect(page.locator("#scheduling-widget iframe")).to_have_count(1)
    page.wait_for_load_state()
    page.clock.fast_forward(9000)
    expect(page.locator("#scheduler")).to_have_attribute("data-state", "blocked")
    expect(page.locator("#scheduler .scheduler__done")).to_be_hidden()
    expect(page.get_by_text("The calendar could not be shown here.")).to_be_visible()


def test_the_plain_link_opens_a_tab_and_the_old_page_notices(live: Live, context: BrowserContext) -> None:
    """The way on is offered once a time may have been picked there, and the page goes on by itself."""
    live.builder()
    _, ref = live.book()
    page = open_page(context, f"/bookings/{ref}/schedule")
    expect(page.locator("#scheduler")).to_have_attribute("data-state", "ready")
    done = page.locator("#scheduler .scheduler__done")
    expect(done).to_be_hidden()
    with page.expect_popup() as opened:
        page.locator("#scheduling-link").click()
    expect(done).to_be_visible()
    calendly = opened.value
    calendly.locator("a.time").first.click()
    calendly.get_by_role("button", name="Schedule event").click()
    expect(calendly.get_by_role("heading", name="You are scheduled")).to_be_visible()
    become_visible(page)
    live.work()
    let_pass(page, 11, lambda: page.url.endswith(f"/bookings/{ref}"), "the way on")
    expect_status(page, "scheduled")


@pytest.mark.parametrize("failure", ["too many", "bad gateway", "a log-in page", "a dropped line"])
def test_a_picked_time_is_not_lost(live: Live, context: BrowserContext, failure: str) -> None:
    """The report is repeated until we have it, although no webhook comes."""
    live.builder()
    _, ref = live.book()
    live.fault("drop")
    failed: list[str] = []

    def fail(route: Route) -> None:
        if len(failed) >= 2:
            route.continue_()
            return
        failed.append(route.request.url)
        FAILURES[failure](route)

    context.route(re.compile(r"/scheduled$"), fail)
    page = open_page(context, f"/bookings/{ref}/schedule")
    frame = page.frame_locator("#scheduling-widget iframe")
    frame.locator("a.time").first.click()
    expect(page.locator("#scheduler .scheduler__done")).to_be_hidden()
    frame.get_by_role("button", name="Schedule event").click()
    expect(page.locator("#scheduler")).to_have_attribute("data-state", "reporting")
    expect(page.locator("#scheduler .scheduler__done")).to_be_hidden()
    let_pass(page, 5, lambda: page.url.endswith(f"/bookings/{ref}"), "the way on")
    expect_status(page, "scheduled")
    assert len(failed) == 2


def test_a_refused_time_is_said(live: Live, context: BrowserContext) -> None:
    """By the server, as a page: it does not know this one."""
    live.builder(types={HOUR: {}, FREE: {"price_minor": 0}})
    _, ref = live.book()
    page = open_page(context, f"/bookings/{ref}/schedule")
    expect(page.locator("#scheduler")).to_have_attribute("data-state", "ready")
    frame = page.frames[1]
    frame.evaluate(
        """parent.postMessage({event: "calendly.event_scheduled", payload: {
            event: {uri: "https://api.calendly.com/scheduled_events/A"},
            invitee: {uri: "https://api.calendly.com/scheduled_events/A/invitees/B"}}}, "*")"""
    )
    expect(page.get_by_text("Calendly does not know this time yet.")).to_be_visible()


@pytest.mark.parametrize("failure", ["bad gateway", "unavailable", "a log-in page"])
def test_a_proxys_page_is_put_into_no_page(live: Live, context: BrowserContext, failure: str) -> None:
    """What is fetched into a page is our own answer, or it says that something went wrong."""
    live.builder()
    context.route(re.compile(r"/builders/ada/session-types$"), FAILURES[failure])
    page = open_page(context, "/builders/ada")
    expect(page.locator("#page-alert")).to_contain_text("Something went wrong")
    assert "gateway" not in page.content()


@pytest.mark.parametrize("failure", FAILURES)
def test_the_sessions_of_a_builder_come_later(live: Live, context: BrowserContext, failure: str) -> None:
    """A profile that says that it is loading does so, until it has them; then it asks no more."""
    live.builder()
    failed: list[str] = []
    cards = re.compile(r"/builders/ada/session-types$")

    def fail(route: Route) -> None:
        failed.append(route.request.url)
        FAILURES[failure](route)

    context.route(cards, fail)
    page = open_page(context, "/builders/ada")
    let_pass(page, 1, lambda: bool(failed), "the first request")
    context.unroute(cards)
    shown = page.locator("#session-cards .session-card")
    let_pass(page, 20, shown.count, "the sessions")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if cards.search(request.url) else None)
    page.clock.fast_forward(60_000)
    page.evaluate("0")
    assert asked == []


def test_our_own_refusal_is_read(live: Live, context: BrowserContext) -> None:
    """The sentence of the server stands where the page shows what went wrong."""
    live.builder()
    _, ref = live.book()
    page = open_page(context, f"/bookings/{ref}")
    page.wait_for_function("window.htmx !== undefined")
    expect_status(page, "pending")
    page.evaluate(
        """htmx.ajax("POST", location.pathname + "/scheduled", {values: {
            csrf_token: "forged"}, target: "#booking-status"})"""
    )
    expect(page.locator("#page-alert")).to_contain_text("the form has expired")
    expect_status(page, "pending")
