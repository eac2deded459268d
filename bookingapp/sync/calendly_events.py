"""Fetches a builder's scheduled events from Calendly; what no webhook delivered is applied by the webhooks' code."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor, Booking, Slot, UnattachedInvitee
from bookingapp.bookings.service import Cause
from bookingapp.bookings.states import Status
from bookingapp.bookings.withdrawn_types import (
    CHECK_TYPE_JOB,
    enqueue_type_check,
    restore_type,
    withdraw_type,
)
from bookingapp.builders.models import Builder
from bookingapp.checkout.calendly_invitees import (
    canonical_event,
    canonical_invitee,
    organization_filter,
    seats_of,
)
from bookingapp.core.clock import iso
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.core.queue import WorkState, enqueue
from bookingapp.integrations.calendly import CalendlyClient, CalendlyNotFound, Purpose, ScheduledEvent
from bookingapp.session_types.models import SessionType
from bookingapp.session_types.service import is_offered
from bookingapp.sync.sessions_ahead import read_unlisted_events, refresh_events
from bookingapp.webhooks.handlers import (
    Context,
    Outcome,
    Step,
    record_active_invitee,
    record_canceled_invitee,
)

log = structlog.get_logger(__name__)

CATCH_UP_JOB = "calendly.catch_up"
AHEAD = timedelta(days=400)  # How far ahead a time may be booked. Calendly lists events by their start alone.
# How long an invitee that may yet turn out to be ours is fetched with every reconciliation.
UNKNOWN_FOR = timedelta(days=1)
ASKED = Cause(Actor.CALENDLY, CauseCode.MISSED_TIMES_FETCHED)


@dataclass(frozen=True)
class _KnownEvents:
    """What we know of a builder's events: how many active bookings or invitees without one each has, and all events
    that there ever were.
    """

    active: Counter[str]
    events: frozenset[str]

    def covers(self, event_uri: str, event: ScheduledEvent) -> bool:
        """Whether the event can hold nothing new, so that its invitees need not be fetched."""
        if event.status != "active":
            return event_uri in self.events and not self.active[event_uri]
        seats = event.invitees_counter.active if event.invitees_counter is not None else 1
        return event_uri in self.events and self.active[event_uri] >= seats


def enqueue_catch_up(session: Session, builder: Builder, *, since: datetime, now: datetime) -> None:
    """Enqueue fetching everything of a builder that starts after ``since``, and checks of the event types that open
    bookings have. In the caller's transaction.
    """
    builder.catalog_version += 1
    key = f"{CATCH_UP_JOB}:{builder.id}:{int(now.timestamp())}"
    args = {"builder_id": builder.id, "since": int(since.timestamp())}
    enqueue(session, CATCH_UP_JOB, key=key, args=args, run_at=now, now=now)
    open_types = sa.select(Booking.event_type_uri).where(
        Booking.builder_id == builder.id,
        Booking.status.in_((Status.PENDING, Status.SCHEDULED, Status.PAID, Status.CONFIRMED)),
    )
    for uri in session.scalars(open_types.distinct()).all():
        enqueue_type_check(session, uri, occasion=f"catch-up-{int(now.timestamp())}", now=now)


@job(CATCH_UP_JOB, label=lazy_gettext("a question to Calendly for what it did not deliver"))
def catch_up(session: Session, context: Context, *, builder_id: int, since: int, now: datetime) -> None:
    """Fetch what no webhook delivered since a moment (seconds since 1970)."""
    moment = datetime.fromtimestamp(since, UTC)
    fetch_missed_invitees(session, context, builder_id=builder_id, since=moment, now=now)


def fetch_missed_invitees(
    session: Session,
    context: Context,
    *,
    builder_id: int,
    since: datetime,
    purpose: Purpose = Purpose.BACKGROUND,
    now: datetime,
) -> int:
    """Apply what happened to a builder's bookings in Calendly. Returns how many invitees brought something new.

    Each invitee is a transaction of its own, and known ones change nothing, so repeating it is safe. An event whose
    invitees were all applied is fetched again only once it changes, or after a day. Raises the client's errors.
    """
    builder = session.get_one(Builder, builder_id)
    tenant, user_uri = builder.tenant, builder.calendly_user
    priced = sa.select(SessionType.event_type_uri).where(SessionType.builder_id == builder_id)
    types, known = set(session.scalars(priced)), _known_events(session, builder_id)
    end_read(session)
    calendly, applied = context.calendly.for_purpose(purpose), 0
    covered: dict[str, ScheduledEvent] = {}
    organization = organization_filter(calendly, tenant, user_uri)
    listed = calendly.scheduled_events(tenant, user_uri, since, now + AHEAD, organization=organization)
    for event in (canonical_event(calendly, listed_event) for listed_event in listed):
        event_uri, is_complete = calendly.canonical_event_uri(event.uri), True
        if event.event_type and event.event_type not in types:
            continue
        if known.covers(event_uri, event):
            if event.status == "active":
                covered[event_uri] = event
            # In a group one may have left and another come, without a word of either: their number is the same.
            if event.status != "active" or seats_of(event) is None:
                continue
        if calendly.seen.has(event):
            continue
        found = [canonical_invitee(calendly, invitee) for invitee in calendly.invitees(tenant, event_uri)]
        for invitee in sorted(found, key=lambda one: one.created_at):
            is_active = invitee.status == "active"
            step = (
                record_active_invitee(context, invitee, event)
                if is_active
                else record_canceled_invitee(context, invitee)
            )
            outcome = _apply_step(session, step, invitee.updated_at, now)
            applied += outcome.state is WorkState.DONE and outcome.booking_id is not None
            # It may replace an invitee of ours that becomes known only later.
            is_complete &= not outcome.early or now - invitee.created_at > UNKNOWN_FOR
        if is_complete:
            calendly.seen.note(event)
    refresh_events(session, covered, context.timers, now=now)
    uris = {calendly.canonical_event_uri(event.uri) for event in listed}
    read_unlisted_events(session, calendly, builder_id, uris, context.timers, since=since, now=now)
    log.info("caught_up", builder=builder_id, events=len(listed), applied=applied)
    return applied


@job(CHECK_TYPE_JOB, label=lazy_gettext("a check of the session type in Calendly"))
def check_event_type(session: Session, context: Context, *, event_type_uri: str, now: datetime) -> None:
    """Check whether Calendly still offers a type; if not, release its bookings without a time and flag the others.
    Before that, fetch times that no webhook delivered.
    """
    query = sa.select(Booking).where(Booking.event_type_uri == event_type_uri)
    pending = query.where(Booking.status == Status.PENDING).order_by(Booking.created_at).limit(1)
    first, any_booking = session.scalar(pending), session.scalar(query.limit(1))
    if any_booking is None:
        end_read(session)
        return
    builder_id, waiting_since = any_booking.builder_id, first.created_at if first else None
    tenant = session.get_one(Builder, builder_id).tenant
    end_read(session)
    if _is_offered(context.calendly, tenant, event_type_uri):
        with transaction(session):
            restore_type(session, event_type_uri, now=now)
        return
    if waiting_since is not None:
        fetch_missed_invitees(session, context, builder_id=builder_id, since=waiting_since, now=now)
    with transaction(session):
        released, flagged = withdraw_type(session, event_type_uri, ASKED, now=now)
    log.warning("session_type_withdrawn", builder=builder_id, released=released, flagged=flagged)


def _is_offered(calendly: CalendlyClient, tenant: str, event_type_uri: str) -> bool:
    try:
        return is_offered(calendly.event_type(tenant, event_type_uri))
    except CalendlyNotFound:
        return False


def _apply_step(session: Session, step: Step, at: datetime, now: datetime) -> Outcome:
    with transaction(session):
        return step(session, replace(ASKED, facts={"at": iso(at)}), now)


def _known_events(session: Session, builder_id: int) -> _KnownEvents:
    query = sa.select(Booking.event_uri, Booking.slot).where(
        Booking.builder_id == builder_id, Booking.event_uri.is_not(None)
    )
    found = [(uri, slot is Slot.ACTIVE) for uri, slot in session.execute(query) if uri is not None]
    without = sa.select(UnattachedInvitee.event_uri, UnattachedInvitee.resolved_by)
    mine = session.execute(without.where(UnattachedInvitee.builder_id == builder_id))
    found += [(uri, resolved_by is not Actor.SYSTEM) for uri, resolved_by in mine]
    return _KnownEvents(
        Counter(uri for uri, is_active in found if is_active), frozenset(uri for uri, _ in found)
    )
