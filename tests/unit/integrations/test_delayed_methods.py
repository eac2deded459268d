"""Which methods a payment page leaves out, by the time until the session."""

from __future__ import annotations

import itertools
from datetime import timedelta

from bookingapp.integrations.stripe_gateway import methods_slower_than


def test_methods_by_the_time_that_is_left() -> None:
    """The less time, the fewer; with three weeks all of them are offered."""
    assert methods_slower_than(timedelta(days=21)) == ()
    by_days = [set(methods_slower_than(timedelta(days=days))) for days in range(22)]
    assert all(later <= sooner for sooner, later in itertools.pairwise(by_days))
    assert {"sepa_debit", "konbini", "us_bank_account"} <= by_days[3]
    assert "card" not in by_days[0]
