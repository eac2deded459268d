"""Deletes what was kept for as long as the settings say (``RETENTION_*``), by itself, every hour.

Each step works in batches of one transaction each, so that other writers never wait for long, and does no more than
``MOST_BATCHES`` of them in a run: the next run goes on. A booking is erased by the same function as at its client's
wish (:mod:`bookingapp.privacy.erasure`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import InstrumentedAttribute, Session

from bookingapp.accounts.models import AccountLink, LogIn, SecurityEvent
from bookingapp.bookings import service as bookings
from bookingapp.bookings.erased import impersonal
from bookingapp.bookings.indexes import is_to_erase
from bookingapp.bookings.models import Actor, Booking, HistoryEntry, UnattachedInvitee
from bookingapp.bookings.unattached import ERASED_PERSON
from bookingapp.clients.models import SignIn
from bookingapp.clients.service import KEPT as SIGN_INS_KEPT
from bookingapp.core import heartbeat
from bookingapp.core.db import Base, changed_rows, reading, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.core.queue import ENDED, Job, WorkState
from bookingapp.core.settings import Settings
from bookingapp.onboarding.models import Application
from bookingapp.payments.models import LedgerEntry
from bookingapp.privacy.elsewhere import end_request, flag_by_hand
from bookingapp.privacy.erasure import delete_booking, erase_booking, find_obstacle
from bookingapp.privacy.models import ErasureRequest, Result
from bookingapp.webhooks.models import InboxEvent

log = structlog.get_logger(__name__)

RETENTION_JOB = "privacy.retention"
ROWS, BOOKINGS = 500, 25
"""How many rows, or bookings with all that belongs to them, are in one transaction."""
MOST_BATCHES = 20
DIGESTS_KEPT = timedelta(days=30)
"""How long a booking keeps who booked it (digests of browser and network): longer than any booking is unpaid."""
LINKS_KEPT = timedelta(days=30)
"""How long the row of an account's link stays after its last day."""
ERASURES_WAIT = timedelta(days=30)
"""How long we try to erase somebody in Calendly, before a person has to do it there."""
# Digests are looked for in so many days: what is older is erased with its booking, at the latest.
DIGESTS_LOOKED_FOR = timedelta(days=40)

Key = tuple[datetime, int]
_FIRST: Key = (datetime(1970, 1, 1, tzinfo=UTC), 0)


@dataclass(frozen=True)
class Limits:
    """Before which moment each kind of data is too old."""

    bookings: datetime
    payments: datetime
    security: datetime
    deliveries: datetime
    jobs: datetime

    @classmethod
    def of(cls, settings: Settings, now: datetime) -> Limits:
        """The limits of the settings, at this moment."""
        days = (
            settings.retention_bookings_days,
            settings.retention_payments_days,
            settings.retention_security_days,
            settings.retention_deliveries_days,
            settings.retention_jobs_days,
        )
        return cls(*(now - timedelta(days=one) for one in days))


@job(RETENTION_JOB, label=lazy_gettext("deleting what is old"), every=timedelta(hours=1))
def delete_old_data(session: Session, settings: Settings, *, now: datetime) -> dict[str, int]:
    """Delete everything that is too old. Returns and logs how many rows of each kind."""
    limits = Limits.of(settings, now)
    with transaction(session):
        heartbeat.delete_stale_beats(session, now=now)
    counts = {
        "bookings_erased": _erase_bookings(session, limits.bookings, now=now),
        "bookings_deleted": _delete_bookings(session, limits.payments),
        "digests": _clear_digests(session, now - DIGESTS_KEPT),
        "bodies": _in_batches(session, partial(_clear_bodies, session, limits.deliveries)),
        "erasures": _end_waiting_erasures(session, now=now),
    }
    for name, model, is_old in _old_rows(limits, now):
        counts[name] = _in_batches(session, partial(_delete, session, model, is_old))
    log.info("retention", **counts)
    return counts


def _old_rows(limits: Limits, now: datetime) -> Sequence[tuple[str, type[Base], sa.ColumnElement[bool]]]:
    """The rows that are simply deleted: by a name for the log, of which table, and which."""
    is_done = Job.state.in_((WorkState.DONE, WorkState.IGNORED))
    # The jobs of a booking go with it.
    old_jobs = sa.and_(
        Job.created_at < limits.jobs, Job.finished_at < limits.jobs, Job.booking_id.is_(None), is_done
    )
    invitee = UnattachedInvitee
    # An erased one says to the builder that somebody comes, which nobody has to know afterwards.
    erased = sa.and_(invitee.email == ERASED_PERSON["email"], invitee.ends_at < now)
    old_invitees = sa.or_(invitee.ends_at < limits.bookings, erased)
    return (
        ("log_ins", LogIn, LogIn.created_at < limits.security),
        ("security_events", SecurityEvent, SecurityEvent.at < limits.security),
        ("applications", Application, Application.decided_at < limits.security),
        ("account_links", AccountLink, AccountLink.expires_at < now - LINKS_KEPT),
        ("erasure_requests", ErasureRequest, ErasureRequest.ended_at < limits.jobs),
        ("sign_ins", SignIn, SignIn.created_at < now - SIGN_INS_KEPT),
        ("unattached", UnattachedInvitee, old_invitees),
        ("jobs", Job, old_jobs),
    )


