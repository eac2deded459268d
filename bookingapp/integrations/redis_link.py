"""A Redis that may be slow, hang or be gone: used with a short time-out, and after a failure not used for a while."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

T = TypeVar("T")

log = logging.getLogger(__name__)

TIMEOUT_SECONDS: Final = 0.3
PAUSE_SECONDS: Final = 5.0


class RedisAway(Exception):
    """Redis was not asked, or did not answer in time. The caller goes on with this process's memory."""


class RedisLink:
    """Pooled connections to a Redis that only makes things faster or fairer, and is never needed.

    The first operation that fails costs its caller ``timeout`` seconds at most. From then on every operation raises
    RedisAway at once; each one that comes at least ``pause`` seconds after the last failure has a background thread
    check whether Redis is back. Safe for threads. ``prefix`` begins every key.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str,
        timeout: float = TIMEOUT_SECONDS,
        pause: float = PAUSE_SECONDS,
    ) -> None:
        self.prefix = prefix
        self.redis = redis.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # The library's own retries would multiply the time-out.
            retry=Retry(NoBackoff(), 0),
        )
        self._pause = pause
        self._lock = threading.Lock()
        self._away_since: float | None = None
        self._next_check = 0.0
        self._checking = False

    @property
    def is_away(self) -> bool:
        """Whether operations raise RedisAway at this moment."""
        return self._away_since is not None

    def key(self, *parts: str) -> str:
        """The key of ``parts`` below the prefix, joined by colons."""
        return ":".join((self.prefix, *parts))

    def do(self, work: Callable[[redis.Redis], T]) -> T:
        """The result of ``work``. Raises RedisAway, also for an operation that Redis refuses."""
        if self._away_since is not None:
            self._check_in_background()
            raise RedisAway
        try:
            return work(self.redis)
        except (redis.RedisError, OSError) as error:
            self._pause_use(error)
            raise RedisAway from None

    def attempt(self, work: Callable[[redis.Redis], T]) -> T | None:
        """The result of ``work``, or None where :meth:`do` would raise RedisAway."""
        try:
            return self.do(work)
        except RedisAway:
            return None

    def _pause_use(self, error: Exception) -> None:
        with self._lock:
            first = self._away_since is None
            if first:
                self._away_since = time.monotonic()
            self._next_check = time.monotonic() + self._pause
        if first:
            # The class alone: the message may carry the address and its password.
            log.warning("Redis is away (%s); this process goes on by itself", type(error).__name__)

    def _check_in_background(self) -> None:
        with self._lock:
            if self._checking or time.monotonic() < self._next_check:
                return
            self._checking = True
        threading.Thread(target=self._check, name="redis-ping", daemon=True).start()

    def _check(self) -> None:
        try:
            self.redis.ping()
        except (redis.RedisError, OSError) as error:
            self._pause_use(error)
        else:
            with self._lock:
                since, self._away_since = self._away_since, None
            log.warning("Redis is back after %.0f s", time.monotonic() - (since or time.monotonic()))
        finally:
            with self._lock:
                self._checking = False


def find_fault(url: str) -> str | None:
    """Why nothing can be written to the Redis there, in its own words, for who sets it up; None where it can be."""
    try:
        with redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3) as client:
            client.set("bookingapp:doctor", "1", ex=10)
    except (redis.RedisError, OSError) as error:
        return str(error).partition("\n")[0] or type(error).__name__
    return None
