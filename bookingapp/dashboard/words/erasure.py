"""What erasures mean for builders and operators: what is to be erased elsewhere, and what evidence is left here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bookingapp.bookings.models import Booking
from bookingapp.core.clock import day
from bookingapp.core.i18n import gettext


def with_elsewhere(sentence: str, facts: Mapping[str, Any]) -> str:
    """The sentence of a flag, with the ids by which the same person's data is found elsewhere, where there are some."""
    if facts.get("bookings"):
        ids = ", ".join(facts["bookings"])
        return gettext(
            "%(sentence)s These bookings are the same client's: %(ids)s.", sentence=sentence, ids=ids
        )
    if facts.get("payments"):
        ids = ", ".join(facts["payments"])
        return gettext("%(sentence)s The payments: %(ids)s.", sentence=sentence, ids=ids)
    return sentence


def evidence_left(booking: Booking, zone: str) -> str | None:
    """What the evidence for a dispute lacks once the client's data is erased, and what it still has; else None."""
    if booking.erased_at is None:
        return None
    return gettext(
        "The client's personal data was erased here on %(day)s, so the evidence has no name, address, answers or "
        "e-mails. It still has the time of the session, its price and refund policy, what happened with it, and "
        "the payments. Stripe shows who paid, unless it was redacted there.",
        day=day(booking.erased_at, zone),
    )
