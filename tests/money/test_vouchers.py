"""Payments without a card: vouchers, refunds that Stripe asks about, slow methods, and the start of the session."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import FlagCode
from bookingapp.core.clock import utcnow
from tests.live import Live
from tests.mailbox import Mailbox, text
from tests.money.deals import CLIENT, Deal, open_shop
from tests.waiting import eventually


def voucher(live: Live) -> Deal:
    """A booking whose client took a voucher, to be paid at a shop."""
    open_shop(live, price_minor=5000, currency="JPY")
    deal = Deal.made(live)
    deal.pay(method="delayed")
    assert deal.truth() == ("scheduled", "processing", None)
    return deal


def settle(deal: Deal, intent: str, outcome: str) -> None:
    """The client pays the voucher, or lets it lapse."""
    deal.live.hands.control(f"stripe/payments/{intent}/settle", outcome=outcome)
    deal.live.work()


@pytest.mark.any_database
def test_a_voucher_is_shown_and_paid(live: Live) -> None:
    """The page links to it, says that it is not paid, and confirms when it is."""
    deal = voucher(live)
    page = deal.page
    link = str(page.one("#voucher-link")["href"])
    assert live.hands.http.get(link, timeout=10).status_code == 200
    assert "Please pay your voucher" in page.words and "card" not in page.words.lower()
    assert "Your bank" not in page.words
    settle(deal, deal.intent(), "succeeded")
    assert deal.truth() == ("confirmed", "paid", None)
    assert not deal.page.select("#voucher-link")


@pytest.mark.any_database
def test_a_voucher_that_lapses_gives_one_more_hold(live: Live, mailbox: Mailbox) -> None:
    """As any delayed payment that fails."""
    deal = voucher(live)
    settle(deal, deal.intent(), "failed")
    assert deal.truth() == ("scheduled", "failed", None)
    assert not deal.page.select("#voucher-link")
    assert mailbox.one(CLIENT, "Your payment did not go through")


def test_a_booking_with_a_voucher_can_be_canceled(live: Live) -> None:
    """The client reads not to pay it; what is paid after all goes back."""
    deal = voucher(live)
    intent = deal.intent()
    assert deal.page.select("#cancel-link")
    assert "Please don't pay your voucher any more" in deal.browser.page(f"/bookings/{deal.ref}/cancel").words
    deal.cancel()
    live.work()
    assert deal.truth()[0] == "canceled"
    assert "Please don't pay your voucher any more" in deal.page.words
    settle(deal, intent, "succeeded")
    assert deal.refunds() == [(5000, "jpy", "succeeded")]
    assert deal.truth()[:2] == ("canceled", "refunded")
    assert deal.total() == deal.balance() == {}


def test_a_payment_that_the_bank_works_on_cannot_be_canceled(live: Live, deal: Deal) -> None:
    """A bank debit is not the client's to stop."""
    deal.pay(method="delayed")
    assert not deal.page.select("#cancel-link")
    assert not deal.page.select("#voucher-link")


