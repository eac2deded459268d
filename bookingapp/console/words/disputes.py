"""What operators read about a dispute."""

from __future__ import annotations

from bookingapp.core.i18n import N_, gettext
from bookingapp.dashboard.words import bookings as words
from bookingapp.payments.models import Dispute

_SENTENCES = {
    **words.DISPUTES,
    "won": N_("A dispute over %(amount)s was won"),
    "lost": N_("A dispute over %(amount)s was lost"),
}
# Stripe API, The Dispute object, reason.
_REASONS = {
    "credit_not_processed": N_("a refund was promised and did not come"),
    "duplicate": N_("charged twice"),
    "fraudulent": N_("the client says that they did not pay this"),
    "general": N_("no reason is given"),
    "product_not_received": N_("the session did not take place"),
    "product_unacceptable": N_("the session was not as described"),
    "subscription_canceled": N_("charged after it was canceled"),
    "unrecognized": N_("the client does not recognize the charge"),
}


def dispute_sentence(dispute: Dispute) -> str:
    """The state of a dispute, for a reader who is no side in it."""
    return words.dispute_sentence(dispute, _SENTENCES)


def dispute_reason(dispute: Dispute) -> str:
    """Why the client disputes the charge, in words or in Stripe's own."""
    known = _REASONS.get(dispute.reason)
    return gettext(known) if known else dispute.reason.replace("_", " ")
