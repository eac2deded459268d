"""Scenarios 26, 27 and 28: refunds are made once, whatever fails in between and whoever makes them."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from bookingapp.bookings.codes import FlagCode
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.dashboard.words.bookings import FLAGS
from bookingapp.integrations.stripe_gateway import StripeGateway, StripeRejected, read_refund
from bookingapp.payments import refunds
from bookingapp.payments.models import Payment, PaymentState, RefundState
from tests.live import Live
from tests.mailbox import Mailbox, text
from tests.money.deals import BUILDER, CLIENT, Deal


def pay_first_of_two(live: Live, deal: Deal) -> str:
    """Two payment pages are open, and the first is paid without a word of it reaching us. The second page's id."""
    first = deal.open_checkout()
    with live.database() as session, transaction(session):
        session.execute(sa.update(Payment).values(state=PaymentState.FAILED))
    second = deal.open_checkout()
    live.hands.control("faults", provider="stripe", kind="drop")
    deal.pay(first)
    live.hands.control("faults/clear")
    return second


def test_scenario_26_refund_is_tried_again_with_the_same_key(
    live: Live, deal: Deal, mailbox: Mailbox
) -> None:
    """Scenario 26: Stripe is down when the client cancels. The booking is canceled and flagged; the refund follows
    when Stripe is back, under the key of the first try.
    """
    deal.pay()
    live.hands.control("faults", provider="stripe", kind="500", path_prefix="/stripe-api/v1/refunds")
    deal.cancel()
    assert deal.truth() == ("canceled", "paid", FlagCode.REFUND_DELAYED)
    words = deal.page.words
    assert "Your refund of £60.00 is on its way" in words
    assert "does not add up" not in words
    assert f"{FLAGS[FlagCode.REFUND_DELAYED]} Amount: £60.00." in live.browser("ada").page("/dashboard").words
    (row,) = deal.refund_rows()
    assert (row.state, row.tries) == (RefundState.ENQUEUED, 1)

    deal.hurry("refund:")
    (row,) = deal.refund_rows()
    assert (row.state, row.tries) == (RefundState.ENQUEUED, 2)

    live.hands.control("faults/clear")
    deal.hurry("refund:")
    assert deal.truth() == ("canceled", "refunded", None)
    assert deal.refunds() == [(6000, "gbp", "succeeded")]
    assert deal.total() == deal.balance() == {}
    # One mail, and a true one: it was on its way all the time.
    assert "refunding £60.00 the way you paid" in text(mailbox.one(CLIENT, "Canceled"))


@pytest.mark.any_database
def test_scenario_26_every_try_has_the_same_key(live: Live, deal: Deal) -> None:
    """The answers are lost: Stripe has made the refund, and makes no second one."""
    deal.pay()
    live.hands.control(
        "faults", provider="stripe", kind="lost_answer", path_prefix="/stripe-api/v1/refunds", method="POST"
    )
    deal.cancel()
    live.hands.control("faults/clear")
    deal.hurry("refund:")
    deal.hurry("refund:")
    assert deal.refunds() == [(6000, "gbp", "succeeded")]
    assert deal.truth()[:2] == ("canceled", "refunded")
    keys = {row["metadata"]["refund"] for row in deal.refund_objects()}
    assert keys == {deal.refund_rows()[0].token}


def test_scenario_26_refund_waits_for_the_balance(live: Live, deal: Deal) -> None:
    """Stripe keeps it pending: the page says that it is on its way, until it has succeeded."""
    deal.pay()
    live.hands.control("settings", refund_status="pending")
    deal.cancel()
    assert deal.truth()[0] == "canceled"
    assert "Your refund of £60.00 is on its way" in deal.page.words
    assert deal.ledger() == [("charge", 6000, "GBP")]
    deal.settle_refund("succeeded")
    assert deal.truth() == ("canceled", "refunded", None)
    assert "£60.00 has been refunded" in deal.page.words
    assert deal.ledger() == [("charge", 6000, "GBP"), ("refund", -6000, "GBP")]


