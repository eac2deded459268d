"""``N_`` marks a sentence for the catalogue where nothing of Flask may be imported: providers and state machines.

Where the sentence is shown, :func:`bookingapp.core.i18n.gettext` translates it.
"""

from __future__ import annotations


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for it, which the extraction knows.
    """The sentence itself."""
    return message
