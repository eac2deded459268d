"""Reconciles with both providers: fetches what their webhooks did not deliver, and stores a report of it.

What is fetched goes through the code of the webhooks. It runs every hour, and by command for everything or one booking.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import lookup
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor, Booking, Slot
from bookingapp.bookings.service import Cause
from bookingapp.bookings.states import Status
from bookingapp.checkout import retry_dead_jobs
from bookingapp.checkout.completion import enqueue_missing_completions
from bookingapp.checkout.stripe_check import Finding, fetch_missed_money, finding
from bookingapp.checkout.unknown_sessions import RECONCILE_JOB, settle_unknown_sessions
from bookingapp.core.clock import iso
from bookingapp.core.db import end_read, insert_if_new, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.core.queue import enqueue
from bookingapp.integrations.calendly import CalendlyError, CalendlyRateLimited, Purpose
from bookingapp.integrations.stripe_gateway import StripeEvent, StripeGatewayError, StripeNotFound
from bookingapp.payments.models import DISPUTES_ENDED, Dispute, Payment, PaymentState, Refund, RefundState
from bookingapp.session_types.models import SessionType
from bookingapp.sync.calendly_events import fetch_missed_invitees
from bookingapp.sync.models import Missing, NotFetched, Reconciliation
from bookingapp.webhooks.handlers import Context, Outcome
from bookingapp.webhooks.models import DeliveryOutcome, InboxEvent, Provider
from bookingapp.webhooks.routing import ROUTES, STRIPE_EVENTS
from bookingapp.webhooks.tasks import is_final

log = structlog.get_logger(__name__)

BOOKING_JOB, BUILDER_JOB = "providers.ask_about_booking", "providers.ask_about_builder"
KEPT = timedelta(days=90)
# How far back Stripe lists events, with a day to spare.
LONGEST_PERIOD = timedelta(days=29)
# Periods overlap: what happened just before the end of one may not have been delivered or listed yet.
MARGIN = timedelta(hours=1)
DELIVERY_TIME = timedelta(minutes=2)
# Money under way is fetched when no webhook has mentioned it for so long; so many bookings at a time.
SILENCE = timedelta(hours=1)
AT_A_TIME = 100
EVENTS_INCOMPLETE = frozenset((NotFetched.EVENTS, NotFetched.EVENT, NotFetched.MORE_EVENTS))
NOT_SIGNED = -1  # The ``key_index`` of an event that was fetched.
ASKED = Cause(Actor.STRIPE, CauseCode.MISSED_EVENTS_FETCHED)


@dataclass
class _Findings:
    """What a reconciliation has found so far. ``limited`` is set where the rate limit ended it early."""

    missing: list[Finding] = field(default_factory=list)
    failed: list[Finding] = field(default_factory=list)
    limited: CalendlyRateLimited | None = None

    @contextmanager
    def fetching(self, code: NotFetched, **facts: str | int) -> Iterator[None]:
        """Record a provider's error as ``code`` and go on with the rest. What Stripe does not know cannot be missing
        here.
        """
        try:
            yield
        except StripeNotFound:
            log.info("reconciliation_skipped", what=code, **facts)
        except (CalendlyError, StripeGatewayError) as error:
            if isinstance(error, CalendlyRateLimited):
                self.limited = error
            facts["category"] = error.category
            log.error("reconciliation_failed", what=code, **facts)  # noqa: TRY400 - the category says it all.
            self.failed.append(finding(code, **facts))


@job(RECONCILE_JOB, label=lazy_gettext("the hourly reconciliation"), every=timedelta(hours=1))
def reconcile_hourly(session: Session, context: Context, *, now: datetime) -> None:
    """Fetch Stripe's missed events, and enqueue a job for each booking and builder to ask about, so that none takes
    long and each is retried alone.
    """
    with transaction(session):
        session.execute(sa.delete(Reconciliation).where(Reconciliation.at < now - KEPT))
    under_way, builders = _bookings_under_way(session, now), _builders_with_prices(session)
    with transaction(session):
        for booking_id in under_way:
            _enqueue(session, BOOKING_JOB, booking_id, {"booking_id": booking_id}, now)
        for builder_id in builders:
            _enqueue(session, BUILDER_JOB, builder_id, {"builder_id": builder_id}, now)
        enqueue_missing_completions(session, now=now)
    retry_dead_jobs.retry_dead_jobs(session, now=now)
    since, findings = _start_of_period(session, now), _Findings()
    until = now - DELIVERY_TIME
    _apply_missed_events(session, context, findings, since=since, until=until, most=AT_A_TIME, now=now)
    _store_report(session, findings, since=since, with_events=True, now=now)


@job(BOOKING_JOB, label=lazy_gettext("a question to Stripe about a booking"))
def reconcile_money(session: Session, context: Context, *, booking_id: int, now: datetime) -> None:
    """Fetch one booking's money from Stripe and record what was missing. Stores a report of it, if anything was."""
    findings = _Findings()
    _fetch_money(session, context, findings, booking_id, now=now)
    _store_if_any(session, findings, booking_id=booking_id, now=now)