def test_a_refund_that_stripe_asks_about(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """The client reads that Stripe's mail has to be answered, until it is."""
    live.hands.control("settings", refund_status="requires_action")
    deal.pay()
    deal.cancel()
    live.work()
    assert deal.truth()[2] == FlagCode.REFUND_WAITS_FOR_CLIENT
    assert "Please answer that e-mail." in deal.page.words
    assert "£60.00" in text(mailbox.one(CLIENT, "Your refund waits for your answer"))
    tracking = deal.row.tracking_id
    assert (
        "Stripe has asked the client by e-mail"
        in live.browser("ada").page(f"/dashboard/bookings/{tracking}").words
    )
    (refund,) = deal.refund_objects()
    live.hands.control(f"stripe/refunds/{refund['id']}/settle", outcome="succeeded")
    live.work()
    assert deal.truth() == ("canceled", "refunded", None)
    words = deal.page.words
    assert "£60.00 has been refunded" in words and "card" not in words.lower()


@pytest.mark.any_database
def test_two_refunds_that_stripe_asks_about(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """The client reads of each of them, and of the one that still waits when the other goes on."""
    live.hands.control("settings", refund_status="requires_action")
    deal.pay()
    deal.refund_by_hand(2500)
    (first,) = deal.refund_objects()
    deal.cancel()
    live.work()
    (second,) = (one for one in deal.refund_objects() if one["id"] != first["id"])
    amounts = [text(mail) for mail in mailbox.to(CLIENT) if "waits for your answer" in str(mail["Subject"])]
    assert len(amounts) == 2 and "£25.00" in amounts[0] and "£35.00" in amounts[1]
    deal.at_stripe(f"refunds/{second['id']}/settle", outcome="succeeded")
    assert FlagCode.REFUND_WAITS_FOR_CLIENT in str(deal.truth()[2])
    assert "Your refund of £25.00 waits for your answer" in deal.page.words
    deal.at_stripe(f"refunds/{first['id']}/settle", outcome="succeeded")
    assert FlagCode.REFUND_WAITS_FOR_CLIENT not in str(deal.truth()[2])
    assert "waits for your answer" not in deal.page.words


@pytest.mark.parametrize(("days", "is_offered"), [(13, True), (5, False)])
def test_a_method_that_is_too_slow_is_not_offered(live: Live, days: int, is_offered: bool) -> None:
    """Bacs needs seven business days with a new mandate."""
    open_shop(live)
    deal = Deal.made(live, days=days)
    checkout = deal.open_checkout()
    (session,) = deal.sessions()
    assert ("bacs_debit" in session["payment_method_types"]) is is_offered
    if not is_offered:
        page = live.hands.http.get(session["url"], timeout=10).text
        assert "Bacs" not in page
    deal.pay(checkout)
    assert deal.truth() == ("confirmed", "paid", None)


def test_the_hold_of_a_processing_payment_ends_with_the_start(
    live: Live, deal: Deal, mailbox: Mailbox
) -> None:
    """Two weeks would be longer. Then the time is released, and what arrives goes back."""
    deal.pay(method="delayed")
    assert deal.row.hold_expires_at == deal.row.starts_at
    intent = deal.intent()
    deal.begins_in(-0.1)
    assert "The hold on this booking has ended" in deal.page.words
    deal.let_the_hold_end()
    assert deal.truth()[:2] == ("expired", "processing")
    settle(deal, intent, "succeeded")
    assert deal.refunds() == [(6000, "gbp", "succeeded")]
    assert mailbox.one(CLIENT, "We are refunding £60.00 to you")
    assert deal.total() == deal.balance() == {}


def test_a_session_that_has_begun_cannot_be_paid(live: Live, deal: Deal) -> None:
    """Neither by a page that was open, nor after its end."""
    for hours in (-0.1, -5):
        deal.begins_in(hours)
        assert not deal.page.select("#pay-button")
        answer = deal.press("pay")
        assert answer.status_code == 409
        assert "has started already, so it cannot be paid any more" in answer.text
    assert deal.sessions() == []


def test_what_is_paid_after_the_start_goes_back(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """On a payment page that was open and that nobody has closed, because the worker was away."""
    checkout = deal.open_checkout()
    deal.begins_in(-0.1)
    deal.pay(checkout)
    assert deal.refunds() == [(6000, "gbp", "succeeded")]
    assert "arrived after the session had started" in text(
        mailbox.one(CLIENT, "We are refunding £60.00 to you")
    )
    deal.let_the_hold_end()
    assert deal.truth()[:2] == ("expired", "refunded")
    assert deal.total() == deal.balance() == {}


def test_what_was_paid_before_the_start_counts(live: Live, deal: Deal) -> None:
    """Also where we learn of it after the start."""
    checkout = deal.open_checkout()
    live.hands.control(f"stripe/sessions/{checkout}/pay")
    deal.begins_in(0.0005)
    eventually(lambda: bookings.has_begun(deal.row, utcnow()) or None, "the start")
    live.work()
    assert deal.truth()[:2] == ("confirmed", "paid")


def test_the_hold_of_a_time_that_begins_soon_ends_with_its_start(live: Live) -> None:
    """So that the payment page is closed when the session begins."""
    open_shop(live)
    browser, ref = live.book()
    soon = (utcnow() + timedelta(minutes=10)).replace(microsecond=0)
    live.choose(browser, ref, start_time=soon.strftime("%Y-%m-%dT%H:%M:%SZ"))
    live.work()
    deal = Deal(live, browser, ref)
    assert deal.row.hold_expires_at == deal.row.starts_at == soon
