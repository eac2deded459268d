"""The last good answers of Calendly, per tenant, in a requests-cache backend; and one reader at a time.

Only what is in this application's words "public" is kept here (event types and free times): a backend may
be a file or a shared server, and nothing about invitees belongs there. What is stored is the body of a 200
alone: no request header (so no token), no cookie.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from requests import Request
from requests_cache.backends.base import BaseCache
from requests_cache.cache_keys import create_key
from requests_cache.models.response import CachedResponse

from bookingapp.integrations.calendly.errors import CalendlyError, Unavailable
from bookingapp.integrations.calendly.translation import json_object

T = TypeVar("T")
Backend: TypeAlias = BaseCache | Literal["memory"]

log = logging.getLogger(__name__)

# How long a good answer may stand in for a Calendly that fails. Freshness is decided by the reader.
STALE_FOR: Final = timedelta(hours=24)
_PURGE_EVERY: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class Answer:
    """A kept answer: the JSON object, and when Calendly gave it (aware UTC)."""

    data: dict[str, Any]
    as_of: datetime


class AnswerCache:
    """Answers by key; each key begins with its tenant, so no tenant can ever see another's.

    The cache is there for speed: when its backend fails, that is a miss and a line in the log, never an
    error of the caller.
    """

    def __init__(self, backend: Backend = "memory") -> None:
        self._backend = BaseCache("calendly") if backend == "memory" else backend
        # Writers only: the memory backend is a dict, which must not change while it is walked through.
        self._lock = threading.Lock()
        self._next_purge = datetime.now(UTC) + _PURGE_EVERY

    @staticmethod
    def key(tenant: str, url: str, params: Mapping[str, str]) -> str:
        """Tenant, a bar, and a digest of the address: the token is not part of it and may be rotated."""
        return f"{tenant}|{create_key(Request('GET', url, params=dict(params)))}"

    def get(self, key: str) -> Answer | None:
        """The answer under ``key`` if it is at most STALE_FOR old."""
        try:
            kept = self._backend.get_response(key)
            if kept is None or not isinstance(kept.content, bytes) or kept.created_at is None:
                return None
            created_at = kept.created_at
            as_of = (
                created_at.replace(tzinfo=UTC) if created_at.tzinfo is None else created_at.astimezone(UTC)
            )
            if datetime.now(UTC) - as_of > STALE_FOR:
                return None
            return Answer(json_object("cache", kept.status_code, kept.content), as_of)
        except Exception as error:  # Whatever a foreign backend raises, a cache that fails is a miss.
            _complain("read", error)
            return None

    def put(self, key: str, url: str, body: bytes) -> datetime:
        """Keep ``body`` as the answer of this moment, which is returned (aware UTC)."""
        now = datetime.now(UTC)
        kept = CachedResponse(
            status_code=200, url=url, content=body, created_at=now, expires=now + STALE_FOR, encoding="utf-8"
        )
        with self._lock:
            try:
                self._backend.responses[key] = kept
                if now >= self._next_purge:
                    self._next_purge = now + _PURGE_EVERY
                    self._backend.delete(expired=True)
            except Exception as error:
                _complain("write", error)
        return now

    def drop(self, key: str) -> None:
        """Forget one answer."""
        with self._lock:
            try:
                self._backend.responses.pop(key, None)
            except Exception as error:
                _complain("drop", error)

    def drop_tenant(self, tenant: str) -> None:
        """Forget every answer of one tenant."""
        with self._lock:
            try:
                keys = [key for key in list(self._backend.responses.keys()) if key.startswith(f"{tenant}|")]
                for key in keys:
                    self._backend.responses.pop(key, None)
            except Exception as error:
                _complain("drop", error)


class SingleFlight(Generic[T]):
    """Lets one caller per key do the work while the others wait for its result, good or bad."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, Future[T]] = {}

    def run(self, key: str, work: Callable[[], T], *, patience: float) -> T:
        """The result of ``work`` or of the flight that is already under way for ``key``.

        An exception of the flight is raised in every caller. Raises Unavailable when the flight takes longer
        than ``patience`` seconds.
        """
        with self._lock:
            flight = self._flights.get(key)
            mine = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if not mine:
            try:
                return flight.result(timeout=max(patience, 0.0))
            except TimeoutError:
                raise Unavailable("the same question was asked before and has no answer yet") from None
        try:
            result = work()
        except BaseException as error:
            # An interrupt of the one thread is no business of the others.
            shared = error if isinstance(error, Exception) else Unavailable("the reader was interrupted")
            flight.set_exception(shared)
            raise
        else:
            flight.set_result(result)
            return result
        finally:
            with self._lock:
                del self._flights[key]


def _complain(verb: str, error: Exception) -> None:
    # The class alone: messages of backends may carry addresses and credentials.
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    level = logging.INFO if isinstance(error, CalendlyError) else logging.WARNING
    log.log(level, "the Calendly cache failed to %s: %s", verb, name)
