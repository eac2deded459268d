"""Prices: read from a form, rounded, shown."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bookingapp.core.money import (
    CURRENCIES,
    LARGEST_MINOR,
    AmountError,
    exponent,
    format_money,
    maximum_minor,
    minimum_minor,
    parse_amount,
    parse_price,
    portion,
    price_text,
    step,
    to_decimal,
)


@pytest.mark.parametrize(
    ("typed", "currency", "minor"),
    [
        ("60", "GBP", 6000),
        ("60.00", "GBP", 6000),
        (" 0.30 ", "GBP", 30),
        ("0", "GBP", 0),
        ("0.00", "GBP", 0),
        ("9000", "JPY", 9000),
        ("1.250", "KWD", 1250),
        ("1.25", "KWD", 1250),
        ("999999.99", "GBP", 99_999_999),
        ("1000", "ISK", 100_000),
        ("1", "CLP", 1),  # Stripe publishes no smallest charge for it.
        ("0.010", "KWD", 10),
        ("1500000", "IDR", 150_000_000),
        ("9999999999.99", "IDR", 999_999_999_999),
        ("9999999999", "JPY", 9_999_999_999),
        ("40,50", "EUR", 4050),
        ("40,5", "EUR", 4050),
        ("£45", "GBP", 4500),
        ("£ 45.00", "GBP", 4500),
        ("45 £", "GBP", 4500),
        ("45 gbp", "GBP", 4500),
        ("£45 GBP", "GBP", 4500),
        ("US$45", "USD", 4500),
        ("$45", "USD", 4500),
        ("$45", "CAD", 4500),
        ("CA$45", "CAD", 4500),
        ("45 kr", "SEK", 4500),
        ("45,00 zł", "PLN", 4500),
        ("1.500,00", "EUR", 150_000),
        ("1,500.00", "GBP", 150_000),
        ("1,500.5", "GBP", 150_050),
        ("1 500", "EUR", 150_000),
        ("1 500,00 €", "EUR", 150_000),
        ("1\N{NARROW NO-BREAK SPACE}500,00\N{NO-BREAK SPACE}€", "EUR", 150_000),
        ("1'500.00", "CHF", 150_000),
        ("1\N{RIGHT SINGLE QUOTATION MARK}500.00", "CHF", 150_000),
        ("1.234.567", "IDR", 123_456_700),
        ("1,234,567.89", "COP", 123_456_789),
        ("9,000", "JPY", 9000),
        ("9.000", "JPY", 9000),
        ("JP¥9,000", "JPY", 9000),
        ("1,234.250", "KWD", 1_234_250),
        ("1234,250", "KWD", 1_234_250),
        ("0,500", "KWD", 500),
    ],
)
def test_what_a_person_types(typed: str, currency: str, minor: int) -> None:
    assert parse_price(typed, currency) == minor


NO_NUMBERS = (
    "-1 sixty 1e3 60. .5 +60 £ £-5 -£5 1,00.00 1.5.0 1,500,00 1.500.00 1,500.000,00 1''500 45x 60² ٦٠"
)


@pytest.mark.parametrize(
    ("typed", "currency", "words"),
    [
        ("60.0011", "GBP", "GBP has 2 decimal places"),
        ("60.0000", "GBP", "GBP has 2 decimal places"),
        ("0.500", "GBP", "GBP has 2 decimal places"),
        ("1500.000", "GBP", "GBP has 2 decimal places"),
        ("1.500,000", "EUR", "EUR has 2 decimal places"),
        ("9,000.00", "JPY", "JPY has no decimal places"),
        ("1,500", "GBP", "“1,500” can mean two amounts. Please enter 1500 or 1.50."),
        ("1.500", "EUR", "“1.500” can mean two amounts. Please enter 1500 or 1.50."),
        ("£60.000", "GBP", "“60.000” can mean two amounts. Please enter 60000 or 60.00."),
        ("1,250", "KWD", "“1,250” can mean two amounts. Please enter 1250 or 1.25."),
        ("€45", "GBP", "“€” does not belong to GBP. Choose the other currency, or enter the number alone."),
        ("45 USD", "GBP", "“USD” does not belong to GBP."),
        ("A$45", "USD", "“A$” does not belong to USD."),
        ("9000.00", "JPY", "JPY has no decimal places"),
        ("9000.5", "JPY", "JPY has no decimal places"),
        ("0.29", "GBP", "The smallest charge is £0.30"),
        ("0.01", "GBP", "The smallest charge is £0.30"),
        ("49", "JPY", "The smallest charge is JP¥50"),
        ("0.49", "EUR", "The smallest charge is €0.50"),
        ("1000000", "GBP", "The largest charge is £999,999.99"),
        ("10000000000", "IDR", "The largest charge is IDR\N{NO-BREAK SPACE}9,999,999,999.99"),
        ("10000000", "INR", "The largest charge is ₹9,999,999.99"),
        ("100000", "KWD", "The largest charge is KWD\N{NO-BREAK SPACE}99,999.990"),
        ("1.255", "KWD", "The last of the three decimals of KWD has to be 0."),
        ("1500.50", "ISK", "ISK is charged in whole units only"),
        ("1500.50", "UGX", "UGX is charged in whole units only"),
        ("10", "BTC", "BTC cannot be charged here. Choose one from the list."),
        ("60", "", "This currency cannot be charged here"),
        ("60", "gbp", "gbp cannot be charged here"),
        *[
            (typed, "GBP", "Please enter the amount as a number, like 1250 or 60.00.")
            for typed in (
                "",
                "1 00",
                "1 000\u00a0000",
                "60\n1",
                "1\n000",
                "9" * 41,
                "5" + "0" * 5000,
                *NO_NUMBERS.split(),
            )
        ],
    ],
)
def test_what_cannot_be_charged_is_refused_in_words(typed: str, currency: str, words: str) -> None:
    """Scenario 39: what Stripe would refuse is refused before."""
    with pytest.raises(AmountError) as refusal:
        parse_price(typed, currency)
    assert words in str(refusal.value)


# Stripe's list of them, as it is published.
WITHOUT_DECIMALS = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"


@pytest.mark.parametrize(
    ("currency", "places", "smallest_step"),
    [("GBP", 2, 1), ("ISK", 2, 100), ("KWD", 3, 10), *((code, 0, 1) for code in WITHOUT_DECIMALS.split())],
)
def test_decimals_and_smallest_steps(currency: str, places: int, smallest_step: int) -> None:
    assert (exponent(currency), step(currency)) == (places, smallest_step)


# Stripe's table of the smallest charges, as it is published, in the major unit.
SMALLEST = (
    "USD 0.50, EUR 0.50, GBP 0.30, CAD 0.50, AUD 0.50, NZD 0.50, SGD 0.50, CHF 0.50, BRL 0.50, INR 0.50, AED 2.00, "
    "CZK 15.00, DKK 2.50, HKD 4.00, HUF 175.00, JPY 50, MXN 10.00, MYR 2.00, NOK 3.00, PLN 2.00, RON 2.00, "
    "SEK 3.00, THB 10.00, ARS 0.50, BGN 1.00, COP 0.50, IDR 0.50, ILS 0.50, KRW 50, PHP 0.50, RUB 0.50, ZAR 0.50"
)


@pytest.mark.parametrize(("currency", "smallest"), [line.split() for line in SMALLEST.split(", ")])
def test_the_smallest_charge_of_each_currency(currency: str, smallest: str) -> None:
    minor = parse_price(smallest, currency)
    assert price_text(minor, currency) == smallest
    with pytest.raises(AmountError, match="The smallest charge is"):
        parse_price(price_text(minor - 1, currency), currency)


# Those for which Stripe publishes no smallest charge, with the least that can be written in them.
OTHERS = "CLP 1, VND 1, ISK 1.00, UGX 1.00, BHD 0.010, JOD 0.010, KWD 0.010, OMR 0.010, TND 0.010"


@pytest.mark.parametrize(("currency", "least"), [line.split() for line in OTHERS.split(", ")])
def test_currencies_without_a_published_minimum(currency: str, least: str) -> None:
    """Any amount that can be paid in them can be asked for, and every amount is a multiple of the least."""
    minor = parse_price(least, currency)
    assert price_text(minor, currency) == least
    assert step(currency) == minor


def test_the_currencies_on_offer() -> None:
    assert sorted(line.split()[0] for line in f"{SMALLEST}, {OTHERS}".split(", ")) == list(CURRENCIES)


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (6000, "GBP", "£60.00"),
        (9000, "JPY", "JP¥9,000"),
        (1250, "KWD", "KWD\N{NO-BREAK SPACE}1.250"),
        (2500, "SEK", "SEK\N{NO-BREAK SPACE}25.00"),
        (8500, "EUR", "€85.00"),
        (123456, "USD", "US$1,234.56"),
        (0, "GBP", "£0.00"),
    ],
)
def test_what_a_page_shows(minor: int, currency: str, shown: str) -> None:
    assert format_money(minor, currency) == shown


@given(currency=st.sampled_from(CURRENCIES), minor=st.integers(0, LARGEST_MINOR))
def test_what_is_stored_can_be_typed_again(currency: str, minor: int) -> None:
    if 0 < minor < minimum_minor(currency):
        return
    minor -= minor % step(currency)
    if 0 < minor < minimum_minor(currency):
        return
    assert parse_price(price_text(minor, currency), currency) == minor
    assert to_decimal(minor, currency) * 10 ** exponent(currency) == Decimal(minor)


WRITTEN = st.tuples(
    st.sampled_from(("", " ", "\u00a0", "\u202f", "'", ",", ".")), st.sampled_from((".", ","))
).filter(lambda marks: marks[0] != marks[1])


@given(currency=st.sampled_from(CURRENCIES), units=st.integers(0, 9_999_999), marks=WRITTEN, data=st.data())
def test_an_amount_is_read_as_it_was_written_or_refused(
    currency: str, units: int, marks: tuple[str, str], data: st.DataObject
) -> None:
    """With any separator of thousands, any decimal mark, and the currency in front or behind."""
    thousands, point = marks
    decimals = 0 if step(currency) == 100 else exponent(currency)
    places = data.draw(st.integers(0, decimals))
    part = data.draw(st.integers(0, 10**places - 1)) if places else 0
    if step(currency) == 10 and places == 3:
        part -= part % 10
    typed = f"{units:,}".replace(",", thousands) + (f"{point}{part:0{places}d}" if places else "")
    shown = data.draw(st.sampled_from((typed, f"{currency} {typed}", f"{typed} {currency.lower()}")))
    minor = units * 10 ** exponent(currency) + part * 10 ** (exponent(currency) - places)
    if exponent(currency) and re.fullmatch("[1-9][0-9]{0,2}[.,][0-9]{3}", typed):
        # Our forms write three decimals behind a point, so that is read as three decimals.
        if exponent(currency) < 3 or "," in typed:
            with pytest.raises(AmountError, match="can mean two amounts"):
                parse_amount(shown, currency)
            return
        assume(point == "." and places)
    assert parse_amount(shown, currency) == minor


@given(
    typed=st.text("0123456789., '-£€", max_size=12), currency=st.sampled_from(("GBP", "EUR", "JPY", "KWD"))
)
def test_no_digit_is_lost_or_added(typed: str, currency: str) -> None:
    """Whatever is read is the text with its last mark as the decimal mark, or with no decimal mark."""
    try:
        minor = parse_amount(typed, currency)
    except AmountError:
        return
    whole, _, part = re.sub("[^0-9.,]", "", typed).replace(",", ".").rpartition(".")
    readings = {re.sub("[^0-9]", "", typed), f"{whole.replace('.', '')}.{part}"}
    assert to_decimal(minor, currency) in {Decimal(reading) for reading in readings}


@given(typed=st.text(max_size=20), currency=st.sampled_from(CURRENCIES))
def test_any_text_is_a_price_or_a_sentence(typed: str, currency: str) -> None:
    said, minor = "", 0
    try:
        minor = parse_price(typed, currency)
    except AmountError as refusal:
        said = str(refusal)
    assert said.endswith(".") or said == ""
    assert minor == 0 or minimum_minor(currency) <= minor <= maximum_minor(currency)


@pytest.mark.parametrize(
    ("minor", "percent", "currency", "back"),
    [
        (9999, 50, "GBP", 5000),
        (9998, 50, "GBP", 4999),
        (1, 50, "GBP", 1),
        (6000, 100, "GBP", 6000),
        (6000, 0, "GBP", 0),
        (0, 50, "GBP", 0),
        (5001, 50, "JPY", 2501),
        (1250, 50, "KWD", 630),
        (1240, 50, "KWD", 620),
        (10, 50, "KWD", 10),
        (50_100, 50, "ISK", 25_100),
    ],
)
def test_scenario_23_a_half_is_rounded_up(minor: int, percent: int, currency: str, back: int) -> None:
    """In the client's favor, to what Stripe accepts: the last digit of three is 0, krónur have no decimals."""
    assert portion(minor, percent, currency) == back


@given(minor=st.integers(0, 10**9), percent=st.integers(0, 100), currency=st.sampled_from(CURRENCIES))
def test_a_portion_is_never_more_than_the_whole(minor: int, percent: int, currency: str) -> None:
    """Never off by more than half of the smallest step, and always something that can be paid."""
    smallest = step(currency)
    whole = minor // smallest * smallest
    back = portion(whole, percent, currency)
    assert 0 <= back <= whole
    assert back % smallest == 0
    assert abs(back * 100 - whole * percent) <= 50 * smallest
