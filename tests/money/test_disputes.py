"""Scenario 34: a client disputes a charge with their bank; and the ledger, which sums to what Stripe says."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
import sqlalchemy as sa

from bookingapp.accounts.models import Account
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Actor
from bookingapp.bookings.service import lock_booking
from bookingapp.bookings.states import Status
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.dashboard.words.bookings import FLAGS
from bookingapp.payments.models import Dispute, RefundState
from bookingapp.privacy.erasure import erase_booking
from bookingapp.webhooks.models import InboxEvent
from tests.factories import log_in_at_once, stripe_event
from tests.live import Live, press
from tests.mailbox import Mailbox, text
from tests.money.deals import BUILDER, CLIENT, Deal, open_shop


def completed(deal: Deal) -> Deal:
    """Paid, and the session has taken place."""
    deal.pay()
    deal.begins_in(-2)
    deal.hurry("complete:")
    assert deal.truth() == ("completed", "paid", None)
    return deal


def disputed(deal: Deal) -> str:
    """The client disputes the payment; the dispute's id."""
    made = deal.live.hands.control(f"stripe/payments/{deal.intent()}/dispute")
    deal.live.work()
    return str(made["id"])


def close(deal: Deal, dispute: str, outcome: str) -> None:
    """The bank decides."""
    deal.at_stripe(f"disputes/{dispute}/close", outcome=outcome)


def refund_barred(live: Live, deal: Deal) -> str:
    """Cancel a paid booking during a dispute that has not reached us. Returns the dispute's id."""
    deal.pay()
    live.hands.control("faults", provider="stripe", kind="drop")
    dispute = disputed(deal)
    deal.cancel()
    assert deal.truth()[2] == FlagCode.REFUND_REFUSED
    live.hands.control("faults/clear")
    return dispute


def dispute_row(live: Live) -> Dispute:
    with live.database() as session:
        return session.scalars(sa.select(Dispute)).one()


@pytest.mark.parametrize("fees", [False, True], ids=["no fees", "fees"])
def test_scenario_34_dispute_won(live: Live, deal: Deal, mailbox: Mailbox, fees: bool) -> None:
    """Flagged, with a mail to the builder, the state unchanged; won, the money is back and the flag resolved."""
    live.hands.control("settings", fees=fees)
    completed(deal)
    dispute = disputed(deal)
    assert deal.truth() == ("completed", "disputed", FlagCode.DISPUTE_OPEN)
    row = dispute_row(live)
    assert (row.status, row.amount_minor, row.currency) == ("needs_response", 6000, "GBP")
    assert row.due_by is not None and row.cause is not None and row.checked_at is not None
    entries = [("dispute", -6000, "GBP"), *([("fee", -1500, "GBP")] if fees else [])]
    assert deal.ledger()[-len(entries) :] == entries
    assert deal.total() == deal.balance() == ({"GBP": -1610} if fees else {})
    letter = text(mailbox.one(BUILDER, "A payment is disputed"))
    assert "£60.00" in letter and "Please answer in Stripe by" in letter

    close(deal, dispute, "won")
    assert deal.truth() == ("completed", "paid", None)
    assert dispute_row(live).status == "won"
    assert deal.ledger()[-1] == ("dispute", 6000, "GBP")
    assert deal.total() == deal.balance()
    assert len(mailbox.to(BUILDER)) == 3
    assert deal.history()[-1] == "confirmed>completed"


def test_scenario_34_dispute_lost(live: Live, deal: Deal) -> None:
    """The money is gone for good, the payment stays disputed, and it is flagged."""
    completed(deal)
    close(deal, disputed(deal), "lost")
    assert deal.truth() == ("completed", "disputed", FlagCode.DISPUTE_LOST)
    assert deal.ledger() == [("charge", 6000, "GBP"), ("dispute", -6000, "GBP")]
    assert deal.total() == deal.balance() == {}
    assert deal.history()[-1] == "confirmed>completed"


@pytest.mark.any_database
def test_scenario_34_the_evidence_is_on_the_dashboard(live: Live, deal: Deal) -> None:
    """The booking, its history, the policy, the money, the mails and the calendar entry; for its own builder alone."""
    completed(deal)
    ada = live.browser("ada")
    assert "evidence" not in ada.page(deal.dashboard).words
    disputed(deal)
    page = ada.page(deal.dashboard)
    assert "A dispute over £60.00 has to be answered" in page.words
    address = str(page.one("a[href$=evidence]")["href"])
    answer = ada.get(address)
    assert answer.mimetype == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert sorted(archive.namelist()) == ["evidence.txt", "session.ics"]
        evidence = archive.read("evidence.txt").decode()
        entry = archive.read("session.ics").decode().replace("\r\n ", "")
        assert "BEGIN:VEVENT" in entry
    for words in (
        "Grace Hall, grace@example.org",
        "Price: £60.00",
        "Cancel at least 24 hours before the start: you get the full price back.",
        "Confirmed → Completed",
        "Paid: £60.00",
        "Taken back by the client's bank: -£60.00",
        "the confirmation, with time, price and refund policy",
        "Stripe: checkout.session.completed",
        "Calendly: invitee.created",
    ):
        assert words in evidence, evidence
    # The address of a booking is its client's key: the bank must not get it.
    assert deal.ref not in evidence + entry
    live.builder("kenji", user="SBXKENJIMORI0002", types={})
    assert live.browser("kenji").get(address).status_code == 404
    assert live.browser().get(address).status_code in (302, 303, 401)


