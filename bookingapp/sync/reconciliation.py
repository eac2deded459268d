"""Asking both providers for what their webhooks have not told us, and keeping what was found.

What is found goes through the code of the webhooks. It comes back by itself every hour, and a person can ask for it,
for everything or for one booking.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor, Booking, Slot
from bookingapp.bookings.service import Cause
from bookingapp.bookings.states import Status
from bookingapp.checkout import retry_dead_jobs
from bookingapp.checkout.stripe_check import fetch_missed_money
from bookingapp.core.db import end_read, insert_if_new, transaction
from bookingapp.core.jobs import job
from bookingapp.core.queue import enqueue
from bookingapp.integrations.calendly import CalendlyError
from bookingapp.integrations.stripe_gateway import StripeEvent, StripeGatewayError
from bookingapp.integrations.stripe_gateway import StripeNotFound as UnknownToStripe
from bookingapp.payments.models import DISPUTES_ENDED, Dispute, Payment, PaymentState, Refund, RefundState
from bookingapp.session_types.models import SessionType
from bookingapp.sync.calendly_events import fetch_missed_invitees
from bookingapp.sync.models import Reconciliation
from bookingapp.webhooks.handlers import Context
from bookingapp.webhooks.models import InboxEvent, Provider
from bookingapp.webhooks.routing import ROUTES, STRIPE_EVENTS
from bookingapp.webhooks.tasks import is_final

log = structlog.get_logger(__name__)

RECONCILE_JOB = "providers.reconcile"
BOOKING_JOB, BUILDER_JOB = "providers.ask_about_booking", "providers.ask_about_builder"
KEPT = timedelta(days=90)
# Where nobody has looked before; and the most that Stripe lists.
FIRST_LOOK, LONGEST_LOOK = timedelta(days=3), timedelta(days=29)
# What happened just before a look may still be on its way to us, and is looked for once more by the next.
MARGIN = timedelta(hours=1)
ON_ITS_WAY = timedelta(minutes=2)
# Money that is under way is asked for when nobody has spoken of it for so long; so much at a time.
SILENCE = timedelta(hours=1)
AT_A_TIME = 100
EVENTS = "Stripe's events"
NOT_SIGNED = -1  # In the place of a key's number: nobody signed what we asked for.
ASKED = Cause(Actor.STRIPE, CauseCode.MISSED_EVENTS_FETCHED)


@dataclass
class _Found:
    """What a look has brought so far."""

    missing: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @contextmanager
    def trying(self, what: str) -> Iterator[None]:
        """Go on with the rest where a provider does not let us ask for this. What Stripe does not know, or not any
        more, cannot be missing here.
        """
        try:
            yield
        except UnknownToStripe:
            log.info("reconciliation_skipped", what=what)
        except (CalendlyError, StripeGatewayError) as error:
            log.error("reconciliation_failed", what=what, category=error.category)  # noqa: TRY400 - the category says it all.
            self.failed.append(f"{what}: {error.user_message}")


@job(RECONCILE_JOB, label="the hourly reconciliation", every=timedelta(hours=1))
def reconcile_hourly(session: Session, context: Context, *, now: datetime) -> None:
    """The look that comes back by itself. It asks for Stripe's events, and owes a row of its own for each booking and
    each builder to be asked about, so that no row takes long and each is tried again alone.
    """
    with transaction(session):
        session.execute(sa.delete(Reconciliation).where(Reconciliation.at < now - KEPT))
    under_way, builders = _under_way(session, now), _with_prices(session)
    with transaction(session):
        for booking_id in under_way:
            _owe(session, BOOKING_JOB, "booking_id", booking_id, now)
        for builder_id in builders:
            _owe(session, BUILDER_JOB, "builder_id", builder_id, now)
    retry_dead_jobs.retry_dead_jobs(session, now=now)
    since, found = _since(session, now), _Found()
    _missed_events(session, context, found, since=since, until=now - ON_ITS_WAY, now=now)
    _keep(session, found, since=since, with_events=True, now=now)


@job(BOOKING_JOB, label="a question to Stripe about a booking")
def reconcile_money(session: Session, context: Context, *, booking_id: int, now: datetime) -> None:
    """A part of the hourly look. What it finds is kept; where there is nothing, so is nothing."""
    found = _Found()
    _missed_money(session, context, found, booking_id, now=now)
    _keep_if_any(session, found, booking_id=booking_id, now=now)


@job(BUILDER_JOB, label="a question to Calendly about a builder")
def reconcile_times(session: Session, context: Context, *, builder_id: int, now: datetime) -> None:
    """Likewise."""
    found = _Found()
    _missed_times(session, context, found, builder_id, now=now)
    _keep_if_any(session, found, booking_id=None, now=now)


def reconcile_everything(session: Session, context: Context, *, now: datetime) -> Reconciliation:
    """Ask both providers about everything, Stripe's events since the last look that got all of them."""
    retry_dead_jobs.retry_dead_jobs(session, now=now)
    since, found = _since(session, now), _Found()
    _missed_events(session, context, found, since=since, until=now, now=now)
    for booking_id in _under_way(session, now):
        _missed_money(session, context, found, booking_id, now=now)
    for builder_id in _with_prices(session):
        _missed_times(session, context, found, builder_id, now=now)
    return _keep(session, found, since=since, with_events=True, now=now)


