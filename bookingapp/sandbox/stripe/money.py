"""Stripe's currencies (Stripe docs, Supported currencies): decimals, smallest and largest charge, formatting."""

from __future__ import annotations


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


ZERO_DECIMAL = _codes("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf")
THREE_DECIMAL = _codes("bhd jod kwd omr tnd")
WHOLE_UNITS_ONLY = _codes("isk ugx")
LARGEST_AMOUNT = 99_999_999
MAXIMUM = {
    **dict.fromkeys(("cop", "huf", "jpy"), 9_999_999_999),
    "idr": 999_999_999_999,
    "inr": 999_999_999,
}
MINIMUM: dict[str, int] = {
    **dict.fromkeys(("usd", "eur", "cad", "aud", "nzd", "sgd", "chf", "brl", "inr", "jpy"), 50),
    **dict.fromkeys(("ars", "cop", "idr", "ils", "krw", "php", "rub", "zar"), 50),
    **dict.fromkeys(("aed", "myr", "pln", "ron"), 200),
    **dict.fromkeys(("mxn", "thb"), 1000),
    **dict.fromkeys(("nok", "sek"), 300),
    "gbp": 30,
    "bgn": 100,
    "czk": 1500,
    "dkk": 250,
    "hkd": 400,
    "huf": 17500,
}
OTHERS = _codes("egp isk kes ngn pen qar sar try twd uah ugx")
# What one unit is worth in USD, roughly: for the smallest charge of an account that settles in another currency.
_IN_USD: dict[str, float] = {
    "usd": 1, "eur": 1.1, "gbp": 1.3, "chf": 1.1, "cad": 0.7, "aud": 0.65, "jpy": 0.0065, "inr": 0.012,
    "krw": 0.0007, "idr": 0.00006, "php": 0.017, "cop": 0.00025, "ars": 0.001, "zar": 0.055, "huf": 0.0027,
}  # fmt: skip
CURRENCIES = frozenset(MINIMUM) | ZERO_DECIMAL | THREE_DECIMAL | OTHERS
_SIGNS = {"gbp": "£", "eur": "€", "usd": "$", "jpy": "¥", "inr": "₹", "krw": "₩"}
_DELAYED = {
    "gbp": ("bacs_debit", "Bacs Direct Debit"),
    "eur": ("sepa_debit", "SEPA Direct Debit"),
    "usd": ("us_bank_account", "US bank account"),
    "jpy": ("konbini", "Konbini"),
    "brl": ("boleto", "Boleto"),
    "mxn": ("oxxo", "OXXO"),
    "cad": ("acss_debit", "Pre-authorized debit"),
    "aud": ("au_becs_debit", "BECS Direct Debit"),
}

# They cannot be authorized first and captured later (Stripe docs, Place a hold on a payment method).
DELAYED_METHODS = frozenset(kind for kind, _ in _DELAYED.values()) | {"customer_balance"}

# They complete with a voucher that the customer pays at a shop or a bank (Stripe docs, Vouchers).
VOUCHERS = frozenset(("konbini", "boleto", "oxxo"))


def decimals(currency: str) -> int:
    """The number of decimal places of an amount."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def smallest_step(currency: str) -> int:
    """The number that every amount is a multiple of, in minor units."""
    if currency in THREE_DECIMAL:
        return 10
    return 100 if currency in WHOLE_UNITS_ONLY else 1


def format_amount(amount: int, currency: str) -> str:
    """Minor units as text: ``£60.00``, ``¥5,000``, ``KWD 1.250``."""
    places = decimals(currency)
    whole, rest = divmod(amount, 10**places)
    text = f"{whole:,}" + (f".{rest:0{places}d}" if places else "")
    sign = _SIGNS.get(currency)
    return f"{sign}{text}" if sign else f"{currency.upper()} {text}"


def converted(amount: int, currency: str, into: str) -> int:
    """Minor units of one currency in those of another; ``amount`` itself where a rate is not known."""
    if currency not in _IN_USD or into not in _IN_USD:
        return amount
    units: float = amount / pow(10, decimals(currency)) * _IN_USD[currency] / _IN_USD[into]
    smallest: int = 10 ** decimals(into)
    return round(units * smallest)


def delayed_method(currency: str) -> tuple[str, str]:
    """A payment method of this currency that settles days later: its type and its name."""
    return _DELAYED.get(currency, ("customer_balance", "Bank transfer"))