@pytest.mark.any_database
def test_a_dispute_after_an_erasure(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """The pages say that there is no evidence of the person, and what there still is; nothing names the client."""
    booking_id = completed(deal).row.id
    with live.database() as session, transaction(session):
        session.execute(sa.update(Account).values(is_operator=True))
        erase_booking(session, lock_booking(session, booking_id), Actor.CLIENT, now=utcnow())
    disputed(deal)
    assert "A payment is disputed" in str(mailbox.to(BUILDER)[-1]["Subject"])
    ada = live.browser("ada")
    page = ada.page(deal.dashboard)
    assert "the evidence has no name, address, answers or e-mails" in page.words
    with zipfile.ZipFile(io.BytesIO(ada.get(str(page.one("a[href$=evidence]")["href"])).data)) as archive:
        evidence = archive.read("evidence.txt").decode()
        entry = archive.read("session.ics").decode().replace("\r\n ", "")
    assert "Client: personal data erased on" in evidence
    assert "Erased with the client's personal data." in evidence
    for words in ("Price: £60.00", "Cancel at least 24 hours", "Confirmed → Completed", "Paid: £60.00"):
        assert words in evidence
    assert "Grace" not in evidence + entry
    assert CLIENT not in evidence + entry
    with live.database() as session:
        account_id = session.scalars(sa.select(Account.id)).one()
    log_in_at_once(live.app, ada, account_id)
    operators = ada.page(f"/operator/disputes/{dispute_row(live).id}")
    assert "There is no evidence of the person" in operators.words
    assert "Please redact nothing of this payment in Stripe" in operators.words


@pytest.mark.any_database
@pytest.mark.parametrize(("by_builder", "outcome"), [(True, "won"), (True, "lost"), (False, "lost")])
def test_scenario_34_canceled_during_a_dispute(
    live: Live, deal: Deal, mailbox: Mailbox, by_builder: bool, outcome: str
) -> None:
    """No refund while the bank has the money. If the builder gets it back, it is refunded to the client."""
    deal.pay()
    dispute = disputed(deal)
    if by_builder:
        assert press(live.browser("ada"), f"{deal.dashboard}/cancel").status_code == 303
        live.work()
    else:
        assert deal.preview() == (0, "GBP")
        preview = deal.browser.page(f"/bookings/{deal.ref}/cancel")
        assert "Your bank has taken this payment back" in preview.words
        deal.cancel()
    assert deal.truth()[:2] == ("canceled", "disputed")
    assert deal.refunds() == []
    assert "Your bank has taken this payment back" in text(mailbox.one(CLIENT, "Canceled"))
    close(deal, dispute, outcome)
    is_won = outcome == "won"
    assert deal.refunds() == ([(6000, "gbp", "succeeded")] if is_won else [])
    assert deal.truth()[:2] == ("canceled", "refunded" if is_won else "disputed")
    assert deal.total() == deal.balance() == {}
    live.work()
    assert len(deal.refunds()) == is_won


def test_scenario_34_a_refund_that_a_dispute_barred_goes_out_when_it_is_won(live: Live, deal: Deal) -> None:
    """Scenario 26: Stripe refuses it, so the booking is flagged; it is made as soon as it can be."""
    dispute = refund_barred(live, deal)
    close(deal, dispute, "won")
    assert deal.refunds() == [(6000, "gbp", "succeeded")]
    assert [row.state for row in deal.refund_rows()] == [RefundState.DROPPED, RefundState.SUCCEEDED]
    assert deal.truth()[:2] == ("canceled", "refunded")
    assert deal.total() == deal.balance() == {}


def test_a_refund_that_a_lost_dispute_has_made(live: Live, deal: Deal) -> None:
    """Nobody is asked any more to pay what the client's bank has returned."""
    dispute = refund_barred(live, deal)
    close(deal, dispute, "lost")
    assert deal.truth() == ("canceled", "disputed", FlagCode.DISPUTE_LOST)
    assert deal.refunds() == []


def test_a_part_that_a_dispute_barred(live: Live, deal: Deal, mailbox: Mailbox) -> None:
    """Half of the price by the policy: the flag ends when it is made, though not everything is refunded. Nobody is
    asked to pay out by hand what we send when the dispute is won.
    """
    deal.pay()
    deal.begins_in(15)
    live.hands.control("faults", provider="stripe", kind="drop")
    dispute = disputed(deal)
    deal.cancel()
    assert deal.truth()[2] == FlagCode.REFUND_REFUSED
    assert "Stripe refused a refund" not in [str(mail["Subject"]) for mail in mailbox.to(BUILDER)]
    live.hands.control("faults/clear")
    close(deal, dispute, "won")
    assert deal.refunds() == [(3000, "gbp", "succeeded")]
    assert deal.truth() == ("canceled", "partially_refunded", None)


def test_the_ledger_sums_to_what_stripe_says(live: Live) -> None:
    """Charge, fee, a partial refund, a refund that came back, and a dispute that was won."""
    open_shop(live, price_minor=9999)
    live.hands.control("settings", fees=True)
    deal = Deal.made(live)
    deal.pay()
    assert deal.ledger() == [("charge", 9999, "GBP"), ("fee", -170, "GBP")]
    assert deal.total() == deal.balance()
    deal.refund_by_hand(999)
    assert deal.total() == deal.balance()
    deal.settle_refund("failed")
    assert deal.total() == deal.balance()
    dispute = disputed(deal)
    assert deal.total() == deal.balance()
    close(deal, dispute, "won")
    assert deal.total() == deal.balance() == {"GBP": 9999 - 170 - 1500}
    words = live.browser("ada").page(deal.dashboard).words
    kinds = ("Paid", "Kept by Stripe", "Refunded", "A refund came back", "Returned by the client's bank")
    assert all(kind in words for kind in kinds), words


def test_a_fee_that_stripe_reports_later(live: Live, deal: Deal) -> None:
    """It may not be known when the payment is: then the charge is reported once more."""
    deal.pay()
    assert deal.ledger() == [("charge", 6000, "GBP")]
    store = live.hands.server.sandbox.store
    intent = store.get("payment_intent", deal.intent()) or {}
    charge: dict[str, Any] = store.get("charge", intent["latest_charge"]) or {}
    movement = store.get("balance_transaction", charge["balance_transaction"]) or {}
    store.put("balance_transaction", movement["id"], {**movement, "fee": 110, "net": 5890})
    for _ in range(2):
        deal.deliver(stripe_event("charge.updated", charge))
    assert deal.ledger() == [("charge", 6000, "GBP"), ("fee", -110, "GBP")]
    assert deal.total() == deal.balance()


@pytest.mark.any_database
def test_an_inquiry_takes_nothing(live: Live, deal: Deal) -> None:
    """A bank's question before a dispute: flagged, and closed without any money moving."""
    deal.pay()
    dispute = disputed(deal)
    store = live.hands.server.sandbox.store
    closed = {**(store.get("dispute", dispute) or {}), "status": "warning_closed"}
    store.put("dispute", dispute, closed)
    with live.database() as session, transaction(session):
        session.execute(sa.update(Dispute).values(status="warning_needs_response"))
    deal.deliver(stripe_event("charge.dispute.closed", closed))
    assert deal.row.status is Status.CONFIRMED
    assert deal.truth() == ("confirmed", "paid", None)


@pytest.mark.any_database
def test_the_page_of_a_delivery_says_what_it_moved(live: Live, deal: Deal) -> None:
    live.hands.control("settings", fees=True)
    deal.pay()
    disputed(deal)
    with live.database() as session:
        query = sa.select(InboxEvent.id).where(InboxEvent.booking_id == deal.row.id)
        numbers = list(session.scalars(query))
    ada = live.browser("ada")
    words = " ".join(ada.page(f"/dashboard/webhooks/{number}").words for number in numbers)
    fees = ("£1.10 kept by Stripe", "£15.00 kept by Stripe")
    assert all(said in words for said in ("£60.00 paid", "£60.00 moved by a dispute", *fees)), words


@pytest.mark.any_database
def test_one_flag_does_not_hide_another(live: Live, deal: Deal) -> None:
    """Refunded by hand, and then disputed: each flag remains until it is resolved."""
    deal.pay()
    deal.refund_by_hand(1000)
    assert deal.truth()[2] == FlagCode.REFUNDED_OUTSIDE
    dispute = disputed(deal)
    assert deal.truth()[2] == f"{FlagCode.REFUNDED_OUTSIDE} {FlagCode.DISPUTE_OPEN}"
    for page in ("/dashboard", deal.dashboard):
        words = live.browser("ada").page(page).words
        assert all(str(FLAGS[code]) in words for code in (FlagCode.REFUNDED_OUTSIDE, FlagCode.DISPUTE_OPEN))
    close(deal, dispute, "won")
    assert deal.truth()[2] == FlagCode.REFUNDED_OUTSIDE
