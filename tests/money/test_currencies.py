"""Scenario 39 (and 23): yen, pounds and dinars from the price that a builder types to the half that is refunded."""

from __future__ import annotations

import pytest

from tests.live import FREE, HOUR, Live, press
from tests.mailbox import Mailbox, text
from tests.money.deals import CLIENT, Deal, publish

pytestmark = pytest.mark.any_database


@pytest.mark.once_on_postgresql
@pytest.mark.parametrize(
    ("price", "currency", "minor", "shown", "back", "back_shown"),
    [
        ("5000", "JPY", 5000, "JP¥5,000", 2500, "JP¥2,500"),
        ("4999", "JPY", 4999, "JP¥4,999", 2500, "JP¥2,500"),
        ("60.00", "GBP", 6000, "£60.00", 3000, "£30.00"),
        ("99.99", "GBP", 9999, "£99.99", 5000, "£50.00"),
        ("1.250", "KWD", 1250, "KWD 1.250", 630, "KWD 0.630"),
        ("1500", "ISK", 150_000, "ISK 1,500", 75_000, "ISK 750"),
        ("1501", "ISK", 150_100, "ISK 1,501", 75_100, "ISK 751"),
    ],
)
def test_scenario_39_from_the_price_to_the_half_that_goes_back(
    live: Live,
    mailbox: Mailbox,
    price: str,
    currency: str,
    minor: int,
    shown: str,
    back: int,
    back_shown: str,
) -> None:
    """The same minor units on the card, at Stripe and in the ledger; a half is rounded up to what can be paid."""
    live.builder(types={FREE: {"price_minor": 0}})
    assert publish(live, price, currency)[0] == 0
    card = live.browser().page("/builders/ada/session-types").one(f"[data-session-type={HOUR}]")
    assert (card["data-price-minor"], card["data-currency"]) == (str(minor), currency)
    assert shown in plain(card.get_text(" "))

    deal = Deal.made(live)
    assert f"Pay {shown}" in plain(deal.page.words)
    deal.pay()
    assert deal.truth() == ("confirmed", "paid", None)
    (session,) = deal.sessions()
    assert (session["amount_total"], session["currency"]) == (minor, currency.lower())

    deal.begins_in(15)
    assert deal.preview() == (back, currency)
    deal.cancel()
    assert deal.truth() == ("canceled", "partially_refunded", None)
    assert deal.refunds() == [(back, currency.lower(), "succeeded")]
    assert deal.ledger() == [("charge", minor, currency), ("refund", -back, currency)]
    assert deal.total() == deal.balance() == {currency: minor - back}
    assert f"{back_shown} has been refunded" in plain(deal.page.words)
    assert f"refunding {back_shown} the way you paid" in plain(text(mailbox.one(CLIENT, "Canceled")))


@pytest.mark.once_on_postgresql
@pytest.mark.parametrize(
    ("price", "currency", "words"),
    [
        ("60.00", "XAU", "XAU cannot be charged here"),
        ("0.29", "GBP", "The smallest charge is £0.30"),
        ("49", "JPY", "The smallest charge is JP¥50"),
        ("5000.5", "JPY", "JPY has no decimal places"),
        ("1.255", "KWD", "The last of the three decimals of KWD has to be 0"),
        ("1500.50", "ISK", "ISK is charged in whole units only"),
        ("2000.50", "UGX", "UGX is charged in whole units only"),
    ],
)
def test_scenario_39_what_cannot_be_charged_is_refused_when_it_is_published(
    live: Live, price: str, currency: str, words: str
) -> None:
    """In words, by the command and on the dashboard, and no card shows it."""
    live.builder(types={FREE: {"price_minor": 0}})
    code, output = publish(live, price, currency)
    assert code != 0
    assert words in plain(output)
    ada = live.browser("ada")
    form = {
        f"{HOUR}-sign_in": "",
        f"{HOUR}-price": price,
        f"{HOUR}-currency": currency,
        f"{HOUR}-category": "other",
    }
    answer = press(ada, f"/dashboard/session-types/{HOUR}", form | {f"{HOUR}-published": "y"})
    assert answer.status_code == 422
    refused = "Not a valid choice" if currency == "XAU" else words
    assert refused in plain(answer.text)
    cards = live.browser().page("/builders/ada/session-types")
    assert cards.select(f"[data-session-type={HOUR}][data-bookable=true]") == []


def plain(words: str) -> str:
    """With plain spaces."""
    return words.replace("\N{NO-BREAK SPACE}", " ")
