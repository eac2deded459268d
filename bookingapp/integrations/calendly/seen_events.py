"""Which scheduled events were fetched with their invitees, and in which state: in Redis, else in this process's memory.

So that events of other people, of which no booking here tells anything, are not fetched again every hour.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from datetime import timedelta
from typing import Final, cast

from bookingapp.integrations.calendly.types import ScheduledEvent
from bookingapp.integrations.redis_link import RedisLink

# After this they are fetched once more: Calendly documents no field that is certain to change with every change.
_KEPT_FOR: Final = timedelta(days=1)
_MOST_EVENTS: Final = 20_000


class SeenEvents:
    """Each event's last seen state. Safe for threads."""

    def __init__(self, link: RedisLink | None) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def note(self, event: ScheduledEvent) -> None:
        """Record that everything in the event, as it is listed now, was fetched and applied."""
        name, state = _name(event), _state(event)
        with self._lock:
            self._seen[name] = state, time.monotonic() + _KEPT_FOR.total_seconds()
            self._seen.move_to_end(name)
            while len(self._seen) > _MOST_EVENTS:
                self._seen.popitem(last=False)
        if self._link is not None:
            key = self._link.key("seen", name)
            self._link.attempt(lambda redis: redis.set(key, state, ex=_KEPT_FOR))

    def has(self, event: ScheduledEvent) -> bool:
        """Whether that was recorded within the last day, and nobody has booked or canceled in the event since."""
        name, state = _name(event), _state(event)
        with self._lock:
            seen, until = self._seen.get(name, ("", 0.0))
        if seen == state and until > time.monotonic():
            return True
        if self._link is None:
            return False
        key = self._link.key("seen", name)
        found = cast("bytes | None", self._link.attempt(lambda redis: redis.get(key)))
        return found is not None and found.decode() == state


def _name(event: ScheduledEvent) -> str:
    return event.uri.rpartition("/")[2]


def _state(event: ScheduledEvent) -> str:
    """What changes with each booking and cancellation in the event: ``total`` counts every invitee that it ever had."""
    counter = event.invitees_counter
    counts = (counter.total, counter.active) if counter is not None else ()
    return ":".join(map(str, (event.status, event.start_time.timestamp(), *counts)))
