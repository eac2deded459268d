"""From JSON to typed resources: single ones, collections page by page, and collections that are kept."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from bookingapp.integrations.calendly.cache import Answer, AnswerCache, SingleFlight
from bookingapp.integrations.calendly.errors import (
    BadReply,
    Forbidden,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from bookingapp.integrations.calendly.transport import Deadline, Transport
from bookingapp.integrations.calendly.types import Fetched, Resource, read

ModelT = TypeVar("ModelT", bound=Resource)
FetchPage = Callable[[Mapping[str, str]], dict[str, Any]]

log = logging.getLogger(__name__)

# Ten thousand objects: no builder has them, so a collection that goes on is a fault of the answer.
_MOST_PAGES: Final = 100


class Reader:
    """Reads resources through a transport, and keeps collections in a cache. Safe for threads."""

    def __init__(self, transport: Transport, cache: AnswerCache) -> None:
        self._transport = transport
        self._cache = cache
        self._flights: SingleFlight[Answer] = SingleFlight()
        self._lock = threading.Lock()
        self._invalidations: Counter[str] = Counter()

    def resource(self, model: type[ModelT], tenant: str, path: str) -> ModelT:
        """GET one resource, never kept."""
        reply = self._transport.get(tenant, path)
        return read(model, reply.data.get("resource"), what=f"a {model.__name__}")

    def created(self, model: type[ModelT], tenant: str, path: str, body: Mapping[str, object]) -> ModelT:
        """POST, and read the resource that it made."""
        reply = self._transport.post(tenant, path, body)
        return read(model, reply.data.get("resource"), what=f"a {model.__name__}")

    def collection(
        self, model: type[ModelT], tenant: str, path: str, params: Mapping[str, str]
    ) -> tuple[ModelT, ...]:
        """GET a whole collection, never kept; each page has a page's time."""

        def fetch(page: Mapping[str, str]) -> dict[str, Any]:
            return self._transport.get(tenant, path, page).data

        return tuple(item for data in _pages(fetch, params) for item in _items(model, data))

    def kept_collection(
        self, model: type[ModelT], tenant: str, path: str, params: Mapping[str, str], fresh_for: timedelta
    ) -> Fetched[tuple[ModelT, ...]]:
        """GET a whole collection, from the cache where it is at most ``fresh_for`` old.

        All pages together have one page's time. The result is as old as its oldest page.
        """
        deadline = self._transport.page_deadline()
        pages: list[Fetched[dict[str, Any]]] = []
        keys: list[str] = []

        def fetch(page: Mapping[str, str]) -> dict[str, Any]:
            keys.append(self._cache.key(tenant, self._transport.url(path), page))
            pages.append(self._kept_page(keys[-1], tenant, path, page, fresh_for, deadline))
            return pages[-1].value

        try:
            items = tuple(item for data in _pages(fetch, params) for item in _items(model, data))
        except BadReply:
            # JSON, but not in the format: it must not be served for minutes, let alone a day.
            for key in keys:
                self._cache.drop(key)
            raise
        return Fetched(
            items, as_of=min(page.as_of for page in pages), stale=any(page.stale for page in pages)
        )

    def invalidate(self, tenant: str) -> None:
        """Forget what is kept for this tenant; what is under way right now will not be kept either."""
        with self._lock:
            self._invalidations[tenant] += 1
        self._cache.drop_tenant(tenant)

    def _kept_page(
        self,
        key: str,
        tenant: str,
        path: str,
        params: Mapping[str, str],
        fresh_for: timedelta,
        deadline: Deadline,
    ) -> Fetched[dict[str, Any]]:
        def is_fresh(answer: Answer) -> bool:
            return datetime.now(UTC) - answer.as_of < fresh_for

        def refresh() -> Answer:
            # Whoever had the flight before this one may have just brought the answer.
            known = self._cache.get(key)
            if known is not None and is_fresh(known):
                return known
            before = self._invalidations[tenant]
            reply = self._transport.get(tenant, path, params, deadline=deadline)
            as_of = self._cache.put(key, self._transport.url(path), reply.body)
            if self._invalidations[tenant] != before:
                self._cache.drop(key)
            return Answer(reply.data, as_of)

        kept = self._cache.get(key)
        if kept is not None and is_fresh(kept):
            return Fetched(kept.data, kept.as_of, stale=False)
        try:
            answer = self._flights.run(key, refresh, patience=deadline.remaining())
        except (Unavailable, RateLimited, BadReply) as error:
            if kept is None:
                raise
            log.warning("Calendly %s: %s; showing the answer of %s", error.category, error, kept.as_of)
            return Fetched(kept.data, kept.as_of, stale=True)
        except (Unauthorized, Forbidden, NotFound):
            # A revoked token or a deleted account is news, and an old answer would hide it.
            self._cache.drop(key)
            raise
        return Fetched(answer.data, answer.as_of, stale=False)


def _pages(fetch: FetchPage, params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Each page of a collection. Only the token of the next page is used, never its address."""
    token: str | None = None
    seen: set[str] = set()
    while True:
        data = fetch(params if token is None else {**params, "page_token": token})
        yield data
        pagination = data.get("pagination")
        token = pagination.get("next_page_token") if isinstance(pagination, dict) else None
        if token is None:
            return
        if not isinstance(token, str) or token in seen or len(seen) >= _MOST_PAGES:
            raise BadReply("a collection whose pages do not end")
        seen.add(token)


def _items(model: type[ModelT], data: Mapping[str, Any]) -> Iterator[ModelT]:
    collection = data.get("collection")
    if not isinstance(collection, list):
        raise BadReply(f"an answer without its collection of {model.__name__}")
    return (read(model, item, what=f"a {model.__name__}") for item in collection)
