"""For how long each token may create no invitee, because Calendly has answered 429 to ``POST /invitees``.

That endpoint has limits of its own, by minute, hour and day, which differ from plan to plan. So nothing is counted
here: what Calendly answers decides. The limit of all other calls is in ``ratelimits``.
Source: Calendly API reference, Rate limits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, cast

from bookingapp.integrations.calendly.errors import CalendlyRateLimited
from bookingapp.integrations.calendly.tokens import fingerprint
from bookingapp.integrations.redis_link import RedisLink

# Where Calendly does not say when it accepts the next invitee (seconds).
_DEFAULT_WAIT: Final = 60.0
_SHORTEST_WAIT: Final = 1.0
# A refusal soon after the last one ended: the limit of the hour or of the day is spent, and Calendly names the next
# minute in any case. So each wait is ten times the one before it, up to an hour.
_SOON: Final = 120.0
_LONGEST_WAIT: Final = 3600.0
_FACTOR: Final = 10
# Closes until then, unless it is closed for longer already.
_CLOSE: Final = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], 1, 'PX', ARGV[1]) end
return 1
"""


class InviteeLimits:
    """The tokens that may create no invitee now, as this process knows it. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # By fingerprint: a dump of this table must not be worth anything.
        self._closed_until: dict[str, float] = {}
        self._last_wait: dict[str, float] = {}

    def check(self, token: str, route: str) -> None:
        """Raise CalendlyRateLimited while the token may create no invitee."""
        wait = self.seconds_left(token)
        if wait > 0:
            raise CalendlyRateLimited(
                f"{route}: not sent, Calendly accepts no more invitees for now", retry_after=wait
            )

    def close(self, token: str, seconds: float | None) -> float:
        """Create no invitee for that long (None: Calendly does not say how long). Returns the seconds."""
        wait = _DEFAULT_WAIT if seconds is None else max(seconds, _SHORTEST_WAIT)
        name, now = fingerprint(token), self._clock()
        with self._lock:
            # Tokens come and go with OAuth: what is long over is forgotten here.
            known = {one: until for one, until in self._closed_until.items() if until + _SOON > now}
            self._last_wait = {one: self._last_wait[one] for one in known}
            if name in known and known[name] <= now:
                wait = min(max(wait, self._last_wait[name] * _FACTOR), max(_LONGEST_WAIT, wait))
            known[name] = max(now + wait, known.get(name, 0.0))
            self._closed_until, self._last_wait[name] = known, wait
        return wait

    def note_created(self, token: str) -> None:
        """Calendly has accepted an invitee: what it refused before was the limit of a minute."""
        name = fingerprint(token)
        with self._lock:
            self._closed_until.pop(name, None)
            self._last_wait.pop(name, None)

    def seconds_left(self, token: str) -> float:
        """Seconds until the token may create an invitee, 0.0 where it may now."""
        with self._lock:
            return max(self._closed_until.get(fingerprint(token), 0.0) - self._clock(), 0.0)


class SharedInviteeLimits(InviteeLimits):
    """InviteeLimits that all processes with the same Redis share; while it is away each has its own."""

    def __init__(self, link: RedisLink) -> None:
        super().__init__()
        self._link = link

    def close(self, token: str, seconds: float | None) -> float:
        """As :meth:`InviteeLimits.close`, for all processes."""
        wait, key = super().close(token, seconds), self._key(token)
        self._link.attempt(lambda redis: redis.eval(_CLOSE, 1, key, str(round(wait * 1000))))
        return wait

    def seconds_left(self, token: str) -> float:
        """As :meth:`InviteeLimits.seconds_left`."""
        key = self._key(token)
        left = cast("int | None", self._link.attempt(lambda redis: redis.pttl(key)))
        return super().seconds_left(token) if left is None else max(left, 0) / 1000

    def _key(self, token: str) -> str:
        return self._link.key("invitees", fingerprint(token))
