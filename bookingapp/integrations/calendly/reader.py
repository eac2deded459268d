"""From JSON to typed resources: single ones, collections page by page, and cached answers.

By its age a cached answer is used as it is (up to ``fresh``), used at once while a background thread asks Calendly
anew (up to ``background``), or used only where Calendly fails (up to a day). A 401, 403 or 404 ends it at any age.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Generic, TypeVar

from bookingapp.integrations.calendly.cache import AnswerCache
from bookingapp.integrations.calendly.errors import (
    CalendlyBadReply,
    CalendlyError,
    CalendlyForbidden,
    CalendlyNotFound,
    CalendlyRateLimited,
    CalendlyUnauthorized,
    CalendlyUnavailable,
)
from bookingapp.integrations.calendly.http_client import Deadline
from bookingapp.integrations.calendly.replies import json_object
from bookingapp.integrations.calendly.single_flight import SharedFlight, SingleFlight
from bookingapp.integrations.calendly.transport import Transport
from bookingapp.integrations.calendly.types import Fetched, Resource, read_resource
from bookingapp.integrations.concurrency import BackgroundWork, Bulkhead

ModelT = TypeVar("ModelT", bound=Resource)
P = TypeVar("P")

log = logging.getLogger(__name__)

# Ten thousand objects: no builder has them, so a collection that goes on is a fault of the answer.
_MOST_PAGES: Final = 100
# Answers that are kept as objects too, so that a warm page does not read the same JSON again.
_MOST_PARSED: Final = 512
_MOST_FAILED: Final = 1000
# How long a reader waits for a refresh where the page would say else that Calendly is not answering (seconds).
_WAIT_FOR_NEWS: Final = 0.5
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Freshness:
    """How old a cached answer may be to be used as it is, and to be used while it is renewed in the background."""

    fresh: timedelta
    background: timedelta


@dataclass(frozen=True)
class _Page(Generic[ModelT]):
    items: tuple[ModelT, ...]
    next_token: str | None


@dataclass(frozen=True)
class _Query(Generic[P]):
    cache: AnswerCache
    key: str
    tenant: str
    path: str
    params: Mapping[str, str]
    freshness: Freshness
    parse: Callable[[dict[str, Any]], P]


class Reader:
    """Reads resources through a transport, and caches some of them. Safe for threads."""

    def __init__(
        self,
        transport: Transport,
        cache: AnswerCache,
        shared_flight: SharedFlight,
        background: BackgroundWork,
    ) -> None:
        self._transport = transport
        self._cache = cache
        self._private = AnswerCache()
        self._shared_flight = shared_flight
        self._background = background
        self._flights: SingleFlight[Fetched[Any]] = SingleFlight()
        self._lock = threading.Lock()
        self._invalidations: Counter[str] = Counter()
        self._parsed: OrderedDict[str, Fetched[Any]] = OrderedDict()
        # When Calendly last failed to answer, by key.
        self._failed: dict[str, datetime] = {}

    def through(self, transport: Transport) -> Reader:
        """This reader with the same cache and another transport."""
        other = copy.copy(self)
        other._transport = transport  # noqa: SLF001 - it is one of us.
        return other

    def resource(self, model: type[ModelT], tenant: str, path: str) -> ModelT:
        """GET one resource, never cached."""
        return _parse_resource(model, self._transport.get(tenant, path).data)

    def create(self, model: type[ModelT], tenant: str, path: str, body: Mapping[str, object]) -> ModelT:
        """POST, and read the resource that it created."""
        return _parse_resource(model, self._transport.post(tenant, path, body).data)

    def collection(
        self, model: type[ModelT], tenant: str, path: str, params: Mapping[str, str]
    ) -> tuple[ModelT, ...]:
        """GET a whole collection, never cached; each of its pages has the time of one call."""

        def fetch(page: Mapping[str, str]) -> _Page[ModelT]:
            return _parse_page(model, self._transport.get(tenant, path, {**params, **page}).data)

        return tuple(item for page in _pages(fetch) for item in page.items)

    def cached_resource(
        self, model: type[ModelT], tenant: str, path: str, freshness: Freshness
    ) -> Fetched[ModelT]:
        """GET one resource, cached in this process's memory alone: it may be about a person."""
        # What belongs to one token is not shown to the holder of the next.
        known_by = {"token": self._transport.token_fingerprint(tenant)}
        key = self._private.key(tenant, self._transport.url(path), known_by)
        query = _Query(self._private, key, tenant, path, {}, freshness, partial(_parse_resource, model))
        return self._cached(query, self._transport.page_deadline())

    def cached_collection(
        self,
        model: type[ModelT],
        tenant: str,
        path: str,
        params: Mapping[str, str],
        freshness: Freshness,
        *,
        key_params: Mapping[str, str] | None = None,
    ) -> Fetched[tuple[ModelT, ...]]:
        """GET a whole collection, from the cache as ``freshness`` allows.

        All pages together have the time of one page view. The result is as old as its oldest page. ``key_params``
        replace ``params`` in the cache's key, where different queries may share an answer.
        """
        deadline = self._transport.page_deadline()
        url = self._transport.url(path)
        parse_page = partial(_parse_page, model)
        fetched: list[Fetched[_Page[ModelT]]] = []

        def fetch(page: Mapping[str, str]) -> _Page[ModelT]:
            key = self._cache.key(tenant, url, {**(params if key_params is None else key_params), **page})
            query = _Query(self._cache, key, tenant, path, {**params, **page}, freshness, parse_page)
            fetched.append(self._cached(query, deadline))
            return fetched[-1].value

        items = tuple(item for page in _pages(fetch) for item in page.items)
        return Fetched(
            items, as_of=min(page.as_of for page in fetched), stale=any(page.stale for page in fetched)
        )

    def invalidate(self, tenant: str) -> None:
        """Forget what is cached for this tenant; the answers of requests under way will not be cached either."""
        with self._lock:
            self._invalidations[tenant] += 1
        for cache in (self._cache, self._private):
            cache.drop_tenant(tenant)

    def _cached(self, query: _Query[P], deadline: Deadline) -> Fetched[P]:
        found, freshness = self._find(query), query.freshness
        if found is not None:
            age, breaker = datetime.now(UTC) - found.as_of, self._transport.breaker_state
            failed = age >= freshness.fresh and self._failed.get(query.key, _NEVER) > found.as_of
            if age < max(freshness.fresh, freshness.background):
                # A half-open breaker needs a probe: here it is one that no reader waits for.
                if breaker == "half_open" or (age >= freshness.fresh and breaker == "closed"):
                    self._background.submit(query.key, lambda: self._renew(query))
                    newer = self._await_news(query, deadline) if failed or breaker != "closed" else None
                    if newer is not None and newer.as_of > found.as_of:
                        return newer
                return Fetched(found.value, found.as_of, stale=failed or breaker != "closed")
        try:
            return self._ask(query, deadline, self._transport.places)
        except (CalendlyUnavailable, CalendlyRateLimited, CalendlyBadReply) as error:
            if found is None:
                raise
            log.warning("Calendly %s: %s; showing the answer of %s", error.category, error, found.as_of)
            return Fetched(found.value, found.as_of, stale=True)

    def _await_news(self, query: _Query[P], deadline: Deadline) -> Fetched[P] | None:
        """The cached answer after a short wait for the refresh under way: Calendly has failed, and may be back."""
        self._background.wait_for(query.key, min(_WAIT_FOR_NEWS, deadline.remaining()))
        return self._find(query)

    def _renew(self, query: _Query[P]) -> None:
        """Ask Calendly anew, in the background."""
        try:
            self._ask(query, self._transport.background_deadline(), None, newer_than=datetime.now(UTC))
        except CalendlyError as error:
            log.info("Calendly %s in the background: %s", error.category, error)

    def _ask(
        self,
        query: _Query[P],
        deadline: Deadline,
        places: Bulkhead | None,
        *,
        newer_than: datetime | None = None,
    ) -> Fetched[P]:
        """Ask Calendly, or use what another caller has just fetched: ``newer_than`` that, else still fresh."""

        def find() -> Fetched[P] | None:
            found = self._find(query)
            oldest = datetime.now(UTC) - query.freshness.fresh if newer_than is None else newer_than
            return found if found is not None and found.as_of > oldest else None

        def fly() -> Fetched[P]:
            return find() or self._shared_flight.run(
                query.key,
                lambda: self._fetch(query, deadline),
                find=find,
                seconds_left=deadline.remaining,
            )

        return self._flights.run(query.key, fly, patience=deadline.remaining(), places=places)

    def _fetch(self, query: _Query[P], deadline: Deadline) -> Fetched[P]:
        before = self._invalidations[query.tenant]
        try:
            reply = self._transport.get(query.tenant, query.path, query.params, deadline=deadline)
            # Read before it is stored: an answer in another format must not replace a good one.
            value = query.parse(reply.data)
        except (CalendlyUnavailable, CalendlyRateLimited, CalendlyBadReply):
            if len(self._failed) >= _MOST_FAILED:
                self._failed.clear()
            self._failed[query.key] = datetime.now(UTC)
            raise
        except (CalendlyUnauthorized, CalendlyForbidden, CalendlyNotFound):
            # A revoked token or a deleted account is news, and an old answer would hide it.
            query.cache.drop(query.key)
            raise
        as_of = query.cache.put(query.key, self._transport.url(query.path), reply.body)
        if self._invalidations[query.tenant] != before:
            query.cache.drop(query.key)
        self._failed.pop(query.key, None)
        return self._cache_parsed(query, value, as_of)

    def _find(self, query: _Query[P]) -> Fetched[P] | None:
        """The cached answer, whatever its age."""
        found = query.cache.get(query.key, query.freshness.fresh)
        if found is None:
            return None
        parsed = self._parsed.get(query.key)
        if parsed is not None and parsed.as_of == found.as_of:
            return parsed
        try:
            value = query.parse(json_object("cache", 200, found.body))
        except CalendlyBadReply:
            # Another version of this program stored it.
            query.cache.drop(query.key)
            return None
        return self._cache_parsed(query, value, found.as_of)

    def _cache_parsed(self, query: _Query[P], value: P, as_of: datetime) -> Fetched[P]:
        fetched = Fetched(value, as_of, stale=False)
        with self._lock:
            self._parsed[query.key] = fetched
            self._parsed.move_to_end(query.key)
            while len(self._parsed) > _MOST_PARSED:
                self._parsed.popitem(last=False)
        return fetched


def _pages(fetch: Callable[[Mapping[str, str]], _Page[ModelT]]) -> Iterator[_Page[ModelT]]:
    """Each page of a collection. ``fetch`` gets the parameters of a page; its address is never used."""
    page = fetch({})
    seen: set[str] = set()
    while True:
        yield page
        token = page.next_token
        if token is None:
            return
        if token in seen or len(seen) >= _MOST_PAGES:
            raise CalendlyBadReply("a collection whose pages do not end")
        seen.add(token)
        page = fetch({"page_token": token})


def _parse_page(model: type[ModelT], data: Mapping[str, Any]) -> _Page[ModelT]:
    collection, pagination = data.get("collection"), data.get("pagination")
    if not isinstance(collection, list):
        raise CalendlyBadReply(f"an answer without its collection of {model.__name__}")
    token = pagination.get("next_page_token") if isinstance(pagination, dict) else None
    if token is not None and not isinstance(token, str):
        raise CalendlyBadReply("a collection whose pages do not end")
    return _Page(tuple(read_resource(model, item, what=f"a {model.__name__}") for item in collection), token)


def _parse_resource(model: type[ModelT], data: Mapping[str, Any]) -> ModelT:
    return read_resource(model, data.get("resource"), what=f"a {model.__name__}")
