"""Scenario 32: a method that pays days later; and scenario 33 without a browser that comes back."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from bookingapp.bookings.codes import FlagCode
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job
from bookingapp.payments.models import PaymentState
from tests.live import Live
from tests.mailbox import Mailbox, text
from tests.money.deals import CLIENT, Deal


def two_days_go_by(deal: Deal) -> None:
    """Let the time of an ordinary hold be over."""
    with deal.live.database() as session, transaction(session):
        now = utcnow()
        soon = sa.and_(now < Job.run_at, Job.run_at < now + timedelta(days=2))
        jobs = sa.update(Job).where(soon, Job.name != "bookings.complete")
        session.execute(jobs.values(run_at=now - timedelta(seconds=1)))
    deal.live.work()


@pytest.mark.any_database
def test_scenario_32_delayed_payment_that_arrives(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """Complete is not paid: the time is kept for days, and confirmed when the money is there."""
    deal.pay(method="delayed")
    assert deal.truth() == ("scheduled", "processing", None)
    assert "Your payment is processing" in deal.page.words
    # For two weeks, and never beyond the start.
    assert deal.row.hold_expires_at == deal.row.starts_at
    refused = deal.press("pay")
    assert refused.status_code == 409
    assert "Your payment is still under way" in refused.text
    assert len(deal.sessions()) == 1
    two_days_go_by(deal)
    assert deal.truth() == ("scheduled", "processing", None)
    assert [str(mail["Subject"]) for mail in mailbox.to(CLIENT)] == []

    deal.settle("succeeded")
    assert deal.truth() == ("confirmed", "paid", None)
    assert deal.ledger() == [("charge", 6000, "GBP")]
    assert deal.history() == [">pending", "pending>scheduled", "scheduled>paid", "paid>confirmed"]


def test_scenario_32_delayed_payment_that_fails(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """The client gets a mail and one more hold to pay in another way; then the time is released."""
    deal.pay(method="delayed")
    two_days_go_by(deal)
    deal.settle("failed")
    assert deal.truth() == ("scheduled", "failed", None)
    assert deal.attempts() == [PaymentState.FAILED]
    until = deal.row.hold_expires_at
    assert until is not None
    assert utcnow() < until <= utcnow() + timedelta(minutes=30)
    letter = text(mailbox.one(CLIENT, "Your payment did not go through"))
    assert "nothing was charged" in letter
    assert "you can pay in another way until then" in letter

    deal.let_the_hold_end()
    assert deal.truth() == ("expired", "failed", None)
    assert deal.ledger() == []
    (event,) = [row for row in live.state()["events"] if row["id"] in (deal.row.event_uri or "")]
    assert event["status"] == "canceled"
    assert str(mailbox.one(CLIENT, "Your hold has ended")["Subject"])


def test_scenario_32_failed_and_paid_in_another_way(live: Live, deal: Deal) -> None:
    deal.pay(method="delayed")
    deal.settle("failed")
    deal.pay()
    assert deal.truth() == ("confirmed", "paid", None)
    assert deal.ledger() == [("charge", 6000, "GBP")]
    assert deal.attempts() == [PaymentState.FAILED, PaymentState.PAID]


def test_scenario_32_failure_that_no_webhook_reports(live: Live, deal: Deal) -> None:
    """Stripe shows the session complete and unpaid for ever; its payment intent shows the failure."""
    deal.pay(method="delayed")
    live.hands.control("faults", provider="stripe", kind="drop")
    deal.settle("failed")
    assert deal.truth()[:2] == ("scheduled", "processing")
    deal.hurry("check:")
    assert deal.truth()[:2] == ("scheduled", "failed")


def test_scenario_32_no_hold_outlives_the_session_it_is_for(live: Live, deal: Deal) -> None:
    """The bank says no ten minutes before the start: the time is held for ten minutes and not for thirty."""
    deal.pay(method="delayed")
    deal.begins_in(1 / 6)
    deal.settle("failed")
    assert deal.row.hold_expires_at == deal.row.starts_at


def test_scenario_33_declined_thrice_and_then_paid_is_one_payment(live: Live, deal: Deal) -> None:
    """The session stays open, and so does the booking; one charge at the end."""
    checkout = deal.open_checkout()
    for _ in range(3):
        deal.pay(checkout, card_number="4000000000000002")
        assert deal.truth() == ("scheduled", "open", None)
        assert deal.ledger() == []
    deal.pay(checkout)
    assert deal.truth() == ("confirmed", "paid", None)
    assert deal.ledger() == [("charge", 6000, "GBP")]
    assert deal.attempts() == [PaymentState.PAID]
    assert len(deal.sessions()) == 1


def test_scenario_32_a_bank_that_says_nothing_at_all(live: Live, deal: Deal) -> None:
    """After two weeks it is flagged; the time is kept, and the bank's answer counts whenever it comes."""
    deal.pay(method="delayed")
    deal.let_the_hold_end()
    assert deal.truth() == ("scheduled", "processing", FlagCode.PAYMENT_PROCESSING)
    until = deal.row.hold_expires_at
    assert until is not None and until > utcnow()
    deal.settle("failed")
    assert deal.truth() == ("scheduled", "failed", None)
    deal.let_the_hold_end()
    assert deal.truth() == ("expired", "failed", None)
