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
    MOVE_BEGUN = "move_begun"  # The old half of a reschedule is here, and the new one is not yet.
    SLOT_LOST = "slot_lost"  # The invitee was canceled in Calendly.
    PAYMENT_RECEIVED = "payment_received"  # Stripe says that the whole price is paid.
    SETTLED = "settled"  # A time is taken and nothing is owed: the last step, never sent from outside.
    CANCEL = "cancel"  # Somebody called it off through our pages.
    EXPIRE = "expire"  # Its timer ran out.
    COMPLETE = "complete"  # Its end time has passed.
    RESTORED = "restored"  # Money came after the end of the hold, and Calendly has the time for it after all.
    NO_SHOW = "no_show"  # The client did not come.
    NO_SHOW_UNDONE = "no_show_undone"  # They did, or it was a mistake.


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
            Event.MOVE_BEGUN: _R.REPEAT,
            Event.SLOT_LOST: _R.REPEAT,
            Event.PAYMENT_RECEIVED: _S.PAID,
            Event.SETTLED: _R.FORBIDDEN,
            Event.CANCEL: _S.CANCELED,
            Event.EXPIRE: _S.EXPIRED,
            Event.COMPLETE: _R.FORBIDDEN,
            Event.RESTORED: _R.FORBIDDEN,
            Event.NO_SHOW: _R.FORBIDDEN,
            Event.NO_SHOW_UNDONE: _R.FORBIDDEN,
        },
        Status.SCHEDULED: {
            Event.SLOT_TAKEN: _R.REPEAT,
            Event.SLOT_MOVED: _S.SCHEDULED,
            Event.MOVE_BEGUN: _S.SCHEDULED,
            Event.SLOT_LOST: _S.CANCELED,
            Event.PAYMENT_RECEIVED: _S.PAID,
            Event.SETTLED: _S.CONFIRMED,
            Event.CANCEL: _S.CANCELED,
            Event.EXPIRE: _S.EXPIRED,
            Event.COMPLETE: _R.FORBIDDEN,
            Event.RESTORED: _R.REPEAT,
            Event.NO_SHOW: _S.SCHEDULED,
            Event.NO_SHOW_UNDONE: _S.SCHEDULED,
        },
        Status.PAID: {
            Event.SLOT_TAKEN: _S.PAID,
            Event.SLOT_MOVED: _S.PAID,
            Event.MOVE_BEGUN: _S.PAID,
            Event.SLOT_LOST: _R.LATE,
            Event.PAYMENT_RECEIVED: _R.REPEAT,
            Event.SETTLED: _S.CONFIRMED,
            Event.CANCEL: _S.CANCELED,
            Event.EXPIRE: _R.FORBIDDEN,
            Event.COMPLETE: _R.FORBIDDEN,
            Event.RESTORED: _R.REPEAT,
            Event.NO_SHOW: _R.LATE,
            Event.NO_SHOW_UNDONE: _R.REPEAT,
        },
        Status.CONFIRMED: {
            Event.SLOT_TAKEN: _R.REPEAT,
            Event.SLOT_MOVED: _S.CONFIRMED,
            Event.MOVE_BEGUN: _S.CONFIRMED,
            Event.SLOT_LOST: _S.CANCELED,
            Event.PAYMENT_RECEIVED: _R.REPEAT,
            Event.SETTLED: _R.REPEAT,
            Event.CANCEL: _S.CANCELED,
            Event.EXPIRE: _R.FORBIDDEN,
            Event.COMPLETE: _S.COMPLETED,
            Event.RESTORED: _R.REPEAT,
            Event.NO_SHOW: _S.CONFIRMED,
            Event.NO_SHOW_UNDONE: _S.CONFIRMED,
        },
        Status.COMPLETED: {
            Event.SLOT_TAKEN: _R.REPEAT,
            # It had been moved before its end, and we were told late: it is still to come.
            Event.SLOT_MOVED: _S.CONFIRMED,
            Event.MOVE_BEGUN: _R.LATE,
            Event.SLOT_LOST: _R.LATE,
            Event.PAYMENT_RECEIVED: _R.REPEAT,
            Event.SETTLED: _R.REPEAT,
            Event.CANCEL: _R.FORBIDDEN,
            Event.EXPIRE: _R.FORBIDDEN,
            Event.COMPLETE: _R.REPEAT,
            Event.RESTORED: _R.REPEAT,
            Event.NO_SHOW: _S.COMPLETED,
            Event.NO_SHOW_UNDONE: _S.COMPLETED,
        },
        Status.CANCELED: {
            Event.SLOT_TAKEN: _R.LATE,
            Event.SLOT_MOVED: _R.LATE,
            Event.MOVE_BEGUN: _R.REPEAT,
            Event.SLOT_LOST: _R.REPEAT,
            Event.PAYMENT_RECEIVED: _R.LATE,
            Event.SETTLED: _R.FORBIDDEN,
            Event.CANCEL: _R.REPEAT,
            Event.EXPIRE: _R.FORBIDDEN,
            Event.COMPLETE: _R.FORBIDDEN,
            Event.RESTORED: _R.FORBIDDEN,
            Event.NO_SHOW: _R.LATE,
            Event.NO_SHOW_UNDONE: _R.REPEAT,
        },
        Status.EXPIRED: {
            Event.SLOT_TAKEN: _R.LATE,
            Event.SLOT_MOVED: _R.LATE,
            Event.MOVE_BEGUN: _R.REPEAT,
            Event.SLOT_LOST: _R.REPEAT,
            Event.PAYMENT_RECEIVED: _R.LATE,
            Event.SETTLED: _R.FORBIDDEN,
            Event.CANCEL: _R.FORBIDDEN,
            Event.EXPIRE: _R.REPEAT,
            Event.COMPLETE: _R.FORBIDDEN,
            Event.RESTORED: _S.PAID,
            Event.NO_SHOW: _R.LATE,
            Event.NO_SHOW_UNDONE: _R.REPEAT,
        },
    }
)


def decide(status: Status, event: Event) -> Decision:
    """What ``event`` does to a booking in ``status``: the status it goes to (its own, where only facts
    change), or why it does not move.
    """
    return TABLE[status][event]
