"""How often one visitor may do what costs others something: every such quota, and its counting.

Counted by moving windows that are atomic: of any number of simultaneous requests no more than the quota's number pass.
With Redis all processes count together, in the storage of the rate limiter; else each counts by itself. How many
requests an endpoint accepts from one address is beside its view (``limiter.limit``). How many unpaid bookings one
visitor may hold at a time is in :mod:`bookingapp.bookings.holds`, because bookings end.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

import structlog
from flask import current_app
from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage, Storage
from limits.strategies import MovingWindowRateLimiter

from bookingapp.core import clock
from bookingapp.core.errors import TooOften
from bookingapp.core.extensions import limiter
from bookingapp.core.i18n import gettext

log = structlog.get_logger(__name__)

_NAMESPACE = "bookingapp-quota"
_MOST_SUBJECTS = 50_000


@dataclass(frozen=True)
class Quota:
    """So many within so long, for each subject; several limits make the wait grow."""

    name: str
    limits: tuple[RateLimitItem, ...]


def _quota(name: str, limits: str) -> Quota:
    return Quota(name, tuple(parse_many(limits)))


# Bookings for a mailbox that nobody has confirmed, and from a browser that has confirmed none: each may send mails to
# people who never asked for one.
UNVERIFIED_MAILBOX = _quota("unverified-mailbox", "5/hour;10/day")
UNVERIFIED_BROWSER = _quota("unverified-browser", "10/hour;20/day")
# All of one address: an office, a mobile network. Beside them a stranger who changes mailbox and browser each time.
UNVERIFIED_ADDRESS = _quota("unverified-address", "100/hour;300/day")
# Free sessions of our own list, by Calendly's token: some of the invitees that Calendly lets us create (50 an hour, 100
# a day on most plans) are kept for clients who pay.
FREE_INVITEES = _quota("free-invitees", "20/hour;50/day")
# Mails with a sign-in link, to one mailbox and from one browser.
LINKS = _quota("links", "3/30 minutes")
LINKS_OF_BROWSER = _quota("links-of-browser", "6/30 minutes")
# Mails that reset a password: to one mailbox from all browsers that have never logged in to its account together, and
# from each that has by itself, so that strangers cannot use up the owner's. And changes of address that an account asks
# for.
RESET_LINKS = _quota("reset-links", "3/30 minutes;10/day")
RESET_LINKS_OF_BROWSER = _quota("reset-links-of-browser", "3/30 minutes;6/day")
ADDRESS_CHANGES = _quota("address-changes", "3/hour;6/day")
# Log-ins by account, until one succeeds: all browsers that have never logged in to it together, and each that has by
# itself, so that a stranger's guesses do not lock out the owner. Failed ones of unknown browsers by address too. The
# wait grows from a minute to hours.
LOG_INS = _quota("log-ins", "5/minute;10/15 minutes;20/hour")
LOG_INS_OF_BROWSER = _quota("log-ins-of-browser", "5/minute;10/15 minutes;20/hour")
FAILED_LOG_INS = _quota("failed-log-ins", "30/15 minutes;100/3 hours")
# Applications to become a builder, each of which sends a mail: to one mailbox, and from one address.
APPLICATIONS = _quota("applications", "2/hour;3/day")
APPLICATIONS_OF_ADDRESS = _quota("applications-of-address", "5/hour;10/day")
# Codes of a second step, counted in the same two ways; and passwords that are entered again for a change, by log-in.
SECOND_STEPS = _quota("second-steps", "5/5 minutes;10/hour;30/day")
SECOND_STEPS_OF_BROWSER = _quota("second-steps-of-browser", "5/5 minutes;10/hour;30/day")
CONFIRMATIONS = _quota("confirmations", "5/minute;20/hour")
# Rows of the record for pages and objects that are not an account's: one for each endpoint.
DENIALS = _quota("denials", "1/hour")
# Times that a browser reports for one booking, each of which is looked up in Calendly; one that was found false; and
# one that Calendly does not know, which may have been asked too early.
CLAIMS = _quota("claims", "6/minute;30/hour")
FALSE_CLAIM = _quota("false-claim", "1/10 minutes")
UNKNOWN_CLAIM = _quota("unknown-claim", "1/10 seconds;3/10 minutes")
# What a client says about who came to one session.
ATTENDANCE = _quota("attendance", "6/hour;12/day")
# Of one booking: mails that its builder or an operator sends once more, and questions to both providers about it.
REPEATED_MAILS = _quota("repeated-mails", "3/10 minutes;10/day")
CHECKS_OF_BOOKING = _quota("checks-of-booking", "3/5 minutes;20/hour")


def spend(quota: Quota, *subject: str) -> None:
    """Count one use. Raises :class:`TooOften` where none is left; that is not counted."""
    wait = try_spend(quota, *subject)
    if wait:
        raise TooOften(too_often(wait), retry_after=wait)


def try_spend(quota: Quota, *subject: str) -> int:
    """Count one use, and return 0; or the seconds until there is one again."""
    return _count(lambda counter, key: counter.spend(quota, key), quota, subject)


def try_spend_each(*uses: tuple[Quota, str]) -> int:
    """Count one use of each quota for its subject, and return 0; or, where one has none left, count none of them and
    return the seconds until they all have.
    """
    wait = max((seconds_until_left(quota, subject) for quota, subject in uses), default=0)
    # Among simultaneous requests, each quota still lets no more than its number pass.
    return wait or max((try_spend(quota, subject) for quota, subject in uses), default=0)


def seconds_until_left(quota: Quota, *subject: str) -> int:
    """0 where a use is left, else the seconds until there is one. Counts nothing."""
    return _count(lambda counter, key: counter.next_use(quota, key), quota, subject)


def forget(quota: Quota, *subject: str) -> None:
    """Give the subject all its uses back."""
    _count(lambda counter, key: counter.forget(quota, key), quota, subject)


def too_often(seconds: int) -> str:
    """The sentence for a person who has to wait."""
    return gettext("That was too often. Please try again in %(wait)s.", wait=clock.wait(seconds))


def _count(do: Callable[[_Counter, str], float | None], quota: Quota, subject: tuple[str, ...]) -> int:
    """Use the shared counter, or this process's own while there is none. Returns the seconds until the moment that
    ``do`` returns.
    """
    # Hashed: short, however long the text of an attacker is, and no e-mail address is stored.
    key = f"{quota.name}:{hashlib.sha256(chr(10).join(subject).encode()).hexdigest()[:32]}"
    own: _OwnCounter = current_app.extensions.setdefault(_NAMESPACE, _OwnCounter())
    # The limiter's own strategy: in memory too while its Redis is away, which it finds out by the requests it counts.
    storage = limiter.limiter.storage
    if isinstance(storage, MemoryStorage):
        left_at = do(own, key)
    else:
        try:
            left_at = do(_SharedCounter(storage), key)
        except storage.base_exceptions as error:
            log.warning("quota_counted_alone", quota=quota.name, error=type(error).__name__)
            left_at = do(own, key)
    return 0 if left_at is None else max(math.ceil(left_at - _now()), 1)


class _Counter(Protocol):
    """Counts uses by key. Moments are seconds since 1970, None where a use is (or was) left."""

    def spend(self, quota: Quota, key: str, /) -> float | None: ...
    def next_use(self, quota: Quota, key: str, /) -> float | None: ...
    def forget(self, quota: Quota, key: str, /) -> None: ...


class _SharedCounter:
    """Counts in Redis."""

    def __init__(self, storage: Storage) -> None:
        self._windows = MovingWindowRateLimiter(storage)

    def spend(self, quota: Quota, key: str) -> float | None:
        left_at = self.next_use(quota, key)
        if left_at is None and not all(self._windows.hit(limit, _NAMESPACE, key) for limit in quota.limits):
            # Another request was faster.
            left_at = self.next_use(quota, key) or _now()
        return left_at

    def next_use(self, quota: Quota, key: str) -> float | None:
        used_up = [limit for limit in quota.limits if not self._windows.test(limit, _NAMESPACE, key)]
        ends = [self._windows.get_window_stats(limit, _NAMESPACE, key).reset_time for limit in used_up]
        return max(ends, default=None)

    def forget(self, quota: Quota, key: str) -> None:
        for limit in quota.limits:
            self._windows.clear(limit, _NAMESPACE, key)


class _OwnCounter:
    """Counts in this process. Not with the library's storage in memory: its cleaning drops locks that are in use, so
    that threads lose counts.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The moments of the uses, the newest first, by key; the key that was used last is the last.
        self._uses: OrderedDict[str, list[float]] = OrderedDict()

    def spend(self, quota: Quota, key: str) -> float | None:
        with self._lock:
            left_at = self._next_use(quota, key)
            if left_at is None:
                longest = max(limit.get_expiry() for limit in quota.limits)
                recent = takewhile((_now() - longest).__lt__, self._uses.get(key, ()))
                self._uses[key] = [_now(), *recent]
                self._uses.move_to_end(key)
                while len(self._uses) > _MOST_SUBJECTS:
                    self._uses.popitem(last=False)
            return left_at

    def next_use(self, quota: Quota, key: str) -> float | None:
        with self._lock:
            return self._next_use(quota, key)

    def forget(self, _quota: Quota, key: str) -> None:
        with self._lock:
            self._uses.pop(key, None)

    def _next_use(self, quota: Quota, key: str) -> float | None:
        uses = self._uses.get(key, [])
        # A limit is used up until its oldest use that counts is older than its window.
        ends = [
            uses[limit.amount - 1] + limit.get_expiry() for limit in quota.limits if len(uses) >= limit.amount
        ]
        return max((end for end in ends if end > _now()), default=None)


def _now() -> float:
    return clock.utcnow().timestamp()
