"""The circuit breaker that all processes share through Redis, with one probe among all of them."""

from __future__ import annotations

import secrets
import time
from typing import Final, cast

from bookingapp.integrations.circuit_breaker import BreakerState, CircuitBreaker, CircuitOpen, Ticket
from bookingapp.integrations.redis_link import RedisAway, RedisLink

# All times are Redis's own, so the processes need no common clock. A hash holds: failures (in a row), era (one
# for each opening and closing), open_until (milliseconds; absent while closed), probe (the mark of the call that is
# under way) and probe_until (how long that probe is awaited: a process that dies with it must not block the others).
_ADMIT: Final = """
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
_REPORT: Final = """
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
_STATE: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local open_until = tonumber(redis.call('HGET', KEYS[1], 'open_until') or '0')
if open_until == 0 then return 'closed' end
if now < open_until then return 'open' end
return 'half_open'
"""
_UNKNOWN: Final = -1
# Pages ask for the state with every list; one that is a quarter of a second old is good enough for a notice.
_STATE_SECONDS: Final = 0.25


class SharedBreaker(CircuitBreaker):
    """A CircuitBreaker for all processes that use the same Redis and ``name``.

    While Redis is away each process goes on with a state of its own. ``probe_patience`` is how many seconds a probe
    may last before another one is admitted.
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
        super().__init__(failure_threshold, reset_after)
        self._link = link
        self._key = link.key("breaker", name)
        self._probe_patience = probe_patience
        self._seen: tuple[float, BreakerState] | None = None

    @property
    def state(self) -> BreakerState:
        """The state as the next caller of any process would find it, at most a quarter of a second old."""
        now = time.monotonic()
        seen = self._seen
        if seen is not None and now - seen[0] < _STATE_SECONDS:
            return seen[1]
        found = self._link.attempt(lambda redis: redis.eval(_STATE, 1, self._key))
        if found is None:
            return super().state
        state = cast("BreakerState", cast("bytes", found).decode())
        self._seen = (now, state)
        return state

    def _admit(self) -> Ticket:
        probe, patience = secrets.token_hex(8), round(self._probe_patience * 1000)
        try:
            answer = self._link.do(lambda redis: redis.eval(_ADMIT, 1, self._key, probe, str(patience)))
        except RedisAway:
            return super()._admit()
        verdict, era, wait = cast("tuple[bytes, bytes, int]", answer)
        if verdict == b"open":
            self._seen = None
            raise CircuitOpen(retry_after=wait / 1000)
        return Ticket(int(era), probe if verdict == b"probe" else "", is_shared=True)

    def _report(self, ticket: Ticket, weight: int | None) -> None:
        if not ticket.is_shared:
            super()._report(ticket, weight)
            return
        self._seen = None
        numbers = (
            _UNKNOWN if weight is None else weight,
            self._failure_threshold,
            round(self._reset_after * 1000),
        )
        arguments = (str(ticket.era), ticket.probe, *map(str, numbers))
        self._link.attempt(lambda redis: redis.eval(_REPORT, 1, self._key, *arguments))
