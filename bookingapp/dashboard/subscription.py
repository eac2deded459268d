"""What the hourly look at Calendly's subscriptions has found, in words for a builder."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder
from bookingapp.core.clock import clock, day, zone
from bookingapp.dashboard.words import describe_outcome
from bookingapp.sync.models import Found, SubscriptionCheck

LABEL = "What Calendly tells us"
LATE = timedelta(hours=3)
WORTH_TELLING = timedelta(hours=24)


def describe_subscription(session: Session, builder: Builder, *, now: datetime) -> tuple[str, str, str]:
    """Label, ``ok``/``warning``/``problem``, and a sentence, as the other checks of the page have them."""
    column = SubscriptionCheck.builder_id
    own = sa.select(SubscriptionCheck.id).where(column == builder.id, SubscriptionCheck.at > now - LATE)
    # Who has an account of their own has a subscription of their own; all others share the platform's.
    has_own = session.scalar(own.limit(1)) is not None
    mine = sa.select(SubscriptionCheck).where(column == builder.id if has_own else column.is_(None))
    newest = mine.order_by(SubscriptionCheck.at.desc(), SubscriptionCheck.id.desc()).limit(1)
    last, repair = session.scalar(newest), session.scalar(newest.where(SubscriptionCheck.repaired))
    if last is None:
        return (
            LABEL,
            "warning",
            "Nobody has looked yet whether Calendly tells us of new bookings. It is done hourly.",
        )
    looked = when(last.at, builder, now)
    if now - last.at > LATE:
        words = f"Nobody has looked since {looked} whether Calendly tells us of new bookings. It should be hourly."
        return LABEL, "problem", words
    if last.found is Found.UNKNOWN:
        return (
            LABEL,
            "problem",
            f"At {looked} we could not find out whether it does. {describe_outcome(last.failure, {})}.",
        )
    if last.found is Found.RETRYING and last.since:
        words = f"Calendly has had trouble reaching this site since {when(last.since, builder, now)}, and keeps trying."
        return LABEL, "warning", words
    if repair is not None and now - repair.at < WORTH_TELLING:
        return LABEL, "warning", _repaired(repair, builder, now)
    return LABEL, "ok", f"Calendly tells us of every booking. We looked at {looked}."


def _repaired(repair: SubscriptionCheck, builder: Builder, now: datetime) -> str:
    at = when(repair.at, builder, now)
    if repair.since is None:
        return f"Calendly had not been asked to tell us of bookings; since {at} it does."
    if repair.found is Found.INCOMPLETE:
        return f"Calendly did not tell us everything; repaired at {at}. What was missed has been asked for."
    stopped = when(repair.since, builder, now)
    if repair.found is Found.MISSING:
        words = f"Calendly stopped telling us some time after {stopped}; repaired at {at}."
        return f"{words} What was missed has been asked for."
    return f"Calendly stopped telling us at {stopped}; repaired at {at}. What was missed has been asked for."


def when(at: datetime, builder: Builder, now: datetime) -> str:
    """``10:42 GMT`` today, and with the day otherwise, in the builder's zone."""
    here = zone(builder.timezone)
    shown = clock(at, builder.timezone)
    is_today = at.astimezone(here).date() == now.astimezone(here).date()
    return shown if is_today else f"{shown} on {day(at, builder.timezone)}"
