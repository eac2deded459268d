"""The last good answers of Calendly, per tenant: in this process's memory, and in a Redis where there is one.

What is stored is the body of a 200 alone: no request header (so no token), no cookie. In a shared place only
what is in this application's words "public" is kept (event types and free times): nothing about a person
belongs there.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlencode

from requests_cache.backends.base import BaseCache
from requests_cache.backends.redis import RedisCache
from requests_cache.models.response import CachedResponse

from bookingapp.integrations.calendly.errors import CalendlyError
from bookingapp.integrations.calendly.replies import json_object
from bookingapp.integrations.redis_link import RedisAway, RedisLink

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

    With a ``link`` every answer is kept twice: in ``backend`` (this process's memory), which is asked first
    and is all there is while Redis is away, and in Redis, where the other processes find it. The cache is
    there for speed: when a backend fails, that is a miss and a line in the log, never an error of the caller.
    """

    def __init__(self, backend: Backend = "memory", link: RedisLink | None = None) -> None:
        self._backend = BaseCache("calendly") if backend == "memory" else backend
        self._shared = _SharedAnswers(link) if link is not None else None
        # Writers only: the memory backend is a dict, which must not change while it is walked through.
        self._lock = threading.Lock()
        self._next_purge = datetime.now(UTC) + _PURGE_EVERY

    @staticmethod
    def key(tenant: str, url: str, params: Mapping[str, str]) -> str:
        """Tenant, a bar, and a digest of the address: the token is not part of it and may be rotated."""
        question = f"{url}?{urlencode(sorted(params.items()))}"
        return f"{tenant}|{hashlib.sha256(question.encode()).hexdigest()}"

    def get(self, key: str, good_until: timedelta = timedelta(0)) -> Answer | None:
        """The newest answer under ``key`` if it is at most STALE_FOR old.

        An answer of this process that is younger than ``good_until`` is good enough; otherwise the other
        processes are looked at too.
        """
        own = self._own(key)
        if self._shared is None or (own is not None and datetime.now(UTC) - own.as_of < good_until):
            return own
        kept = self._shared.get(key)
        theirs = _answer(kept)
        if theirs is None or (own is not None and own.as_of >= theirs.as_of):
            return own
        if kept is not None:
            self._write(key, kept)
        return theirs

    def put(self, key: str, url: str, body: bytes) -> datetime:
        """Keep ``body`` as the answer of this moment, which is returned (aware UTC)."""
        now = datetime.now(UTC)
        kept = CachedResponse(
            status_code=200, url=url, content=body, created_at=now, expires=now + STALE_FOR, encoding="utf-8"
        )
        self._write(key, kept)
        if self._shared is not None:
            self._shared.put(key, kept)
        return now

    def drop(self, key: str) -> None:
        """Forget one answer, in every process that shares it."""
        with self._lock:
            try:
                self._backend.responses.pop(key, None)
            except Exception as error:
                _complain("drop", error)
        if self._shared is not None:
            self._shared.drop(key)

    def drop_tenant(self, tenant: str) -> None:
        """Forget every answer of one tenant, here and in Redis; not what another process has in memory."""
        with self._lock:
            try:
                keys = [key for key in list(self._backend.responses.keys()) if key.startswith(f"{tenant}|")]
                for key in keys:
                    self._backend.responses.pop(key, None)
            except Exception as error:
                _complain("drop", error)
        if self._shared is not None:
            self._shared.drop_tenant(tenant)

    def _own(self, key: str) -> Answer | None:
        try:
            return _answer(self._backend.get_response(key))
        except Exception as error:  # Whatever a foreign backend raises, a cache that fails is a miss.
            _complain("read", error)
            return None

    def _write(self, key: str, kept: CachedResponse) -> None:
        now = datetime.now(UTC)
        with self._lock:
            try:
                self._backend.responses[key] = kept
                if now >= self._next_purge:
                    self._next_purge = now + _PURGE_EVERY
                    self._backend.delete(expired=True)
            except Exception as error:
                _complain("write", error)


class _SharedAnswers:
    """The answers that all processes share, through a RedisLink that never waits long."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._namespace = link.key("answers")
        # JSON, because reading it runs no code. The offset is how long Redis keeps what is over.
        backend = RedisCache(self._namespace, connection=link.redis, serializer="json", ttl_offset=60)
        self._responses = backend.responses

    def get(self, key: str) -> CachedResponse | None:
        try:
            return self._link.do(lambda _: self._responses.get(key))
        except RedisAway:
            return None
        except Exception as error:  # Somebody else's bytes under our key are a miss.
            _complain("read", error)
            return None

    def put(self, key: str, kept: CachedResponse) -> None:
        try:
            self._link.do(lambda _: self._responses.__setitem__(key, kept))
        except RedisAway:
            return
        except Exception as error:
            _complain("write", error)

    def drop(self, key: str) -> None:
        try:
            self._link.do(lambda redis: redis.delete(f"{self._namespace}:{key}"))
        except RedisAway:
            return

    def drop_tenant(self, tenant: str) -> None:
        try:
            self._link.do(
                lambda redis: [
                    redis.delete(key)
                    for key in redis.scan_iter(match=f"{self._namespace}:{tenant}|*", count=500)
                ]
            )
        except RedisAway:
            return


def _answer(kept: CachedResponse | None) -> Answer | None:
    """What was kept, unless it is too old. Raises BadReply for what is no JSON object."""
    if kept is None or not isinstance(kept.content, bytes) or kept.created_at is None:
        return None
    created_at = kept.created_at
    as_of = created_at.replace(tzinfo=UTC) if created_at.tzinfo is None else created_at.astimezone(UTC)
    if datetime.now(UTC) - as_of > STALE_FOR:
        return None
    return Answer(json_object("cache", kept.status_code, kept.content), as_of)


def _complain(verb: str, error: Exception) -> None:
    # The class alone: messages of backends may carry addresses and credentials.
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    level = logging.INFO if isinstance(error, CalendlyError) else logging.WARNING
    log.log(level, "the Calendly cache failed to %s: %s", verb, name)
