"""Money: integer minor units with a currency; reading, rounding and writing amounts.

The units and the smallest and largest charges are those of Stripe's documentation, "Supported currencies"
(https://docs.stripe.com/currencies). They are a first check: what an account that settles in another currency accepts
is known only when Stripe is asked (:mod:`bookingapp.checkout.refused_payments`).
"""

from __future__ import annotations

import re
import unicodedata
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from babel.numbers import format_currency, get_currency_symbol
from babel.numbers import format_percent as write_percent

from bookingapp.core.i18n import decimal_mark, gettext, language, locale

LARGEST_MINOR = 99_999_999  # Stripe accepts at most eight digits, except of these currencies.
_MAXIMUM_MINOR = {
    "IDR": 999_999_999_999, "COP": 9_999_999_999, "HUF": 9_999_999_999, "JPY": 9_999_999_999, "INR": 999_999_999,
}  # fmt: skip

_ZERO_DECIMAL = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)
_THREE_DECIMAL = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))
# Stripe wants two decimals for them, which have to be zero.
_WHOLE_UNITS_ONLY = frozenset(("ISK", "UGX"))

# The smallest charge in minor units, where Stripe publishes one.
_MINIMUM_MINOR = {
    "USD": 50, "EUR": 50, "GBP": 30, "CAD": 50, "AUD": 50, "NZD": 50, "SGD": 50, "CHF": 50, "BRL": 50,
    "INR": 50, "AED": 200, "CZK": 1500, "DKK": 250, "HKD": 400, "HUF": 17500, "JPY": 50, "MXN": 1000,
    "MYR": 200, "NOK": 300, "PLN": 200, "RON": 200, "SEK": 300, "THB": 1000, "ARS": 50, "BGN": 100,
    "COP": 50, "IDR": 50, "ILS": 50, "KRW": 50, "PHP": 50, "RUB": 50, "ZAR": 50,
}  # fmt: skip

_OTHERS = frozenset(("ISK", "UGX", "CLP", "VND"))

CURRENCIES: tuple[str, ...] = tuple(sorted({*_MINIMUM_MINOR, *_THREE_DECIMAL, *_OTHERS}))
"""ISO 4217 codes in which a session can be priced."""

# The signs that people write at home, case-folded, where English has the code.
_HOME_SIGNS = {
    "DKK": "kr", "ISK": "kr", "NOK": "kr", "SEK": "kr", "CHF": "fr.", "CZK": "kč", "HUF": "ft", "IDR": "rp",
    "MYR": "rm", "PLN": "zł", "RON": "lei", "RUB": "₽", "THB": "฿", "ZAR": "r", "BGN": "лв",
}  # fmt: skip
_DOLLARS = frozenset(("ARS", "AUD", "CAD", "CLP", "COP", "HKD", "MXN", "NZD", "SGD", "USD"))

_LETTER_FIGURE = re.compile(r"(?<=[A-Za-z])(?=[0-9])")
_LONGEST_AMOUNT = 40
_TYPED = re.compile(r"(?P<before>[^0-9]*)(?P<figure>[0-9](?:.*[0-9])?)(?P<after>[^0-9]*)")
_PLAIN = re.compile(r"(?P<whole>[0-9]+)(?:(?P<point>[.,])(?P<part>[0-9]+))?")
# A space or an apostrophe separates thousands only; a comma or a point may do either.
_THOUSANDS = re.compile(
    r"(?P<whole>[1-9][0-9]{0,2}(?P<mark>[.,' \u00a0\u2009\u2019\u202f])[0-9]{3}(?:(?P=mark)[0-9]{3})*)"
    r"(?:(?!(?P=mark))[.,](?P<part>[0-9]+))?"
)


class AmountError(ValueError):
    """An amount cannot be read or charged. The message is for the person who entered it."""


def exponent(currency: str) -> int:
    """How many decimals Stripe's minor unit of ``currency`` (upper case) has: 0, 2 or 3."""
    if currency in _ZERO_DECIMAL:
        return 0
    return 3 if currency in _THREE_DECIMAL else 2


def minimum_minor(currency: str) -> int:
    """The smallest amount that can be charged, in minor units; 1 where Stripe publishes none."""
    return _MINIMUM_MINOR.get(currency, 1)


def maximum_minor(currency: str) -> int:
    """The largest amount that can be charged, in minor units: whole steps."""
    most = _MAXIMUM_MINOR.get(currency, LARGEST_MINOR)
    return most - most % step(currency)


def step(currency: str) -> int:
    """The smallest step between amounts that can be charged or refunded, in minor units."""
    if currency in _THREE_DECIMAL:
        return 10
    return 100 if currency in _WHOLE_UNITS_ONLY else 1


def format_percent(percent: int) -> str:
    """A share in the reader's language: "50%", or "50 %" with a space that does not break."""
    return str(write_percent(percent / 100, locale=locale()))


def portion(minor: int, percent: int, currency: str) -> int:
    """``percent`` of a charged amount, a half rounded up, in whole steps of the currency: 50 % of 9999 in GBP is 5000,
    and 50 % of 1250 in KWD is 630. No other function rounds money.
    """
    smallest = step(currency)
    steps = (Decimal(minor) * percent / 100 / smallest).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return min(int(steps) * smallest, minor)