def reconcile_booking(session: Session, context: Context, *, ref: str, now: datetime) -> Reconciliation:
    """Ask both providers about one booking. Raises :class:`~bookingapp.core.errors.NotFound`."""
    booking = bookings.get_by_ref(session, ref)
    booking_id, builder_id, since = booking.id, booking.builder_id, booking.created_at
    end_read(session)
    found = _Found()
    # The time first: money is worth more where it is known what for.
    _missed_times(session, context, found, builder_id, now=now)
    _missed_money(session, context, found, booking_id, now=now)
    return _keep(session, found, since=since, booking_id=booking_id, now=now)


def _owe(session: Session, job: str, name: str, number: int, now: datetime) -> None:
    key = f"{job}:{number}:{int(now.timestamp())}"
    enqueue(session, job, key=key, args={name: number}, run_at=now, now=now)


def _since(session: Session, now: datetime) -> datetime:
    whole = sa.select(Reconciliation).where(Reconciliation.with_events)
    looks = session.scalars(whole.order_by(Reconciliation.at.desc()).limit(AT_A_TIME))
    last = next((look.at for look in looks if not any(EVENTS in line for line in look.failed)), None)
    end_read(session)
    since = last - MARGIN if last is not None else now - FIRST_LOOK
    return max(since, now - LONGEST_LOOK)


def _missed_events(
    session: Session, context: Context, found: _Found, *, since: datetime, until: datetime, now: datetime
) -> None:
    missed: list[StripeEvent] = []
    with found.trying(EVENTS):
        events = context.stripe.list_events(since, STRIPE_EVENTS)
        known = _known(session, [event.id for event in events])
        missed = [event for event in events if event.id not in known and event.created <= until]
    if len(missed) > AT_A_TIME:
        found.failed.append(
            f"{EVENTS}: only {AT_A_TIME} of {len(missed)} at a time, the rest with the next look"
        )
    whole_until_now = len(found.failed)
    for event in missed[:AT_A_TIME]:
        # One that cannot be applied is tried again by the next look, and the others are no worse for it.
        with found.trying(f"{EVENTS}: {event.type}"):
            booking_id = _apply(
                session, context, event, is_whole=len(found.failed) == whole_until_now, now=now
            )
            if booking_id is not None:
                at = f"{event.created.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
                found.missing.append(
                    f"Stripe: {event.type} of {at} was never delivered (booking {booking_id})"
                )


