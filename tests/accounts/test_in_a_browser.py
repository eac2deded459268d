"""Two-step log-in and the account's pages in Chromium: with and without JavaScript, and without a fault for axe."""

from __future__ import annotations

import re
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsers import log_in, open_page, overflow, violations
from tests.factories import PASSWORD
from tests.live import Live, app_url, hands, live, settings

pytestmark = pytest.mark.browser

__all__ = ["app_url", "hands", "live", "settings"]  # The fixtures.

ADA = "ada@example.com"
PAGES = ("/account", "/account/address", "/account/password", "/account/two-step", "/account/log-ins")
# In how many lines the text of each element is.
LINES = """all => all.map(one => {
  const range = document.createRange()
  range.selectNodeContents(one)
  return new Set([...range.getClientRects()].map(box => Math.round(box.top))).size
})"""
PUBLIC = ("/login", "/forgot-password", "/forgot-password/sent", "/reset-password/nothing")


def check(page: Page) -> None:
    """Nothing for axe to find, and nothing to scroll sideways."""
    assert violations(page) == []
    assert overflow(page) == 0


@pytest.mark.parametrize(
    "how",
    [
        {"viewport": {"width": 320, "height": 700}, "color_scheme": "dark"},
        {"viewport": {"width": 1280, "height": 900}, "java_script_enabled": False},
    ],
    ids=["phone-dark", "without-javascript"],
)
def test_two_steps_from_set_up_to_log_in(live: Live, chromium: Browser, how: dict[str, Any]) -> None:
    """By hand: the key is typed into an app, its code turns it on, and a recovery code logs in."""
    live.builder()
    page = open_page(chromium, live.hands.server.config.app_url, **how)
    has_script = how.get("java_script_enabled", True)
    for path in PUBLIC:
        page.goto(path)
        if has_script:
            check(page)
    log_in(page, ADA, PASSWORD)
    page.get_by_role("link", name="Account").click()
    for path in PAGES:
        page.goto(path)
        if has_script:
            check(page)
    page.goto("/account/two-step")
    page.get_by_role("button", name="Set it up").click()
    secret = page.locator(".secret-key").inner_text()
    if has_script:
        check(page)
    page.get_by_label("Code", exact=True).fill(pyotp.TOTP("".join(secret.split())).now())
    page.get_by_role("button", name="Turn it on").click()
    code = page.locator(".recovery-codes code").first.inner_text()
    assert re.fullmatch(r"\w{4}(-\w{4}){5}", code)
    # On a phone each has two lines of three groups, else one.
    is_phone = how["viewport"]["width"] == 320
    assert page.locator(".recovery-codes code").evaluate_all(LINES) == [2 if is_phone else 1] * 10
    assert page.locator(".recovery-codes span").evaluate_all(LINES) == [1] * 20
    if has_script:
        check(page)
    page.get_by_role("button", name="Log out").click()
    page.goto("/login")
    page.get_by_label("E-mail").fill(ADA)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/login/two-step*")
    if has_script:
        check(page)
    page.get_by_label("Code", exact=True).fill(code)
    page.keyboard.press("Enter")
    page.wait_for_url("**/dashboard")
    page.goto("/account/two-step")
    assert "9 recovery codes are left" in page.locator("main").inner_text()
    if has_script:
        check(page)


def test_what_happened_is_read_out(live: Live, chromium: Browser) -> None:
    """A screen reader says what changes in a live region, not what comes in it with the page. The words stay."""
    live.builder()
    page = open_page(chromium, live.hands.server.config.app_url)
    log_in(page, ADA, PASSWORD)
    page.add_init_script("""window.heard = []
    addEventListener('load', () => new MutationObserver(found => found.forEach(one =>
        one.addedNodes.forEach(node => heard.push([one.target.role, node.textContent.trim()]))
    )).observe(document.querySelector('main'), { childList: true, subtree: true }))""")
    page.goto("/account/password")
    page.get_by_label("Your present password").fill(PASSWORD)
    page.get_by_label("New password").fill("seven quiet lanterns")
    page.keyboard.press("Enter")
    page.wait_for_url("**/account")
    words = "Your password is changed. You are logged out everywhere else."
    page.wait_for_function("words => heard.some(one => one[0] === 'status' && one[1] === words)", arg=words)
    expect(page.get_by_role("status")).to_have_text(words)