@job(BUILDER_JOB, label=lazy_gettext("a question to Calendly about a builder"))
def reconcile_times(session: Session, context: Context, *, builder_id: int, now: datetime) -> None:
    """Fetch one builder's times from Calendly and record what was missing. Stores a report of it, if anything was.

    Raises CalendlyRateLimited where the rest of the minute is kept for more urgent calls; the job is then retried, and
    goes on after what it has fetched.
    """
    findings = _Findings()
    _fetch_times(session, context, findings, builder_id, now=now)
    if findings.limited is not None:
        findings.failed.clear()
    _store_if_any(session, findings, booking_id=None, now=now)
    if findings.limited is not None:
        raise findings.limited


def reconcile_everything(session: Session, context: Context, *, now: datetime) -> Reconciliation:
    """Compare all bookings with both providers, and fetch Stripe's events since the last complete reconciliation."""
    retry_dead_jobs.retry_dead_jobs(session, now=now)
    since, findings = _start_of_period(session, now), _Findings()
    _apply_missed_events(session, context, findings, since=since, until=now, now=now)
    for booking_id in _bookings_under_way(session, now):
        _fetch_money(session, context, findings, booking_id, now=now)
    for builder_id in _builders_with_prices(session):
        _fetch_times(session, context, findings, builder_id, now=now)
    return _store_report(session, findings, since=since, with_events=True, now=now)


def reconcile_booking(session: Session, context: Context, *, name: str, now: datetime) -> Reconciliation:
    """Compare one booking with both providers. ``name`` is its tracking id or reference. Raises
    :class:`~bookingapp.core.errors.NotFound`.
    """
    booking = bookings.get_by_name(session, name)
    booking_id, builder_id, since = booking.id, booking.builder_id, booking.created_at
    end_read(session)
    findings = _Findings()
    # The time first: it decides what the money is for.
    _fetch_times(session, context, findings, builder_id, purpose=Purpose.VERIFICATION, now=now)
    _fetch_money(session, context, findings, booking_id, is_thorough=True, now=now)
    return _store_report(session, findings, since=since, booking_id=booking_id, now=now)


def _enqueue(session: Session, name: str, number: int, args: dict[str, int], now: datetime) -> None:
    key = f"{name}:{number}:{int(now.timestamp())}"
    enqueue(session, name, key=key, args=args, run_at=now, now=now)


def _start_of_period(session: Session, now: datetime) -> datetime:
    reports = sa.select(Reconciliation).where(Reconciliation.with_events)
    newest = session.scalars(reports.order_by(Reconciliation.at.desc()).limit(AT_A_TIME))
    complete = (one.at for one in newest if EVENTS_INCOMPLETE.isdisjoint(miss["code"] for miss in one.failed))
    # Without a complete one, everything since the first booking may be missing.
    since = next(complete, None) or session.scalar(sa.select(sa.func.min(Booking.created_at))) or now
    end_read(session)
    return max(since - MARGIN, now - LONGEST_PERIOD)


