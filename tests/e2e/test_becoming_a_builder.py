"""From an invitation to the first client: every step that a stranger with a Calendly account takes, counted.

The numbers are in ``docs/builders.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Frame, Page, expect

from tests.mailbox import Mailbox, link
from tests.waiting import eventually

from .browsing import Surf, Surfing
from .road import CARD, choose_time, pay
from .stack import Stack
from .visitor import Visitor

pytestmark = pytest.mark.browser

NAME, MAIL, PASSWORD = "Zoë Haddad", "noor@example.org", "seven quiet lanterns"
SLUG, FIRST_HOUR, CALENDLY_USER = "zoe-haddad", "ETNOORFIRSTHR060", "SBXNOORHADDAD004"
# Pages that were opened, clicks, and fields that were filled in, by part of the way.
EXPECTED = {
    "password": (2, 1, 1),
    "profile": (2, 2, 2),
    "Calendly": (3, 4, 0),
    "price": (1, 2, 1),
    "publish": (2, 2, 0),
    "test booking": (6, 6, 6),
    "refund": (4, 4, 0),
}


@dataclass
class Steps:
    """Counts what a person does, by part of the way."""

    window: Surfing
    pages: int = 0
    fields: int = 0
    parts: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    _before: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        self.page.on("framenavigated", self._count_page)

    def _count_page(self, frame: Frame) -> None:
        self.pages += frame == self.page.main_frame

    @property
    def page(self) -> Page:
        return self.window.page

    def fill(self, label: str, text: str) -> None:
        self.fields += 1
        self.page.get_by_label(label).fill(text)

    def press(self, name: str, *, role: str = "button") -> None:
        where = self.page.locator("main")
        self.window.click(where.get_by_role("link" if role == "link" else "button", name=name).first)

    def end(self, part: str) -> None:
        """One part of the way is done."""
        now = (self.pages, self.window.clicks, self.fields)
        self.parts[part] = (now[0] - self._before[0], now[1] - self._before[1], now[2] - self._before[2])
        self._before = now


@pytest.fixture
def steps(stack: Stack, surf: Surf) -> Steps:
    return Steps(surf(stack))


def next_step(page: Page) -> str:
    return str(page.locator("[data-step][aria-current=step]").get_attribute("data-step"))


def test_a_stranger_becomes_bookable(stack: Stack, steps: Steps, visitor: Visitor) -> None:
    """And a client finds and books them. Nobody else does anything on the way, but for the invitation."""
    stack.run("builders", "invite", "--name", NAME, "--email", MAIL)
    (mail,) = eventually(lambda: Mailbox(stack.instance / "outbox").to(MAIL), what="the invitation")
    choose_password(steps, link(mail))
    write_profile(steps)
    connect_calendly(steps)
    set_price(steps)
    assert visitor.get("/").soup.select(f"a[href='/builders/{SLUG}']") == []
    publish(steps)
    assert visitor.get("/").soup.select(f"a[href='/builders/{SLUG}']")
    ref = book_oneself(steps)
    cancel_and_refund(steps)
    entries = eventually(lambda: stack.ledger(ref), what="the refund", good=lambda rows: len(rows) == 2)
    assert sorted(entries) == [("charge", 4000, "GBP"), ("refund", -4000, "GBP")]

    assert visitor.cards(SLUG)[FIRST_HOUR]["data-bookable"] == "true"
    booking = visitor.book(SLUG, FIRST_HOUR)
    booking.confirm()
    assert stack.ledger(booking.ref) == [("charge", 4000, "GBP")]
    for part, (pages, clicks, fields) in steps.parts.items():
        print(f"{part}: {pages} pages, {clicks} clicks, {fields} fields")  # noqa: T201 - for docs/builders.md.
    assert steps.parts == EXPECTED


def choose_password(steps: Steps, path: str) -> None:
    page = steps.page
    page.goto(path)
    steps.window.shot("way-1-invitation")
    expect(page.get_by_label("Your name")).to_have_value(NAME)
    steps.fill("Choose a password", PASSWORD)
    steps.press("Create my account")
    page.wait_for_url("**/dashboard")
    assert next_step(page) == "profile"
    steps.window.shot("way-2-first-steps")
    steps.end("password")


def write_profile(steps: Steps) -> None:
    steps.press("Go to your profile", role="link")
    steps.fill("Headline", "Builds the smallest thing that works")
    steps.fill("About you", "Bring an idea. We build its smallest part together, and you keep it.")
    steps.press("Save profile")
    expect(steps.page.get_by_role("status")).to_contain_text("Your profile is saved.")
    steps.end("profile")


def connect_calendly(steps: Steps) -> None:
    """By OAuth, at the sandbox's consent page. At Calendly, logging in comes before it."""
    page = steps.page
    steps.press("Go to the connection", role="link")
    steps.press("Connect my Calendly account")
    steps.window.click(page.locator(f"input[value={CALENDLY_USER}]"))
    steps.window.click(page.get_by_role("button", name="Allow access"))
    expect(page.locator("[data-connection=connected]")).to_be_visible()
    steps.window.shot("way-3-connected")
    steps.end("Calendly")


def set_price(steps: Steps) -> None:
    page = steps.page
    steps.press("Go to your session types", role="link")
    form = page.locator(f"#session-type-{FIRST_HOUR}")
    form.get_by_label("Price").fill("40")
    steps.fields += 1
    steps.window.click(form.get_by_role("button", name="Save"))
    expect(form).to_contain_text("Saved")
    steps.window.shot("way-4-priced")
    steps.end("price")


def publish(steps: Steps) -> None:
    page = steps.page
    steps.window.click(page.get_by_role("link", name="Overview"))
    steps.press("Publish my page")
    expect(page.get_by_role("status")).to_contain_text("Your page is published")
    assert next_step(page) == "test"
    steps.window.shot("way-5-published")
    steps.end("publish")


def book_oneself(steps: Steps) -> str:
    """As any client books and pays; returns the reference."""
    page = steps.page
    steps.press("Open your page as clients see it", role="link")
    steps.window.click(page.locator(CARD.format(FIRST_HOUR)).get_by_role("link", name="Book"))
    steps.fill("Your name", NAME)
    steps.fill("Your e-mail", MAIL)
    page.get_by_label("Your e-mail").press("Enter")
    page.wait_for_url("**/schedule")
    choose_time(steps.window)
    ref = steps.window.ref
    steps.window.expect_status("scheduled")
    pay(steps.window)
    steps.fields += 4
    steps.end("test booking")
    return ref


def cancel_and_refund(steps: Steps) -> None:
    """On the page of the test booking; then the list of the first steps is gone."""
    page = steps.page
    steps.window.click(page.get_by_role("link", name="Dashboard"))
    steps.press("See your test booking", role="link")
    steps.window.click(page.locator("main a[href$='/cancel']").first)
    steps.window.click(page.locator("main form[action$='/cancel'] button[type=submit]").first)
    page.wait_for_url("**/dashboard/bookings/*")
    steps.end("refund")
    page.goto("/dashboard")
    expect(page.locator("[data-step]")).to_have_count(0)
    steps.window.shot("way-6-done")
