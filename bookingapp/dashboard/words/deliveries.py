"""Deliveries in words for builders: how far they are, what they did, what a replay would do.

The words for operators are in :mod:`bookingapp.operations.words`.
"""

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
from bookingapp.core.queue import Job, Restart, WorkState
from bookingapp.dashboard.booking_words import FLAGS
from bookingapp.outcomes import Awaited, Failure
from bookingapp.payments.models import EntryKind, LedgerEntry
from bookingapp.webhooks.models import DeliveryOutcome
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
_OUTCOMES: Mapping[str, str] = MappingProxyType(
    {
        Failure.UNAVAILABLE: N_("No answer"),
        Failure.RATE_LIMITED: N_("Too many requests"),
        Failure.BAD_REPLY: N_("The answer could not be read"),
        Failure.UNAUTHORIZED: N_("Our access was refused"),
        Failure.INVALID_GRANT: N_("The connection to Calendly was refused"),
        Failure.INVALID_CLIENT: N_("Our access to Calendly was refused"),
        Failure.FORBIDDEN: N_("Our access does not include this"),
        Failure.NOT_FOUND: N_("It does not exist there any more"),
        Failure.REJECTED: N_("The request was refused"),
        Failure.IDEMPOTENCY_CONFLICT: N_("It was begun before with other details"),
        Failure.NOT_ACCEPTED: N_("The mail was not accepted"),
        Failure.DATABASE: N_("Our database had a problem"),
        Failure.UNEXPECTED: N_("We had an unexpected problem"),
        Failure.LEASE_EXPIRED: N_("It took too long each time"),
        Awaited.CONNECTION: N_("Waits for the connection to Calendly"),
        Restart.REPLAYED: N_("Will be applied again"),
        DeliveryOutcome.SLOT_RECORDED: N_("Time recorded"),
        DeliveryOutcome.RESCHEDULED: N_("Rescheduled: the booking moves to the new time"),
        DeliveryOutcome.SLOT_CANCELED: N_("Time canceled"),
        DeliveryOutcome.NO_SHOW_RECORDED: N_("Client marked as a no-show"),
        DeliveryOutcome.NO_SHOW_UNDONE: N_("No-show mark removed"),
        DeliveryOutcome.EVENT_TYPES_INVALIDATED: N_("Your event types will be fetched again"),
        DeliveryOutcome.CHECKOUT_SESSION_RECORDED: N_("Checkout at Stripe: %(status)s, %(payment_status)s"),
        DeliveryOutcome.REFUNDS_RECORDED: N_("Refunds recorded"),
        DeliveryOutcome.DISPUTE_RECORDED: N_("Dispute at Stripe: %(status)s"),
        DeliveryOutcome.FEE_RECORDED: N_("Stripe's fee recorded"),
        DeliveryOutcome.NOTHING_NEW: N_("Nothing new"),
        DeliveryOutcome.NOT_OURS: N_("Not booked through this site"),
        DeliveryOutcome.BOOKING_UNKNOWN: N_("We don't know this booking"),
        DeliveryOutcome.PAYMENT_UNKNOWN: N_("We don't know this payment"),
        DeliveryOutcome.ATTEMPT_UNKNOWN: N_("We did not ask for this payment"),
        DeliveryOutcome.NO_HANDLER: N_("Nothing to do for %(type)s"),
        DeliveryOutcome.BODY_DELETED: N_("Its contents have been deleted"),
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


def describe_outcome(code: str | None, facts: Mapping[str, Any]) -> str:
    """What a delivery did, or why it was not applied; empty for no code, which is one that was not tried yet."""
    if code is None:
        return ""
    # Of some deliveries from before there were codes, their text is all that is known.
    return gettext(_OUTCOMES[code], **facts) if code in _OUTCOMES else str(facts.get("text", code))


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
