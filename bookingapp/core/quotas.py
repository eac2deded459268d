"""How often one visitor may do what costs others something: every such quota, and its counting.

Counted in the storage of the rate limiter (Redis, else this process's memory) by moving windows, which are atomic: of
any number of simultaneous requests no more than the quota's number pass. How many requests an endpoint accepts from one
address is beside its view (``limiter.limit``). How many unpaid bookings one visitor may hold at a time is in
:mod:`bookingapp.bookings.holds`, because bookings end.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import structlog
from limits import RateLimitItem, parse_many
from limits.strategies import MovingWindowRateLimiter

from bookingapp.core.clock import utcnow
from bookingapp.core.errors import TooOften
from bookingapp.core.extensions import limiter
from bookingapp.core.i18n import gettext, ngettext

log = structlog.get_logger(__name__)

_NAMESPACE = "bookingapp-quota"
_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True)
class Quota:
    """So many within so long, for each subject; several limits make the wait grow."""

    name: str
    limits: tuple[RateLimitItem, ...]


def _quota(name: str, limits: str) -> Quota:
    # The longest first: it says how long the wait is where more than one is used up.
    return Quota(name, tuple(sorted(parse_many(limits), key=lambda one: one.get_expiry(), reverse=True)))


# Times that a browser reports for one booking, each of which is looked up in Calendly; and one that was found false.
CLAIMS = _quota("claims", "6/minute;30/hour")
FALSE_CLAIM = _quota("false-claim", "1/10 minutes")


def spend(quota: Quota, *subject: str) -> None:
    """Count one use. Raises :class:`TooOften` where none is left; that is not counted."""
    wait = try_spend(quota, *subject)
    if wait:
        raise TooOften(too_often(wait), retry_after=wait)


def try_spend(quota: Quota, *subject: str) -> int:
    """Count one use, and return 0; or the seconds until there is one again."""
    counter, key = _counter(), _key(quota, subject)
    try:
        if all(counter.test(limit, *key) for limit in quota.limits) and all(
            counter.hit(limit, *key) for limit in quota.limits
        ):
            return 0
        return _seconds_left(counter, quota, key)
    except counter.storage.base_exceptions as error:
        # Redis went away in this moment; the rate limiter counts in memory from the next request on.
        log.warning("quota_not_counted", quota=quota.name, error=type(error).__name__)
        return 0


def seconds_until_left(quota: Quota, *subject: str) -> int:
    """0 where a use is left, else the seconds until there is one. Counts nothing."""
    counter, key = _counter(), _key(quota, subject)
    try:
        if all(counter.test(limit, *key) for limit in quota.limits):
            return 0
        return _seconds_left(counter, quota, key)
    except counter.storage.base_exceptions:
        return 0


def forget(quota: Quota, *subject: str) -> None:
    """Give the subject all its uses back."""
    counter, key = _counter(), _key(quota, subject)
    try:
        for limit in quota.limits:
            counter.clear(limit, *key)
    except counter.storage.base_exceptions as error:
        log.warning("quota_not_counted", quota=quota.name, error=type(error).__name__)


def too_often(seconds: int) -> str:
    """The sentence for a person who has to wait."""
    return gettext("That was too often. Please try again in %(wait)s.", wait=wait_words(seconds))


def wait_words(seconds: int) -> str:
    """How long to wait: ``40 seconds``, ``12 minutes``, ``3 hours``."""
    if seconds < _MINUTE:
        return ngettext("%(num)s second", "%(num)s seconds", seconds)
    if seconds < 2 * _HOUR:
        return ngettext("%(num)s minute", "%(num)s minutes", math.ceil(seconds / _MINUTE))
    return ngettext("%(num)s hour", "%(num)s hours", math.ceil(seconds / _HOUR))


def _counter() -> MovingWindowRateLimiter:
    # Through the limiter's strategy: while Redis is away its storage is this process's memory.
    return MovingWindowRateLimiter(limiter.limiter.storage)


def _key(quota: Quota, subject: tuple[str, ...]) -> tuple[str, str, str]:
    # Hashed: short, however long the text of an attacker is, and no address is stored anywhere.
    return _NAMESPACE, quota.name, hashlib.sha256("\n".join(subject).encode()).hexdigest()[:32]


def _seconds_left(counter: MovingWindowRateLimiter, quota: Quota, key: tuple[str, str, str]) -> int:
    used_up = [limit for limit in quota.limits if not counter.test(limit, *key)]
    ends = [counter.get_window_stats(limit, *key).reset_time for limit in used_up]
    return max([math.ceil(end - utcnow().timestamp()) for end in ends], default=1) or 1
