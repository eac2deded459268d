"""Payments that Stripe refuses for good: nobody is asked to try again, and the type is not offered on."""

from __future__ import annotations

import pytest

from bookingapp.bookings.codes import FlagCode
from tests.live import HOUR, Live, press
from tests.mailbox import Mailbox, text
from tests.money.deals import BUILDER, Deal, open_shop

CARDS = "/builders/ada/session-types"


def card(live: Live) -> dict[str, object]:
    """What the card of the hour says to a program."""
    found = live.browser().page(CARDS).one(f"[data-session-type={HOUR}]")
    return {name: found[f"data-{name}"] for name in ("bookable", "currency", "price-minor")}


def price_it(live: Live, price: str, currency: str) -> None:
    """The builder saves the hour with that price."""
    form = {"price": price, "currency": currency, "category": "other", "sign_in": "", "published": "y"}
    values = {f"{HOUR}-{name}": value for name, value in form.items()}
    assert press(live.browser("ada"), f"/dashboard/session-types/{HOUR}", values).status_code == 303


def made_for(live: Live, email: str) -> Deal:
    """A booking with a time, for that address."""
    browser = live.browser()
    answer = browser.submit(f"{CARDS}/{HOUR}/book", {"name": "Grace", "email": email, "timezone": "UTC"})
    assert answer.status_code == 303, answer.text
    deal = Deal(live, browser, answer.headers["Location"].split("/bookings/")[1].split("/")[0])
    live.choose(browser, deal.ref)
    live.work()
    return deal


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("price", "account", "why"),
    [
        (
            {"price_minor": 300_000, "currency": "IDR"},
            {"settlement_currency": "usd"},
            "does not accept a payment as small as IDR 3,000.00",
        ),
        (
            {"price_minor": 10_000_000_000_000, "currency": "IDR"},
            {},
            "does not accept a payment as large as IDR 100,000,000,000.00",
        ),
        (
            {"price_minor": 900, "currency": "JPY"},
            {"account_currencies": ["gbp", "usd"]},
            "does not accept payments in JPY on this account",
        ),
    ],
    ids=["too small", "too large", "currency"],
)
def test_a_price_that_stripe_refuses_is_not_offered_on(
    live: Live, mailbox: Mailbox, price: dict[str, object], account: dict[str, object], why: str
) -> None:
    """The client reads the truth, the builder which type and why; changed, it is offered again."""
    live.hands.control("settings", **account)
    open_shop(live, **price)
    assert card(live)["bookable"] == "true"
    deal = Deal.made(live)
    answer = deal.press("pay")
    assert answer.status_code == 409
    for words in (answer.text, deal.page.words):
        assert "This session cannot be paid" in words and "Nothing was charged" in words
        assert "try again" not in words and "few minutes" not in words
    assert deal.truth() == ("scheduled", "failed", FlagCode.PAYMENT_REFUSED)
    assert not deal.page.select("#pay-button")
    assert live.calls("/checkout/sessions", "POST", api="stripe-api") == 1
    assert deal.press("pay").status_code == 409
    assert live.calls("/checkout/sessions", "POST", api="stripe-api") == 1

    live.work()
    assert why in text(mailbox.one(BUILDER, "A payment is refused"))
    builder = live.browser("ada")
    assert why in builder.page(deal.dashboard).words
    assert why in builder.page("/dashboard").words
    assert why in builder.page("/dashboard/session-types").words
    setup = builder.page(f"/dashboard/session-types/{HOUR}/check").words
    assert why in setup and "Cannot be booked" in setup
    assert card(live)["bookable"] == "false"

    price_it(live, "60.00", "GBP")
    assert card(live) == {"bookable": "true", "currency": "GBP", "price-minor": "6000"}
    assert Deal.made(live, days=10).press("pay").status_code == 303


@pytest.mark.any_database
def test_the_time_of_a_refused_payment_is_released_with_the_reason(live: Live, mailbox: Mailbox) -> None:
    """Not with "it was not paid in time"."""
    live.hands.control("settings", account_currencies=["usd"])
    open_shop(live)
    deal = Deal.made(live)
    deal.press("pay")
    deal.hurry("mail:pay-reminder")
    assert not [one for one in mailbox.to("grace@example.org") if "held" in str(one["Subject"])]
    deal.let_the_hold_end()
    assert deal.truth()[0] == "expired"
    said = "Stripe did not accept the payment, so we released"
    assert said in deal.page.words
    assert said in text(mailbox.one("grace@example.org", "Your hold has ended"))


@pytest.mark.parametrize(
    ("typed", "sent"),
    [("info@müller.de", "info@xn--mller-kva.de"), ("grete@EXAMPLE.org", "grete@example.org")],
)
def test_stripe_gets_the_punycode_form_of_an_address(live: Live, typed: str, sent: str) -> None:
    """Which is the only one that it accepts."""
    open_shop(live)
    deal = made_for(live, typed)
    assert deal.press("pay").status_code == 303
    (session,) = deal.live.state()["sessions"]
    assert session["customer_email"] == sent


def test_an_address_that_stripe_does_not_accept_is_asked_for_on_its_page(live: Live) -> None:
    """The payment goes on without it."""
    open_shop(live)
    deal = made_for(live, "иван@example.org")
    assert deal.press("pay").status_code == 303
    (session,) = deal.live.state()["sessions"]
    assert session["customer_email"] is None
    assert deal.truth() == ("scheduled", "open", None)


@pytest.mark.any_database
def test_a_price_of_ten_digits_is_sold(live: Live) -> None:
    """1,500,000,000 IDR is about 90,000 USD."""
    open_shop(live)
    price_it(live, "1500000000.00", "IDR")
    deal = Deal.made(live)
    deal.pay()
    assert deal.truth() == ("confirmed", "paid", None)
    assert deal.total() == deal.balance() == {"IDR": 150_000_000_000}
