"""What builders and operators read on the dashboard, made from codes and facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB, Mail
from bookingapp.bookings.models import Actor, HistoryEntry, Slot, Source
from bookingapp.bookings.states import Event, Status
from bookingapp.checkout.presenter import PAYMENT_LABELS, STATUS_LABELS
from bookingapp.core.clock import clock, day, day_time, short_time, zone
from bookingapp.core.i18n import N_, gettext
from bookingapp.core.jobs import REGISTRY
from bookingapp.core.money import format_money
from bookingapp.core.queue import Job, WorkState
from bookingapp.dashboard.connection_checks import Check, Level, Result, Subject
from bookingapp.payments.models import EntryKind, LedgerEntry
from bookingapp.webhooks.rehearsal import PAYMENT, Change

STATE_LABELS = MappingProxyType(
    {
        WorkState.RECEIVED: "Waiting",
        WorkState.PROCESSING: "Being applied",
        WorkState.FAILED: "Will be tried again",
        WorkState.DONE: "Applied",
        WorkState.IGNORED: "Nothing to do",
        WorkState.DEAD: "Given up",
    }
)
SLOT_LABELS = MappingProxyType(
    {
        Slot.NONE: "no time",
        Slot.ACTIVE: "a time is taken",
        Slot.RELEASING: "being given back",
        Slot.CANCELED: "canceled",
    }
)
_MAILS = MappingProxyType({True: "a mail to the builder", False: "a mail to the client"})
_WHAT = MappingProxyType(
    {
        "status": "Status",
        PAYMENT: "Payment",
        "slot": "In Calendly",
        "starts_at": "Time",
        "attention": "Needs a look",
    }
)


def attempts(number: int) -> str:
    """How often it was tried."""
    return {0: "not tried yet", 1: "one attempt"}.get(number, f"{number} attempts")


def moved(history: Iterable[HistoryEntry]) -> list[str]:
    """Changes of the booking, as its own page says them."""
    return [_from_to(STATUS_LABELS, line.from_status, line.to_status) for line in history]


def entered(ledger: Iterable[LedgerEntry]) -> list[str]:
    """Money that moved."""
    words = {
        EntryKind.CHARGE: "came in",
        EntryKind.REFUND: "went back",
        EntryKind.DISPUTE: "moved by a dispute",
        EntryKind.FEE: "kept by Stripe",
    }
    return [f"{format_money(abs(one.amount_minor), one.currency)} {words[one.kind]}" for one in ledger]


def owed(jobs: Sequence[Job], timezone: str) -> list[str]:
    """What is owed because of it, and how far that is."""
    return [f"{_job(job)}, {_how_far(job, timezone)}" for job in jobs]


def changed(change: Change, timezone: str) -> tuple[str, str, str]:
    """What would be another, as it is and as it would be."""
    return _WHAT[change.what], _value(change, change.before, timezone), _value(change, change.after, timezone)


def _job(job: Job) -> str:
    if job.name == SEND_MAIL_JOB:
        return _MAILS[str(job.args.get("mail", "")).endswith("-builder")]
    return REGISTRY[job.name].label if job.name in REGISTRY else job.name


def _how_far(job: Job, timezone: str) -> str:
    if job.state is WorkState.DEAD:
        return f"given up ({job.note})"
    return f"due {short_time(job.run_at, timezone)}" if job.state.is_open else "done"


def _from_to(labels: dict[Status, str], before: Status | None, after: Status) -> str:
    return f"{labels[before]} → {labels[after]}" if before and before is not after else labels[after]


def _value(change: Change, value: Any, timezone: str) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, datetime):
        return day_time(value, timezone)
    labels: dict[str, dict[Any, str]] = {
        "status": STATUS_LABELS,
        PAYMENT: PAYMENT_LABELS,
        "slot": dict(SLOT_LABELS),
    }
    return labels.get(change.what, {}).get(value, str(value))


# Bookings: their history, their time, their money and the mails about them.

_ACTORS = {
    Actor.CLIENT: N_("the client"),
    Actor.BUILDER: N_("the builder"),
    Actor.OPERATOR: N_("the operator"),
    Actor.CALENDLY: N_("Calendly"),
    Actor.STRIPE: N_("Stripe"),
    Actor.SYSTEM: N_("this site"),
}
_EVENTS = {
    Event.SLOT_TAKEN: N_("%(client)s chose a time"),
    Event.SLOT_MOVED: N_("Moved to another time"),
    Event.MOVE_BEGUN: N_("Being moved to another time"),
    Event.SLOT_LOST: N_("The time was canceled in Calendly"),
    Event.PAYMENT_RECEIVED: N_("%(client)s paid"),
    Event.SETTLED: N_("Everything is in place"),
    Event.CANCEL: N_("The session was canceled"),
    Event.EXPIRE: N_("The hold ended"),
    Event.COMPLETE: N_("The session ended"),
    Event.RESTORED: N_("Paid after the hold, and the time was still available"),
    Event.NO_SHOW: N_("%(client)s did not come"),
    Event.NO_SHOW_UNDONE: N_("%(client)s came after all"),
}
_SOURCES = {
    Source.WEBHOOK: N_("Calendly sent us this time, last on %(at)s."),
    Source.ASKED: N_("We checked this time with Calendly, last on %(at)s."),
}
# By kind of entry, and whether the amount is positive.
_MOVEMENTS = {
    (EntryKind.CHARGE, True): N_("Paid"),
    (EntryKind.REFUND, False): N_("Refunded"),
    (EntryKind.REFUND, True): N_("A refund came back"),
    (EntryKind.DISPUTE, False): N_("Taken back by the client's bank"),
    (EntryKind.DISPUTE, True): N_("Returned by the client's bank"),
    (EntryKind.FEE, False): N_("Kept by Stripe"),
    (EntryKind.FEE, True): N_("Returned by Stripe"),
}
# By Stripe's status of a dispute. The bank's inquiry ("warning") comes before a dispute and moves no money.
_DISPUTES = {
    "needs_response": N_("A dispute over %(amount)s has to be answered"),
    "under_review": N_("The client's bank is reviewing a dispute over %(amount)s"),
    "won": N_("You won a dispute over %(amount)s"),
    "lost": N_("You lost a dispute over %(amount)s"),
    "warning_needs_response": N_("The client's bank inquires about %(amount)s and has to be answered"),
    "warning_under_review": N_("The client's bank is reviewing its inquiry about %(amount)s"),
    "warning_closed": N_("The client's bank closed its inquiry about %(amount)s and took nothing"),
    "prevented": N_("A dispute over %(amount)s was prevented"),
}
MAILS = {
    Mail.PAY_REMINDER: N_("a reminder to pay before the hold ends"),
    Mail.CONFIRMED_CLIENT: N_("the confirmation, with time, price and refund policy"),
    Mail.MOVED_CLIENT: N_("the new time"),
    Mail.CANCELED_CLIENT: N_("the cancellation, with the amount of the refund"),
    Mail.EXPIRED_CLIENT: N_("that the hold had ended"),
    Mail.PAYMENT_RETURNED: N_("that a payment is being refunded"),
    Mail.PAYMENT_FAILED: N_("that a payment failed"),
}


def history_line(entry: HistoryEntry, client: str) -> tuple[str, str]:
    """What changed (``Paid → Confirmed``), and why and by whom. ``client`` is the client's name."""
    stayed = entry.from_status is entry.to_status
    if entry.event is not None:
        event = gettext(_EVENTS[entry.event], client=client)
    elif stayed:
        event = gettext("Marked as resolved")
    else:
        event = gettext("%(client)s started a booking", client=client)
    change = event if stayed else _from_to(STATUS_LABELS, entry.from_status, entry.to_status)
    why = ("" if stayed else event, gettext(_ACTORS[entry.actor]), entry.cause)
    return change, " · ".join(part for part in why if part)


