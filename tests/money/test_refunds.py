"""Scenarios 23, 26, 27 and 28: what goes back, once, whatever fails in between and whoever sends it."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from bookingapp.bookings.codes import FlagCode
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.dashboard.words.bookings import FLAGS
from bookingapp.integrations.stripe_gateway import read_refund
from bookingapp.payments import refunds
from bookingapp.payments.models import Payment, PaymentState, RefundState
from tests.live import Live
from tests.mailbox import Mailbox, text
from tests.money.deals import BUILDER, CLIENT, Deal, open_shop

pytestmark = pytest.mark.any_database


def test_scenario_23_half_of_an_odd_amount_is_rounded_up(live: Live, mailbox: Mailbox) -> None:
    """99.99 and fifteen hours left: 50 % are 49.995, and 50.00 go back; preview, Stripe and mail say the same."""
    open_shop(live, price_minor=9999)
    deal = Deal.made(live)
    deal.pay()
    deal.begins_in(15)
    assert deal.preview() == (5000, "GBP")
    deal.cancel()
    live.work()
    assert deal.truth() == ("canceled", "partially_refunded", None)
    assert deal.refunds() == [(5000, "gbp", "succeeded")]
    (row,) = deal.refund_rows()
    assert (row.amount_minor, row.currency, row.state) == (5000, "GBP", RefundState.SUCCEEDED)
    assert deal.ledger() == [("charge", 9999, "GBP"), ("refund", -5000, "GBP")]
    assert deal.total() == deal.balance() == {"GBP": 4999}
    assert "refunding £50.00 to the card" in text(mailbox.one(CLIENT, "Canceled"))


def test_scenario_26_refund_is_tried_again_with_the_same_key(
    live: Live, deal: Deal, mailbox: Mailbox
) -> None:
    """Stripe is down when the client cancels: canceled all the same, a person is told, and the refund goes out when
    Stripe is back, under the key that the first try had.
    """
    deal.pay()
    live.hands.control("faults", provider="stripe", kind="500", path_prefix="/stripe-api/v1/refunds")
    deal.cancel()
    live.work()
    status, payment, attention = deal.truth()
    assert (status, payment, attention) == ("canceled", "paid", FlagCode.REFUND_DELAYED)
    words = deal.page().words
    assert "Your refund of £60.00 is on its way" in words
    assert "does not add up" not in words
    dashboard = live.browser("ada").page("/dashboard").words
    assert str(FLAGS[FlagCode.REFUND_DELAYED]) in dashboard
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
    # Told once, and rightly: it was on its way all the time.
    assert "refunding £60.00 to the card" in text(mailbox.one(CLIENT, "Canceled"))


def test_scenario_26_every_try_has_the_same_key(live: Live, deal: Deal) -> None:
    """The answers are lost, so Stripe has made the refund and we do not know: there is one all the same."""
    deal.pay()
    live.hands.control(
        "faults", provider="stripe", kind="lost_answer", path_prefix="/stripe-api/v1/refunds", method="POST"
    )
    deal.cancel()
    live.work()
    live.hands.control("faults/clear")
    deal.hurry("refund:")
    deal.hurry("refund:")
    assert deal.refunds() == [(6000, "gbp", "succeeded")]
    assert deal.truth()[:2] == ("canceled", "refunded")
    keys = {row["metadata"]["refund"] for row in deal.refund_objects()}
    assert keys == {deal.refund_rows()[0].token}


def test_scenario_26_refund_waits_for_the_balance(live: Live, deal: Deal) -> None:
    """Stripe takes it and keeps it pending: the client is told that it is on its way, until it has succeeded."""
    deal.pay()
    live.hands.control("settings", refund_status="pending")
    deal.cancel()
    live.work()
    assert deal.truth()[0] == "canceled"
    assert "Your refund of £60.00 is on its way" in deal.page().words
    assert deal.ledger() == [("charge", 6000, "GBP")]
    (refund,) = deal.refund_objects()
    live.hands.control(f"stripe/refunds/{refund['id']}/settle", outcome="succeeded")
    live.work()
    assert deal.truth() == ("canceled", "refunded", None)
    assert "£60.00 has been refunded" in deal.page().words
    assert deal.ledger() == [("charge", 6000, "GBP"), ("refund", -6000, "GBP")]


def test_scenario_26_refund_that_the_bank_returns_asks_for_a_person(live: Live, deal: Deal) -> None:
    """The money is with us again, the ledger says so, and it is not tried again: it would come back again."""
    deal.pay()
    deal.cancel()
    live.work()
    (refund,) = deal.refund_objects()
    live.hands.control(f"stripe/refunds/{refund['id']}/settle", outcome="failed")
    live.work()
    status, payment, attention = deal.truth()
    assert (status, payment, attention) == ("canceled", "paid", FlagCode.REFUND_UNDELIVERED)
    assert deal.ledger()[1:] == [("refund", -6000, "GBP"), ("refund", 6000, "GBP")]
    assert deal.total() == deal.balance() == {"GBP": 6000}
    assert len(deal.refund_objects()) == 1


@pytest.mark.parametrize(("back", "flagged"), [(1500, FlagCode.REFUND_UNDELIVERED), (6000, None)])
def test_a_refund_made_by_hand_is_asked_for_until_all_of_it_is_back(
    live: Live, deal: Deal, back: int, flagged: str | None
) -> None:
    """The bank has returned ours; somebody pays it back in Stripe's dashboard, and nobody has to say so here."""
    deal.pay()
    deal.cancel()
    live.work()
    (refund,) = deal.refund_objects()
    live.hands.control(f"stripe/refunds/{refund['id']}/settle", outcome="failed")
    live.work()
    live.hands.control(f"stripe/payments/{deal.intent()}/refund", amount=back)
    live.work()
    assert deal.total() == ({"GBP": 6000 - back} if back < 6000 else {})
    assert deal.truth()[2] == flagged