def _apply_missed_events(
    session: Session,
    context: Context,
    findings: _Findings,
    *,
    since: datetime,
    until: datetime,
    most: int | None = None,
    now: datetime,
) -> None:
    missed: list[StripeEvent] = []
    with findings.fetching(NotFetched.EVENTS):
        events = context.stripe.list_events(since, STRIPE_EVENTS)
        known = _known_events(session, [event.id for event in events])
        missed = [event for event in events if event.id not in known and event.created <= until]
    if most is not None and len(missed) > most:
        findings.failed.append(finding(NotFetched.MORE_EVENTS, most=most, found=len(missed)))
    failed_before = len(findings.failed)
    for event in missed[:most]:
        # An event that cannot be applied is retried by the next reconciliation; the others go on.
        with findings.fetching(NotFetched.EVENT, type=event.type):
            is_whole = len(findings.failed) == failed_before
            outcome = _apply(session, context, event, is_whole=is_whole, now=now)
            if outcome is not None and outcome.code is DeliveryOutcome.BOOKING_LOST:
                findings.missing.append(finding(Missing.BOOKING_LOST, **outcome.facts))
            elif outcome is not None and outcome.booking_id is not None:
                facts = {"type": event.type, "at": iso(event.created), "booking_id": outcome.booking_id}
                findings.missing.append(finding(Missing.STRIPE_EVENT, **facts))


def _apply(
    session: Session, context: Context, event: StripeEvent, *, is_whole: bool, now: datetime
) -> Outcome | None:
    """Apply an event that was not delivered and store it in the inbox, in one commit: if it is delivered later, it is
    a duplicate. Returns its outcome; None where it was too early.

    Its booking may be in an earlier event; where not all of those could be applied (``is_whole``), an event that is
    too early waits for the next reconciliation.
    """
    body = _body(event)
    step = ROUTES[Provider.STRIPE, event.type](context, body)
    with transaction(session):
        outcome = step(session, replace(ASKED, facts={"at": iso(event.created)}), now)
        if outcome.early and not is_whole:
            return None
        if not is_final(session, outcome, received_at=event.created, now=now):
            return None
        values = {
            "provider": Provider.STRIPE,
            "event_key": event.id,
            "type": event.type,
            "body": None if lookup.is_erased(session, outcome.booking_id) else body,
            "headers": {},
            "signed_at": event.created,
            "key_index": NOT_SIGNED,
            "received_at": now,
            "run_at": now,
            "state": outcome.state,
            "attempts": 0,
            "finished_at": now,
            "outcome": outcome.code,
            "outcome_facts": {**outcome.facts, "fetched": True},
            "booking_id": outcome.booking_id,
        }
        insert_if_new(session, InboxEvent, values, ["provider", "event_key"])
    return outcome


def _known_events(session: Session, event_ids: list[str]) -> set[str]:
    query = sa.select(InboxEvent.event_key).where(
        InboxEvent.provider == Provider.STRIPE, InboxEvent.event_key.in_(event_ids)
    )
    known = set(session.scalars(query))
    end_read(session)
    return known


def _body(event: StripeEvent) -> bytes:
    """The body that a delivery of the event would have had."""
    return json.dumps(
        {
            "id": event.id,
            "object": "event",
            "type": event.type,
            "created": int(event.created.timestamp()),
            "livemode": event.livemode,
            "api_version": event.api_version,
            "data": {"object": event.data},
        }
    ).encode()


