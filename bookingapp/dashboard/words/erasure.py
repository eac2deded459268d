"""What is to be erased elsewhere: the other bookings and the payments that a flag about an erasure is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
