"""The rate limit as Calendly last told it, per token: so that we stop before Calendly has to say 429."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bookingapp.integrations.calendly.errors import RateLimited
from bookingapp.integrations.calendly.translation import retry_after


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
        """Raises RateLimited when this token's budget is spent and its minute is not over."""
        known = self.known(token)
        if known is not None and known.remaining <= 0:
            wait = known.resets_at - self._clock()
            raise RateLimited(f"{route}: not sent, the rate limit is spent", retry_after=max(wait, 0.0))

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
            known = self._known.get(_name(token))
        return known if known is not None and known.resets_at > self._clock() else None


def _name(token: str) -> str:
    """Tokens are not kept as keys: a dump of this table must not be worth anything."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _whole(value: str | None) -> int | None:
    return int(value) if value is not None and value.isascii() and value.strip().isdigit() else None