def _bookings_under_way(session: Session, now: datetime) -> list[int]:
    """The bookings with money under way that Stripe has not mentioned lately."""
    quiet = now - SILENCE
    live = [state for state in PaymentState if state.is_live]
    waiting = (RefundState.ENQUEUED, RefundState.PENDING)
    parts = (
        sa.select(Payment.booking_id).where(
            Payment.state.in_(live), sa.func.coalesce(Payment.checked_at, Payment.updated_at) < quiet
        ),
        sa.select(Refund.booking_id).where(
            Refund.state.in_(waiting), sa.func.coalesce(Refund.checked_at, Refund.updated_at) < quiet
        ),
        sa.select(Dispute.booking_id).where(
            Dispute.status.not_in(DISPUTES_ENDED),
            sa.func.coalesce(Dispute.checked_at, Dispute.updated_at) < quiet,
        ),
        # Paid without a time: neither confirmed nor refunded yet.
        sa.select(Booking.id).where(Booking.status == Status.PAID),
    )
    together = sa.union(*parts).subquery()
    found = list(session.scalars(sa.select(together.c[0]).order_by(together.c[0]).limit(AT_A_TIME)))
    end_read(session)
    return found


def _builders_with_prices(session: Session) -> list[int]:
    query = sa.select(SessionType.builder_id).distinct().order_by(SessionType.builder_id)
    found = list(session.scalars(query))
    end_read(session)
    return found


def _fetch_money(
    session: Session,
    context: Context,
    findings: _Findings,
    booking_id: int,
    *,
    is_thorough: bool = False,
    now: datetime,
) -> None:
    with findings.fetching(NotFetched.BOOKING, booking_id=booking_id):
        if is_thorough:
            settle_unknown_sessions(session, context.stripe, booking_id=booking_id, now=now)
        findings.missing += fetch_missed_money(
            session, context.stripe, booking_id=booking_id, timers=context.timers, now=now
        )


def _fetch_times(
    session: Session,
    context: Context,
    findings: _Findings,
    builder_id: int,
    *,
    purpose: Purpose = Purpose.BACKGROUND,
    now: datetime,
) -> None:
    before, since = _slots_of_builder(session, builder_id), now - MARGIN
    with findings.fetching(NotFetched.BUILDER, builder_id=builder_id):
        fetch_missed_invitees(session, context, builder_id=builder_id, since=since, purpose=purpose, now=now)
    findings.missing += [
        _slot_difference(booking_id, before.get(booking_id), slot)
        for booking_id, slot in _slots_of_builder(session, builder_id).items()
        if slot != before.get(booking_id)
    ]


_Slot = tuple[Status, Slot, str | None]


def _slots_of_builder(session: Session, builder_id: int) -> dict[int, _Slot]:
    query = sa.select(Booking.id, Booking.status, Booking.slot, Booking.invitee_uri)
    rows = session.execute(query.where(Booking.builder_id == builder_id)).all()
    end_read(session)
    return {row.id: (row.status, row.slot, row.invitee_uri) for row in rows}


def _slot_difference(booking_id: int, before: _Slot | None, after: _Slot) -> Finding:
    if before is None or before[0] is not after[0]:
        was = before[0] if before else None
        return finding(Missing.BOOKING_STATUS, booking_id=booking_id, before=was, after=after[0])
    code = Missing.TIME_CANCELED if after[1] is Slot.CANCELED else Missing.TIME_CHANGED
    return finding(code, booking_id=booking_id)


def _store_if_any(session: Session, findings: _Findings, *, booking_id: int | None, now: datetime) -> None:
    if findings.missing or findings.failed:
        _store_report(session, findings, since=now - MARGIN, booking_id=booking_id, now=now)


def _store_report(
    session: Session,
    findings: _Findings,
    *,
    since: datetime,
    booking_id: int | None = None,
    with_events: bool = False,
    now: datetime,
) -> Reconciliation:
    report = Reconciliation(
        at=now,
        since=since,
        booking_id=booking_id,
        with_events=with_events,
        missing=findings.missing,
        failed=findings.failed,
    )
    with transaction(session):
        session.add(report)
    log.info("reconciled", booking=booking_id, missing=len(findings.missing), failed=len(findings.failed))
    return report
