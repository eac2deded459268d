"""What the page of one delivery and of its rehearsal shows, on the dashboard and on the operators' console."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from bookingapp.core.i18n import gettext
from bookingapp.dashboard.words import deliveries as words
from bookingapp.dashboard.words.outcomes import describe_outcome
from bookingapp.webhooks import deliveries, replay
from bookingapp.webhooks.models import InboxEvent
from bookingapp.webhooks.rehearsal import Rehearsal

Describe = Callable[[str | None, Mapping[str, Any]], str]
"""Writes an outcome for its reader."""


def describe_delivery(
    session: Session, event: InboxEvent, timezone: str, *, outcome: Describe = describe_outcome
) -> dict[str, Any]:
    """The variables of ``dashboard/delivery.html``; ``booking`` is the one that it is about."""
    done = deliveries.list_effects(session, event)
    return {
        "event": event,
        "booking": done.booking,
        "zone": timezone,
        "age": round((event.received_at - event.signed_at).total_seconds()),
        "label": words.STATE_LABELS[event.state],
        "attempts": words.describe_attempts(event.attempts),
        "outcome": outcome(event.outcome, event.outcome_facts),
        "did": [
            *words.describe_history(done.history),
            *words.describe_ledger(done.ledger),
            *(gettext("Led to %(job)s", job=job) for job in words.describe_jobs(done.jobs, timezone)),
        ],
        "refusal": replay.why_not_replayable(event),
    }


def describe_rehearsal(
    found: Rehearsal, timezone: str, *, outcome: Describe = describe_outcome
) -> dict[str, Any]:
    """The variables of ``dashboard/_rehearsal.html``."""
    return {
        "found": found,
        "label": words.STATE_LABELS[found.state],
        "outcome": outcome(found.outcome, found.facts),
        "changes": [words.describe_change(change, timezone) for change in found.changes],
        "entered": words.describe_ledger(found.ledger),
        "jobs": words.describe_jobs(found.jobs, timezone),
    }
