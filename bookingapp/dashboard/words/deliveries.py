"""What builders read about deliveries: how far they are, what they did, what a replay would do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB
from bookingapp.bookings.models import HistoryEntry, Slot
from bookingapp.checkout.words import PAYMENT_LABELS, STATUS_LABELS
from bookingapp.core.clock import day_time, short_time
from bookingapp.core.i18n import N_, gettext, lazy_gettext, ngettext
from bookingapp.core.jobs import REGISTRY
from bookingapp.core.money import format_money
from bookingapp.core.queue import Job, WorkState
from bookingapp.dashboard.words.bookings import FLAGS
from bookingapp.dashboard.words.outcomes import describe_outcome
from bookingapp.payments.models import EntryKind, LedgerEntry
from bookingapp.webhooks.rehearsal import PAYMENT, Change

STATE_LABELS = MappingProxyType(
    {
        WorkState.RECEIVED: lazy_gettext("Waiting"),
        WorkState.PROCESSING: lazy_gettext("Being applied"),
        WorkState.FAILED: lazy_gettext("Will be retried"),
        WorkState.DONE: lazy_gettext("Applied"),
        WorkState.IGNORED: lazy_gettext("Nothing to do"),
        WorkState.DEAD: lazy_gettext("Given up"),
    }
)
_SLOTS = MappingProxyType(
    {
        Slot.NONE: lazy_gettext("no time"),
        Slot.ACTIVE: lazy_gettext("scheduled"),
        Slot.RELEASING: lazy_gettext("being canceled"),
        Slot.CANCELED: lazy_gettext("canceled"),
    }
)
_MONEY = MappingProxyType(
    {
        EntryKind.CHARGE: N_("%(amount)s paid"),
        EntryKind.REFUND: N_("%(amount)s refunded"),
        EntryKind.DISPUTE: N_("%(amount)s moved by a dispute"),
        EntryKind.FEE: N_("%(amount)s kept by Stripe"),
    }
)
_WHAT = MappingProxyType(
    {
        "status": lazy_gettext("Status"),
        PAYMENT: lazy_gettext("Payment"),
        "slot": lazy_gettext("In Calendly"),
        "starts_at": lazy_gettext("Time"),
        "attention": lazy_gettext("Needs attention"),
    }
)
_LABELS: Mapping[str, Mapping[Any, str]] = MappingProxyType(
    {"status": STATUS_LABELS, PAYMENT: PAYMENT_LABELS, "slot": _SLOTS}
)


def describe_attempts(number: int) -> str:
    """How often a delivery was tried."""
    return ngettext("%(num)s attempt", "%(num)s attempts", number) if number else gettext("not tried yet")


def describe_history(history: Iterable[HistoryEntry]) -> list[str]:
    """Changes of the booking's status, with the labels of its own page."""
    return [
        f"{STATUS_LABELS[line.from_status]} → {STATUS_LABELS[line.to_status]}"
        if line.from_status and line.from_status is not line.to_status
        else str(STATUS_LABELS[line.to_status])
        for line in history
    ]


def describe_ledger(ledger: Iterable[LedgerEntry]) -> list[str]:
    """Money that moved."""
    return [
        gettext(_MONEY[one.kind], amount=format_money(abs(one.amount_minor), one.currency)) for one in ledger
    ]


def describe_jobs(jobs: Sequence[Job], timezone: str) -> list[str]:
    """Jobs that a delivery enqueued, with their state."""
    return [_describe_job(job, timezone) for job in jobs]


def describe_change(change: Change, timezone: str) -> tuple[str, str, str]:
    """The name of a fact that would change, its value before and after."""
    before, after = (_describe_value(change.what, value, timezone) for value in (change.before, change.after))
    return str(_WHAT[change.what]), before, after


def _describe_job(job: Job, timezone: str) -> str:
    label = _job_label(job)
    if job.state is WorkState.DEAD:
        reason = describe_outcome(job.outcome, job.outcome_facts)
        return gettext("%(job)s, given up: %(reason)s", job=label, reason=reason)
    if job.state.is_open:
        return gettext("%(job)s, due %(when)s", job=label, when=short_time(job.run_at, timezone))
    return gettext("%(job)s, done", job=label)


def _job_label(job: Job) -> str:
    if job.name == SEND_MAIL_JOB:
        to_builder = str(job.args.get("mail", "")).endswith("-builder")
        return gettext("a mail to the builder") if to_builder else gettext("a mail to the client")
    return str(REGISTRY[job.name].label) if job.name in REGISTRY else job.name


def _describe_value(what: str, value: Any, timezone: str) -> str:
    if value is None:
        return gettext("nothing")
    if isinstance(value, datetime):
        return day_time(value, timezone)
    if what == "attention":
        return " ".join(str(FLAGS.get(code, code)) for code in value)
    return str(_LABELS.get(what, {}).get(value, value))
