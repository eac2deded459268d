"""Addresses that our policy does not list: the pay button leads to a Checkout on another host, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from bookingapp.core.settings import Settings
from tests.browsers import serve_static
from tests.conftest import make_settings
from tests.live import Live

pytestmark = pytest.mark.browser


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Stripe answers with addresses of the sandbox, and the policy knows only the published hosts."""
    published = {
        "stripe_checkout_url": "https://checkout.stripe.com",
        "calendly_booking_url": "https://calendly.com",
    }
    return settings.model_copy(update=published)


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def context(request: pytest.FixtureRequest, chromium: Browser, app_url: str) -> Iterator[BrowserContext]:
    """A window that reaches this machine alone."""
    context = chromium.new_context(base_url=app_url, java_script_enabled=request.param)
    context.route("https://**", lambda route: route.abort())
    serve_static(context)
    context.set_default_timeout(60_000)
    yield context
    context.close()


def unpaid(live: Live) -> str:
    """A booking with a time."""
    live.builder()
    browser, ref = live.book()
    live.choose(browser, ref)
    live.work()
    return ref


def test_the_button_leads_to_checkout_wherever_it_is(live: Live, context: BrowserContext) -> None:
    """By way of our own page, which the browser leaves by itself; nothing is refused on the way."""
    ref = unpaid(live)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(f"/bookings/{ref}")
    page.locator("#pay-button").click()
    page.wait_for_url(f"{live.hands.base}/stripe-checkout/c/pay/**")
    expect(page.get_by_label("Card number")).to_be_visible()
    assert [text for text in complaints if "Content Security Policy" in text] == []


def test_the_way_there_is_a_plain_link_too(live: Live) -> None:
    """For a browser that opens nothing by itself; once nothing is open any more, it leads to the booking."""
    ref = unpaid(live)
    browser = live.browser()
    sent = browser.submit(f"/bookings/{ref}/pay")
    assert (sent.status_code, sent.location) == (303, f"/bookings/{ref}/pay")
    page = browser.page(sent.location)
    link = str(page.one("#checkout-link")["href"])
    assert link.startswith(f"{live.hands.base}/stripe-checkout/c/pay/")
    assert page.one("meta[http-equiv=refresh]")["content"] == f"0; url={link}"
    browser.submit(f"/bookings/{ref}/cancel")
    live.work()
    back = browser.get(f"/bookings/{ref}/pay")
    assert (back.status_code, back.location) == (303, f"/bookings/{ref}")


def test_htmx_goes_straight_there(live: Live) -> None:
    """A script's way is not a form's, so no policy is asked."""
    ref = unpaid(live)
    sent = live.browser().submit(f"/bookings/{ref}/pay", headers={"HX-Request": "true"})
    assert sent.headers["HX-Redirect"].startswith(f"{live.hands.base}/stripe-checkout/c/pay/")


class TestADomainOfItsOwn:
    """STRIPE_CHECKOUT_DOMAIN makes the redirect direct."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """As an operator sets it."""
        return settings.model_copy(update={"stripe_checkout_domain": "pay.example.org"})

    def test_the_policy_lists_it(self, live: Live) -> None:
        """Beside Stripe's own host."""
        policy = live.browser().get("/").headers["Content-Security-Policy"]
        assert "form-action 'self' https://checkout.stripe.com https://pay.example.org;" in policy


@pytest.mark.parametrize(
    "value", ["https://pay.example.org", "pay", "pay.example.org/x", "*", "a b.org", "1.2.3.4", "a.org; x"]
)
def test_what_is_no_host_stops_the_start(tmp_path: Path, value: str) -> None:
    """It would become a part of the policy."""
    with pytest.raises(ValueError, match="must be a host name"):
        make_settings(tmp_path, stripe_checkout_domain=value)
