"""Chromium with a guard: nothing outside is reached, and neither the console nor a policy may complain."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, FrameLocator, Locator, Page, Route, WebError, expect

from bookingapp.core.security import HTMX_INTEGRITY, HTMX_URL
from tests.browsers import CALM, HTMX_FILE, OUTSIDE, shot

from .stack import Stack
from .visitor import PAYS

Cdn = Literal["serves", "tampered", "blocked"]
# What the console says of a request that was aborted.
BLOCKED = r"net::ERR_FAILED"


class Surfing:
    """One client's browser window. At its end the record of refused requests and complaints must be empty.

    ``cdn`` says what the htmx CDN does: it ``serves`` the vendored npm file, serves it ``tampered`` with in
    one byte, or is ``blocked``. ``forgive`` holds patterns of console errors that the test is about.
    """

    def __init__(
        self,
        browser: Browser,
        stack: Stack,
        *,
        cdn: Cdn = "serves",
        forgive: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        options.setdefault("viewport", {"width": 1100, "height": 900})
        options.setdefault("timezone_id", "America/New_York")
        self.stack, self.cdn, self.forgive = stack, cdn, forgive
        self.context = browser.new_context(base_url=stack.url, **{**CALM, **options})
        self.context.set_default_timeout(60_000)
        self.context.set_default_navigation_timeout(60_000)
        self.refused: list[str] = []
        self.complaints: list[str] = []
        self.cdn_asked = 0
        self.clicks = self.forms = 0
        self.context.route(OUTSIDE, self._guard)
        self.context.on("console", self._listen)
        self.context.on("weberror", self._web_error)
        self.page: Page = self.context.new_page()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.context.close()
        if kind is None:
            self.check()

    def check(self) -> None:
        """Nothing outside was asked for, and nothing was complained about."""
        assert self.refused == [], f"requests to the outside: {self.refused}"
        assert self.complaints == [], f"errors in the console: {self.complaints}"

    # What a person does

    def click(self, target: Locator) -> None:
        """One click, counted."""
        self.clicks += 1
        target.click()

    def send_form(self, form: Locator, values: dict[str, str]) -> None:
        """Fill in one form and send it with the Enter key, counted as one form."""
        self.forms += 1
        for label, value in values.items():
            form.get_by_label(label).fill(value)
        form.get_by_label(next(reversed(values))).press("Enter")

    def type_card(self, number: str = PAYS) -> None:
        """Type a card on Stripe's own page."""
        for label, value in (("Card number", number), ("Expiry", "12 / 34"), ("CVC", "123")):
            self.page.get_by_label(label).fill(value)
        self.page.get_by_label("Name of the account").fill("Zoë Client")

    @property
    def calendar(self) -> FrameLocator:
        """The inside of the scheduling widget."""
        return self.page.frame_locator("#scheduling-widget iframe")

    def expect_status(self, status: str, payment: str | None = None, seconds: float = 15) -> None:
        """Until the page on the screen says so, without a reload by us."""
        target = self.page.locator("#booking-status")
        expect(target).to_have_attribute("data-booking-status", status, timeout=seconds * 1000)
        if payment:
            expect(target).to_have_attribute("data-payment-status", payment, timeout=seconds * 1000)

    @property
    def ref(self) -> str:
        """The booking whose page is open."""
        return urlsplit(self.page.url).path.split("/")[2]

    def shot(self, name: str) -> None:
        """A picture of the whole page, where E2E_SCREENSHOTS names a folder."""
        shot(self.page, name)

    # The guard

    def _guard(self, route: Route) -> None:
        url = route.request.url
        if url != HTMX_URL:
            self.refused.append(url)
            route.abort()
            return
        self.cdn_asked += 1
        if self.cdn == "blocked":
            route.abort()
            return
        body = HTMX_FILE.read_bytes()
        if self.cdn == "tampered":
            body = body[:-1] + bytes([body[-1] ^ 1])
        headers = {"Access-Control-Allow-Origin": "*", "Content-Type": "text/javascript; charset=utf-8"}
        route.fulfill(status=200, headers=headers, body=body)

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not self._is_forgiven(message.text):
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _web_error(self, error: WebError) -> None:
        self.complaints.append(str(error.error))

    def _is_forgiven(self, text: str) -> bool:
        return any(re.search(pattern, text) for pattern in self.forgive)


Surf = Callable[..., Surfing]


def assert_integrity_intact(page: Page) -> None:
    """The CDN's script is in the page with the address and the digest that the application has for it."""
    script = page.locator("#htmx-cdn")
    expect(script).to_have_attribute("src", HTMX_URL)
    expect(script).to_have_attribute("integrity", HTMX_INTEGRITY)
    expect(script).to_have_attribute("crossorigin", "anonymous")
