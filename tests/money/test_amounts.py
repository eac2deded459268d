"""What a builder gives back on the page of one booking, as client, Stripe, ledger and mails have it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browsers import log_in, open_page, overflow, violations
from tests.factories import PASSWORD
from tests.live import Live, press
from tests.mailbox import Mailbox, text
from tests.money.deals import BUILDER, CLIENT, Deal

AMOUNT = {"amount": "£40.50", "reason": "shorter_session", "edition": "0"}


def act(deal: Deal, what: str, **fields: str) -> int:
    """The builder sends one of the booking's forms, and the worker does what follows; the status of the answer."""
    status = press(deal.live.browser("ada"), f"{deal.dashboard}/{what}", fields).status_code
    deal.live.work()
    return status


def test_an_amount_comes_back_with_its_reason(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """Once, however often it is pressed; then the rest, and nothing more."""
    deal.pay()
    assert [act(deal, "refund", **AMOUNT) for _ in range(2)] == [303, 303]
    assert deal.refunds() == [(4050, "gbp", "succeeded")]
    assert deal.truth() == ("confirmed", "partially_refunded", None)
    assert "£40.50 (refunded): the session was shorter than planned" in deal.page.words
    mail = text(mailbox.one(CLIENT, "You get £40.50 back"))
    assert "The reason: your session was shorter than planned." in mail
    assert "Your session stays booked." in mail
    assert act(deal, "refund", amount="19,50", reason="courtesy", edition="1") == 303
    assert act(deal, "refund", amount="1", reason="courtesy", edition="2") == 409
    assert deal.truth()[:2] == ("confirmed", "refunded")
    assert deal.total() == deal.balance() == {}
    assert "It is a courtesy of Ada." in text(mailbox.one(CLIENT, "You get £19.50 back"))


def test_stripes_dashboard_was_faster(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """Our refund becomes what is left, and the mail says that amount."""
    deal.pay()
    live.hands.control("faults", provider="stripe", kind="drop")
    live.hands.control(f"stripe/payments/{deal.intent()}/refund", amount=3000)
    assert act(deal, "refund", **AMOUNT) == 303
    live.hands.control("faults/clear")
    deal.hurry("refund:")
    assert sorted(minor for minor, *_ in deal.refunds()) == [3000, 3000]
    assert deal.truth()[1] == "refunded"
    assert deal.total() == deal.balance() == {}
    subjects = [one for one in mailbox.subjects() if one.startswith("You get")]
    assert [one[:19] for one in subjects] == ["You get £30.00 back"]


def test_a_page_of_before_a_refund_in_stripe(live: Live, deal: Deal) -> None:
    deal.pay()
    deal.refund_by_hand(1500)
    assert act(deal, "refund", **AMOUNT) == 409
    assert [minor for minor, *_ in deal.refunds()] == [1500]


def test_a_canceled_session_after_an_amount(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """Cancel with full refund: the preview is what is left, and comes back."""
    deal.pay()
    act(deal, "refund", **AMOUNT)
    preview = live.browser("ada").page(f"{deal.dashboard}/cancel").one("[data-refund-minor]")
    assert preview["data-refund-minor"] == "1950"
    assert act(deal, "cancel") == 303
    assert deal.truth()[:2] == ("canceled", "refunded")
    assert deal.total() == deal.balance() == {}
    assert "We are refunding £19.50 the way you paid." in text(mailbox.one(CLIENT, "Canceled"))
    assert "£40.50 (refunded): the session was shorter than planned" in deal.page.words
    assert "£19.50 (refunded): your session was canceled" in deal.page.words


def test_a_builder_who_could_not_come(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """Also after the end, and after the client was marked; the apology leads to booking again."""
    deal.pay()
    deal.begins_in(-2)
    deal.hurry("complete:")
    assert act(deal, "no-show", came="0") == 303
    assert [act(deal, "absence") for _ in range(2)] == [303, 303]
    assert deal.truth() == ("canceled", "refunded", None)
    assert deal.history()[-1] == "completed>canceled"
    assert deal.row.no_show_at is None and deal.row.no_show_uri is None
    mail = text(mailbox.one(CLIENT, "We're sorry"))
    assert "Ada could not come to your session." in mail
    assert "We are refunding £60.00" in mail
    assert f"/bookings/{deal.row.ref}/again" in mail
    assert "You did not come to the session below." in text(mailbox.one(BUILDER, "Canceled"))
    assert deal.page.one("h1").text == "Your session did not take place"
    assert "no-show" not in deal.page.words
    assert deal.total() == deal.balance() == {}


@pytest.mark.any_database
def test_both_providers_are_asked(live: Live, deal: Deal) -> None:
    """What no webhook has delivered is on the page after one press."""
    deal.pay()
    for _ in range(3):
        live.hands.control("faults", provider="stripe", kind="drop")
    live.hands.control(f"stripe/payments/{deal.intent()}/refund", amount=1500)
    live.work()
    assert deal.truth()[1] == "paid"
    assert act(deal, "check") == 303
    assert deal.truth()[:2] == ("confirmed", "partially_refunded")
    page = live.browser("ada").page(deal.dashboard)
    assert "that had not reached us" in page.one("#check").text
    assert "Refunded: -£15.00" in page.one("#timeline").text


def test_a_mail_is_sent_again(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """Another message, so that mail programs show it, with what is true now."""
    deal.pay()
    before = len(mailbox.to(CLIENT))
    assert act(deal, "mails", mail="confirmed-client") == 303
    first, again = (one for one in mailbox.to(CLIENT) if str(one["Subject"]).startswith("You are booked"))
    assert len(mailbox.to(CLIENT)) == before + 1
    assert first["Message-ID"] != again["Message-ID"]
    assert f"/bookings/{deal.ref}" in text(again)


def window(chromium: Browser, live: Live, **options: object) -> Page:
    options = {"viewport": {"width": 1280, "height": 900}, **options}
    page = open_page(chromium, live.hands.server.config.app_url, **options)
    log_in(page, BUILDER, PASSWORD)
    return page


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_no_page_has_a_fault(live: Live, deal: Deal, chromium: Browser, width: int, scheme: str) -> None:
    """Nothing for axe to find, nothing to scroll sideways; the answer to a check comes by itself."""
    deal.pay()
    deal.begins_in(-0.5)
    act(deal, "notes", text="Call her before the next session, please.\nShe prefers the phone.")
    page = window(chromium, live, viewport={"width": width, "height": 900}, color_scheme=scheme)
    note = live.browser("ada").page(deal.dashboard).one("#notes li a")["href"]
    preview = f"{deal.dashboard}/refund?amount=40,50&reason=trouble&edition=0"
    for path in (
        deal.dashboard,
        f"{deal.dashboard}?show=mails",
        f"{deal.dashboard}/refund",
        preview,
        preview.replace("40,50", "400"),
        f"{deal.dashboard}/absence",
        f"{deal.dashboard}/mails",
        str(note),
    ):
        page.goto(path)
        assert violations(page) == [], path
        assert overflow(page) == 0, path
    page.goto(deal.dashboard)
    page.locator("#check-button").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#check-result")).to_contain_text("We are asking Stripe and Calendly.")
    assert violations(page) == []
    live.work()
    expect(page.locator("#check-result")).to_contain_text("Stripe and Calendly agree with this page.")
    assert page.locator("#check-result").get_attribute("hx-get") is None


@pytest.mark.browser
def test_the_answer_to_a_check_comes_whatever_fails(live: Live, deal: Deal, chromium: Browser) -> None:
    """A proxy's page, with an error and without, and a dropped line do not end the waiting."""
    deal.pay()
    page = window(chromium, live)
    page.goto(deal.dashboard)
    failures: list[Callable[[Route], None]] = [
        lambda route: route.fulfill(status=502, body="<h1>Gateway</h1>"),
        lambda route: route.fulfill(status=200, body="<h1>Gateway</h1>"),
        lambda route: route.abort(),
    ]

    def fail_first(route: Route) -> None:
        (failures.pop(0) if failures else Route.continue_)(route)

    page.route(re.compile(r"/check\?n="), fail_first)
    page.locator("#check-button").click()
    expect(page.locator("#check-result")).to_contain_text("We are asking Stripe and Calendly.")
    live.work()
    expect(page.locator("#check-result")).to_contain_text(
        "Stripe and Calendly agree with this page.", timeout=30_000
    )
    assert failures == []
    expect(page.get_by_text("Gateway")).to_have_count(0)


@pytest.mark.browser
def test_without_javascript(live: Live, deal: Deal, chromium: Browser) -> None:
    """An amount in two steps by keyboard, a note, a filter, and the answer to a check after a reload."""
    deal.pay()
    page = window(chromium, live, java_script_enabled=False)
    page.goto(deal.dashboard)
    page.locator("#refund-link").click()
    page.get_by_label("Amount").fill("40,50")
    page.get_by_label("Why").select_option("courtesy")
    page.get_by_label("Amount").press("Enter")
    expect(page.locator("[data-refund-minor]")).to_have_attribute("data-refund-minor", "4050")
    page.locator("#refund-button").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("We are refunding £40.50.")
    live.work()
    assert deal.refunds() == [(4050, "gbp", "succeeded")]
    page.get_by_role("textbox", name="Note").fill("Paid back by phone")
    page.locator("#note-button").click()
    expect(page.locator("#notes li")).to_contain_text("Paid back by phone")
    page.get_by_label("Show").select_option("money")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#timeline li").first).to_contain_text("Paid: £60.00")
    page.locator("#check-button").click()
    expect(page.locator("#check")).to_contain_text("We are asking Stripe and Calendly.")
    live.work()
    page.locator("#check-result").get_by_role("link", name="Check again").click()
    page.reload()
    expect(page.locator("#check")).to_contain_text("agree with this page")
