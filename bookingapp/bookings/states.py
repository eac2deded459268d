"""Every state of a booking times every event that can meet it, decided in one table.

The table is plain data, so that a test can walk all of it: a new state or a new event fails that test until
each of its cells is decided.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType


class Status(enum.StrEnum):
    """Where a booking is."""

    PENDING = "pending"  # A session type is picked; no time yet.
    SCHEDULED = "scheduled"  # Calendly holds a time; it is not paid yet.
    PAID = "paid"  # Stripe has the money; the time is not known to us yet.
    CONFIRMED = "confirmed"  # A time, and nothing owed.
    COMPLETED = "completed"
    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected to happen by itself."""
        return self in (Status.COMPLETED, Status.CANCELED, Status.EXPIRED)


class Event(enum.StrEnum):
    """What can happen to a booking."""

    SLOT_TAKEN = "slot_taken"  # Calendly has an active invitee for it.
    SLOT_MOVED = "slot_moved"  # The invitee was rescheduled: a new one took the old one's place.
    SLOT_LOST = "slot_lost"  # The invitee was canceled in Calendly.
    PAYMENT_RECEIVED = "payment_received"  # Stripe says that the whole price is paid.
    SETTLED = "settled"  # A time is taken and nothing is owed: the last step, never sent from outside.
    CANCEL = "cancel"  # Somebody called it off through our pages.
    EXPIRE = "expire"  # Its timer ran out.
    COMPLETE = "complete"  # Its end time has passed.


class Refusal(enum.StrEnum):
    """Why an event does not move a booking."""

    REPEAT = "repeat"  # It has happened already: nothing to do.
    LATE = "late"  # True, but too late for this state: the fact is kept and a person has to look.
    FORBIDDEN = "forbidden"  # Not possible from here: whoever asked is told so.


Decision = Status | Refusal

_S, _R = Status, Refusal

TABLE: Mapping[Status, Mapping[Event, Decision]] = MappingProxyType(
    {
        Status.PENDING: {
            Event.SLOT_TAKEN: _S.SCHEDULED,
            Event.SLOT_MOVED: _S.SCHEDULED,
            Event.SLOT_LOST: _R.REPEAT,
            Event.PAYMENT_RECEIVED: _S.PAID,
            Event.SETTLED: _R.FORBIDDEN,
            Event.CANCEL: _S.CANCELED,
            Event.EXPIRE: _S.EXPIRED,
            Event.COMPLETE: _R.FORBIDDEN,
        },
        Status.SCHEDULED: {
            Event.SLOT_TAKEN: _R.REPEAT,
            Event.SLOT_MOVED: _S.SCHEDULED,
            Event.SLOT_LOST: _S.CANCELED,
            Event.PAYMENT_RECEIVED: _S.PAID,
            Event.SETTLED: _S.CONFIRMED,
            Event.CANCEL: _S.CANCELED,
            Event.EXPIRE: _S.EXPIRED,
            Event.COMPLETE: _R.FORBIDDEN,
        },
        Status.PAID: {
            Event.SLOT_TAKEN: _S.PAID,
            Event.SLOT_MOVED: _S.PAID,
            Event.SLOT_LOST: _R.LATE,
            Event.PAYMENT_RECEIVED: _R.REPEAT,
            Event.SETTLED: _S.CONFIRMED,
            Event.CANCEL: _S.CANCELED,
            Event.EXPIRE: _R.FORBIDDEN,
            Event.COMPLETE: _R.FORBIDDEN,
        },
        Status.CONFIRMED: {
            Event.SLOT_TAKEN: _R.REPEAT,
            Event.SLOT_MOVED: _S.CONFIRMED,
            Event.SLOT_LOST: _S.CANCELED,
            Event.PAYMENT_RECEIVED: _R.REPEAT,
            Event.SETTLED: _R.REPEAT,
            Event.CANCEL: _S.CANCELED,
            Event.EXPIRE: _R.FORBIDDEN,
            Event.COMPLETE: _S.COMPLETED,
        },
        Status.COMPLETED: {
            Event.SLOT_TAKEN: _R.REPEAT,
            Event.SLOT_MOVED: _R.LATE,
            Event.SLOT_LOST: _R.LATE,
            Event.PAYMENT_RECEIVED: _R.REPEAT,
            Event.SETTLED: _R.REPEAT,
            Event.CANCEL: _R.FORBIDDEN,
            Event.EXPIRE: _R.FORBIDDEN,
            Event.COMPLETE: _R.REPEAT,
        },
        Status.CANCELED: {
            Event.SLOT_TAKEN: _R.LATE,
            Event.SLOT_MOVED: _R.LATE,
            Event.SLOT_LOST: _R.REPEAT,
            Event.PAYMENT_RECEIVED: _R.LATE,
            Event.SETTLED: _R.FORBIDDEN,
            Event.CANCEL: _R.REPEAT,
            Event.EXPIRE: _R.FORBIDDEN,
            Event.COMPLETE: _R.FORBIDDEN,
        },
        Status.EXPIRED: {
            Event.SLOT_TAKEN: _R.LATE,
            Event.SLOT_MOVED: _R.LATE,
            Event.SLOT_LOST: _R.REPEAT,
            Event.PAYMENT_RECEIVED: _R.LATE,
            Event.SETTLED: _R.FORBIDDEN,
            Event.CANCEL: _R.FORBIDDEN,
            Event.EXPIRE: _R.REPEAT,
            Event.COMPLETE: _R.FORBIDDEN,
        },
    }
)


def decide(status: Status, event: Event) -> Decision:
    """What ``event`` does to a booking in ``status``: the status it goes to (its own, where only facts
    change), or why it does not move.
    """
    return TABLE[status][event]
