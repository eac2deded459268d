"""The rate limit as Calendly last told it, per token: so that we stop before Calendly has to say 429.

What is sent is taken off at once, so threads that ask together do not spend the same last request twice; the
next answer corrects the count. With a Redis all processes count together.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from redis import Redis

from bookingapp.integrations.calendly.errors import CalendlyRateLimited
from bookingapp.integrations.calendly.replies import retry_after
from bookingapp.integrations.redis_link import RedisAway, RedisLink

# Takes one request off and says how many milliseconds to wait where none is left; -1 means "go on".
_TAKE: Final = """
local left = redis.call('HGET', KEYS[1], 'remaining')
if not left then return -1 end
if tonumber(left) <= 0 then return math.max(redis.call('PTTL', KEYS[1]), 0) end
redis.call('HINCRBY', KEYS[1], 'remaining', -1)
return -1
"""


@dataclass(frozen=True)
class RateLimit:
    """What is left for one token: ``remaining`` requests until ``resets_at`` (seconds of the given clock)."""

    limit: int | None
    remaining: int
    resets_at: float


class RateLimits:
    """Remembers the ``X-RateLimit-*`` headers of each token's last answer. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, RateLimit] = {}

    def check(self, token: str, route: str) -> None:
        """Take one request off this token's budget. Raises RateLimited when it is spent and its minute is not
        over.
        """
        name = _name(token)
        with self._lock:
            known = self._current(name)
            if known is None:
                return
            if known.remaining > 0:
                self._known[name] = replace(known, remaining=known.remaining - 1)
                return
        wait = known.resets_at - self._clock()
        raise _spent(route, wait)

    def record(self, token: str, headers: Mapping[str, str]) -> None:
        """Take note of an answer's headers; an answer without them changes nothing."""
        remaining, wait = _whole(headers.get("X-RateLimit-Remaining")), retry_after(headers)
        if remaining is None or wait is None:
            return
        now = self._clock()
        with self._lock:
            # Tokens come and go with OAuth: what is over is forgotten here.
            self._known = {name: known for name, known in self._known.items() if known.resets_at > now}
            self._known[_name(token)] = RateLimit(
                limit=_whole(headers.get("X-RateLimit-Limit")), remaining=remaining, resets_at=now + wait
            )

    def known(self, token: str) -> RateLimit | None:
        """What Calendly last said about this token, or None where that is over or was never said."""
        with self._lock:
            return self._current(_name(token))

    def _current(self, name: str) -> RateLimit | None:
        known = self._known.get(name)
        return known if known is not None and known.resets_at > self._clock() else None


class SharedRateLimits(RateLimits):
    """The same for all processes that use one Redis; while it is away each counts by itself."""

    def __init__(self, link: RedisLink) -> None:
        super().__init__()
        self._link = link

    def check(self, token: str, route: str) -> None:
        """As :meth:`RateLimits.check`, for the requests of all processes."""
        try:
            wait = cast("int", self._link.do(lambda redis: redis.eval(_TAKE, 1, self._key(token))))
        except RedisAway:
            super().check(token, route)
            return
        if wait >= 0:
            raise _spent(route, wait / 1000)

    def record(self, token: str, headers: Mapping[str, str]) -> None:
        """As :meth:`RateLimits.record`; what is told here is kept in this process as well."""
        super().record(token, headers)
        known = super().known(token)
        if known is None:
            return
        key, life = self._key(token), round((known.resets_at - self._clock()) * 1000)
        values = {"remaining": known.remaining, "limit": -1 if known.limit is None else known.limit}

        def write(redis: Redis) -> None:
            pipe = redis.pipeline()
            pipe.hset(key, mapping=values)
            pipe.pexpire(key, max(life, 1))
            pipe.execute()

        try:
            self._link.do(write)
        except RedisAway:
            return

    def known(self, token: str) -> RateLimit | None:
        """As :meth:`RateLimits.known`."""
        key = self._key(token)

        def read(redis: Redis) -> list[Any]:
            pipe = redis.pipeline()
            pipe.hget(key, "remaining")
            pipe.hget(key, "limit")
            pipe.pttl(key)
            return pipe.execute()

        try:
            remaining, limit, life = self._link.do(read)
        except RedisAway:
            return super().known(token)
        if remaining is None or life <= 0:
            return None
        told = None if limit is None or int(limit) < 0 else int(limit)
        return RateLimit(limit=told, remaining=int(remaining), resets_at=self._clock() + life / 1000)

    def _key(self, token: str) -> str:
        return self._link.key("budget", _name(token))


def _spent(route: str, wait: float) -> CalendlyRateLimited:
    return CalendlyRateLimited(f"{route}: not sent, the rate limit is spent", retry_after=max(wait, 0.0))


def _name(token: str) -> str:
    """Tokens are not kept as keys: a dump of this table must not be worth anything."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _whole(value: str | None) -> int | None:
    return int(value) if value is not None and value.isascii() and value.strip().isdigit() else None
