"""The jobs of an erasure: asking Calendly, and searching the bodies of deliveries that belong to no booking."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.builders.models import Builder
from bookingapp.core.db import changed_rows, end_read, reading, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.core.queue import ENDED, enqueue
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError
from bookingapp.privacy.addresses import ERASE_IN_CALENDLY_JOB, SEARCH_BODIES_JOB
from bookingapp.privacy.models import ErasureRequest, Result
from bookingapp.webhooks.models import InboxEvent

log = structlog.get_logger(__name__)

BATCH = 200
SEARCH_AGAIN = timedelta(hours=1)
"""How soon the bodies are searched again while a delivery that names the address is still to be applied."""
# Calendly names the hosts of each event.
_HOST: Final = re.compile(rb'"user_email"\s*:\s*"[^"]*"')


@job(
    ERASE_IN_CALENDLY_JOB,
    label=lazy_gettext("erasing a client in Calendly"),
    revive=True,
    flag=FlagCode.ERASE_IN_CALENDLY,
)
def erase_in_calendly(
    session: Session,
    calendly: CalendlyClient,
    *,
    request_id: int,
    booking_id: int | None,
    others: Sequence[int],
    builder_id: int | None = None,
    now: datetime,
) -> None:
    """Ask Calendly to erase an address in the account behind the booking, or in the builder's where the client only has
    times that were booked in Calendly directly. Where it does not let us (its plan, or a scope that is missing), the
    booking is flagged, and the flag names the client's ``others`` with that builder.

    Raises Calendly's errors that pass; the job is then retried.
    """
    request = session.get(ErasureRequest, request_id)
    address = request.address if request is not None else None
    owner = builder_id if booking_id is None else session.get_one(Booking, booking_id).builder_id
    tenant = session.get_one(Builder, owner).tenant
    end_read(session)
    if address is None:
        return
    try:
        calendly.erase_invitees(tenant, [address])
    except CalendlyError as error:
        if error.retryable:
            raise
        log.warning("erasure_refused", booking=booking_id, builder=owner, category=error.category)
        result = Result.BY_HAND
    else:
        result = Result.ACCEPTED
    with transaction(session):
        if booking_id is not None:
            locked = bookings.lock_booking(session, booking_id)
            if result is Result.ACCEPTED:
                bookings.record_act(session, locked, Cause(Actor.CALENDLY, CauseCode.ERASURE_SENT), now=now)
            else:
                flag_by_hand(session, locked, others, now=now)
        end_request(session, request_id, result, now=now)


def flag_by_hand(session: Session, booking: Booking, others: Collection[int], *, now: datetime) -> None:
    """Flag that a person has to erase the client in Calendly, in the caller's transaction."""
    query = sa.select(Booking.tracking_id).where(Booking.id.in_(others)).order_by(Booking.id)
    attention.flag(
        booking, FlagCode.ERASE_IN_CALENDLY, now=now, bookings=list(session.scalars(query)) if others else []
    )


def end_request(session: Session, request_id: int, result: Result, *, now: datetime) -> None:
    """Record the end of a request and delete its address, in the caller's transaction."""
    session.execute(
        sa.update(ErasureRequest)
        .where(ErasureRequest.id == request_id)
        .values(address=None, result=result, ended_at=now)
        .execution_options(synchronize_session=False)
    )


@job(SEARCH_BODIES_JOB, label=lazy_gettext("erasing a client in deliveries"))
def search_bodies(session: Session, *, request_id: int, now: datetime) -> None:
    """Delete the bodies of ended deliveries that name the address, whatever they were about: in all of them, because
    those that fit no booking name people too. An address that is a host's there is not the client's: a builder who
    books with another builder does not erase what was booked with them.

    A delivery that is still to be applied needs its body: it is searched again when that has ended.
    """
    request = session.get(ErasureRequest, request_id)
    address = request.address if request is not None else None
    end_read(session)
    if address is None:
        return
    # JSON may write a letter of the address as an escape.
    needles = {address.encode(), json.dumps(address)[1:-1].encode()}
    last, deleted, is_open = 0, 0, False
    while True:
        with reading(session):
            query = sa.select(InboxEvent.id, InboxEvent.body, InboxEvent.state).where(
                InboxEvent.id > last, InboxEvent.body.is_not(None)
            )
            rows = session.execute(query.order_by(InboxEvent.id).limit(BATCH)).all()
        found = [row for row in rows if _names(row.body, needles)]
        named = [row.id for row in found if not row.state.is_open]
        is_open |= len(named) < len(found)
        if named:
            # One that was replayed in between is open again.
            ended = sa.update(InboxEvent).where(InboxEvent.id.in_(named), sa.text(ENDED))
            statement = ended.values(body=None, headers={}).execution_options(synchronize_session=False)
            with transaction(session):
                changed = changed_rows(session, statement)
            is_open |= changed < len(named)
            deleted += changed
        if len(rows) < BATCH:
            break
        last = rows[-1].id
    with transaction(session):
        if is_open:
            key, args = f"erase:{request_id}:{now:%Y%m%d%H%M}", {"request_id": request_id}
            enqueue(session, SEARCH_BODIES_JOB, key=key, args=args, run_at=now + SEARCH_AGAIN, now=now)
        else:
            end_request(session, request_id, Result.DONE, now=now)
    log.info("bodies_searched", bodies=deleted, again=is_open)


def _names(body: bytes, needles: Collection[bytes]) -> bool:
    without_hosts = _HOST.sub(b"", body.lower())
    return any(needle in without_hosts for needle in needles)
