"""The free times of an event type: working hours in the host's zone, without what is booked already."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bookingapp.sandbox.clock import parse_instant, to_iso, utcnow
from bookingapp.sandbox.context import Sandbox
from bookingapp.sandbox.store import Document

DAY_BEGINS, DAY_ENDS = 9 * 60, 17 * 60
SATURDAY = 5
LEAD_TIME = timedelta(hours=4)
HORIZON = timedelta(days=60)
_SHORT, _LONG = 15, 120


@dataclass(frozen=True, slots=True)
class FreeSlot:
    """A free start, and how many more people it has room for."""

    start: datetime
    remaining: int


@dataclass(frozen=True, slots=True)
class _Booked:
    start: datetime
    end: datetime
    joinable: bool
    seats_left: int


def free_slots(
    sandbox: Sandbox, event_type: Document, start: datetime, end: datetime, *, moving: Document | None = None
) -> list[FreeSlot]:
    """The free times of a type that begin in ``[start, end)``, in order, in UTC.

    ``moving`` is the event of a booking that is rescheduled: its own time counts as free.
    """
    now = utcnow()
    begin, finish = max(start, now + LEAD_TIME), min(end, now + HORIZON)
    if not event_type["active"] or event_type["deleted_at"] or begin >= finish:
        return []
    booked = _booked(sandbox, event_type, begin, finish, moving)
    length = timedelta(minutes=event_type["duration"])
    starts = _possible_starts(sandbox, event_type, begin, finish)
    slots = [FreeSlot(start, _remaining(event_type, booked, start, start + length)) for start in starts]
    return [slot for slot in slots if slot.remaining > 0]


def is_free(
    sandbox: Sandbox, event_type: Document, start: datetime, *, moving: Document | None = None
) -> bool:
    """Whether exactly this start can be booked now."""
    window = free_slots(sandbox, event_type, start, start + timedelta(seconds=1), moving=moving)
    return any(slot.start == start for slot in window)


def _possible_starts(
    sandbox: Sandbox, event_type: Document, begin: datetime, finish: datetime
) -> list[datetime]:
    host = sandbox.store.get("user", event_type["user"])
    zone = ZoneInfo(host["timezone"] if host else "UTC")
    duration = event_type["duration"]
    increment = _SHORT if duration <= _SHORT else duration if duration > _LONG else 30
    day, last = begin.astimezone(zone).date(), finish.astimezone(zone).date()
    starts = []
    while day <= last:
        if day.weekday() < SATURDAY:
            for minute in range(DAY_BEGINS, DAY_ENDS - duration + 1, increment):
                start = datetime.combine(day, time(minute // 60, minute % 60), zone).astimezone(UTC)
                if begin <= start < finish:
                    starts.append(start)
        day += timedelta(days=1)
    return starts


def _booked(
    sandbox: Sandbox, event_type: Document, begin: datetime, finish: datetime, moving: Document | None
) -> list[_Booked]:
    is_group = event_type["kind"] == "group"
    invitees = sandbox.store.all("invitee", status="active") if is_group else []
    people = Counter(invitee["event"] for invitee in invitees)
    # The stored form of a time sorts as the time does, so strings can be compared.
    earliest, latest = to_iso(begin - timedelta(days=1)), to_iso(finish + timedelta(days=1))
    # The other people of a group keep their time when one of them moves.
    freed = moving["id"] if moving is not None and moving["seats"] == 1 else None
    return [
        _Booked(
            parse_instant(event["start_time"]),
            parse_instant(event["end_time"]),
            joinable=is_group and event["event_type"] == event_type["id"],
            seats_left=event["seats"] - people[event["id"]],
        )
        for event in sandbox.store.all("event", user=event_type["user"], status="active")
        if event["id"] != freed and earliest < event["start_time"] < latest
    ]


def _remaining(event_type: Document, booked: list[_Booked], start: datetime, end: datetime) -> int:
    remaining = int(event_type["seats"])
    for other in booked:
        if other.start < end and start < other.end:
            if not (other.joinable and other.start == start):
                return 0
            remaining = other.seats_left
    return remaining