def parse_price(text: str, currency: str) -> int:
    """A price as a person types it (see :func:`parse_amount`) in minor units; ``0`` means free.

    Raises :class:`AmountError` as that does, and for an amount below the smallest charge or above the largest.
    """
    minor = parse_amount(text, currency)
    if 0 < minor < minimum_minor(currency):
        smallest = format_money(minimum_minor(currency), currency)
        raise AmountError(gettext("The smallest charge is %(amount)s. Use 0 for free.", amount=smallest))
    if minor > maximum_minor(currency):
        largest = format_money(maximum_minor(currency), currency)
        raise AmountError(gettext("The largest charge is %(amount)s.", amount=largest))
    return minor


def parse_amount(text: str, currency: str) -> int:
    """An amount as a person types it, in minor units of ``currency`` (upper case): ``60``, ``40,50``, ``£45``,
    ``1.500,00``, ``1,500.00``, ``1 500 EUR``.

    Raises :class:`AmountError` for an unknown currency, the sign of another one, what is no number, what could be two
    numbers (``1,500``), and what the currency cannot express.
    """
    if currency not in CURRENCIES:
        unknown = currency or gettext("This currency")
        raise AmountError(
            gettext("%(currency)s cannot be charged here. Choose one from the list.", currency=unknown)
        )
    typed = _TYPED.fullmatch(text.strip()) if len(text) <= _LONGEST_AMOUNT else None
    if typed is None:
        raise AmountError(_no_number())
    for sign in (typed["before"].strip(), typed["after"].strip()):
        if sign.casefold() not in _signs(currency):
            raise AmountError(_no_sign(sign, currency))
    whole, part = _read_figure(typed["figure"], currency)
    decimals = exponent(currency)
    if len(part) > decimals:
        raise AmountError(_too_precise(currency, decimals))
    minor = int(whole + part.ljust(decimals, "0"))
    if currency in _WHOLE_UNITS_ONLY and minor % step(currency):
        raise AmountError(gettext("%(currency)s is charged in whole units only.", currency=currency))
    if currency in _THREE_DECIMAL and minor % step(currency):
        raise AmountError(
            gettext("The last of the three decimals of %(currency)s has to be 0.", currency=currency)
        )
    return minor


def _read_figure(figure: str, currency: str) -> tuple[str, str]:
    """The digits before and after the decimal mark."""
    plain, thousands = _PLAIN.fullmatch(figure), _THOUSANDS.fullmatch(figure)
    if plain and thousands:
        # One mark and three digits behind it: only where there are no decimals, or in the way in which pages write
        # them, is it clear what was meant. A wrong guess would be wrong by a factor of 1000.
        if currency in _THREE_DECIMAL and plain["point"] == decimal_mark():
            thousands = None
        elif exponent(currency):
            raise AmountError(_two_meanings(figure, plain))
    found = thousands or plain
    if found is None:
        raise AmountError(_no_number())
    return re.sub("[^0-9]", "", found["whole"]), found["part"] or ""


def _signs(currency: str) -> set[str]:
    """What may be written before or after an amount, case-folded."""
    signs = {"", currency, get_currency_symbol(currency, "en"), get_currency_symbol(currency, locale())}
    signs.add(_HOME_SIGNS.get(currency, ""))
    if currency in _DOLLARS:
        signs.add("$")
    return {sign.casefold() for sign in signs}


def _no_number() -> str:
    return gettext("Please enter the amount as a number, like 1250 or 60.00.")


def _no_sign(sign: str, currency: str) -> str:
    has_symbol = any(unicodedata.category(one) == "Sc" for one in sign)
    if "-" in sign or not (has_symbol or sign.upper() in CURRENCIES):
        return _no_number()
    return gettext(
        "“%(sign)s” does not belong to %(currency)s. Choose the other currency, or enter the number alone.",
        sign=sign,
        currency=currency,
    )


def _two_meanings(figure: str, plain: re.Match[str]) -> str:
    return gettext(
        "“%(typed)s” can mean two amounts. Please enter %(large)s or %(small)s.",
        typed=figure,
        large=plain["whole"] + plain["part"],
        small=f"{plain['whole']}{decimal_mark()}{plain['part'][:2]}",
    )


def _too_precise(currency: str, decimals: int) -> str:
    if not decimals:
        return gettext("%(currency)s has no decimal places.", currency=currency)
    return gettext("%(currency)s has %(count)s decimal places.", currency=currency, count=decimals)


def to_decimal(minor: int, currency: str) -> Decimal:
    """Minor units as a decimal in the major unit, with the currency's number of places."""
    return Decimal(minor).scaleb(-exponent(currency))


def format_money(minor: int, currency: str) -> str:
    """``6000`` of GBP as ``£60.00``, ``9000`` of JPY as ``JP¥9,000``, ``1250`` of KWD as ``KWD 1.250``."""
    return _written(minor, currency, language())


@lru_cache(10_000)
def _written(minor: int, currency: str, _language: str) -> str:
    shown = str(format_currency(to_decimal(minor, currency), currency, locale=locale()))
    # Unicode asks for a space between a sign made of letters and the figure; Babel omits it.
    return _LETTER_FIGURE.sub("\N{NO-BREAK SPACE}", shown)


def price_text(minor: int, currency: str) -> str:
    """Minor units as a form's field shows them: ``6000`` of GBP as ``60.00``, with the mark that the reader's language
    puts before decimals.
    """
    return f"{to_decimal(minor, currency):f}".replace(".", decimal_mark())