@pytest.mark.parametrize(("by_hand", "flagged"), [(1500, FlagCode.REFUND_UNDELIVERED), (6000, None)])
def test_scenario_26_refund_that_the_bank_returns_is_flagged(
    live: Live, deal: Deal, by_hand: int, flagged: str | None
) -> None:
    """It is in the ledger and not tried again. Once all of it was refunded by hand, the flag is resolved."""
    deal.pay()
    deal.cancel()
    deal.settle_refund("failed")
    assert deal.truth() == ("canceled", "paid", FlagCode.REFUND_UNDELIVERED)
    assert deal.ledger()[1:] == [("refund", -6000, "GBP"), ("refund", 6000, "GBP")]
    assert deal.total() == deal.balance() == {"GBP": 6000}
    assert (
        f"{FLAGS[FlagCode.REFUND_UNDELIVERED]} Amount: £60.00."
        in live.browser("ada").page("/dashboard").words
    )
    assert len(deal.refund_objects()) == 1
    deal.refund_by_hand(by_hand)
    assert deal.total() == ({"GBP": 6000 - by_hand} if by_hand < 6000 else {})
    assert deal.truth()[2] == flagged


def test_a_refund_that_stripe_refuses(
    live: Live, deal: Deal, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The builder reads of it and of its amount, by e-mail and on each page, until it is made by hand."""

    def refuse(*_: object, **__: object) -> None:
        raise StripeRejected("no", status=400, code="refund_disallowed")

    deal.pay()
    monkeypatch.setattr(StripeGateway, "create_refund", refuse)
    deal.cancel()
    assert deal.truth() == ("canceled", "paid", FlagCode.REFUND_REFUSED)
    words = text(mailbox.one(BUILDER, "Stripe refused a refund"))
    assert "Stripe refused a refund of £60.00 to Grace Hall." in words
    assert "Please pay it out another way" in words
    for page in ("", "/bookings", f"/bookings/{deal.row.tracking_id}"):
        found = live.browser("ada").page(f"/dashboard{page}").words
        assert f"{FLAGS[FlagCode.REFUND_REFUSED]} Amount: £60.00." in found, page
    deal.refund_by_hand()
    assert deal.truth() == ("canceled", "refunded", None)


def test_scenario_27_refund_in_stripes_dashboard(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """Scenario 27: a part, then the rest. The ledger has both, the booking remains, and the builder is asked."""
    deal.pay()
    deal.refund_by_hand(1500)
    assert deal.truth() == ("confirmed", "partially_refunded", FlagCode.REFUNDED_OUTSIDE)
    deal.refund_by_hand()
    assert deal.truth() == ("confirmed", "refunded", FlagCode.REFUNDED_OUTSIDE)
    assert deal.ledger()[1:] == [("refund", -1500, "GBP"), ("refund", -4500, "GBP")]
    assert deal.total() == deal.balance() == {}
    assert deal.history()[-1] == "paid>confirmed"
    mails = [text(mail) for mail in mailbox.to(BUILDER) if "Is the session still on" in str(mail["Subject"])]
    assert sorted(re.findall(r"£([\d.]+\d) was refunded", " ".join(mails))) == ["15.00", "45.00"]
    assert str(FLAGS[FlagCode.REFUNDED_OUTSIDE]) in live.browser("ada").page("/dashboard").words
    # What is back already is not paid back again.
    assert deal.preview() == (0, "GBP")
    assert "too close" not in deal.browser.page(f"/bookings/{deal.ref}/cancel").words
    deal.cancel()
    assert len(deal.refund_objects()) == 2
    # It is not on any more, so nobody is asked whether it is.
    assert deal.truth() == ("canceled", "refunded", None)


@pytest.mark.any_database
def test_scenario_27_the_dashboard_was_faster_than_our_own_refund(live: Live, deal: Deal) -> None:
    """A part was refunded by hand while ours waited: ours becomes what is left."""
    deal.pay()
    live.hands.control("faults", provider="stripe", kind="500", path_prefix="/stripe-api/v1/refunds")
    live.hands.control("faults", provider="stripe", kind="drop")
    deal.cancel()
    live.hands.control("faults/clear")
    live.hands.control("faults", provider="stripe", kind="drop")
    live.hands.control(f"stripe/payments/{deal.intent()}/refund", amount=1500)
    deal.hurry("refund:")
    assert sorted(row[0] for row in deal.refunds()) == [1500, 4500]
    states = [(row.amount_minor, row.state) for row in deal.refund_rows()]
    assert states[0] == (6000, RefundState.DROPPED)
    assert sorted(states[1:]) == [(1500, RefundState.SUCCEEDED), (4500, RefundState.SUCCEEDED)]
    assert deal.truth()[:2] == ("canceled", "refunded")
    assert deal.total() == deal.balance() == {}


def test_scenario_28_own_refund_echoed_is_one_row(live: Live, deal: Deal) -> None:
    """Stripe reports it as a new refund and as a refunded charge, each twice."""
    live.hands.control("faults", provider="stripe", kind="duplicate")
    deal.pay()
    deal.cancel()
    rows = live.hands.http.get(f"{live.hands.base}/control/api/deliveries", timeout=10).json()["deliveries"]
    delivered = [row["event"] for row in rows if row["state"] == "delivered"]
    assert delivered.count("refund.created") == delivered.count("charge.refunded") == 2
    (row,) = deal.refund_rows()
    assert (row.state, row.amount_minor) == (RefundState.SUCCEEDED, 6000)
    assert row.cause is not None and row.checked_at is not None
    assert deal.ledger() == [("charge", 6000, "GBP"), ("refund", -6000, "GBP")]
    assert deal.truth() == ("canceled", "refunded", None)


@pytest.mark.any_database
def test_a_second_payment_is_refunded_at_once_and_the_first_when_canceled(live: Live, deal: Deal) -> None:
    second = pay_first_of_two(live, deal)
    deal.pay(second)
    assert live.runner().invoke(args=["bookings", "reconcile"]).exit_code == 0
    live.work()
    assert deal.truth()[:2] == ("confirmed", "paid")
    assert deal.total() == deal.balance() == {"GBP": 6000}
    assert deal.preview() == (6000, "GBP")
    deal.cancel()
    assert deal.total() == deal.balance() == {}
    assert deal.truth()[:2] == ("canceled", "refunded")


def test_answers_in_the_wrong_order(live: Live, deal: Deal) -> None:
    """An older answer of Stripe's does not undo a newer one."""
    deal.pay()
    deal.cancel()
    (made,) = deal.refund_objects()
    stale = read_refund({**made, "status": "pending"})
    with live.database() as session, transaction(session):
        refunds.record_refunds(session, deal.intent(), [stale], now=utcnow())
    assert [row.state for row in deal.refund_rows()] == [RefundState.SUCCEEDED]
    deal.settle_refund("failed")
    with live.database() as session, transaction(session):
        refunds.record_refunds(session, deal.intent(), [read_refund(made)], now=utcnow())
    assert [row.state for row in deal.refund_rows()] == [RefundState.FAILED]
    assert deal.total() == deal.balance()


def test_one_of_two_delayed_refunds_is_made(live: Live, deal: Deal) -> None:
    """The other one stays flagged, with its own amount."""
    second = pay_first_of_two(live, deal)
    live.hands.control("faults", provider="stripe", kind="500", path_prefix="/stripe-api/v1/refunds")
    deal.pay(second)
    assert live.runner().invoke(args=["bookings", "reconcile"]).exit_code == 0
    live.work()
    deal.cancel()
    listed = f"{FLAGS[FlagCode.REFUND_DELAYED]} Amount: "
    assert f"{listed}£120.00." in live.browser("ada").page("/dashboard").words
    live.hands.control("faults/clear")
    one, other = deal.refund_rows()
    deal.hurry(f"refund:{one.id}:")
    assert deal.truth()[2] == FlagCode.REFUND_DELAYED
    assert f"{listed}£60.00." in live.browser("ada").page("/dashboard").words
    deal.hurry(f"refund:{other.id}:")
    assert deal.truth() == ("canceled", "refunded", None)
