"""Which builders' cards were viewed lately, kept in Redis, so that a worker can keep those answers fresh."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Final, cast

from redis import Redis

from bookingapp.integrations.redis_link import RedisLink

# One note a minute for each name is enough, and is what a page view may cost Redis (seconds).
_NOTE_EVERY: Final = 60.0
_KEPT_FOR: Final = timedelta(hours=2)
_MOST_NAMES: Final = 1000


class RecentViews:
    """Names with the time of their last view. Without a ``link`` nothing is remembered. Safe for threads."""

    def __init__(self, link: RedisLink | None) -> None:
        self._link = link
        self._key = link.key("interest") if link is not None else ""
        self._lock = threading.Lock()
        self._noted: dict[str, float] = {}

    def note(self, name: str) -> None:
        """Record that ``name`` is viewed now."""
        link = self._link
        if link is None or not self._is_due(name):
            return
        now = time.time()

        def write(redis: Redis) -> None:
            pipe = redis.pipeline(transaction=False)
            pipe.zadd(self._key, {name: now})
            pipe.zremrangebyscore(self._key, 0, now - _KEPT_FOR.total_seconds())
            pipe.zremrangebyrank(self._key, 0, -_MOST_NAMES - 1)
            pipe.expire(self._key, _KEPT_FOR)
            pipe.execute()

        link.attempt(write)

    def names(self, *, within: timedelta, most: int) -> tuple[str, ...]:
        """At most ``most`` names that were viewed ``within`` that time, the latest first."""
        if self._link is None:
            return ()
        since = time.time() - within.total_seconds()
        found = self._link.attempt(
            lambda redis: redis.zrevrangebyscore(self._key, "+inf", since, start=0, num=most)
        )
        return tuple(name.decode() for name in cast("list[bytes] | None", found) or ())

    def _is_due(self, name: str) -> bool:
        now = time.monotonic()
        with self._lock:
            if now - self._noted.get(name, -_NOTE_EVERY) < _NOTE_EVERY:
                return False
            if len(self._noted) >= _MOST_NAMES:
                self._noted.clear()
            self._noted[name] = now
            return True
