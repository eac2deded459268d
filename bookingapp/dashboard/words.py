"""What builders and operators read on the dashboard, made from codes and facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB
from bookingapp.bookings.models import HistoryEntry, Slot
from bookingapp.bookings.states import Status
from bookingapp.checkout.words import PAYMENT_LABELS, STATUS_LABELS
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


def _from_to(labels: Mapping[Status, str], before: Status | None, after: Status) -> str:
    return f"{labels[before]} → {labels[after]}" if before and before is not after else labels[after]


def _value(change: Change, value: Any, timezone: str) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, datetime):
        return day_time(value, timezone)
    labels: dict[str, Mapping[Any, str]] = {
        "status": STATUS_LABELS,
        PAYMENT: PAYMENT_LABELS,
        "slot": dict(SLOT_LABELS),
    }
    return str(labels.get(change.what, {}).get(value, value))


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
