"""The privacy page says what the settings say; with the right ones no other host is asked for anything."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from flask import Flask
from playwright.sync_api import Browser

from bookingapp.core.security import HTMX_FALLBACK, HTMX_URL
from bookingapp.core.settings import Settings
from tests.browsers import open_page, overflow
from tests.life.road import Road
from tests.pages import PageClient, parse


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """The life's settings, with those of a test that has some."""
    return settings.model_copy(update=getattr(request, "param", {}))


PRIVATE = pytest.mark.parametrize(
    "settings", [{"htmx_source": "self", "embed_consent": "ask"}], indirect=True
)


def test_the_notice_has_the_numbers_of_the_settings(
    client: PageClient, app_with: Callable[..., Flask]
) -> None:
    """In a table; the whole page for everybody, from the footer of every page."""
    page = client.page("/")
    assert page.one("footer a[href='/privacy']").text == "Privacy"
    page = client.page("/privacy")
    kept = [cell.text for cell in page.select("td")]
    assert kept == [
        "1 year after its end, or after it was canceled or expired",
        "7 years, without your name",
        "90 days",
        "2 days",
        "30 days",
        "1 year",
    ]
    assert page.select("main a[href='/my-bookings']")
    assert "jsDelivr" in page.words
    other = app_with(
        retention_bookings_days=30, retention_payments_days=3650, htmx_source="self"
    ).test_client()
    words = parse(other.get("/privacy")).words
    assert "30 days after its end" in words
    assert "10 years, without your name" in words
    assert "jsDelivr" not in words


def test_htmx_from_our_own_machine(client: PageClient, app_with: Callable[..., Flask]) -> None:
    """With its hash, and a policy that allows no other host; by default from the CDN, with our copy behind it."""
    answer = client.get("/")
    assert HTMX_URL in answer.headers["Content-Security-Policy"]
    assert parse(answer).one("#htmx-cdn")["src"] == HTMX_URL
    answer = app_with(htmx_source="self").test_client().get("/")
    assert "https:" not in answer.headers["Content-Security-Policy"].partition("form-action")[0]
    page = parse(answer)
    scripts = [str(one["src"]) for one in page.select("script")]
    assert [urlsplit(one).path for one in scripts] == ["/static/app.js", f"/static/{HTMX_FALLBACK}"]
    assert page.select("script[integrity]")


@PRIVATE
@pytest.mark.browser
def test_no_other_host_before_consent(road: Road, chromium: Browser) -> None:
    """Directory, profile, cards, booking form, schedule page, truth page, and the pages of this feature."""
    trip = road.book()
    page = open_page(chromium, road.live.hands.server.config.app_url, viewport={"width": 320, "height": 700})
    ours, asked = urlsplit(road.live.hands.server.config.app_url).netloc, []
    page.on("request", lambda request: asked.append(request.url))
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    form = f"/builders/ada/session-types/{trip.event_type}"
    own = f"/bookings/{trip.ref}"
    for path in (
        "/",
        "/builders/ada",
        "/builders/ada/session-types",
        form,
        f"{own}/schedule",
        own,
        "/privacy",
    ):
        page.goto(path)
        page.wait_for_function("() => window.htmx")
        assert overflow(page) == 0, path
        if path in ("/builders/ada", form):
            # Data that no browser runs, so the policy has nothing against it.
            assert page.locator("script[type='application/ld+json']").count() == 1
    assert [one for one in said if "Content Security Policy" in one] == []
    assert {urlsplit(url).netloc for url in asked} == {ours}
    assert len(asked) > 20
    # The visitor agrees, and only then Calendly is asked.
    page.goto(f"{own}/schedule")
    with page.expect_request(lambda request: urlsplit(request.url).netloc != ours):
        page.click("#consent-button")
