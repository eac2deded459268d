"""Checks whether Calendly answers for a builder and its events arrive here. ``words/checks.py`` has the sentences."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder
from bookingapp.core.db import end_read
from bookingapp.core.queue import DEAD, OPEN
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, CalendlyForbidden
from bookingapp.sync.models import Found, SubscriptionCheck
from bookingapp.webhooks.models import InboxEvent

# The check of the subscriptions is an hourly job; after so many hours without one, the worker does not run.
LATE = timedelta(hours=3)
# How long a repair is shown.
RECENT = timedelta(hours=24)


class Subject(enum.StrEnum):
    """What was checked."""

    CALENDLY = "calendly"  # Calendly's API, with the builder's token.
    WEBHOOKS = "webhooks"  # The inbox.
    SUBSCRIPTION = "subscription"  # Calendly's subscription to our webhook.


class CheckLevel(enum.StrEnum):
    """How well it works."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class CheckResult(enum.StrEnum):
    """What a check found. Each has a sentence in ``words/checks.py``, with gaps for the check's facts."""

    LISTS_TYPES = "lists_types"
    NO_TYPES = "no_types"
    STALE = "stale"
    REFUSED = "refused"
    LACKS_SCOPES = "lacks_scopes"
    ALL_APPLIED = "all_applied"
    WAITING = "waiting"
    DEAD = "dead"
    SUBSCRIBED = "subscribed"
    NEVER_CHECKED = "never_checked"
    LATE = "late"
    UNKNOWN = "unknown"
    RETRYING = "retrying"
    CREATED = "created"
    COMPLETED = "completed"
    REPAIRED_MISSING = "repaired_missing"
    REPAIRED_DISABLED = "repaired_disabled"


@dataclass(frozen=True)
class Check:
    """One result. Of its facts, ``failure`` is an outcome."""

    subject: Subject
    level: CheckLevel
    result: CheckResult
    facts: Mapping[str, Any] = field(default_factory=dict)


def check_connection(
    session: Session, calendly: CalendlyClient, builder: Builder, *, now: datetime
) -> list[Check]:
    """One check of each subject; none of Calendly while the builder has no user there. Ends the reading of the
    session before it asks Calendly.
    """
    stored = check_stored(session, builder, now=now)
    end_read(session)
    if builder.calendly_user_uri is None:
        return stored
    return [_check_calendly(calendly, builder), *stored]


def check_stored(session: Session, builder: Builder, *, now: datetime) -> list[Check]:
    """What is known without asking Calendly: of the inbox, and of the subscription, while an account is connected."""
    checks = [_check_inbox(session)]
    if builder.calendly_user_uri is not None and builder.disconnected_at is None:
        checks.append(_check_subscription(session, builder, now))
    return checks


def _check_calendly(calendly: CalendlyClient, builder: Builder) -> Check:
    subject = Subject.CALENDLY
    try:
        # Never from the cache: the page says how things are now.
        fetched = calendly.list_event_types(builder.tenant, builder.calendly_user, at_most=timedelta())
    except CalendlyForbidden as error:
        if not error.missing_scopes:
            return Check(subject, CheckLevel.PROBLEM, CheckResult.REFUSED, {"failure": error.category})
        facts = {"scopes": ", ".join(error.missing_scopes)}
        return Check(subject, CheckLevel.PROBLEM, CheckResult.LACKS_SCOPES, facts)
    except CalendlyError as error:
        return Check(subject, CheckLevel.PROBLEM, CheckResult.REFUSED, {"failure": error.category})
    if fetched.stale:
        return Check(subject, CheckLevel.WARNING, CheckResult.STALE)
    number = sum(event_type.listed for event_type in fetched.value)
    if number:
        return Check(subject, CheckLevel.OK, CheckResult.LISTS_TYPES, {"number": number})
    return Check(subject, CheckLevel.WARNING, CheckResult.NO_TYPES)


def _check_inbox(session: Session) -> Check:
    """Of all builders: most deliveries are about no booking before they are applied."""
    # Each has an index; those that have ended have none, and are very many.
    count = sa.select(sa.func.count()).select_from(InboxEvent)
    dead, waiting = session.execute(
        sa.select(*(count.where(sa.text(state)).scalar_subquery() for state in (DEAD, OPEN)))
    ).one()
    if dead:
        return Check(Subject.WEBHOOKS, CheckLevel.PROBLEM, CheckResult.DEAD, {"number": dead})
    # No warning: some wait at any moment, and no builder can do anything about it. Operators see how long they wait.
    if waiting:
        return Check(Subject.WEBHOOKS, CheckLevel.OK, CheckResult.WAITING, {"number": waiting})
    return Check(Subject.WEBHOOKS, CheckLevel.OK, CheckResult.ALL_APPLIED)


def _check_subscription(session: Session, builder: Builder, now: datetime) -> Check:
    """What the hourly job found last."""
    column, subject = SubscriptionCheck.builder_id, Subject.SUBSCRIPTION
    own = sa.select(SubscriptionCheck.id).where(column == builder.id, SubscriptionCheck.at > now - LATE)
    # A builder who connected an account has a subscription of their own; all others share the platform's.
    has_own = session.scalar(own.limit(1)) is not None
    mine = sa.select(SubscriptionCheck).where(column == builder.id if has_own else column.is_(None))
    newest = mine.order_by(SubscriptionCheck.at.desc(), SubscriptionCheck.id.desc()).limit(1)
    last, repair = session.scalar(newest), session.scalar(newest.where(SubscriptionCheck.repaired))
    if last is None:
        return Check(subject, CheckLevel.WARNING, CheckResult.NEVER_CHECKED)
    if now - last.at > LATE:
        return Check(subject, CheckLevel.PROBLEM, CheckResult.LATE, {"at": last.at})
    if last.found is Found.UNKNOWN:
        return Check(
            subject, CheckLevel.PROBLEM, CheckResult.UNKNOWN, {"at": last.at, "failure": last.failure}
        )
    if last.found is Found.RETRYING and last.since:
        return Check(subject, CheckLevel.WARNING, CheckResult.RETRYING, {"since": last.since})
    if repair is not None and now - repair.at < RECENT:
        facts = {"at": repair.at, "since": repair.since}
        return Check(subject, CheckLevel.WARNING, _repair_result(repair), facts)
    return Check(subject, CheckLevel.OK, CheckResult.SUBSCRIBED, {"at": last.at})


def _repair_result(repair: SubscriptionCheck) -> CheckResult:
    if repair.since is None:
        return CheckResult.CREATED
    repaired = {Found.INCOMPLETE: CheckResult.COMPLETED, Found.MISSING: CheckResult.REPAIRED_MISSING}
    return repaired.get(repair.found, CheckResult.REPAIRED_DISABLED)
