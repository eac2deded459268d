"""What operators read about a dispute."""

from __future__ import annotations

from bookingapp.core.i18n import N_, gettext
from bookingapp.core.money import format_money
from bookingapp.payments.models import Dispute

_SENTENCES = {
    "needs_response": N_("A dispute over %(amount)s has to be answered"),
    "under_review": N_("The client's bank is reviewing a dispute over %(amount)s"),
    "won": N_("A dispute over %(amount)s was won"),
    "lost": N_("A dispute over %(amount)s was lost"),
    "warning_needs_response": N_("The client's bank inquires about %(amount)s and has to be answered"),
    "warning_under_review": N_("The client's bank is reviewing its inquiry about %(amount)s"),
    "warning_closed": N_("The client's bank closed its inquiry about %(amount)s and took nothing"),
    "prevented": N_("A dispute over %(amount)s was prevented"),
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
    """How a dispute is, by Stripe's status of it."""
    amount = format_money(dispute.amount_minor, dispute.currency)
    if dispute.status not in _SENTENCES:
        status = dispute.status.replace("_", " ")
        return gettext("A dispute over %(amount)s: %(status)s", amount=amount, status=status)
    return gettext(_SENTENCES[dispute.status], amount=amount)


def dispute_reason(dispute: Dispute) -> str:
    """Why the client disputes the charge, in words or in Stripe's own."""
    known = _REASONS.get(dispute.reason)
    return gettext(known) if known else dispute.reason.replace("_", " ")
