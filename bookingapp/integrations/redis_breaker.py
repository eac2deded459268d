"""A circuit breaker whose state all processes share through Redis, with one probe among all of them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar, cast

from bookingapp.integrations.circuit_breaker import (
    SLOW_FAILURE_WEIGHT,
    SLOW_SECONDS,
    BreakerState,
    CircuitBreaker,
    CircuitOpen,
    Counted,
)
from bookingapp.integrations.redis_link import RedisAway, RedisLink

T = TypeVar("T")

# All times are Redis's own, so the processes need no common clock. A hash holds: failures (in a row), era (one
# for each opening and closing), open_until (milliseconds; absent while closed), probe (who is out) and
# probe_until (until when that probe may be awaited: a process that dies with it must not block the others).
_ENTER: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local open_until = tonumber(redis.call('HGET', KEYS[1], 'open_until') or '0')
local era = redis.call('HGET', KEYS[1], 'era') or '0'
if open_until == 0 then return {'pass', era, 0} end
if now < open_until then return {'open', era, open_until - now} end
local probe_until = tonumber(redis.call('HGET', KEYS[1], 'probe_until') or '0')
if now < probe_until then return {'open', era, 1000} end
redis.call('HSET', KEYS[1], 'probe', ARGV[1], 'probe_until', now + tonumber(ARGV[2]))
return {'probe', era, 0}
"""
_LEAVE: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local era, probe, weight = ARGV[1], ARGV[2], tonumber(ARGV[3])
local is_probe = probe ~= '' and redis.call('HGET', KEYS[1], 'probe') == probe
if is_probe then redis.call('HDEL', KEYS[1], 'probe', 'probe_until') end
if era ~= (redis.call('HGET', KEYS[1], 'era') or '0') or weight < 0 then return 0 end
if weight == 0 then
  if probe ~= '' then
    if is_probe then
      redis.call('HDEL', KEYS[1], 'open_until', 'failures')
      redis.call('HINCRBY', KEYS[1], 'era', 1)
    end
  else
    redis.call('HDEL', KEYS[1], 'failures')
  end
else
  local failures = redis.call('HINCRBY', KEYS[1], 'failures', weight)
  if is_probe or (probe == '' and failures >= tonumber(ARGV[4])) then
    redis.call('HDEL', KEYS[1], 'failures')
    redis.call('HSET', KEYS[1], 'open_until', now + tonumber(ARGV[5]))
    redis.call('HINCRBY', KEYS[1], 'era', 1)
  end
end
redis.call('PEXPIRE', KEYS[1], 86400000)
return 1
"""
_LOOK: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local open_until = tonumber(redis.call('HGET', KEYS[1], 'open_until') or '0')
if open_until == 0 then return 'closed' end
if now < open_until then return 'open' end
return 'half_open'
"""
_UNKNOWN: Final = -1
# Pages look at the state for a notice; a state that is a quarter of a second old is good enough for that.
_LOOK_EVERY: Final = 0.25


@dataclass(frozen=True)
class _Ticket:
    era: str
    probe: str


class SharedBreaker:
    """As :class:`CircuitBreaker`, for all processes that use the same Redis and ``name``.

    While Redis is away each process goes on with a breaker of its own. ``probe_patience`` is how many seconds
    a probe may be out before another one is let through.
    """

    def __init__(
        self,
        link: RedisLink,
        name: str,
        *,
        failure_threshold: int = 5,
        reset_after: float = 30.0,
        probe_patience: float = 30.0,
    ) -> None:
        self._link = link
        self._key = link.key("breaker", name)
        self._threshold = failure_threshold
        self._reset_after = reset_after
        self._probe_patience = probe_patience
        self._own = CircuitBreaker(failure_threshold, reset_after)
        self._seen: tuple[float, BreakerState] | None = None

    @property
    def state(self) -> BreakerState:
        """The state as the next caller of any process would find it, at most a quarter of a second old."""
        now = time.monotonic()
        seen = self._seen
        if seen is not None and now - seen[0] < _LOOK_EVERY:
            return seen[1]
        try:
            found = cast("bytes", self._link.do(lambda redis: redis.eval(_LOOK, 1, self._key)))
        except RedisAway:
            return self._own.state
        state = cast("BreakerState", found.decode())
        self._seen = (now, state)
        return state

    def call(self, fn: Callable[[], T], *, counts: Counted = Exception) -> T:
        """As :meth:`CircuitBreaker.call`."""
        try:
            ticket = self._enter()
        except RedisAway:
            return self._own.call(fn, counts=counts)
        weight = _UNKNOWN
        started = time.monotonic()
        try:
            result = fn()
            weight = 0
            return result
        except counts:
            weight = SLOW_FAILURE_WEIGHT if time.monotonic() - started >= SLOW_SECONDS else 1
            raise
        except Exception:
            weight = 0
            raise
        finally:
            self._leave(ticket, weight)

    def _enter(self) -> _Ticket:
        probe = secrets.token_hex(8)
        patience = round(self._probe_patience * 1000)
        answer = self._link.do(lambda redis: redis.eval(_ENTER, 1, self._key, probe, str(patience)))
        word, era, wait = cast("tuple[bytes, bytes, int]", answer)
        if word == b"open":
            self._seen = None
            raise CircuitOpen(retry_after=wait / 1000)
        return _Ticket(era.decode(), probe if word == b"probe" else "")

    def _leave(self, ticket: _Ticket, weight: int) -> None:
        arguments = (
            ticket.era,
            ticket.probe,
            str(weight),
            str(self._threshold),
            str(round(self._reset_after * 1000)),
        )
        self._seen = None
        try:
            self._link.do(lambda redis: redis.eval(_LEAVE, 1, self._key, *arguments))
        except RedisAway:
            return
