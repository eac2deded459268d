"""The only writer of ``Booking.payment_status``, by which lists filter: it follows whatever moves a booking's money.

Before a commit, the bookings whose attempts, ledger or disputes changed in it get the status that follows from them.
They are found by Stripe's ids from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import get_history, set_committed_value

from bookingapp.bookings.models import Booking
from bookingapp.bookings.search import add_words, id_words
from bookingapp.payments.ledger import MOVED, note_movement
from bookingapp.payments.models import Dispute, LedgerEntry, Payment, PaymentStatus, Refund
from bookingapp.payments.service import payment_statuses

# What a payment status is made of. A refund shows in the ledger; other columns of an attempt, such as when it was last
# checked, are written far more often.
_DECIDES: Final[Mapping[type[object], tuple[str, ...]]] = {
    Payment: ("state", "authorized_at"),
    Dispute: ("status",),
    LedgerEntry: ("amount_minor",),
}
_IDS: Final[Mapping[type[object], tuple[str, ...]]] = {
    Payment: ("checkout_session_id", "payment_intent_id"),
    Refund: ("stripe_id",),
    Dispute: ("stripe_id",),
}


@sa.event.listens_for(Session, "after_flush")
def _note_rows(session: Session, _context: object) -> None:
    for row in (*session.new, *session.dirty):
        if not isinstance(row, Payment | Refund | Dispute | LedgerEntry):
            continue
        decides = _DECIDES.get(type(row), ())
        if decides and (row in session.new or any(get_history(row, name).has_changes() for name in decides)):
            note_movement(session, row.booking_id)
        names = _IDS.get(type(row), ())
        ids = [getattr(row, name) for name in names if get_history(row, name).added]
        add_words(session, row.booking_id, id_words(*ids))


@sa.event.listens_for(Session, "before_commit")
def _store(session: Session) -> None:
    session.flush()
    moved: set[int] = session.info.pop(MOVED, set())
    if not moved:
        return
    statuses = payment_statuses(session, sorted(moved))
    for booking_id in sorted(moved):
        status = statuses.get(booking_id, PaymentStatus.NONE)
        changed = sa.update(Booking).where(Booking.id == booking_id, Booking.payment_status != status)
        session.execute(
            changed.values(payment_status=status), execution_options={"synchronize_session": False}
        )
        loaded = session.identity_map.get(session.identity_key(Booking, booking_id))
        if loaded is not None:
            set_committed_value(loaded, "payment_status", status)


@sa.event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    session.info.pop(MOVED, None)
