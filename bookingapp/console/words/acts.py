"""What operators read about an act: before it, on its button, after it, and in the record of acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bookingapp.bookings.codes import FlagCode
from bookingapp.console.models import ActCode, SubjectKind
from bookingapp.console.words.attention import job_label
from bookingapp.core.i18n import gettext, lazy_gettext, ngettext
from bookingapp.core.money import format_money
from bookingapp.dashboard.words.bookings import flag_sentence


@dataclass(frozen=True)
class ActWords:
    """``title`` and ``effect`` stand above the form, ``done`` is shown after it, ``past`` in the record."""

    title: str
    effect: str
    button: str
    done: str
    past: str


ACTS: Final[Mapping[ActCode, ActWords]] = {
    ActCode.FLAGS_RESOLVED: ActWords(
        lazy_gettext("Mark as resolved"),
        lazy_gettext("It leaves the list of what needs a person. Nothing else changes."),
        lazy_gettext("Mark as resolved"),
        lazy_gettext("Marked as resolved."),
        lazy_gettext("Marked a booking as resolved"),
    ),
    ActCode.WARNED_REFUNDED: ActWords(
        lazy_gettext("Refund the payment in full"),
        lazy_gettext(
            "Everything that is left of the payment goes back to the client, who gets an e-mail. The booking stays as "
            "it is."
        ),
        lazy_gettext("Refund in full"),
        lazy_gettext("We are refunding the payment in full."),
        lazy_gettext("Refunded a payment after a fraud warning"),
    ),
    ActCode.MAILS_SENT_AGAIN: ActWords(
        lazy_gettext("Send the mails again"),
        lazy_gettext("Every mail about this booking that was given up is sent once more."),
        lazy_gettext("Send again"),
        lazy_gettext("We are sending it again. If it fails once more, it appears here again."),
        lazy_gettext("Sent mails about a booking again"),
    ),
    ActCode.PROVIDERS_ASKED: ActWords(
        lazy_gettext("Ask Calendly and Stripe now"),
        lazy_gettext("We fetch how this booking is at both providers, and repair what differs here."),
        lazy_gettext("Ask both providers"),
        lazy_gettext("We asked both providers."),
        lazy_gettext("Asked both providers about a booking"),
    ),
    ActCode.UNATTACHED_KEPT: ActWords(
        lazy_gettext("Accept this time"),
        lazy_gettext("The time stays in Calendly without a booking and without a payment here."),
        lazy_gettext("Accept it"),
        lazy_gettext("Accepted. It leaves the list."),
        lazy_gettext("Accepted a time without a booking"),
    ),
    ActCode.DELIVERY_REPLAYED: ActWords(
        lazy_gettext("Apply this delivery again"),
        lazy_gettext("Replaying is safe: nothing is applied twice."),
        lazy_gettext("Replay"),
        lazy_gettext("It will be applied again in a moment."),
        lazy_gettext("Replayed a delivery"),
    ),
    ActCode.BODY_READ: ActWords(
        lazy_gettext("Read the body of this delivery"),
        lazy_gettext("It contains personal data, so the record says who read it and why."),
        lazy_gettext("Show the body"),
        lazy_gettext("Recorded."),
        lazy_gettext("Read the body of a delivery"),
    ),
    ActCode.JOB_RETRIED: ActWords(
        lazy_gettext("Run this job again"),
        lazy_gettext(
            "Retrying is safe: each call to a provider has an idempotency key, or checks first what is there."
        ),
        lazy_gettext("Retry"),
        lazy_gettext("It will be run again in a moment."),
        lazy_gettext("Retried a job"),
    ),
}
SUBJECTS: Final[Mapping[SubjectKind, str]] = {
    SubjectKind.ACCOUNT: lazy_gettext("Account"),
    SubjectKind.APPLICATION: lazy_gettext("Application"),
    SubjectKind.BOOKING: lazy_gettext("Booking"),
    SubjectKind.BUILDER: lazy_gettext("Builder"),
    SubjectKind.DELIVERY: lazy_gettext("Delivery"),
    SubjectKind.INVITATION: lazy_gettext("Invitation"),
    SubjectKind.JOB: lazy_gettext("Job"),
    SubjectKind.UNATTACHED: lazy_gettext("Time without a booking"),
}


def describe_facts(act: ActCode, facts: Mapping[str, Any]) -> str | None:
    """What an act did, further than its own words say; None where that is all."""
    if "amount_minor" in facts:
        return format_money(facts["amount_minor"], facts["currency"])
    match act:
        case ActCode.FLAGS_RESOLVED:
            known = (code for code in facts["flags"] if code != FlagCode.OTHER)
            return " ".join(flag_sentence(FlagCode(code), {}) for code in known) or None
        case ActCode.MAILS_SENT_AGAIN:
            return ngettext("%(num)s mail", "%(num)s mails", facts["mails"])
        case ActCode.JOB_RETRIED:
            return gettext("Job: %(job)s", job=job_label(facts["name"]))
    return None
