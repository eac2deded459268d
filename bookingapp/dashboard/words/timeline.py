"""What a booking's timeline says: what happened, who did it and how far it is, made from rows of every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bookingapp.bookings.mail_triggers import Mail
from bookingapp.bookings.models import Actor, AttentionFlag, HistoryEntry, Move, Note
from bookingapp.core.clock import day_time
from bookingapp.core.i18n import N_, gettext, ngettext
from bookingapp.core.jobs import REGISTRY
from bookingapp.core.money import format_money
from bookingapp.core.queue import Job, Work, WorkState
from bookingapp.dashboard.words import bookings
from bookingapp.dashboard.words.mails import mail_label
from bookingapp.dashboard.words.outcomes import describe_outcome
from bookingapp.outcomes import Done
from bookingapp.payments.models import LedgerEntry
from bookingapp.sync.booking_checks import Check
from bookingapp.sync.models import NotFetched
from bookingapp.webhooks.models import InboxEvent, Provider


@dataclass(frozen=True)
class Words:
    """A line in words: what happened, and details, each a few words. ``tone`` as in ``components/ui.html``."""

    what: str
    details: tuple[str, ...] = ()
    tone: str = "off"


# What a delivery reports, by its type; the two providers use different names.
_REPORTS: Mapping[str, str] = MappingProxyType(
    {
        "invitee.created": N_("Calendly reports a new time"),
        "invitee.canceled": N_("Calendly reports a canceled time"),
        "invitee_no_show.created": N_("Calendly reports a no-show"),
        "invitee_no_show.deleted": N_("Calendly reports that a no-show mark was removed"),
        "checkout.session.completed": N_("Stripe reports that the payment page was completed"),
        "checkout.session.async_payment_succeeded": N_("Stripe reports that a delayed payment arrived"),
        "checkout.session.async_payment_failed": N_("Stripe reports that a delayed payment failed"),
        "checkout.session.expired": N_("Stripe reports that the payment page expired"),
        "refund.created": N_("Stripe reports a refund"),
        "refund.updated": N_("Stripe reports news of a refund"),
        "refund.failed": N_("Stripe reports that a refund failed"),
        "charge.refunded": N_("Stripe reports a refund"),
        "charge.refund.updated": N_("Stripe reports news of a refund"),
        "payment_intent.payment_failed": N_("Stripe reports that a try to pay failed"),
        "payment_intent.amount_capturable_updated": N_("Stripe reports an authorized payment"),
        "payment_intent.canceled": N_("Stripe reports that a payment was released"),
        "radar.early_fraud_warning.created": N_("Stripe reports a warning of fraud"),
        "radar.early_fraud_warning.updated": N_("Stripe reports news of a warning of fraud"),
        "charge.updated": N_("Stripe reports its fee"),
        "charge.dispute.created": N_("Stripe reports a dispute"),
        "charge.dispute.updated": N_("Stripe reports news of a dispute"),
        "charge.dispute.funds_withdrawn": N_("Stripe reports that a bank took money back"),
        "charge.dispute.funds_reinstated": N_("Stripe reports that a bank returned money"),
        "charge.dispute.closed": N_("Stripe reports the end of a dispute"),
    }
)

_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "changes": N_("Changes"),
        "money": N_("Money"),
        "mails": N_("E-mails"),
        "deliveries": N_("From Calendly and Stripe"),
        "work": N_("Work of this site"),
        "notes": N_("Notes"),
    }
)


def describe_change(entry: HistoryEntry, client: str) -> Words:
    """One change of a booking; ``client`` is a name."""
    # Where a delivery reported it, that has a line of its own.
    what, why = bookings.history_line(entry, client, names_delivery=False)
    return Words(what, (why,), "ok" if entry.from_status is not entry.to_status else "off")


def describe_move(move: Move, timezone: str) -> Words:
    """A reschedule."""
    return Words(bookings.move_line(move, timezone))


def describe_flag(flag: AttentionFlag, *, is_raised: bool) -> Words:
    """What needed a person, when it began or when it passed by itself."""
    sentence = bookings.flag_sentence(flag.code, flag.facts)
    if is_raised:
        return Words(gettext("Needs your attention"), (sentence,), "warning")
    return Words(gettext("No longer needs your attention"), (sentence,))


def describe_entry(entry: LedgerEntry) -> Words:
    """Money that moved."""
    amount = format_money(entry.amount_minor, entry.currency)
    return Words(
        gettext("%(what)s: %(amount)s", what=bookings.movement_label(entry), amount=amount), tone="info"
    )


def describe_report(event: InboxEvent) -> str:
    """What a provider sent, whatever became of it."""
    unknown = (
        N_("Stripe sent something") if event.provider is Provider.STRIPE else N_("Calendly sent something")
    )
    return gettext(_REPORTS.get(event.type, unknown))


def describe_delivery(event: InboxEvent, timezone: str) -> Words:
    """What a provider sent, and what became of it."""
    done = describe_outcome(event.outcome, event.outcome_facts) or gettext("Applied")
    is_over = event.state in (WorkState.DONE, WorkState.IGNORED)
    how_far = (done,) if is_over else _progress(event, timezone)
    fetched = (gettext("Fetched, because it was not delivered"),) if "fetched" in event.outcome_facts else ()
    return Words(describe_report(event), (*how_far, *fetched), _tone(event))


def describe_work(job: Job, timezone: str) -> Words:
    """Work of our own, and how far it is."""
    label = str(REGISTRY[job.name].label) if job.name in REGISTRY else job.name
    what = gettext("This site: %(job)s", job=label)
    return Words(
        what, (gettext("Done"),) if job.state is WorkState.DONE else _progress(job, timezone), _tone(job)
    )


def describe_mail(job: Job, timezone: str, *, is_true: bool) -> Words:
    """A mail: to whom, about what, and whether it was sent; ``is_true`` says whether an open one would be sent."""
    mail = Mail(job.args["mail"])
    line = gettext("E-mail to you: %(mail)s", mail=mail_label(mail))
    if not mail.to_builder:
        line = gettext("E-mail to the client: %(mail)s", mail=mail_label(mail))
    second = (gettext("To their other address"),) if job.args.get("second") else ()
    if job.state.is_open and not is_true:
        return Words(line, (gettext("Will not be sent, because it is no longer true"), *second))
    if job.state is not WorkState.DONE:
        return Words(line, (*_progress(job, timezone), *second), _tone(job))
    is_sent = job.outcome not in tuple(Done)
    return Words(line, (gettext("Sent") if is_sent else describe_outcome(job.outcome, {}), *second))


def describe_note(note: Note, timezone: str) -> Words:
    """A note, with who wrote it."""
    who = gettext("A note of yours") if note.by is Actor.BUILDER else gettext("A note of the operator")
    edited = (gettext("Edited %(at)s", at=day_time(note.edited_at, timezone)),) if note.edited_at else ()
    return Words(who, (note.text, *edited))


def _tone(row: Work) -> str:
    return {WorkState.FAILED: "warning", WorkState.DEAD: "problem"}.get(row.state, "off")


def _progress(row: Work, timezone: str) -> tuple[str, ...]:
    """How far a row is that is not done: its state, tries, reason and next try."""
    tries = row.attempts - row.waits
    tried = ngettext("%(num)s try", "%(num)s tries", tries) if tries > 0 else ""
    why = describe_outcome(row.outcome, row.outcome_facts)
    if row.state is WorkState.DEAD:
        state = gettext("Given up")
    elif row.state is WorkState.FAILED:
        state = gettext("Next try %(when)s", when=day_time(row.run_at, timezone))
    elif row.state is WorkState.PROCESSING:
        state = gettext("Under way")
    elif row.state is WorkState.IGNORED:
        state = gettext("Nothing to do")
    else:
        state = gettext("Planned")
    return tuple(part for part in (state, tried, why) if part)


def kind_labels() -> list[tuple[str, str]]:
    """The kinds of lines, by their codes, with labels."""
    return [(code, gettext(label)) for code, label in _KINDS.items()]


def describe_check(check: Check, timezone: str) -> tuple[str, str]:
    """The tone and the sentence about a check with both providers."""
    if check.job.state.is_open:
        return "info", gettext("We are asking Stripe and Calendly. This takes a few seconds.")
    if check.report is None:
        return "warning", gettext("The check could not be done. Please try again later.")
    names = {NotFetched.BUILDER: gettext("Calendly"), NotFetched.BOOKING: gettext("Stripe")}
    silent = [names[one["code"]] for one in check.report.failed if one["code"] in names]
    if silent:
        return "warning", gettext(
            "No answer from: %(sides)s. Please try again later.", sides=", ".join(silent)
        )
    when = day_time(check.report.at, timezone)
    mine = [one for one in check.report.missing if one["facts"].get("booking_id") == check.report.booking_id]
    if mine:
        return "ok", ngettext(
            "Checked %(when)s: we found %(num)s change that had not reached us, and applied it.",
            "Checked %(when)s: we found %(num)s changes that had not reached us, and applied them.",
            len(mine),
            when=when,
        )
    return "ok", gettext("Checked %(when)s: Stripe and Calendly agree with this page.", when=when)