def _in_batches(session: Session, step: Callable[[], int]) -> int:
    """Run a step, each time in a transaction, until it finds less than a batch. Returns the sum."""
    total = 0
    for _ in range(MOST_BATCHES):
        with transaction(session):
            found = step()
        total += found
        if found < ROWS:
            break
    return total


def _delete(session: Session, model: type[Base], is_old: sa.ColumnElement[bool]) -> int:
    key = sa.inspect(model).primary_key[0]
    statement = sa.delete(model).where(key.in_(sa.select(key).where(is_old).limit(ROWS)))
    return changed_rows(session, statement.execution_options(synchronize_session=False))


def _clear_bodies(session: Session, before: datetime) -> int:
    """A delivery's row stays: it makes a second delivery of the same event a duplicate, and the history names it."""
    old = sa.select(InboxEvent.id).where(
        InboxEvent.received_at < before,
        InboxEvent.body.is_not(None),
        # A delivery that is still to be applied needs its body, however old it is.
        sa.text(ENDED),
    )
    statement = sa.update(InboxEvent).where(InboxEvent.id.in_(old.limit(ROWS))).values(body=None, headers={})
    return changed_rows(session, statement.execution_options(synchronize_session=False))


def _pages(
    session: Session,
    query: Any,
    at: InstrumentedAttribute[datetime],
    key: InstrumentedAttribute[int],
    *,
    size: int,
) -> Iterator[Sequence[sa.Row[Any]]]:
    """The rows of a query in pages, by keyset: those that stay are not found again. No transaction is open between."""
    after = _FIRST
    for _ in range(MOST_BATCHES):
        with reading(session):
            place = sa.tuple_(sa.literal(after[0], at.type), sa.literal(after[1]))
            page = session.execute(
                query.where(sa.tuple_(at, key) > place).order_by(at, key).limit(size)
            ).all()
        if page:
            yield page
            after = page[-1][1], page[-1][0]
        if len(page) < size:
            break


def _erase_bookings(session: Session, before: datetime, *, now: datetime) -> int:
    """Erase the bookings that ended before then, but those whose money is still on the way."""
    query = sa.select(Booking.id, Booking.updated_at).where(is_to_erase(), Booking.updated_at < before)
    erased = 0
    for page in _pages(session, query, Booking.updated_at, Booking.id, size=BOOKINGS):
        with transaction(session):
            for row in page:
                booking = bookings.lock_booking(session, row.id)
                if find_obstacle(session, booking) is None:
                    erase_booking(session, booking, Actor.SYSTEM, now=now)
                    erased += 1
    return erased


def _delete_bookings(session: Session, before: datetime) -> int:
    """Delete the erased bookings that ended before then, and whose money has not moved since."""
    moved = sa.select(LedgerEntry.id).where(LedgerEntry.booking_id == Booking.id, LedgerEntry.at >= before)
    query = sa.select(Booking.id, Booking.updated_at).where(
        Booking.erased_at.is_not(None), Booking.updated_at < before, sa.not_(moved.exists())
    )
    deleted = 0
    for page in _pages(session, query, Booking.updated_at, Booking.id, size=BOOKINGS):
        with transaction(session):
            for row in page:
                delete_booking(session, row.id)
        deleted += len(page)
    return deleted


def _clear_digests(session: Session, before: datetime) -> int:
    """Delete who booked from the histories of bookings that were begun before then."""
    row = HistoryEntry
    query = sa.select(row.id, row.at, row.cause_facts).where(
        row.from_status.is_(None), row.at < before, row.at >= before - DIGESTS_LOOKED_FOR
    )
    cleared = 0
    for page in _pages(session, query, row.at, row.id, size=ROWS):
        kept = {one.id: impersonal(one.cause_facts) for one in page}
        changed = [one.id for one in page if kept[one.id] != one.cause_facts]
        with transaction(session):
            for entry in session.scalars(sa.select(row).where(row.id.in_(changed))):
                entry.cause_facts = kept[entry.id]
        cleared += len(changed)
    return cleared


def _end_waiting_erasures(session: Session, *, now: datetime) -> int:
    """End the erasures that Calendly has not accepted in a month: a person has to do them there."""
    waiting = sa.select(ErasureRequest).where(
        ErasureRequest.address.is_not(None), ErasureRequest.asked_at < now - ERASURES_WAIT
    )
    with transaction(session):
        found = session.scalars(waiting.order_by(ErasureRequest.id).limit(ROWS)).all()
        for request in found:
            if request.booking_id is not None:
                flag_by_hand(session, bookings.lock_booking(session, request.booking_id), (), now=now)
            end_request(session, request.id, Result.BY_HAND, now=now)
        return len(found)
