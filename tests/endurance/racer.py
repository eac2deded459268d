"""A process that acts on a booking the moment it is told, for tests in which two processes act at once.

Each line of input is a JSON object ``{"act", "booking", "at", "go"}``: at the moment ``go`` (seconds, as ``time.time``
counts) the act is done as if it were ``at``. Each line of output says how it ended: ``true``, ``false``, ``null``,
``"conflict"``, or the class of an error that no page knows.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import absence_claims
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode, RefundReason
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.checkout import cancellation
from bookingapp.checkout.absence_deadline import refund_unanswered
from bookingapp.core.db import db, end_read, transaction
from bookingapp.core.errors import Conflict
from bookingapp.factory import create_app
from bookingapp.payments import chosen_refunds
from bookingapp.privacy.erasure import erase_booking, find_obstacle
from tests.conftest import make_settings

Act = Callable[[Session, int, datetime], object]


def locked(do: Callable[[Session, Booking, datetime], object]) -> Act:
    """An act inside of one transaction, as the views do it."""

    def act(session: Session, booking_id: int, now: datetime) -> object:
        with transaction(session):
            return do(session, bookings.lock_booking(session, booking_id), now)

    return act


def _report(session: Session, booking_id: int, now: datetime) -> object:
    cause = Cause(Actor.BUILDER, CauseCode.ABSENCE_REPORTED)
    return cancellation.report_absence(session, booking_id, cause=cause, now=now)


def _cancel(session: Session, booking_id: int, now: datetime) -> object:
    cause = Cause(Actor.OPERATOR, CauseCode.CANCELED_ON_PAGE)
    cancellation.cancel_booking(session, booking_id, cause=cause, by_builder=True, now=now)
    return None


def _time_out(session: Session, booking_id: int, now: datetime) -> object:
    claimed = absence_claims.claim_stamp(session.get_one(Booking, booking_id))
    end_read(session)
    refund_unanswered(session, booking_id=booking_id, claimed=claimed, now=now)
    return None


def _refund(session: Session, booking: Booking, now: datetime) -> object:
    chosen_refunds.refund_amount(
        session,
        booking,
        amount_minor=booking.price_minor,
        reason=RefundReason.COURTESY,
        edition=0,
        actor=Actor.BUILDER,
        now=now,
    )
    return True


def _erase(session: Session, booking: Booking, now: datetime) -> object:
    if find_obstacle(session, booking) is not None:
        return False
    erase_booking(session, booking, Actor.CLIENT, now=now)
    return True


ACTS: Mapping[str, Act] = {
    "claim": locked(lambda session, one, now: absence_claims.claim_absence(session, one, now=now)),
    "withdraw": locked(lambda session, one, now: absence_claims.withdraw_claim(session, one, now=now)),
    "was there": locked(
        lambda session, one, now: absence_claims.deny_claim(session, one, by=Actor.BUILDER, now=now)
    ),
    "dismiss": locked(lambda session, one, now: absence_claims.dismiss_claim(session, one, now=now)),
    "could not come": _report,
    "cancel": _cancel,
    "time is over": _time_out,
    "refund": locked(_refund),
    "erase": locked(_erase),
}


def main(database_url: str, folder: str) -> None:
    """Do what is asked until the input ends."""
    app = create_app(make_settings(Path(folder), database_url=database_url))
    with app.app_context():
        session = db.session()
        session.execute(sa.select(Booking.id).limit(1))
        end_read(session)
        _answer("ready")
        for line in sys.stdin:
            asked = json.loads(line)
            now = datetime.fromisoformat(asked["at"])
            while time.time() < asked["go"]:
                pass
            try:
                answer: object = ACTS[asked["act"]](session, asked["booking"], now)
            except Conflict:
                answer = "conflict"
            except Exception as error:
                answer = f"{type(error).__name__}: {error}"
            session.rollback()
            session.expunge_all()
            _answer(answer)


def _answer(value: object) -> None:
    sys.stdout.write(f"{json.dumps(value)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
