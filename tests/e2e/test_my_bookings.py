"""The clients' sign-in in a browser: without JavaScript, in light and dark, on a small phone."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browsers import overflow
from tests.mailbox import Mailbox, link
from tests.waiting import eventually

from .browsing import Surf
from .stack import Stack
from .test_pages import SMALL_PHONE, wrong_in_any_light
from .visitor import Visitor

pytestmark = pytest.mark.browser

PATHWAY = "/builders/ada-okonkwo/session-types/ETADADEEPDIVE090"


@pytest.fixture
def pathway(stack: Stack) -> Iterator[None]:
    """Ada's Deep Dive is a pathway session for the time being."""
    uri = f"{stack.sandbox_url}/calendly-api/event_types/ETADADEEPDIVE090"
    publish = ["session-types", "publish", "--builder", "ada-okonkwo", "--event-type", uri]
    price = ["--price", "90", "--currency", "GBP", "--category"]
    stack.run(*publish, *price, "pathway")
    yield
    stack.run(*publish, *price, "specialized")


def newest_link(stack: Stack, address: str) -> str:
    """The path of the link that was mailed to that address."""
    mailbox = Mailbox(stack.instance / "outbox")

    def links() -> list[EmailMessage]:
        return [mail for mail in mailbox.to(address) if str(mail["Subject"]).startswith("Your link")]

    return link(eventually(links, what=f"a link for {address}")[-1])


def test_from_a_session_type_through_the_mail_to_the_list(
    stack: Stack, surf: Surf, visitor: Visitor, pathway: None
) -> None:
    """Every page on the way is accessible and fits a small phone; none of them needs a script."""
    window = surf(
        stack, color_scheme="light", reduced_motion="reduce", viewport=SMALL_PHONE, forgive=("status of 410",)
    )
    page = window.page
    wrong: list[str] = []

    def look(name: str) -> None:
        window.shot(name)
        wrong.extend(f"{name}: {fault}" for fault in wrong_in_any_light(page))
        if overflow(page):
            wrong.append(f"{name}: too wide")

    page.goto("/my-bookings")
    look("my-bookings-ask")
    page.goto(PATHWAY)
    look("pathway-ask")
    page.get_by_label("Your e-mail").fill(visitor.email)
    page.get_by_role("button", name="Send me the link").click()
    expect(page.get_by_role("heading", name="Check your inbox")).to_be_visible()
    look("link-sent")
    path = newest_link(stack, visitor.email)
    page.goto(path)
    look("link")
    page.get_by_role("button", name="Yes, continue my booking").click()
    expect(page.get_by_text("Who is coming?")).to_be_visible()
    assert urlsplit(page.url).path == PATHWAY
    look("pathway-known")
    page.get_by_label("Your name").fill(visitor.name)
    page.get_by_label("Your pathway").select_option("pivot")
    page.get_by_role("button", name="Choose a time").click()
    page.wait_for_url("**/schedule")
    page.goto("/my-bookings")
    expect(page.get_by_role("link", name="90 Minute Deep Dive")).to_be_visible()
    look("my-bookings")
    page.goto(path)
    expect(page.get_by_role("heading", name="This link has expired")).to_be_visible()
    look("link-gone")
    assert wrong == []
