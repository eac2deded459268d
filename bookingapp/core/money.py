"""Money: integer minor units with a currency; reading, rounding and writing amounts.

The units and the smallest and largest charges are those of Stripe's documentation, "Supported currencies"
(https://docs.stripe.com/currencies). They are a first check: what an account that settles in another currency accepts
is known only when Stripe is asked (:mod:`bookingapp.checkout.refused_payments`).
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal

from babel.numbers import format_currency

from bookingapp.core.i18n import gettext, locale

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

_LETTER_FIGURE = re.compile(r"(?<=[A-Za-z])(?=[0-9])")
_AMOUNT = re.compile(r"(?P<whole>\d{1,12})(?:\.(?P<part>\d{1,3}))?")


class PriceError(ValueError):
    """A price cannot be charged. The message is for the person who entered it."""


def exponent(currency: str) -> int:
    """How many decimals Stripe's minor unit of ``currency`` (upper case) has: 0, 2 or 3."""
    if currency in _ZERO_DECIMAL:
        return 0
    return 3 if currency in _THREE_DECIMAL else 2


def minimum_minor(currency: str) -> int:
    """The smallest amount that can be charged, in minor units; 1 where Stripe publishes none."""
    return _MINIMUM_MINOR.get(currency, 1)


def maximum_minor(currency: str) -> int:
    """The largest amount that can be charged, in minor units."""
    return _MAXIMUM_MINOR.get(currency, LARGEST_MINOR)


def step(currency: str) -> int:
    """The smallest step between amounts that can be charged or refunded, in minor units."""
    if currency in _THREE_DECIMAL:
        return 10
    return 100 if currency in _WHOLE_UNITS_ONLY else 1


def portion(minor: int, percent: int, currency: str) -> int:
    """``percent`` of a charged amount, a half rounded up, in whole steps of the currency: 50 % of 9999 in GBP is 5000,
    and 50 % of 1250 in KWD is 630. No other function rounds money.
    """
    smallest = step(currency)
    steps = (Decimal(minor) * percent / 100 / smallest).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return min(int(steps) * smallest, minor)


def parse_price(text: str, currency: str) -> int:
    """A price as a person types it (``60``, ``60.00``, ``9000``) in minor units; ``0`` means free.

    Raises :class:`PriceError` for an unknown currency, too many decimals, an amount below the smallest charge or
    above the largest.
    """
    if currency not in CURRENCIES:
        unknown = currency or gettext("This currency")
        raise PriceError(
            gettext("%(currency)s cannot be charged here. Choose one from the list.", currency=unknown)
        )
    # No comma: some people write decimals with it, others thousands, a factor of 1000.
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise PriceError(
            gettext("Please enter the price as a plain number, like 1250 or 60.00. Use 0 for a free session.")
        )
    decimals, part = exponent(currency), match["part"] or ""
    if len(part) > decimals:
        raise PriceError(_too_precise(currency, decimals))
    minor = int(match["whole"] + part[:decimals].ljust(decimals, "0"))
    if currency in _WHOLE_UNITS_ONLY and minor % step(currency):
        raise PriceError(gettext("%(currency)s is charged in whole units only.", currency=currency))
    if currency in _THREE_DECIMAL and minor % step(currency):
        raise PriceError(
            gettext("The last of the three decimals of %(currency)s has to be 0.", currency=currency)
        )
    if 0 < minor < minimum_minor(currency):
        smallest = format_money(minimum_minor(currency), currency)
        raise PriceError(gettext("The smallest charge is %(amount)s. Use 0 for free.", amount=smallest))
    if minor > maximum_minor(currency):
        largest = format_money(maximum_minor(currency), currency)
        raise PriceError(gettext("The largest charge is %(amount)s.", amount=largest))
    return minor


def _too_precise(currency: str, decimals: int) -> str:
    if not decimals:
        return gettext("%(currency)s has no decimal places.", currency=currency)
    return gettext("%(currency)s has %(count)s decimal places.", currency=currency, count=decimals)


def to_decimal(minor: int, currency: str) -> Decimal:
    """Minor units as a decimal in the major unit, with the currency's number of places."""
    return Decimal(minor).scaleb(-exponent(currency))


def format_money(minor: int, currency: str) -> str:
    """``6000`` of GBP as ``£60.00``, ``9000`` of JPY as ``JP¥9,000``, ``1250`` of KWD as ``KWD 1.250``."""
    shown = str(format_currency(to_decimal(minor, currency), currency, locale=locale()))
    # Unicode asks for a space between a sign made of letters and the figure; Babel omits it.
    return _LETTER_FIGURE.sub("\N{NO-BREAK SPACE}", shown)


def price_text(minor: int, currency: str) -> str:
    """Minor units as a form's field shows them: ``6000`` of GBP as ``60.00``."""
    return f"{to_decimal(minor, currency):f}"
