"""What operators read about an act: before it, on its button, after it, and in the record of acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.mail_triggers import Mail
from bookingapp.builders.models import Tier
from bookingapp.console.acts import Subject
from bookingapp.console.models import ActCode, SubjectKind
from bookingapp.console.words.attention import flag_sentence, job_title
from bookingapp.core.i18n import gettext, lazy_gettext, ngettext
from bookingapp.core.money import format_money
from bookingapp.dashboard.words.mails import mail_label


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
        lazy_gettext("We are asking both providers. Please reload this page in a moment."),
        lazy_gettext("Asked both providers about a booking"),
    ),
    ActCode.BOOKING_CANCELED: ActWords(
        lazy_gettext("Cancel this session"),
        lazy_gettext(
            "The client gets everything back, and an e-mail with an apology. We cancel the time in Calendly."
        ),
        lazy_gettext("Cancel the session"),
        lazy_gettext("Canceled. The client gets an e-mail."),
        lazy_gettext("Canceled a booking"),
    ),
    ActCode.AMOUNT_REFUNDED: ActWords(
        lazy_gettext("Refund an amount"),
        lazy_gettext("The amount goes back to the client, who gets an e-mail. The booking stays as it is."),
        lazy_gettext("Refund this amount"),
        lazy_gettext("We are making the refund."),
        lazy_gettext("Refunded an amount"),
    ),
    ActCode.NO_SHOW_MARKED: ActWords(
        lazy_gettext("Mark the client as a no-show"),
        lazy_gettext("The booking says that the client did not come. We mark it in Calendly too."),
        lazy_gettext("Mark as a no-show"),
        lazy_gettext("Saved. We are marking it in Calendly too."),
        lazy_gettext("Marked a client as a no-show"),
    ),
    ActCode.CAME_MARKED: ActWords(
        lazy_gettext("Take back the no-show"),
        lazy_gettext("The booking says again that the client came. We remove the mark in Calendly too."),
        lazy_gettext("They came"),
        lazy_gettext("Saved. We are marking it in Calendly too."),
        lazy_gettext("Took back a no-show"),
    ),
    ActCode.ABSENCE_REPORTED: ActWords(
        lazy_gettext("The builder did not come"),
        lazy_gettext("The client gets back everything that was paid here, and an e-mail with an apology."),
        lazy_gettext("Record it and refund"),
        lazy_gettext("Saved. The client gets an apology."),
        lazy_gettext("Recorded that a builder did not come"),
    ),
    ActCode.ABSENCE_DISMISSED: ActWords(
        lazy_gettext("The builder was there"),
        lazy_gettext("The session counts as held, and nothing is refunded. Both sides get an e-mail."),
        lazy_gettext("The builder was there"),
        lazy_gettext("Saved. Both sides get an e-mail."),
        lazy_gettext("Decided that a builder was there"),
    ),
    ActCode.NO_SHOW_KEPT: ActWords(
        lazy_gettext("The client was not there"),
        lazy_gettext("The no-show mark stays, and nothing is refunded. Both sides get an e-mail."),
        lazy_gettext("The client was not there"),
        lazy_gettext("Saved. Both sides get an e-mail."),
        lazy_gettext("Decided that a no-show mark stays"),
    ),
    ActCode.MAIL_REPEATED: ActWords(
        lazy_gettext("Send a mail again"),
        lazy_gettext("It is written again, with the present facts."),
        lazy_gettext("Send it again"),
        lazy_gettext("We are sending it again."),
        lazy_gettext("Sent a mail again"),
    ),
    ActCode.NOTE_ADDED: ActWords(
        lazy_gettext("Add a note"),
        lazy_gettext("The client never sees it."),
        lazy_gettext("Add the note"),
        lazy_gettext("The note is added."),
        lazy_gettext("Added a note"),
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
    ActCode.DELIVERY_SET_ASIDE: ActWords(
        lazy_gettext("Set this delivery aside"),
        lazy_gettext("It is never applied. Settle first, at the provider, what it was about."),
        lazy_gettext("Set aside"),
        lazy_gettext("Set aside. It leaves the list, and stays among the deliveries."),
        lazy_gettext("Set a delivery aside"),
    ),
    ActCode.BODY_READ: ActWords(
        lazy_gettext("Read the body of this delivery"),
        lazy_gettext("It contains personal data, so the record says who read it and why."),
        lazy_gettext("Show the body"),
        lazy_gettext("Recorded."),
        lazy_gettext("Read the body of a delivery"),
    ),
    ActCode.BUILDER_SUSPENDED: ActWords(
        lazy_gettext("Suspend this builder"),
        lazy_gettext(
            "Clients cannot book them or find them in the directory. Booked sessions still take place. The builder "
            "reads your reason in a mail and on their dashboard."
        ),
        lazy_gettext("Suspend"),
        lazy_gettext("Suspended. The builder gets a mail."),
        lazy_gettext("Suspended a builder"),
    ),
    ActCode.BUILDER_RESTORED: ActWords(
        lazy_gettext("End the suspension"),
        lazy_gettext("Clients can book them again. The builder gets a mail, without your reason."),
        lazy_gettext("End the suspension"),
        lazy_gettext("Clients can book them again. The builder gets a mail."),
        lazy_gettext("Ended a builder's suspension"),
    ),
    ActCode.BUILDER_FEATURED: ActWords(
        lazy_gettext("Feature this builder"),
        lazy_gettext("They come first in the directory."),
        lazy_gettext("Feature"),
        lazy_gettext("They come first in the directory now."),
        lazy_gettext("Featured a builder"),
    ),
    ActCode.BUILDER_UNFEATURED: ActWords(
        lazy_gettext("Feature no longer"),
        lazy_gettext("In the directory they take their usual place."),
        lazy_gettext("Feature no longer"),
        lazy_gettext("They have their usual place in the directory."),
        lazy_gettext("Featured a builder no longer"),
    ),
    ActCode.TIER_SET: ActWords(
        lazy_gettext("Set the tier"),
        lazy_gettext("Clients see it on the builder's page, and the directory sorts by it."),
        lazy_gettext("Set the tier"),
        lazy_gettext("The tier is set."),
        lazy_gettext("Set a builder's tier"),
    ),
    ActCode.USER_ASSIGNED: ActWords(
        lazy_gettext("Choose a Calendly user"),
        lazy_gettext(
            "Clients book this builder through that user of this site's own Calendly organization. The builder needs "
            "no account of their own, and may still connect one later."
        ),
        lazy_gettext("Choose this user"),
        lazy_gettext("The builder is connected."),
        lazy_gettext("Chose a Calendly user for a builder"),
    ),
    ActCode.ADDRESS_SET: ActWords(
        lazy_gettext("Change the e-mail address"),
        lazy_gettext(
            "For a builder who cannot read the old address any more. Please make sure who asks for it, by phone or in "
            "person. They are logged out everywhere, and both addresses get a mail."
        ),
        lazy_gettext("Change the address"),
        lazy_gettext("The address is changed. Both addresses get a mail."),
        lazy_gettext("Changed a builder's e-mail address"),
    ),
    ActCode.BUILDER_INVITED: ActWords(
        lazy_gettext("Invite a builder"),
        lazy_gettext(
            "They get a mail with a link that works once, for seven days. An earlier invitation to the same address "
            "ends."
        ),
        lazy_gettext("Send the invitation"),
        lazy_gettext("The invitation is on its way."),
        lazy_gettext("Invited a builder"),
    ),
    ActCode.INVITATION_ENDED: ActWords(
        lazy_gettext("End this invitation"),
        lazy_gettext("The link in the mail stops working. We send no mail about it."),
        lazy_gettext("End the invitation"),
        lazy_gettext("The invitation has ended."),
        lazy_gettext("Ended an invitation"),
    ),
    ActCode.APPLICATION_ACCEPTED: ActWords(
        lazy_gettext("Accept this application"),
        lazy_gettext("We send them an invitation. They do not read your reason."),
        lazy_gettext("Accept and invite"),
        lazy_gettext("Accepted. The invitation is on its way."),
        lazy_gettext("Accepted an application"),
    ),
    ActCode.APPLICATION_DECLINED: ActWords(
        lazy_gettext("Decline this application"),
        lazy_gettext("They read your reason in our mail, so please write it to them, in a kind sentence."),
        lazy_gettext("Decline"),
        lazy_gettext("Declined. Our answer is on its way."),
        lazy_gettext("Declined an application"),
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
    SubjectKind.APPLICATION: lazy_gettext("Application"),
    SubjectKind.BOOKING: lazy_gettext("Booking"),
    SubjectKind.BUILDER: lazy_gettext("Builder"),
    SubjectKind.DELIVERY: lazy_gettext("Delivery"),
    SubjectKind.INVITATION: lazy_gettext("Invitation"),
    SubjectKind.JOB: lazy_gettext("Job"),
    SubjectKind.UNATTACHED: lazy_gettext("Time without a booking"),
}


def name_subject(kind: SubjectKind, number: int, subject: Subject | None, facts: Mapping[str, Any]) -> str:
    """The name of what an act with these facts was done to; its kind and number where it is not stored any more."""
    if kind is SubjectKind.JOB and "name" in facts:
        return job_title(facts["name"])
    if subject is None:
        return gettext("%(kind)s %(number)s", kind=SUBJECTS[kind], number=number)
    first, second = subject.name
    match kind:
        case SubjectKind.BOOKING | SubjectKind.UNATTACHED:
            return gettext("%(title)s, %(client)s", title=first, client=second)
        case SubjectKind.DELIVERY:
            return gettext("%(provider)s sent %(type)s", provider=first.title(), type=second)
        case SubjectKind.INVITATION:
            return gettext("%(name)s, %(email)s", name=first, email=second)
    return job_title(first) if kind is SubjectKind.JOB else first


def describe_facts(act: ActCode, facts: Mapping[str, Any]) -> str | None:
    """What an act did, further than its own words say; None where that is all."""
    if facts.get("amount_minor"):
        return format_money(facts["amount_minor"], facts["currency"])
    words: str | None = None
    match act:
        case ActCode.FLAGS_RESOLVED:
            known = (code for code in facts["flags"] if code != FlagCode.OTHER)
            words = " ".join(flag_sentence(FlagCode(code), {}) for code in known) or None
        case ActCode.MAILS_SENT_AGAIN:
            words = ngettext("%(num)s mail", "%(num)s mails", facts["mails"])
        case ActCode.TIER_SET:
            before, after = (Tier(facts[name]).label for name in ("before", "after"))
            words = gettext("From %(before)s to %(after)s", before=before, after=after)
        case ActCode.MAIL_REPEATED:
            words = mail_label(Mail(facts["mail"]))
    return words


def mail_line(mail: Mail, client: str) -> str:
    """A mail about a booking, and to whom."""
    if mail.to_builder:
        return gettext("To the builder: %(mail)s", mail=mail_label(mail))
    return gettext("To %(client)s: %(mail)s", client=client, mail=mail_label(mail))