def _apply(
    session: Session, context: Context, event: StripeEvent, *, is_whole: bool, now: datetime
) -> int | None:
    """Apply an event that was not delivered, and keep it in the inbox as what it is, in one commit: should it be
    delivered after all, it is known. Returns whose booking it was about.

    What it speaks of may be in an event before it; where not all of those could be applied (``is_whole``), one that
    came too early is left for the next look.
    """
    body = _body(event)
    step = ROUTES[Provider.STRIPE, event.type](context, body)
    with transaction(session):
        outcome = step(session, ASKED, now)
        if outcome.early and not is_whole:
            return None
        if not is_final(session, outcome, heard_at=event.created, now=now):
            return None
        values = {
            "provider": Provider.STRIPE,
            "event_key": event.id,
            "type": event.type,
            "body": body,
            "headers": {},
            "signed_at": event.created,
            "key_index": NOT_SIGNED,
            "received_at": now,
            "run_at": now,
            "state": outcome.state,
            "attempts": 0,
            "finished_at": now,
            "note": f"{outcome.note}; asked for, because it was not delivered",
            "booking_id": outcome.booking_id,
        }
        insert_if_new(session, InboxEvent, values, ["provider", "event_key"])
    return outcome.booking_id


def _known(session: Session, event_ids: list[str]) -> set[str]:
    query = sa.select(InboxEvent.event_key).where(
        InboxEvent.provider == Provider.STRIPE, InboxEvent.event_key.in_(event_ids)
    )
    known = set(session.scalars(query))
    end_read(session)
    return known


def _body(event: StripeEvent) -> bytes:
    """The event as its delivery would have brought it."""
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


def _under_way(session: Session, now: datetime) -> list[int]:
    """The bookings whose money has not come to rest, and of which Stripe has not spoken lately."""
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
        # Paid, and nothing has come of it yet.
        sa.select(Booking.id).where(Booking.status == Status.PAID),
    )
    together = sa.union(*parts).subquery()
    found = list(session.scalars(sa.select(together.c[0]).order_by(together.c[0]).limit(AT_A_TIME)))
    end_read(session)
    return found


def _with_prices(session: Session) -> list[int]:
    found = list(
        session.scalars(sa.select(SessionType.builder_id).distinct().order_by(SessionType.builder_id))
    )
    end_read(session)
    return found


def _missed_money(
    session: Session, context: Context, found: _Found, booking_id: int, *, now: datetime
) -> None:
    with found.trying(f"Stripe, for booking {booking_id}"):
        found.missing += fetch_missed_money(
            session, context.stripe, booking_id=booking_id, timers=context.timers, now=now
        )


def _missed_times(
    session: Session, context: Context, found: _Found, builder_id: int, *, now: datetime
) -> None:
    before = _slots(session, builder_id)
    with found.trying(f"Calendly, for builder {builder_id}"):
        fetch_missed_invitees(session, context, builder_id=builder_id, since=now - MARGIN, now=now)
    found.missing += [
        f"Calendly: booking {booking_id}: {_told(before.get(booking_id), slot)}"
        for booking_id, slot in _slots(session, builder_id).items()
        if slot != before.get(booking_id)
    ]


def _slots(session: Session, builder_id: int) -> dict[int, tuple[Status, Slot, str | None]]:
    query = sa.select(Booking.id, Booking.status, Booking.slot, Booking.invitee_uri)
    rows = session.execute(query.where(Booking.builder_id == builder_id)).all()
    end_read(session)
    return {row.id: (row.status, row.slot, row.invitee_uri) for row in rows}


def _told(before: tuple[Status, Slot, str | None] | None, after: tuple[Status, Slot, str | None]) -> str:
    if before is None or before[0] is not after[0]:
        return f"went from {before[0].value if before else 'nothing'} to {after[0].value}"
    return "its time was canceled" if after[1] is Slot.CANCELED else "its time was another one"


def _keep_if_any(session: Session, found: _Found, *, booking_id: int | None, now: datetime) -> None:
    if found.missing or found.failed:
        _keep(session, found, since=now - MARGIN, booking_id=booking_id, now=now)


def _keep(
    session: Session,
    found: _Found,
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
        missing=found.missing,
        failed=found.failed,
    )
    with transaction(session):
        session.add(report)
    log.info("reconciled", booking=booking_id, missing=len(found.missing), failed=len(found.failed))
    return report