def test_scenario_27_refund_in_stripes_dashboard(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """A part, then the rest: the ledger has both, the booking stands, and the builder is asked about it."""
    deal.pay()
    intent = deal.intent()
    live.hands.control(f"stripe/payments/{intent}/refund", amount=1500)
    live.work()
    assert deal.truth() == ("confirmed", "partially_refunded", FlagCode.REFUNDED_OUTSIDE)
    live.hands.control(f"stripe/payments/{intent}/refund")
    live.work()
    assert deal.truth() == ("confirmed", "refunded", FlagCode.REFUNDED_OUTSIDE)
    assert deal.ledger() == [
        ("charge", 6000, "GBP"),
        ("refund", -1500, "GBP"),
        ("refund", -4500, "GBP"),
    ]
    assert deal.total() == deal.balance() == {}
    assert deal.history()[-1] == "paid>confirmed"
    asked = [
        text(mail)
        for mail in mailbox.to(BUILDER)
        if str(mail["Subject"]).startswith("Is the session still on")
    ]
    assert sorted(re.findall(r"£[\d.]+\d was refunded", " ".join(asked))) == [
        "£15.00 was refunded",
        "£45.00 was refunded",
    ]
    assert str(FLAGS[FlagCode.REFUNDED_OUTSIDE]) in live.browser("ada").page("/dashboard").words
    # What is back already is not paid back again.
    assert deal.preview() == (0, "GBP")
    assert "too close" not in deal.browser.page(f"/bookings/{deal.ref}/cancel").words
    deal.cancel()
    live.work()
    assert len(deal.refund_objects()) == 2


def test_scenario_27_the_dashboard_was_faster_than_our_own_refund(live: Live, deal: Deal) -> None:
    """A part went back by hand while ours waited: ours becomes what is left, and nothing is paid back twice."""
    deal.pay()
    live.hands.control("faults", provider="stripe", kind="500", path_prefix="/stripe-api/v1/refunds")
    live.hands.control("faults", provider="stripe", kind="drop")
    deal.cancel()
    live.work()
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
    """Stripe tells of it as a new refund, as a refunded charge, and whatever it tells twice."""
    live.hands.control("faults", provider="stripe", kind="duplicate")
    deal.pay()
    deal.cancel()
    live.work()
    rows = live.hands.http.get(f"{live.hands.base}/control/api/deliveries", timeout=10).json()["deliveries"]
    told = [row["event"] for row in rows if row["state"] == "delivered"]
    assert told.count("refund.created") == told.count("charge.refunded") == 2
    (row,) = deal.refund_rows()
    assert (row.state, row.amount_minor) == (RefundState.SUCCEEDED, 6000)
    assert row.cause is not None and row.checked_at is not None
    assert deal.ledger() == [("charge", 6000, "GBP"), ("refund", -6000, "GBP")]
    assert deal.truth() == ("canceled", "refunded", None)


def test_who_paid_twice_gets_the_second_back_and_keeps_a_right_to_the_first(live: Live, deal: Deal) -> None:
    """Two pages were open, and both are paid; when the client cancels later, the first goes back too."""
    first = deal.open_checkout()
    with live.database() as session, transaction(session):
        session.execute(sa.update(Payment).values(state=PaymentState.FAILED))
    second = deal.open_checkout()
    live.hands.control("faults", provider="stripe", kind="drop")
    deal.pay(first)
    live.hands.control("faults/clear")
    deal.pay(second)
    assert reconcile(live)
    live.work()
    assert deal.truth()[:2] == ("confirmed", "paid")
    assert deal.total() == deal.balance() == {"GBP": 6000}
    assert deal.preview() == (6000, "GBP")
    deal.cancel()
    live.work()
    assert deal.total() == deal.balance() == {}
    assert deal.truth()[:2] == ("canceled", "refunded")


def test_answers_in_the_wrong_order(live: Live, deal: Deal) -> None:
    """An older answer of Stripe's does not take back what a newer one said."""
    deal.pay()
    deal.cancel()
    live.work()
    (made,) = deal.refund_objects()
    stale = read_refund({**made, "status": "pending"})
    with live.database() as session, transaction(session):
        refunds.record_refunds(session, deal.intent(), [stale], now=utcnow())
    assert [row.state for row in deal.refund_rows()] == [RefundState.SUCCEEDED]
    live.hands.control(f"stripe/refunds/{made['id']}/settle", outcome="failed")
    live.work()
    with live.database() as session, transaction(session):
        refunds.record_refunds(session, deal.intent(), [read_refund(made)], now=utcnow())
    assert [row.state for row in deal.refund_rows()] == [RefundState.FAILED]
    assert deal.total() == deal.balance()


def reconcile(live: Live) -> bool:
    """Ask both providers."""
    return live.runner().invoke(args=["bookings", "reconcile"]).exit_code == 0
