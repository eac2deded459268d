"""A rehearsal while others write, which only PostgreSQL lets them: it tells of its own rows alone."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.checkout import calendly_invitees, calendly_slot
from bookingapp.core import services
from bookingapp.core.db import db, end_read, transaction
from bookingapp.core.errors import Conflict
from bookingapp.core.queue import Job, WorkState, enqueue
from bookingapp.webhooks import handlers, rehearsal
from bookingapp.webhooks.handlers import Context
from bookingapp.webhooks.models import InboxEvent, Provider
from tests.factories import NOW, facts, invitee_delivery, make_booking, reread
from tests.service.jobs import newest_delivery, store

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def booking(session: Session) -> Booking:
    """A pending one."""
    return make_booking(session)


@pytest.fixture
def event(session: Session, booking: Booking, signer: TrackingSigner) -> InboxEvent:
    """Calendly's word of its time, given up."""
    content = signer.sign(booking.tracking_id)
    body = invitee_delivery("invitee.created", facts(booking), utm_content=content, status="active")
    store(Provider.CALENDLY, body)
    with transaction(session):
        row = newest_delivery(session)
        row.state, row.finished_at = WorkState.DEAD, NOW
    end_read(session)
    return row


def test_what_others_owe_meanwhile_is_not_told(
    session: Session, event: InboxEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = calendly_slot.record_invitee

    def take_beside_others(*args: Any, **how: Any) -> bool:
        with Session(db.engine) as other:
            enqueue(other, "theirs", key="theirs", args={}, run_at=NOW, now=NOW)
            other.commit()
        return take(*args, **how)

    monkeypatch.setattr(handlers, "record_invitee", take_beside_others)
    found = rehearsal.rehearse_replay(session, services.get(Context), event, clock=lambda: NOW)
    assert [job.name for job in found.jobs] == ["mail.booking", "bookings.expire"]
    assert session.scalar(sa.select(Job.name).where(Job.key == "theirs")) == "theirs"


def test_a_booking_that_somebody_changes_meanwhile(
    session: Session, event: InboxEvent, booking: Booking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is not rehearsed on old facts: it is said in words, and nothing is kept."""
    booking_of = calendly_invitees.lock_booking_of

    def too_late(*args: Any) -> Booking | None:
        with db.engine.begin() as other:
            other.execute(sa.update(Booking).values(client_name="Somebody Else"))
        return booking_of(*args)

    monkeypatch.setattr(handlers, "lock_booking_of", too_late)
    with pytest.raises(Conflict, match="changing at this moment"):
        rehearsal.rehearse_replay(session, services.get(Context), event, clock=lambda: NOW)
    assert reread(session, booking).status is Status.PENDING
