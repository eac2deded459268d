"""Scenario 35: Calendly is down, from the closed breaker to the open one and back."""

from __future__ import annotations

import pytest
import requests
import sqlalchemy as sa
from playwright.sync_api import Browser

from bookingapp.builders.models import Builder
from tests.waiting import eventually

from .browsing import Surf
from .stack import Stack
from .visitor import Visitor

SLUG, SESSION_TYPE = "ada-okonkwo", "ETADACONSULT0060"
ADDRESS = f"/builders/{SLUG}/session-types"
LISTS = "requests?path=/calendly-api/event_types"


def list_calls(stack: Stack) -> int:
    """How often Calendly was asked for a list since the log was reset."""
    return int(stack.control(LISTS)["total"])


def fragments_served(stack: Stack) -> int:
    """How many fragments of cards the application has answered, by its own log."""
    log = (stack.instance / "web.log").read_text()
    return log.count('"route": "/builders/<slug>/session-types"')


def test_scenario_35_calendly_down(stack: Stack, visitor: Visitor, another: Visitor) -> None:
    """The list of before with a notice, no booking, Calendly's own pages instead; one probe, and all is well."""
    assert visitor.cards(SLUG)[SESSION_TYPE]["data-bookable"] == "true"
    visitor.token = str(visitor.get(f"{ADDRESS}/{SESSION_TYPE}").one("[name=csrf_token]")["value"])
    stack.fault("calendly", "500")
    fields = {"name": visitor.name, "email": visitor.email}

    # A booking is decided by an answer of the moment. There is none, so it is refused, kindly and with a way out.
    refused = [visitor.post(f"{ADDRESS}/{SESSION_TYPE}/book", fields) for _ in range(4)]
    for page in refused:
        assert page.status == 503
        assert 0 < int(page.response.headers["Retry-After"]) <= 60
        assert "Calendly is not answering, so you cannot book here right now." in page.soup.get_text()
        link = page.one(f"a[href='{stack.sandbox_url}/ada-okonkwo/60-minute-consultation']")
        assert link.get_text(strip=True) == "Open this session on Calendly"
        assert page.soup.select("form[action$=book]") == []

    # By now the breaker is open: Calendly is not called, and the last good list is shown with its age.
    stack.control("reset-requests", {})
    page = another.get(ADDRESS)
    assert page.status == 200
    assert "This is the list as of" in page.soup.get_text()
    cards = {str(card["data-session-type"]): card for card in page.soup.select("[data-session-type]")}
    assert len(cards) == 4
    assert {card["data-bookable"] for card in cards.values()} == {"false"}
    direct = [
        link["href"] for link in cards[SESSION_TYPE].select("a") if "Open on Calendly" in link.get_text()
    ]
    assert direct == [f"{stack.sandbox_url}/ada-okonkwo/60-minute-consultation"]
    assert requests.get(str(direct[0]), timeout=10).ok
    assert visitor.post(f"{ADDRESS}/{SESSION_TYPE}/book", fields).status == 503
    fragment = another.get(ADDRESS, headers={"HX-Request": "true"})
    assert "max-age" not in fragment.response.headers["Cache-Control"]
    assert list_calls(stack) == 0
    # A list that was not fetched since it changed in Calendly is an error with another try.
    never_asked = sa.update(Builder).where(Builder.slug == "kenji-mori")
    stack.change(never_asked.values(catalog_version=Builder.catalog_version + 1))
    unknown = another.get("/builders/kenji-mori/session-types")
    assert unknown.status == 503
    assert unknown.one("#session-cards a").get_text(strip=True) == "Try again"

    # Calendly is well again. Half a minute after it opened, the breaker lets one probe through, behind a reader.
    stack.clear_faults()

    def bookable() -> object:
        return another.cards(SLUG)[SESSION_TYPE]["data-bookable"]

    eventually(bookable, what="a closed breaker", seconds=45, good=lambda seen: seen == "true")
    assert list_calls(stack) == 1
    assert another.book(SLUG, SESSION_TYPE).ref


@pytest.mark.parametrize("begin", ["hover", "focus"])
def test_a_profile_that_was_looked_at_opens_with_its_cards(
    stack: Stack, chromium: Browser, begin: str
) -> None:
    """The fragment is asked for once: under the pointer, or at the keyboard's focus; then it is in the browser."""
    # A window without the guard: a browser whose requests are intercepted keeps nothing. The CDN has no address in it.
    with chromium.new_context(base_url=stack.url) as context:
        page = context.new_page()
        page.goto("/")
        served = fragments_served(stack)
        link = page.locator("#builder-results a[href='/builders/ada-okonkwo']")
        with page.expect_response("**/ada-okonkwo/session-types") as fetched:
            getattr(link, begin)()
        assert fetched.value.request.headers["hx-request"] == "true"
        fetched.value.finished()
        eventually(lambda: fragments_served(stack), what="the head start", good=(served + 1).__eq__)
        link.click()
        page.locator("#session-cards [data-session-type]").first.wait_for()
        # An answer is logged before it is sent, so whatever these cards have cost stands in the log by now.
        assert fragments_served(stack) == served + 1


def test_data_is_saved_where_the_visitor_saves_it(stack: Stack, surf: Surf) -> None:
    window = surf(stack)
    window.page.add_init_script(
        "Object.defineProperty(Navigator.prototype, 'connection', {get: () => ({saveData: true})})"
    )
    window.page.goto("/")
    seen: list[str] = []
    window.page.on("request", lambda request: seen.append(request.url))
    link = window.page.locator("#builder-results a[href='/builders/maya-lindqvist']")
    link.hover()
    link.focus()
    link.click()
    window.page.locator("#session-cards [data-session-type]").first.wait_for()
    fragments = [url for url in seen if url.endswith("/session-types")]
    pages = [url for url in seen if url.endswith("/builders/maya-lindqvist")]
    assert len(fragments) == 1
    assert seen.index(pages[0]) < seen.index(fragments[0])
