"""Scenarios 37 and 45: what was promised is what is paid, or nothing is confirmed."""

from __future__ import annotations

from typing import Any

import pytest

from bookingapp.bookings.codes import FlagCode
from tests.live import HOUR, Live
from tests.mailbox import Mailbox, text
from tests.money.deals import BUILDER, CLIENT, Deal

pytestmark = pytest.mark.any_database


def test_scenario_37_price_changed_during_checkout(live: Live, deal: Deal) -> None:
    """Who was promised £60.00 pays £60.00; who comes after the change sees £80.00."""
    checkout = deal.open_checkout()
    published = live.runner().invoke(
        args=[
            *("session-types", "publish", "--builder", "ada", "--event-type", live.hands.event_type(HOUR)),
            *("--price", "80.00", "--currency", "GBP"),
        ]
    )
    assert published.exit_code == 0, published.output
    deal.pay(checkout)
    assert deal.truth() == ("confirmed", "paid", None)
    assert deal.ledger() == [("charge", 6000, "GBP")]
    card = live.browser().page("/builders/ada/session-types").one(f"[data-session-type={HOUR}]")
    assert (card["data-price-minor"], card["data-currency"]) == ("8000", "GBP")


@pytest.mark.parametrize("wrong", [{"amount": "8000"}, {"currency": "USD"}], ids=str)
def test_scenario_37_an_amount_in_the_metadata_that_differs_asks_for_a_person(
    live: Live, deal: Deal, wrong: dict[str, str]
) -> None:
    """The session says in its metadata what it was made for; where that is not the snapshot, nothing is confirmed."""
    checkout = deal.open_checkout()
    (session,) = deal.sessions()
    assert session["metadata"]["amount"] == "6000"
    assert session["metadata"]["currency"] == "GBP"
    live.hands.control(f"stripe/sessions/{checkout}/alter", metadata={**session["metadata"], **wrong})
    deal.pay(checkout)
    status, payment, attention = deal.truth()
    assert (status, payment) == ("scheduled", "paid")
    assert attention is not None


@pytest.mark.parametrize(
    ("altered", "entry"),
    [
        ({"amount_total": 100}, ("charge", 100, "GBP")),
        ({"currency": "usd"}, ("charge", 6000, "USD")),
    ],
    ids=str,
)
def test_scenario_45_wrong_money_confirms_nothing_and_goes_back(
    live: Live, deal: Deal, mailbox: Mailbox, altered: dict[str, Any], entry: tuple[str, int, str]
) -> None:
    """A person is asked, the client is not asked for money again, and when the hold ends, all of it goes back."""
    checkout = deal.open_checkout()
    live.hands.control(f"stripe/sessions/{checkout}/alter", **altered)
    live.hands.control(f"stripe/sessions/{checkout}/pay")
    live.work()
    status, payment, attention = deal.truth()
    assert (status, payment) == ("scheduled", "paid")
    assert attention == FlagCode.WRONG_AMOUNT
    assert deal.page().select("#pay-button") == []
    assert deal.press("pay").status_code == 409
    assert deal.booking.paid_at is None
    assert deal.ledger() == [entry]

    deal.let_the_hold_end()
    status, payment, attention = deal.truth()
    assert (status, payment) == ("expired", "refunded")
    assert attention is not None
    assert [(minor, state) for minor, _, state in deal.refunds()] == [(entry[1], "succeeded")]
    assert deal.total() == {}
    assert deal.history() == [">pending", "pending>scheduled", "scheduled>expired"]
    assert len(mailbox.to(CLIENT)) == 2
    for mail in mailbox.to(CLIENT):
        assert "nothing was charged" not in text(mail).lower()


def test_scenario_45_after_wrong_money_went_back_the_right_money_confirms(
    live: Live, deal: Deal, mailbox: Mailbox
) -> None:
    """A person has refunded it in Stripe's dashboard. Until all of it is back nobody is asked for more, and nobody is
    asked to look any more afterwards.
    """
    checkout = deal.open_checkout()
    live.hands.control(f"stripe/sessions/{checkout}/alter", currency="usd")
    live.hands.control(f"stripe/sessions/{checkout}/pay")
    live.work()
    intent = deal.intent()
    live.hands.control(f"stripe/payments/{intent}/refund", amount=1500)
    live.work()
    assert deal.truth() == ("scheduled", "partially_refunded", FlagCode.WRONG_AMOUNT)
    assert deal.page().select("#pay-button") == []
    assert deal.press("pay").status_code == 409

    live.hands.control(f"stripe/payments/{intent}/refund")
    live.work()
    assert deal.truth() == ("scheduled", "refunded", None)
    assert "so we refunded it. Pay £60.00 to confirm." in deal.page().words
    assert len(deal.page().select("#pay-button")) == 1
    deal.pay()
    assert deal.truth() == ("confirmed", "paid", None)
    assert deal.total() == {"GBP": 6000}
    assert deal.preview() == (6000, "GBP")
    assert not [
        mail for mail in mailbox.to(BUILDER) if str(mail["Subject"]).startswith("Is the session still on")
    ]


def test_scenario_45_the_client_can_cancel_and_gets_everything_back(live: Live, deal: Deal) -> None:
    """Whatever the policy says of late cancellations: there was never a booking to be late for."""
    checkout = deal.open_checkout()
    live.hands.control(f"stripe/sessions/{checkout}/alter", amount_total=5999)
    live.hands.control(f"stripe/sessions/{checkout}/pay")
    live.work()
    deal.begins_in(2)
    assert deal.preview() == (5999, "GBP")
    deal.cancel()
    live.work()
    assert deal.truth()[:2] == ("canceled", "refunded")
    assert deal.refunds() == [(5999, "gbp", "succeeded")]
    assert deal.ledger() == [("charge", 5999, "GBP"), ("refund", -5999, "GBP")]


def test_scenario_45_wrong_money_after_the_end_goes_back_at_once(live: Live, deal: Deal) -> None:
    """Nobody has to look before it does."""
    checkout = deal.open_checkout()
    live.hands.control(f"stripe/sessions/{checkout}/alter", amount_total=100)
    live.hands.control("faults", provider="stripe", kind="drop")
    live.hands.control(f"stripe/sessions/{checkout}/pay")
    deal.cancel()
    live.work()
    assert deal.truth()[:2] == ("canceled", "refunded")
    assert deal.ledger() == [("charge", 100, "GBP"), ("refund", -100, "GBP")]


def test_scenario_45_wrong_money_that_wins_the_race_with_the_hold(live: Live, deal: Deal) -> None:
    """Paid in the last moment, and nobody told us: the end of the hold finds it, and sends it back."""
    checkout = deal.open_checkout()
    live.hands.control(f"stripe/sessions/{checkout}/alter", amount_total=100)
    live.hands.control("faults", provider="stripe", kind="drop")
    live.hands.control(f"stripe/sessions/{checkout}/pay")
    deal.let_the_hold_end()
    assert deal.truth()[:2] == ("expired", "refunded")
    assert deal.ledger() == [("charge", 100, "GBP"), ("refund", -100, "GBP")]
    (event,) = [row for row in live.state()["events"] if row["id"] in (deal.booking.event_uri or "")]
    assert event["status"] == "canceled"
