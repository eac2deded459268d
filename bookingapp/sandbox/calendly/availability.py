"""When a host can be booked: working hours in the host's zone, less what is booked already."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bookingapp.sandbox.clock import parse_instant, to_iso, utcnow

if TYPE_CHECKING:
    from bookingapp.sandbox.context import Sandbox
    from bookingapp.sandbox.store import Document

DAY_BEGINS = 9 * 60
DAY_ENDS = 17 * 60
SATURDAY = 5
LEAD_TIME = timedelta(hours=4)
HORIZON = timedelta(days=60)
_SHORT, _LONG = 15, 120


@dataclass(frozen=True, slots=True)
class Slot:
    """A time that can be taken, and for how many more people."""

    start: datetime
    remaining: int


@dataclass(frozen=True, slots=True)
class _Taken:
    start: datetime
    end: datetime
    joinable: bool
    seats_left: int


def increment(duration: int) -> int:
    """The minutes between two possible starts of a session of so many minutes."""
    if duration <= _SHORT:
        return _SHORT
    return duration if duration > _LONG else 30


def free_slots(
    sandbox: Sandbox,
    event_type: Document,
    start: datetime,
    end: datetime,
    *,
    without_event: str | None = None,
) -> list[Slot]:
    """The free times of a type that begin in ``[start, end)``, in order.

    ``without_event`` is left out of the reckoning, for the sake of a booking that is being moved.
    """
    now = utcnow()
    begin, finish = max(start, now + LEAD_TIME), min(end, now + HORIZON)
    if not event_type["active"] or event_type["deleted_at"] or begin >= finish:
        return []
    taken = _taken(sandbox, event_type, begin, finish, without_event)
    length = timedelta(minutes=event_type["duration"])
    found = []
    for slot_start in _starts(sandbox, event_type, begin, finish):
        remaining = _remaining(event_type, taken, slot_start, slot_start + length)
        if remaining > 0:
            found.append(Slot(slot_start, remaining))
    return found


def is_free(
    sandbox: Sandbox, event_type: Document, start: datetime, *, without_event: str | None = None
) -> bool:
    """Whether exactly this start can be booked now."""
    window = free_slots(sandbox, event_type, start, start + timedelta(seconds=1), without_event=without_event)
    return any(slot.start == start for slot in window)


def days_of_month(year: int, month: int) -> list[list[date | None]]:
    """The weeks of a month, Monday first, with None outside the month."""
    first = date(year, month, 1)
    after = date(year + month // 12, month % 12 + 1, 1)
    cells: list[date | None] = [None] * first.weekday()
    cells += [first + timedelta(days=offset) for offset in range((after - first).days)]
    cells += [None] * (-len(cells) % 7)
    return [cells[index : index + 7] for index in range(0, len(cells), 7)]


def _starts(sandbox: Sandbox, event_type: Document, begin: datetime, finish: datetime) -> list[datetime]:
    host = sandbox.store.get("user", event_type["user"])
    zone = ZoneInfo(host["timezone"] if host else "UTC")
    day, last = begin.astimezone(zone).date(), finish.astimezone(zone).date()
    starts = []
    while day <= last:
        if day.weekday() < SATURDAY:
            for minute in range(DAY_BEGINS, DAY_ENDS, increment(event_type["duration"])):
                if minute + event_type["duration"] > DAY_ENDS:
                    break
                local = datetime.combine(day, time(minute // 60, minute % 60), zone)
                instant = local.astimezone(UTC)
                if begin <= instant < finish:
                    starts.append(instant)
        day += timedelta(days=1)
    return starts


def _taken(
    sandbox: Sandbox, event_type: Document, begin: datetime, finish: datetime, without_event: str | None
) -> list[_Taken]:
    seats: dict[str, int] = {}
    if event_type["kind"] == "group":
        for invitee in sandbox.store.all("invitee", status="active"):
            seats[invitee["event"]] = seats.get(invitee["event"], 0) + 1
    # The stored form of a time sorts as the time does, so strings can be compared.
    earliest, latest = to_iso(begin - timedelta(days=1)), to_iso(finish + timedelta(days=1))
    taken = []
    for event in sandbox.store.all("event", user=event_type["user"], status="active"):
        if event["id"] == without_event or not earliest < event["start_time"] < latest:
            continue
        joinable = event_type["kind"] == "group" and event["event_type"] == event_type["id"]
        taken.append(
            _Taken(
                parse_instant(event["start_time"]),
                parse_instant(event["end_time"]),
                joinable,
                event["seats"] - seats.get(event["id"], 0),
            )
        )
    return taken


def _remaining(event_type: Document, taken: list[_Taken], start: datetime, end: datetime) -> int:
    remaining = int(event_type["seats"])
    for other in taken:
        if other.start < end and start < other.end:
            if not (other.joinable and other.start == start):
                return 0
            remaining = other.seats_left
    return remaining
