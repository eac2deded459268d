"""From JSON to typed resources: single ones, collections page by page, and answers that are kept.

What happens to a kept answer, by its age: up to ``fresh`` it is used as it is; up to ``behind`` it is used at
once, and Calendly is asked behind the reader's back; beyond that Calendly is asked first, and only where it
fails is the answer used, up to a day old. A 401, 403 or 404 ends it at any age.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
from bookingapp.integrations.calendly.single_flight import SharedFlight, SingleFlight
from bookingapp.integrations.calendly.transport import Deadline, Transport
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
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Freshness:
    """How old a kept answer may be: used as it is, and used at once while it is asked for anew behind."""

    fresh: timedelta
    behind: timedelta


@dataclass(frozen=True)
class _Kept(Generic[P]):
    value: P
    as_of: datetime


@dataclass(frozen=True)
class _Page(Generic[ModelT]):
    items: tuple[ModelT, ...]
    next_token: str | None


@dataclass(frozen=True)
class _Question(Generic[P]):
    cache: AnswerCache
    tenant: str
    path: str
    params: Mapping[str, str]
    freshness: Freshness
    parse: Callable[[dict[str, Any]], P]
    key_params: Mapping[str, str] | None = None

    def key(self, transport: Transport) -> str:
        known_by = self.params if self.key_params is None else self.key_params
        return self.cache.key(self.tenant, transport.url(self.path), known_by)


class Reader:
    """Reads resources through a transport, and keeps some of them in a cache. Safe for threads."""

    def __init__(
        self, transport: Transport, cache: AnswerCache, turns: SharedFlight, behind: BackgroundWork
    ) -> None:
        self._transport = transport
        self._cache = cache
        self._private = AnswerCache()
        self._turns = turns
        self._behind = behind
        self._flights: SingleFlight[_Kept[Any]] = SingleFlight()
        self._lock = threading.Lock()
        self._invalidations: Counter[str] = Counter()
        self._parsed: OrderedDict[str, _Kept[Any]] = OrderedDict()
        # When each answer was last asked for in vain.
        self._failed: dict[str, datetime] = {}

    def through(self, transport: Transport) -> Reader:
        """This reader with the same memory and another transport."""
        other = copy.copy(self)
        other._transport = transport  # noqa: SLF001 - it is one of us.
        return other

    def resource(self, model: type[ModelT], tenant: str, path: str) -> ModelT:
        """GET one resource, never kept."""
        reply = self._transport.get(tenant, path)
        return read_resource(model, reply.data.get("resource"), what=f"a {model.__name__}")

    def created(self, model: type[ModelT], tenant: str, path: str, body: Mapping[str, object]) -> ModelT:
        """POST, and read the resource that it made."""
        reply = self._transport.post(tenant, path, body)
        return read_resource(model, reply.data.get("resource"), what=f"a {model.__name__}")

    def collection(
        self, model: type[ModelT], tenant: str, path: str, params: Mapping[str, str]
    ) -> tuple[ModelT, ...]:
        """GET a whole collection, never kept; each page has a page's time."""

        def fetch(page: Mapping[str, str]) -> dict[str, Any]:
            return self._transport.get(tenant, path, page).data

        return tuple(item for data in _raw_pages(fetch, params) for item in _items(model, data))

    def kept_resource(
        self, model: type[ModelT], tenant: str, path: str, freshness: Freshness
    ) -> Fetched[ModelT]:
        """GET one resource, kept in this process's memory alone: it may be about a person."""

        def parse(data: dict[str, Any]) -> ModelT:
            return read_resource(model, data.get("resource"), what=f"a {model.__name__}")

        # What belongs to one token is not shown to the holder of the next.
        key = {"token": self._transport.token_mark(tenant)}
        question = _Question(self._private, tenant, path, {}, freshness, parse, key)
        return self._kept(question, self._transport.page_deadline())

    def kept_collection(
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

        All pages together have one page's time. The result is as old as its oldest page. ``key_params`` stand
        for ``params`` in the cache, where questions that differ may share an answer.
        """
        deadline = self._transport.page_deadline()
        pages: list[Fetched[_Page[ModelT]]] = []

        def parse(data: dict[str, Any]) -> _Page[ModelT]:
            return _Page(tuple(_items(model, data)), _next_token(data))

        def fetch(token: str | None) -> _Page[ModelT]:
            page = {} if token is None else {"page_token": token}
            key = None if key_params is None else {**key_params, **page}
            question = _Question(self._cache, tenant, path, {**params, **page}, freshness, parse, key)
            pages.append(self._kept(question, deadline))
            return pages[-1].value

        items = tuple(item for page in _pages(fetch, _token_of) for item in page.items)
        return Fetched(
            items, as_of=min(page.as_of for page in pages), stale=any(page.stale for page in pages)
        )

    def invalidate(self, tenant: str) -> None:
        """Forget what is kept for this tenant; what is under way right now will not be kept either."""
        with self._lock:
            self._invalidations[tenant] += 1
        for cache in (self._cache, self._private):
            cache.drop_tenant(tenant)

    def _kept(self, question: _Question[P], deadline: Deadline) -> Fetched[P]:
        key, freshness = question.key(self._transport), question.freshness
        kept = self._look(question, key)
        if kept is not None:
            age, trouble = datetime.now(UTC) - kept.as_of, self._transport.trouble
            failed = age >= freshness.fresh and self._failed.get(key, _NEVER) > kept.as_of
            if age < max(freshness.fresh, freshness.behind):
                # In the half-open state somebody has to be the probe, and no reader should wait for it.
                if trouble == "half_open" or (age >= freshness.fresh and trouble == "closed"):
                    self._behind.offer(key, lambda: self._ask_behind(question, key))
                return Fetched(kept.value, kept.as_of, stale=failed or trouble != "closed")
        try:
            answer = self._ask(question, key, deadline, self._transport.places)
        except (CalendlyUnavailable, CalendlyRateLimited, CalendlyBadReply) as error:
            if kept is None:
                raise
            log.warning("Calendly %s: %s; showing the answer of %s", error.category, error, kept.as_of)
            return Fetched(kept.value, kept.as_of, stale=True)
        return Fetched(answer.value, answer.as_of, stale=False)

    def _ask_behind(self, question: _Question[P], key: str) -> None:
        try:
            self._ask(question, key, self._transport.own_deadline(), None, anew=True)
        except CalendlyError as error:
            log.info("Calendly %s behind a page: %s", error.category, error)

    def _ask(
        self,
        question: _Question[P],
        key: str,
        deadline: Deadline,
        places: Bulkhead | None,
        *,
        anew: bool = False,
    ) -> _Kept[P]:
        asked_at = datetime.now(UTC)

        def look() -> _Kept[P] | None:
            # Whoever had the flight or the turn before this one may have just brought the answer.
            found = self._look(question, key)
            if found is None:
                return None
            if anew:
                return found if found.as_of > asked_at else None
            return found if datetime.now(UTC) - found.as_of < question.freshness.fresh else None

        def fly() -> _Kept[P]:
            found = look()
            if found is not None:
                return found
            return self._turns.run(
                key,
                lambda: self._fetch(question, key, deadline),
                look=look,
                seconds=deadline.remaining,
            )

        return self._flights.run(key, fly, patience=deadline.remaining(), places=places)

    def _fetch(self, question: _Question[P], key: str, deadline: Deadline) -> _Kept[P]:
        before = self._invalidations[question.tenant]
        try:
            reply = self._transport.get(question.tenant, question.path, question.params, deadline=deadline)
            # Read before it is kept: an answer in another format must not take a good one's place.
            value = question.parse(reply.data)
        except (CalendlyUnavailable, CalendlyRateLimited, CalendlyBadReply):
            if len(self._failed) >= _MOST_FAILED:
                self._failed.clear()
            self._failed[key] = datetime.now(UTC)
            raise
        except (CalendlyUnauthorized, CalendlyForbidden, CalendlyNotFound):
            # A revoked token or a deleted account is news, and an old answer would hide it.
            question.cache.drop(key)
            raise
        as_of = question.cache.put(key, self._transport.url(question.path), reply.body)
        if self._invalidations[question.tenant] != before:
            question.cache.drop(key)
        self._failed.pop(key, None)
        kept = _Kept(value, as_of)
        self._remember(key, kept)
        return kept

    def _look(self, question: _Question[P], key: str) -> _Kept[P] | None:
        found = question.cache.get(key, question.freshness.fresh)
        if found is None:
            return None
        parsed = self._parsed.get(key)
        if parsed is not None and parsed.as_of == found.as_of:
            return parsed
        try:
            kept = _Kept(question.parse(found.data), found.as_of)
        except CalendlyBadReply:
            # Another version of this program kept it.
            question.cache.drop(key)
            return None
        self._remember(key, kept)
        return kept

    def _remember(self, key: str, kept: _Kept[Any]) -> None:
        with self._lock:
            self._parsed[key] = kept
            self._parsed.move_to_end(key)
            while len(self._parsed) > _MOST_PARSED:
                self._parsed.popitem(last=False)


def _raw_pages(
    fetch: Callable[[Mapping[str, str]], dict[str, Any]], params: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Each page of a collection as JSON."""

    def page(token: str | None) -> dict[str, Any]:
        return fetch(params if token is None else {**params, "page_token": token})

    return _pages(page, _next_token)


def _pages(fetch: Callable[[str | None], P], next_token: Callable[[P], str | None]) -> Iterator[P]:
    """Each page of a collection. Only the token of the next page is used, never its address."""
    token: str | None = None
    seen: set[str] = set()
    while True:
        page = fetch(token)
        yield page
        token = next_token(page)
        if token is None:
            return
        if token in seen or len(seen) >= _MOST_PAGES:
            raise CalendlyBadReply("a collection whose pages do not end")
        seen.add(token)


def _next_token(data: Mapping[str, Any]) -> str | None:
    pagination = data.get("pagination")
    token = pagination.get("next_page_token") if isinstance(pagination, dict) else None
    if token is None or isinstance(token, str):
        return token
    raise CalendlyBadReply("a collection whose pages do not end")


def _token_of(page: _Page[Any]) -> str | None:
    return page.next_token


def _items(model: type[ModelT], data: Mapping[str, Any]) -> Iterator[ModelT]:
    collection = data.get("collection")
    if not isinstance(collection, list):
        raise CalendlyBadReply(f"an answer without its collection of {model.__name__}")
    return (read_resource(model, item, what=f"a {model.__name__}") for item in collection)
