"""Scenarios 37 and 45: what was promised is what is paid, or nothing is confirmed."""

from __future__ import annotations

from typing import Any

import pytest

from bookingapp.bookings.codes import FlagCode
from tests.live import HOUR, Live
from tests.mailbox import Mailbox, text
from tests.money.deals import BUILDER, CLIENT, Deal, publish


def pay_altered(deal: Deal, **altered: Any) -> None:
    """Pay on a Checkout page that somebody has altered at Stripe."""
    checkout = deal.open_checkout()
    deal.live.hands.control(f"stripe/sessions/{checkout}/alter", **altered)
    deal.pay(checkout)


@pytest.mark.any_database
def test_scenario_37_price_changed_during_checkout(live: Live, deal: Deal) -> None:
    """The client pays the £60.00 of their booking; the card shows £80.00 after the change."""
    checkout = deal.open_checkout()
    assert publish(live, "80.00", "GBP")[0] == 0
    deal.pay(checkout)
    assert deal.truth() == ("confirmed", "paid", None)
    assert deal.ledger() == [("charge", 6000, "GBP")]
    card = live.browser().page("/builders/ada/session-types").one(f"[data-session-type={HOUR}]")
    assert (card["data-price-minor"], card["data-currency"]) == ("8000", "GBP")


@pytest.mark.parametrize("wrong", [{"amount": "8000"}, {"currency": "USD"}], ids=str)
def test_scenario_37_another_amount_in_the_metadata_is_flagged(
    live: Live, deal: Deal, wrong: dict[str, str]
) -> None:
    """Where the session was made for another amount than the snapshot's, nothing is confirmed."""
    deal.open_checkout()
    (session,) = deal.sessions()
    metadata = session["metadata"]
    assert (metadata["amount"], metadata["currency"]) == ("6000", "GBP")
    pay_altered(deal, metadata={**metadata, **wrong})
    assert deal.truth()[:2] == ("scheduled", "paid")
    assert deal.truth()[2] is not None


@pytest.mark.parametrize(
    ("altered", "entry"),
    [({"amount_total": 100}, ("charge", 100, "GBP")), ({"currency": "usd"}, ("charge", 6000, "USD"))],
    ids=str,
)
def test_scenario_45_wrong_money_confirms_nothing_and_goes_back(
    live: Live, deal: Deal, mailbox: Mailbox, altered: dict[str, Any], entry: tuple[str, int, str]
) -> None:
    """It is flagged, the client is not asked for money again, and when the hold ends, all of it is refunded."""
    pay_altered(deal, **altered)
    assert deal.truth() == ("scheduled", "paid", FlagCode.WRONG_AMOUNT)
    assert deal.page.select("#pay-button") == []
    assert deal.press("pay").status_code == 409
    assert deal.row.paid_at is None
    assert deal.ledger() == [entry]

    deal.let_the_hold_end()
    assert deal.truth()[:2] == ("expired", "refunded")
    assert deal.truth()[2] is not None
    assert [(minor, state) for minor, _, state in deal.refunds()] == [(entry[1], "succeeded")]
    assert deal.total() == {}
    assert deal.history() == [">pending", "pending>scheduled", "scheduled>expired"]
    assert len(mailbox.to(CLIENT)) == 2
    for mail in mailbox.to(CLIENT):
        assert "nothing was charged" not in text(mail).lower()


def test_scenario_45_after_wrong_money_was_refunded_the_right_money_confirms(
    live: Live, deal: Deal, mailbox: Mailbox
) -> None:
    """Somebody refunds it in Stripe's dashboard. Until all of it is refunded the client is not asked for more;
    afterwards the flag is resolved.
    """
    pay_altered(deal, currency="usd")
    deal.refund_by_hand(1500)
    assert deal.truth() == ("scheduled", "partially_refunded", FlagCode.WRONG_AMOUNT)
    assert deal.page.select("#pay-button") == []
    assert deal.press("pay").status_code == 409

    deal.refund_by_hand()
    assert deal.truth() == ("scheduled", "refunded", None)
    assert "so we refunded it. Pay £60.00 to confirm." in deal.page.words
    assert len(deal.page.select("#pay-button")) == 1
    deal.pay()
    assert deal.truth() == ("confirmed", "paid", None)
    assert deal.total() == {"GBP": 6000}
    assert deal.preview() == (6000, "GBP")
    assert not [mail for mail in mailbox.to(BUILDER) if "Is the session still on" in str(mail["Subject"])]


def test_scenario_45_the_client_can_cancel_and_gets_everything_back(live: Live, deal: Deal) -> None:
    """Whatever the policy says of late cancellations: the booking was never confirmed."""
    pay_altered(deal, amount_total=5999)
    deal.begins_in(2)
    assert deal.preview() == (5999, "GBP")
    deal.cancel()
    assert deal.truth()[:2] == ("canceled", "refunded")
    assert deal.refunds() == [(5999, "gbp", "succeeded")]
    assert deal.ledger() == [("charge", 5999, "GBP"), ("refund", -5999, "GBP")]


@pytest.mark.parametrize("end", ["canceled", "expired"])
def test_scenario_45_wrong_money_that_nothing_reports(live: Live, deal: Deal, end: str) -> None:
    """Paid in the last moment: the end of the booking finds it, and refunds it."""
    live.hands.control("faults", provider="stripe", kind="drop")
    pay_altered(deal, amount_total=100)
    if end == "canceled":
        deal.cancel()
    else:
        deal.let_the_hold_end()
    assert deal.truth()[:2] == (end, "refunded")
    assert deal.ledger() == [("charge", 100, "GBP"), ("refund", -100, "GBP")]
    (event,) = [row for row in live.state()["events"] if row["id"] in (deal.row.event_uri or "")]
    assert event["status"] == "canceled"
