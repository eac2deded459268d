"""Money as integer minor units with its currency, by Stripe's table of units and smallest charges.

Source of the units and of the minimums: Stripe's documentation, "Supported currencies" (zero-decimal and
three-decimal currencies, minimum charge amounts).
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal

from babel.numbers import format_currency

from bookingapp.core.i18n import locale

LARGEST_MINOR = 99_999_999  # Stripe takes at most eight digits.

_ZERO_DECIMAL = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)
_THREE_DECIMAL = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))
# Written to Stripe with two decimals that have to be zero.
_WHOLE_UNITS_ONLY = frozenset(("ISK", "UGX"))

# The smallest charge in minor units, where Stripe publishes one.
_MINIMUM_MINOR = {
    "USD": 50, "EUR": 50, "GBP": 30, "CAD": 50, "AUD": 50, "NZD": 50, "SGD": 50, "CHF": 50, "BRL": 50,
    "INR": 50, "AED": 200, "CZK": 1500, "DKK": 250, "HKD": 400, "HUF": 17500, "JPY": 50, "MXN": 1000,
    "MYR": 200, "NOK": 300, "PLN": 200, "RON": 200, "SEK": 300, "THB": 1000,
}  # fmt: skip

_OTHERS = frozenset(("ISK", "UGX", "KRW", "CLP", "VND", "ZAR", "ILS", "PHP", "IDR"))

CURRENCIES: tuple[str, ...] = tuple(sorted({*_MINIMUM_MINOR, *_THREE_DECIMAL, *_OTHERS}))
"""ISO 4217 codes in which a session can be priced."""

_LETTER_FIGURE = re.compile(r"(?<=[A-Za-z])(?=[0-9])")
_AMOUNT = re.compile(r"(?P<whole>\d{1,9})(?:\.(?P<part>\d{1,3}))?")


class PriceError(ValueError):
    """A price cannot be charged. The message is for the person who typed it."""


def exponent(currency: str) -> int:
    """How many decimals Stripe's minor unit of ``currency`` (upper case) has: 0, 2 or 3."""
    if currency in _ZERO_DECIMAL:
        return 0
    return 3 if currency in _THREE_DECIMAL else 2


def minimum_minor(currency: str) -> int:
    """The smallest amount that can be charged, in minor units; 1 where Stripe publishes none."""
    return _MINIMUM_MINOR.get(currency, 1)


def step(currency: str) -> int:
    """What every amount that is charged or paid back has to be a multiple of, in minor units."""
    if currency in _THREE_DECIMAL:
        return 10
    return 100 if currency in _WHOLE_UNITS_ONLY else 1


def portion(minor: int, percent: int, currency: str) -> int:
    """``percent`` of an amount that was charged, a half rounded up to what the currency can pay: 50 % of 9999
    in GBP is 5000, and 50 % of 1250 in KWD is 630. The one place where an amount is rounded.
    """
    smallest = step(currency)
    steps = (Decimal(minor) * percent / 100 / smallest).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return min(int(steps) * smallest, minor)


def parse_price(text: str, currency: str) -> int:
    """Read what a person typed (``60``, ``60.00``, ``9000``) as minor units; ``0`` means free.

    Raises :class:`PriceError`, in words, for an unknown currency, too many decimals, an amount below the
    smallest charge or above the largest.
    """
    if currency not in CURRENCIES:
        raise PriceError(f"{currency or 'This currency'} cannot be charged here. Choose one from the list.")
    # No comma: it is a decimal point to some people and separates thousands for others, a factor of 1000.
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise PriceError("Write the price as a plain number, like 1250 or 60.00. Use 0 for a free session.")
    decimals, part = exponent(currency), match["part"] or ""
    if len(part) > decimals:
        raise PriceError(f"{currency} has {decimals or 'no'} decimal places.")
    minor = int(match["whole"] + part[:decimals].ljust(decimals, "0"))
    if currency in _WHOLE_UNITS_ONLY and minor % step(currency):
        raise PriceError(f"{currency} is charged in whole units only.")
    if currency in _THREE_DECIMAL and minor % step(currency):
        raise PriceError(f"The last of the three decimals of {currency} has to be 0.")
    if 0 < minor < minimum_minor(currency):
        raise PriceError(
            f"The smallest charge is {format_money(minimum_minor(currency), currency)}; use 0 for free."
        )
    if minor > LARGEST_MINOR:
        raise PriceError(f"The largest charge is {format_money(LARGEST_MINOR, currency)}.")
    return minor


def to_decimal(minor: int, currency: str) -> Decimal:
    """Minor units as a decimal in the major unit, with the currency's number of places."""
    return Decimal(minor).scaleb(-exponent(currency))


def format_money(minor: int, currency: str) -> str:
    """``6000`` of GBP as ``£60.00``, ``9000`` of JPY as ``JP¥9,000``, ``1250`` of KWD as ``KWD 1.250``."""
    shown = str(format_currency(to_decimal(minor, currency), currency, locale=locale()))
    # Unicode asks for a space between a sign made of letters and the figure; Babel leaves it out.
    return _LETTER_FIGURE.sub("\N{NO-BREAK SPACE}", shown)


def price_text(minor: int, currency: str) -> str:
    """Minor units as a person would type them into a form: ``6000`` of GBP as ``60.00``."""
    return f"{to_decimal(minor, currency):f}"