def slot_source(source: Source, at: datetime, timezone: str) -> str:
    """Where a booking's time is known from, and when it was last confirmed."""
    return gettext(_SOURCES[source], at=day_time(at, timezone))


def movement_label(entry: LedgerEntry) -> str:
    """One entry of the ledger, without its amount."""
    return gettext(_MOVEMENTS[entry.kind, entry.amount_minor > 0])


def dispute_sentence(status: str, amount: str) -> str:
    """How a dispute over ``amount`` is, by Stripe's status of it."""
    if status not in _DISPUTES:
        return gettext(
            "A dispute over %(amount)s: %(status)s", amount=amount, status=status.replace("_", " ")
        )
    return gettext(_DISPUTES[status], amount=amount)


def mail_label(mail: Mail) -> str:
    """What a mail to a client was about."""
    return gettext(MAILS[mail])


# Session types and the connection to Calendly.

_SUBJECTS = {
    Subject.CALENDLY: N_("Calendly"),
    Subject.WEBHOOKS: N_("Webhooks"),
    Subject.SUBSCRIPTION: N_("New bookings from Calendly"),
}
_RESULTS = {
    Result.LISTS_TYPES: N_("Calendly answers. Your active event types: %(number)s."),
    Result.NO_TYPES: N_("Calendly answers, but lists no active event type of yours."),
    Result.STALE: N_("Calendly is not answering right now; we use its last good answer."),
    Result.REFUSED: N_("We cannot reach your Calendly. %(why)s"),
    Result.ALL_APPLIED: N_("Every event from Calendly and Stripe is applied."),
    Result.WAITING: N_("Events that wait to be applied: %(number)s."),
    Result.DEAD: N_("Events that could not be applied and need the operator: %(number)s."),
    Result.SUBSCRIBED: N_("Calendly sends us every booking. Last checked at %(at)s."),
    Result.NEVER_CHECKED: N_("Not checked yet whether Calendly sends us new bookings. We check every hour."),
    Result.LATE: N_(
        "Not checked since %(at)s whether Calendly sends us new bookings. It should be every hour."
    ),
    Result.UNKNOWN: N_("At %(at)s we could not check whether Calendly sends us new bookings. %(why)s"),
    Result.RETRYING: N_("Calendly has had trouble reaching this site since %(since)s, and keeps trying."),
    Result.CREATED: N_("Calendly was not set up to send us new bookings; it is since %(at)s."),
    Result.COMPLETED: N_(
        "Calendly did not send us everything; repaired at %(at)s. We are fetching what was missed."
    ),
    Result.REPAIRED_MISSING: N_(
        "Calendly stopped sending us bookings some time after %(since)s; repaired at %(at)s. We are fetching "
        "what was missed."
    ),
    Result.REPAIRED_DISABLED: N_(
        "Calendly stopped sending us bookings at %(since)s; repaired at %(at)s. We are fetching what was missed."
    ),
}


