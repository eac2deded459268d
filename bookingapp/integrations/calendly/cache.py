"""The last good answers of Calendly, by tenant: in this process's memory, and in Redis where there is one.

Only the body of a 200 is stored: no request header (so no token), no cookie. Only what anyone may see (event types
and free times) goes to Redis: nothing about a person belongs there.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias
from urllib.parse import urlencode

from requests_cache.backends.base import BaseCache
from requests_cache.backends.redis import RedisCache
from requests_cache.models.response import CachedResponse

from bookingapp.integrations.redis_link import RedisLink

Backend: TypeAlias = BaseCache | Literal["memory"]

log = logging.getLogger(__name__)

# How long a good answer may stand in for a Calendly that fails. Freshness is decided by the reader.
STALE_FOR: Final = timedelta(hours=24)
_PURGE_EVERY: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class Answer:
    """A stored answer: the body, and when Calendly gave it (aware UTC)."""

    body: bytes
    as_of: datetime


class AnswerCache:
    """Answers by key; each key begins with its tenant, so no tenant can ever see another's.

    With a ``link`` every answer is stored twice: in ``backend`` (this process's memory), which is asked first and is
    all there is while Redis is away, and in Redis, where the other processes find it. A backend that fails is a
    miss and a line in the log, never an error of the caller.
    """

    def __init__(self, backend: Backend = "memory", link: RedisLink | None = None) -> None:
        self._backend = BaseCache("calendly") if backend == "memory" else backend
        self._shared = _SharedAnswers(link) if link is not None else None
        # Writers only: the memory backend is a dict, which must not change while a thread iterates over it.
        self._lock = threading.Lock()
        self._next_purge = datetime.now(UTC) + _PURGE_EVERY

    @staticmethod
    def key(tenant: str, url: str, params: Mapping[str, str]) -> str:
        """Tenant, a bar, and a digest of the address: the token is not part of it and may be rotated."""
        question = f"{url}?{urlencode(sorted(params.items()))}"
        return f"{tenant}|{hashlib.sha256(question.encode()).hexdigest()}"

    def get(self, key: str, good_until: timedelta = timedelta(0)) -> Answer | None:
        """The newest answer under ``key`` if it is at most STALE_FOR old.

        Redis is asked only where this process has no answer that is younger than ``good_until``.
        """
        own = self._own_answer(key)
        if self._shared is None or (own is not None and datetime.now(UTC) - own.as_of < good_until):
            return own
        stored = self._shared.get(key)
        theirs = _usable_answer(stored)
        if theirs is None or (own is not None and own.as_of >= theirs.as_of):
            return own
        if stored is not None:
            self._store(key, stored)
        return theirs

    def put(self, key: str, url: str, body: bytes) -> datetime:
        """Store ``body`` as the answer of this moment, which is returned (aware UTC)."""
        now = datetime.now(UTC)
        response = CachedResponse(
            status_code=200, url=url, content=body, created_at=now, expires=now + STALE_FOR, encoding="utf-8"
        )
        self._store(key, response)
        if self._shared is not None:
            self._shared.put(key, response)
        return now

    def drop(self, key: str) -> None:
        """Delete one answer, in every process that shares it."""
        with self._lock, _failures_logged("drop"):
            self._backend.responses.pop(key, None)
        if self._shared is not None:
            self._shared.drop(key)

    def drop_tenant(self, tenant: str) -> None:
        """Delete every answer of one tenant, here and in Redis; not what another process has in memory."""
        with self._lock, _failures_logged("drop"):
            for key in list(self._backend.responses.keys()):
                if key.startswith(f"{tenant}|"):
                    self._backend.responses.pop(key, None)
        if self._shared is not None:
            self._shared.drop_tenant(tenant)

    def _own_answer(self, key: str) -> Answer | None:
        try:
            return _usable_answer(self._backend.get_response(key))
        except Exception as error:  # Whatever a foreign backend raises, a cache that fails is a miss.
            _log_failure("read", error)
            return None

    def _store(self, key: str, response: CachedResponse) -> None:
        now = datetime.now(UTC)
        with self._lock, _failures_logged("write"):
            self._backend.responses[key] = response
            if now >= self._next_purge:
                self._next_purge = now + _PURGE_EVERY
                self._backend.delete(expired=True)


class _SharedAnswers:
    """The answers that all processes share, through a RedisLink that never waits long."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._namespace = link.key("answers")
        # JSON, because reading it runs no code. The offset is how long Redis keeps what has expired (seconds).
        backend = RedisCache(self._namespace, connection=link.redis, serializer="json", ttl_offset=60)
        self._responses = backend.responses

    def get(self, key: str) -> CachedResponse | None:
        try:
            return self._link.attempt(lambda _: self._responses.get(key))
        except Exception as error:  # Foreign bytes under our key are a miss.
            _log_failure("read", error)
            return None

    def put(self, key: str, response: CachedResponse) -> None:
        with _failures_logged("write"):
            self._link.attempt(lambda _: self._responses.__setitem__(key, response))

    def drop(self, key: str) -> None:
        self._link.attempt(lambda redis: redis.delete(f"{self._namespace}:{key}"))

    def drop_tenant(self, tenant: str) -> None:
        pattern = f"{self._namespace}:{tenant}|*"
        self._link.attempt(
            lambda redis: [redis.delete(key) for key in redis.scan_iter(match=pattern, count=500)]
        )


def _usable_answer(stored: CachedResponse | None) -> Answer | None:
    """What was stored, unless it is too old."""
    if stored is None or not isinstance(stored.content, bytes) or stored.created_at is None:
        return None
    created_at = stored.created_at
    as_of = created_at.replace(tzinfo=UTC) if created_at.tzinfo is None else created_at.astimezone(UTC)
    return Answer(stored.content, as_of) if datetime.now(UTC) - as_of <= STALE_FOR else None


@contextmanager
def _failures_logged(verb: str) -> Iterator[None]:
    """Runs a block whose failure is logged and then ignored."""
    try:
        yield
    except Exception as error:
        _log_failure(verb, error)


def _log_failure(verb: str, error: Exception) -> None:
    # The class alone: messages of backends may carry addresses and credentials.
    log.warning(
        "the Calendly cache failed to %s: %s.%s", verb, type(error).__module__, type(error).__qualname__
    )
