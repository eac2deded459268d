"""A rehearsal while others write, which only PostgreSQL allows: it lists its own rows alone."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.checkout import calendly_invitees, calendly_slot
from bookingapp.core import services
from bookingapp.core.db import db
from bookingapp.core.errors import Conflict
from bookingapp.core.queue import Job, enqueue
from bookingapp.webhooks import handlers, rehearsal
from bookingapp.webhooks.handlers import Context
from bookingapp.webhooks.models import InboxEvent, Provider
from tests.factories import NOW, make_booking
from tests.service.jobs import invitee_created, keep

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def event(session: Session) -> InboxEvent:
    """The dead delivery of a pending booking's time."""
    body, _ = invitee_created(session, make_booking(session))
    return keep(session, Provider.CALENDLY, body)


def test_what_others_enqueue_meanwhile_is_not_listed(
    session: Session, event: InboxEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = calendly_slot.record_invitee

    def record_beside_others(*args: Any, **how: Any) -> bool:
        with Session(db.engine) as other:
            enqueue(other, "theirs", key="theirs", args={}, run_at=NOW, now=NOW)
            other.commit()
        return record(*args, **how)

    monkeypatch.setattr(handlers, "record_invitee", record_beside_others)
    found = rehearsal.rehearse_replay(session, services.get(Context), event, clock=lambda: NOW)
    assert [job.name for job in found.jobs] == ["mail.booking", "bookings.expire"]
    assert session.scalar(sa.select(Job.name).where(Job.key == "theirs")) == "theirs"


def test_a_booking_that_changes_meanwhile(
    session: Session, event: InboxEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not rehearsed on old facts: that is refused with a sentence, and nothing is kept."""
    booking_of = calendly_invitees.lock_booking_of

    def too_late(*args: Any) -> Booking | None:
        with db.engine.begin() as other:
            other.execute(sa.update(Booking).values(client_name="Somebody Else"))
        return booking_of(*args)

    monkeypatch.setattr(handlers, "lock_booking_of", too_late)
    with pytest.raises(Conflict, match="changing at this moment"):
        rehearsal.rehearse_replay(session, services.get(Context), event, clock=lambda: NOW)
    session.expunge_all()
    assert session.scalars(sa.select(Booking.status)).one() is Status.PENDING