def session_type_note(state: str, *, secret: bool, is_paid: bool) -> str | None:
    """What the builder should know of an event type; ``state`` is that of ``Priced``."""
    if state == "inactive":
        return gettext("Switched off in Calendly: nobody can book it, whatever you set here.")
    if state == "poll":
        return gettext("A meeting poll in Calendly: clients cannot book it directly, so they do not see it.")
    if secret and state == "published":
        return gettext(
            "Secret in Calendly: your profile does not list it. Anyone with this link can book it:"
        )
    if is_paid:
        return gettext("Calendly asks for a payment here. Switch that off there, so that nobody pays twice.")
    return gettext("Secret in Calendly, so your profile does not list it.") if secret else None


def check_line(check: Check, timezone: str, *, now: datetime) -> tuple[str, Level, str]:
    """Subject, level and sentence of a check of the connection; times are in ``timezone``."""
    facts = {name: _fact(fact, timezone, now) for name, fact in check.facts.items()}
    return gettext(_SUBJECTS[check.subject]), check.level, gettext(_RESULTS[check.result], **facts).strip()


def _fact(fact: object, timezone: str, now: datetime) -> str:
    """A sentence in the reader's language; a time as ``10:42 GMT`` today, with the day on another day."""
    if isinstance(fact, str):
        return gettext(fact) if fact else ""
    if not isinstance(fact, datetime):
        return str(fact)
    shown, here = clock(fact, timezone), zone(timezone)
    if fact.astimezone(here).date() == now.astimezone(here).date():
        return shown
    return gettext("%(time)s on %(day)s", time=shown, day=day(fact, timezone))
