"""Payment methods whose outcome Stripe knows only days after the client has confirmed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stripe.params.checkout import SessionCreateParams

# Business days as Stripe's page of each method documents them (docs.stripe.com/payments/<method>), the longest where
# there are several: Bacs with a new mandate; vouchers with the days in which they can be paid.
_BUSINESS_DAYS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "acss_debit": 5,
        "au_becs_debit": 3,
        "bacs_debit": 7,
        "boleto": 5,
        "customer_balance": 5,
        "konbini": 4,
        "multibanco": 5,
        "nz_bank_account": 3,
        "oxxo": 4,
        "sepa_debit": 5,
        "sofort": 5,
        "us_bank_account": 4,
    }
)
_WORKING_WEEK, _WEEKEND = 5, 2


def methods_slower_than(time: timedelta) -> tuple[str, ...]:
    """The methods that may settle only after ``time``, in Stripe's words for them."""
    return tuple(name for name, days in _BUSINESS_DAYS.items() if _calendar_days(days) > time)


def exclude_methods(params: SessionCreateParams, names: tuple[str, ...]) -> None:
    """Offer none of these methods on a payment page. Source: Stripe API reference, Create a Checkout Session."""
    if names:
        params["excluded_payment_method_types"] = list(names)


def _calendar_days(business_days: int) -> timedelta:
    weekends = -(-business_days // _WORKING_WEEK)
    return timedelta(days=business_days + weekends * _WEEKEND)
