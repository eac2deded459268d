"""The rate limit that Calendly last reported for each token, so that we stop before Calendly answers 429.

A request is subtracted when it is sent, so threads that ask together do not spend the same last request twice; the
next answer corrects the count. What is left near the end of a minute is kept for urgent calls (:class:`Purpose`).
Source: Calendly API reference, Rate limits (headers ``X-RateLimit-*``).
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from redis import Redis

from bookingapp.integrations.calendly.errors import CalendlyRateLimited
from bookingapp.integrations.calendly.replies import retry_after
from bookingapp.integrations.calendly.tokens import fingerprint
from bookingapp.integrations.redis_link import RedisLink

# Subtracts one request; returns how many milliseconds to wait where no more than the reserve is left, else -1.
# As RateLimit.permits.
_SPEND: Final = """
local left = redis.call('HGET', KEYS[1], 'remaining')
if not left then return -1 end
local reserve = tonumber(ARGV[1]) * math.max(tonumber(redis.call('HGET', KEYS[1], 'limit')) or 0, 0)
if tonumber(left) <= reserve then return math.max(redis.call('PTTL', KEYS[1]), 0) end
redis.call('HINCRBY', KEYS[1], 'remaining', -1)
return -1
"""


class Purpose(enum.Enum):
    """What a call is for, the most urgent first. The value is its reserve: the share of a minute's requests that it may
    not use, because it is kept for more urgent calls.
    """

    OWED = 0.0  # What has to happen: cancellations, releases, no-show marks, the time of a paid booking.
    BOOKING = 0.2  # A person waits for it: cards, the booking form, a picked time, the dashboard.
    VERIFICATION = 0.5  # What a browser claims, and what a webhook or a booking's end leaves open.
    BACKGROUND = 0.7  # Reading ahead and again: reconciliation, catching up, warming the cache.


@dataclass(frozen=True)
class RateLimit:
    """What is left for one token: ``remaining`` requests until ``resets_at`` (seconds of the given clock)."""

    limit: int | None
    remaining: int
    resets_at: float

    def permits(self, purpose: Purpose) -> bool:
        """Whether more is left than is kept for more urgent calls."""
        return self.remaining > purpose.value * (self.limit or 0)


class RateLimits:
    """Each token's rate limit, as this process knows it. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # By fingerprint: a dump of this table must not be worth anything.
        self._known: dict[str, RateLimit] = {}

    def check(self, token: str, route: str, purpose: Purpose) -> None:
        """Subtract one request from the token's limit. Raises CalendlyRateLimited when none is left for ``purpose``."""
        name = fingerprint(token)
        with self._lock:
            known = self._find_valid(name)
            if known is None:
                return
            if known.permits(purpose):
                self._known[name] = replace(known, remaining=known.remaining - 1)
                return
        raise _limit_spent(route, known.resets_at - self._clock())

    def record(self, token: str, headers: Mapping[str, str]) -> None:
        """Remember what an answer's headers say; an answer without them changes nothing."""
        remaining, wait = _whole_number(headers.get("X-RateLimit-Remaining")), retry_after(headers)
        if remaining is None or wait is None:
            return
        now = self._clock()
        with self._lock:
            # Tokens come and go with OAuth: what is over is forgotten here.
            self._known = {name: known for name, known in self._known.items() if known.resets_at > now}
            self._known[fingerprint(token)] = RateLimit(
                limit=_whole_number(headers.get("X-RateLimit-Limit")),
                remaining=remaining,
                resets_at=now + wait,
            )

    def known(self, token: str) -> RateLimit | None:
        """What Calendly last said about this token, or None where that is over or was never said."""
        with self._lock:
            return self._find_valid(fingerprint(token))

    def _find_valid(self, name: str) -> RateLimit | None:
        known = self._known.get(name)
        return known if known is not None and known.resets_at > self._clock() else None


class SharedRateLimits(RateLimits):
    """RateLimits that all processes with the same Redis count together; while it is away each counts alone."""

    def __init__(self, link: RedisLink) -> None:
        super().__init__()
        self._link = link

    def check(self, token: str, route: str, purpose: Purpose) -> None:
        """As :meth:`RateLimits.check`, for the requests of all processes."""
        key, reserve = self._limit_key(token), str(purpose.value)
        wait = cast("int | None", self._link.attempt(lambda redis: redis.eval(_SPEND, 1, key, reserve)))
        if wait is None:
            super().check(token, route, purpose)
        elif wait >= 0:
            raise _limit_spent(route, wait / 1000)

    def record(self, token: str, headers: Mapping[str, str]) -> None:
        """As :meth:`RateLimits.record`, in this process as well as in Redis."""
        super().record(token, headers)
        known = super().known(token)
        if known is None:
            return
        key, life = self._limit_key(token), round((known.resets_at - self._clock()) * 1000)
        values = {"remaining": known.remaining, "limit": -1 if known.limit is None else known.limit}

        def write(redis: Redis) -> None:
            pipe = redis.pipeline()
            pipe.hset(key, mapping=values)
            pipe.pexpire(key, max(life, 1))
            pipe.execute()

        self._link.attempt(write)

    def known(self, token: str) -> RateLimit | None:
        """As :meth:`RateLimits.known`."""
        key = self._limit_key(token)

        def read(redis: Redis) -> list[Any]:
            pipe = redis.pipeline()
            pipe.hmget(key, ["remaining", "limit"])
            pipe.pttl(key)
            return pipe.execute()

        found = self._link.attempt(read)
        if found is None:
            return super().known(token)
        (remaining, limit), life = found
        if remaining is None or life <= 0:
            return None
        known_limit = None if limit is None or int(limit) < 0 else int(limit)
        return RateLimit(known_limit, int(remaining), resets_at=self._clock() + life / 1000)

    def _limit_key(self, token: str) -> str:
        return self._link.key("budget", fingerprint(token))


def _limit_spent(route: str, wait: float) -> CalendlyRateLimited:
    return CalendlyRateLimited(
        f"{route}: not sent, the rate limit is spent or kept for other calls", retry_after=max(wait, 0.0)
    )


def _whole_number(value: str | None) -> int | None:
    return int(value) if value is not None and value.isascii() and value.strip().isdigit() else None
