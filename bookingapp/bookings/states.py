"""The state machine of a booking: one table of every status and every event.

A test walks the whole table, so a new status or event fails it until each of its cells is decided.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType


class Status(enum.StrEnum):
    """The status of a booking."""

    PENDING = "pending"  # A session type is picked; no time yet.
    SCHEDULED = "scheduled"  # Calendly holds a time; it is not paid yet.
    PAID = "paid"  # Paid, and its time is not known yet.
    CONFIRMED = "confirmed"  # It has a time and is paid or free.
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
    SLOT_MOVED = "slot_moved"  # Rescheduled: a new invitee replaced the old one.
    MOVE_BEGUN = "move_begun"  # The old invitee was rescheduled; the new one is not known yet.
    SLOT_LOST = "slot_lost"  # The invitee was canceled in Calendly.
    PAYMENT_RECEIVED = "payment_received"  # The whole price was paid.
    SETTLED = "settled"  # It has a time and is paid or free; fired by ourselves.
    CANCEL = "cancel"  # Canceled on our pages.
    BUILDER_ABSENT = "builder_absent"  # The builder could not come, and says so once it has begun.
    EXPIRE = "expire"  # Its hold ended.
    COMPLETE = "complete"  # Its end time has passed.
    RESTORED = "restored"  # Paid after the hold ended, and its time is available after all.
    NO_SHOW = "no_show"  # The client did not come.
    NO_SHOW_UNDONE = "no_show_undone"


class Refusal(enum.StrEnum):
    """Why an event does not change the status."""

    REPEAT = "repeat"  # It has happened already: nothing to do.
    LATE = "late"  # Too late for this status: the fact is recorded, and its handler decides what follows.
    FORBIDDEN = "forbidden"  # Not possible in this status.


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
            Event.BUILDER_ABSENT: _R.FORBIDDEN,
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
            Event.BUILDER_ABSENT: _S.CANCELED,
            Event.EXPIRE: _S.EXPIRED,
            # Paid in Calendly itself: nothing here confirms it.
            Event.COMPLETE: _S.COMPLETED,
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
            Event.BUILDER_ABSENT: _S.CANCELED,
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
            Event.BUILDER_ABSENT: _S.CANCELED,
            Event.EXPIRE: _R.FORBIDDEN,
            Event.COMPLETE: _S.COMPLETED,
            Event.RESTORED: _R.REPEAT,
            Event.NO_SHOW: _S.CONFIRMED,
            Event.NO_SHOW_UNDONE: _S.CONFIRMED,
        },
        Status.COMPLETED: {
            Event.SLOT_TAKEN: _R.REPEAT,
            # Rescheduled before its end, reported after it: the session is still ahead.
            Event.SLOT_MOVED: _S.CONFIRMED,
            Event.MOVE_BEGUN: _R.LATE,
            Event.SLOT_LOST: _R.LATE,
            Event.PAYMENT_RECEIVED: _R.REPEAT,
            Event.SETTLED: _R.REPEAT,
            Event.CANCEL: _R.FORBIDDEN,
            Event.BUILDER_ABSENT: _S.CANCELED,
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
            Event.BUILDER_ABSENT: _R.REPEAT,
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
            Event.BUILDER_ABSENT: _R.FORBIDDEN,
            Event.EXPIRE: _R.REPEAT,
            Event.COMPLETE: _R.FORBIDDEN,
            Event.RESTORED: _S.PAID,
            Event.NO_SHOW: _R.LATE,
            Event.NO_SHOW_UNDONE: _R.REPEAT,
        },
    }
)


def decide(status: Status, event: Event) -> Decision:
    """The status that ``event`` leads to from ``status`` (the same where only facts change), or why it does not."""
    return TABLE[status][event]
