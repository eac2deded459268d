"""Outcomes that come late, or that only the provider's own page would show: somebody who can act is informed."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from bookingapp.bookings.codes import FlagCode
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.webhooks.models import InboxEvent
from tests.live import Live, press
from tests.mailbox import Mailbox, text
from tests.money.deals import BUILDER, CLIENT, Deal
from tests.money.test_paying_first import Listed, listed

__all__ = ["listed"]


def dashboard(deal: Deal) -> str:
    """The builder's page of the booking."""
    return deal.live.browser("ada").page(deal.dashboard).words


def test_a_dispute_that_is_born_lost(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """Nobody could answer it; builder and client read what it means."""
    deal.pay()
    live.hands.control(f"stripe/payments/{deal.intent()}/dispute", status="lost")
    live.work()
    assert deal.truth() == ("confirmed", "disputed", FlagCode.DISPUTE_LOST)
    mail = text(mailbox.one(BUILDER, "A dispute is lost"))
    assert "£60.00" in mail and "please cancel it on your dashboard" in mail
    assert not [one for one in mailbox.subjects() if "A payment is disputed" in one]
    assert "Your bank has returned the payment to you" in deal.page.words
    assert "You lost the dispute." in dashboard(deal)
    assert deal.total() == deal.balance() == {}


@pytest.mark.parametrize(
    ("outcome", "subject", "flag"),
    [("lost", "A dispute is lost", FlagCode.DISPUTE_LOST), ("won", "A dispute is won", None)],
)
def test_a_dispute_that_is_decided_later(
    live: Live, deal: Deal, mailbox: Mailbox, outcome: str, subject: str, flag: FlagCode | None
) -> None:
    """The builder gets a mail of its end, once however often it is reported."""
    deal.pay()
    made = live.hands.control(f"stripe/payments/{deal.intent()}/dispute")
    live.work()
    live.hands.control(f"stripe/disputes/{made['id']}/close", outcome=outcome)
    live.work()
    assert deal.truth()[2] == flag
    assert "£60.00" in text(mailbox.one(BUILDER, subject))
    live.hands.control("deliveries/retry")
    live.work()
    assert sum(one.startswith(subject) for one in mailbox.subjects()) == 1


def test_a_fraud_warning_can_be_answered_by_a_refund(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """After the session, from the builder's page, before it becomes a dispute; the client reads nothing of fraud."""
    deal.pay()
    deal.begins_in(-2)
    deal.hurry("complete:")
    live.hands.control(f"stripe/payments/{deal.intent()}/fraud-warning")
    live.work()
    assert deal.truth() == ("completed", "paid", FlagCode.FRAUD_WARNING)
    mail = text(mailbox.one(BUILDER, "A payment may be fraud"))
    assert "£60.00" in mail and "On your dashboard you can refund it in full" in mail
    assert "The card network reports this payment as fraud." in dashboard(deal)
    assert "Refund £60.00 in full" in dashboard(deal)
    assert "fraud" not in deal.page.words
    address = f"{deal.dashboard}/fraud-refund"
    assert press(live.browser("ada"), address).status_code == 303
    live.work()
    assert deal.refunds() == [(6000, "gbp", "succeeded")]
    assert deal.truth() == ("completed", "refunded", None)
    assert "Ada" in (refunded := text(mailbox.one(CLIENT, "We are refunding"))) and "second" not in refunded
    assert press(live.browser("ada"), address).status_code == 409


def test_a_cancellation_or_a_dispute_ends_a_fraud_warning(live: Live, deal: Deal) -> None:
    """What is refunded or disputed already is not offered for a refund."""
    deal.pay()
    live.hands.control(f"stripe/payments/{deal.intent()}/fraud-warning")
    live.work()
    assert "If you cancel it, we refund it too." in dashboard(deal)
    live.hands.control(f"stripe/payments/{deal.intent()}/dispute")
    live.work()
    assert deal.truth()[2] == FlagCode.DISPUTE_OPEN
    assert "Refund £60.00 in full" not in dashboard(deal)


def test_a_fraud_warning_before_the_charge(live: Live, listed: Listed, mailbox: Mailbox) -> None:
    """The network may judge what is only authorized: the builder is told once it is charged."""
    listed.choose(listed.times()[0])
    live.hands.control(f"stripe/sessions/{listed.open_checkout()}/pay")
    live.hands.control(f"stripe/payments/{listed.intent()}/fraud-warning")
    live.work()
    assert listed.truth()[:2] == ("confirmed", "paid")
    with live.database() as session, transaction(session):
        session.execute(sa.update(InboxEvent).values(run_at=utcnow()))
    live.work()
    assert listed.truth()[2] == FlagCode.FRAUD_WARNING
    assert "£60.00" in text(mailbox.one(BUILDER, "A payment may be fraud"))


def test_another_builder_cannot_refund(live: Live, deal: Deal) -> None:
    """The booking is not theirs; and without a warning there is nothing to refund."""
    deal.pay()
    address = f"{deal.dashboard}/fraud-refund"
    assert press(live.browser("ada"), address).status_code == 409
    live.hands.control(f"stripe/payments/{deal.intent()}/fraud-warning")
    live.work()
    live.builder("kenji", user="SBXKENJIMORI0002", types={})
    assert press(live.browser("kenji"), address).status_code == 404
    assert deal.refunds() == []


@pytest.mark.parametrize("version", ["2026-10-28.endive", "2024-04-10"])
def test_a_refund_that_fails_long_after_it_succeeded(
    live: Live, deal: Deal, mailbox: Mailbox, version: str
) -> None:
    """Client and builder are informed, also where an older version says so only by ``charge.refund.updated``."""
    store = live.hands.server.sandbox.store
    (endpoint,) = store.all("webhook_endpoint")
    store.put("webhook_endpoint", endpoint["id"], {**endpoint, "api_version": version})
    deal.pay()
    deal.cancel()
    live.work()
    (refund,) = deal.refund_objects()
    assert deal.truth() == ("canceled", "refunded", None)
    live.hands.control(f"stripe/refunds/{refund['id']}/settle", outcome="failed")
    live.work()
    assert deal.truth() == ("canceled", "paid", FlagCode.REFUND_UNDELIVERED)
    assert "£60.00" in text(mailbox.one(CLIENT, "Your refund did not arrive"))
    assert "pay it out another way" in text(mailbox.one(BUILDER, "A refund did not arrive"))
    words = deal.page.words
    assert "Your refund of £60.00 needs a second try" in words and "card" not in words.lower()


def test_a_declined_try_is_said_on_the_page(live: Live, deal: Deal) -> None:
    """Nothing was charged, the same payment page is still open, and the builder can see it."""
    checkout = deal.open_checkout()
    live.hands.control(f"stripe/sessions/{checkout}/pay", card_number="4000000000000002")
    live.work()
    assert deal.truth() == ("scheduled", "open", None)
    assert "Your last try to pay did not go through" in deal.page.words
    assert deal.open_checkout() == checkout
    deal.pay(checkout)
    assert deal.truth() == ("confirmed", "paid", None)
    assert "did not go through" not in deal.page.words
