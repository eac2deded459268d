"""Deliveries in plain words: how far they are, what they have done, what a replay would do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB
from bookingapp.bookings.models import HistoryEntry, Slot
from bookingapp.bookings.states import Status
from bookingapp.checkout.words import PAYMENT_LABELS, STATUS_LABELS
from bookingapp.core.clock import day_time, short_time
from bookingapp.core.jobs import REGISTRY
from bookingapp.core.money import format_money
from bookingapp.core.queue import Job, WorkState
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
