"""HTTP to Calendly: one pooled session, bounded in time and size, behind a circuit breaker.

From the outside in: token (a refused one is replaced once where there is another), tries (GET only), a place
to wait in, rate limit, breaker, HTTP, translation. Every failure leaves as a CalendlyError.
"""

from __future__ import annotations

import copy
import hashlib
import ipaddress
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final, cast
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from bookingapp.integrations.calendly.errors import (
    CalendlyBadReply,
    CalendlyError,
    CalendlyForbidden,
    CalendlyNotFound,
    CalendlyRateLimited,
    CalendlyRejected,
    CalendlyUnauthorized,
    CalendlyUnavailable,
)
from bookingapp.integrations.calendly.ratelimits import RateLimits
from bookingapp.integrations.calendly.replies import calendly_error, json_object
from bookingapp.integrations.calendly.tokens import ReplacesRefusedTokens, TokenProvider, WatchesTokens
from bookingapp.integrations.circuit_breaker import Breaker, BreakerState, CircuitOpen, backoff
from bookingapp.integrations.concurrency import Bulkhead, BulkheadFull

log = logging.getLogger(__name__)

_TENANT: Final = re.compile(r"platform|builder:[A-Za-z0-9_-]{1,64}")
_SUCCESS: Final = 2
_MOST_TRIES: Final = 2
# Less time than this is not worth another try: TLS alone may take half of it.
_SHORTEST_TRY: Final = 0.5
# A time-out of nothing would be an error of its own (seconds).
_SHORTEST_WAIT: Final = 0.05
# A hundred event types with long descriptions are about one megabyte.
_LARGEST_BODY: Final = 8 * 1024 * 1024
_CHUNK: Final = 64 * 1024
# Where every place to wait in is taken, one may become free within this time (seconds).
_WAIT_FOR_PLACE: Final = 1.5


class Deadline:
    """A point in time by which an answer must be there, in seconds from its making."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(self._end - time.monotonic(), 0.0)


@dataclass(frozen=True)
class Timeouts:
    """Seconds: (connect, read) for one GET, all tries of a page's GETs together, (connect, read) of a write.

    A write gets more patience than a page's reader has: whether it happened is worth waiting for.
    """

    page: tuple[float, float] = (1.0, 2.5)
    page_total: float = 3.0
    write: tuple[float, float] = (3.0, 10.0)


@dataclass(frozen=True)
class Reply:
    """A successful answer: the raw body and the JSON object in it (empty where there is no body)."""

    body: bytes
    data: dict[str, Any]


class _Bearer(AuthBase):
    """Puts the token on. Being an ``auth`` it also keeps requests from taking a password from ~/.netrc."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Transport:
    """Sends requests to one API and gives back JSON, or raises from the error tree. Safe for threads."""

    def __init__(
        self,
        *,
        api_url: str,
        tokens: TokenProvider,
        user_agent: str,
        timeouts: Timeouts,
        breaker: Breaker,
        before_call: Callable[[], None],
        limits: RateLimits,
        places: Bulkhead | None = None,
        left_of_page: Callable[[float], float] = float,
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._tokens = tokens
        self._timeouts = timeouts
        self._breaker = breaker
        self._before_call = before_call
        self._limits = limits
        self.places = places
        self._left_of_page = left_of_page
        self._session = requests.Session()
        self._session.headers["User-Agent"] = user_agent
        self._session.headers["Accept"] = "application/json"
        # Cookies of Calendly's front door would be shared by all tenants; none is accepted.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        if is_loopback(self._api_url):
            # A company proxy from the environment cannot reach this machine.
            self._session.trust_env = False
        # Not blocking: with all sixteen connections hanging, one more caller must not wait without end.
        adapter = HTTPAdapter(pool_connections=2, pool_maxsize=16, max_retries=0, pool_block=False)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def with_patience(self, timeouts: Timeouts) -> Transport:
        """The same connections, tokens, breaker and rate limits with other time-outs and no bulkhead."""
        patient = copy.copy(self)
        patient._timeouts = timeouts  # noqa: SLF001 - it is one of us.
        patient.places = None
        patient._left_of_page = float  # noqa: SLF001
        return patient

    @property
    def trouble(self) -> BreakerState:
        """The breaker's state."""
        return self._breaker.state

    def budget_left(self, tenant: str) -> float:
        """Which share of this minute's requests is left to the tenant's token, 1.0 where that is not known."""
        known = self._limits.known(self._tokens.token_for(tenant))
        if known is None or not known.limit:
            return 1.0
        return known.remaining / known.limit

    def token_mark(self, tenant: str) -> str:
        """A digest of the tenant's present token: another token, another mark."""
        return hashlib.sha256(self._tokens.token_for(tenant).encode("utf-8", "surrogatepass")).hexdigest()

    def url(self, path: str) -> str:
        """The address of ``path``, which has no leading slash."""
        return f"{self._api_url}/{path}"

    def page_deadline(self) -> Deadline:
        """The time that a reader in front of a page has for all requests of one call, and of one page."""
        return Deadline(self._left_of_page(self._timeouts.page_total))

    def own_deadline(self) -> Deadline:
        """The same time for somebody who is behind a page."""
        return Deadline(self._timeouts.page_total)

    def get(
        self,
        tenant: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        deadline: Deadline | None = None,
    ) -> Reply:
        """GET, tried twice at most, within ``deadline`` (default: a page's time for this request alone)."""
        return self._send("GET", tenant, path, params=params, deadline=deadline or self.page_deadline())

    def post(self, tenant: str, path: str, body: Mapping[str, object]) -> Reply:
        """POST, once: Calendly has no idempotency keys, so only the caller knows if it may be repeated."""
        return self._send("POST", tenant, path, body=body, deadline=Deadline(sum(self._timeouts.write)))

    def delete(self, tenant: str, path: str) -> Reply:
        """DELETE, once."""
        return self._send("DELETE", tenant, path, deadline=Deadline(sum(self._timeouts.write)))

    def _send(
        self,
        method: str,
        tenant: str,
        path: str,
        *,
        deadline: Deadline,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Reply:
        if not _TENANT.fullmatch(tenant):
            raise ValueError("a tenant is 'platform' or 'builder:<id>'")
        request = _Request(method, path, params or {}, body)
        token = self._tokens.token_for(tenant)
        try:
            return self._watched(request, tenant, token, deadline)
        except CalendlyUnauthorized:
            tokens = self._tokens
            if not isinstance(tokens, ReplacesRefusedTokens) or not tokens.refused(tenant, token):
                raise
        # A 401 did nothing, so even a write may be sent again.
        log.warning("Calendly refused the token of %s; another one takes over", tenant)
        token = self._tokens.token_for(tenant)
        try:
            return self._watched(request, tenant, token, deadline)
        except CalendlyUnauthorized:
            if isinstance(self._tokens, WatchesTokens):
                self._tokens.refused_again(tenant, token)
            raise

    def _watched(self, request: _Request, tenant: str, token: str, deadline: Deadline) -> Reply:
        """All tries with one token; whoever gave it is told when Calendly knows it."""
        tokens = self._tokens
        try:
            reply = self._tries(request, token, deadline)
        except (CalendlyForbidden, CalendlyNotFound, CalendlyRejected):
            if isinstance(tokens, WatchesTokens):
                tokens.accepted(tenant, token)
            raise
        if isinstance(tokens, WatchesTokens):
            tokens.accepted(tenant, token)
        return reply

    def _tries(self, request: _Request, token: str, deadline: Deadline) -> Reply:
        if not token.isascii() or not token.isprintable():
            # It cannot stand in a header, and no fault of Calendly may be made of it.
            raise CalendlyUnauthorized(
                f"{request.route}: not sent, the token has characters that no token has"
            )
        attempt = 1
        while True:
            if deadline.remaining() <= 0:
                raise CalendlyUnavailable(f"{request.route}: not sent, the time is over")
            try:
                with self._place(token, request.route, deadline):
                    return self._breaker.call(
                        lambda: self._once(request, token, deadline), counts=CalendlyUnavailable
                    )
            except BulkheadFull:
                raise CalendlyUnavailable(
                    f"{request.route}: not sent, too many are waiting already"
                ) from None
            except CircuitOpen as error:
                message = f"{request.route}: not sent, Calendly has just failed too often"
                raise CalendlyUnavailable(message, retry_after=error.retry_after) from None
            except (CalendlyUnavailable, CalendlyRateLimited) as error:
                pause = _pause(error, attempt)
                tries_left = request.method == "GET" and attempt < _MOST_TRIES
                if not tries_left or pause is None or deadline.remaining() < pause + _SHORTEST_TRY:
                    raise
            time.sleep(pause)
            attempt += 1

    @contextmanager
    def _place(self, token: str, route: str, deadline: Deadline) -> Iterator[None]:
        """The right to send: a place to wait in, and one request of the token's budget. Raises Full, RateLimited.

        An open breaker is about to refuse the call, so it takes neither.
        """
        if self._breaker.state == "open":
            yield
            return
        patience = min(_WAIT_FOR_PLACE, deadline.remaining())
        with self.places.place(patience) if self.places is not None else nullcontext():
            self._limits.check(token, route)
            yield

    def _once(self, request: _Request, token: str, deadline: Deadline) -> Reply:
        self._before_call()
        started = time.monotonic()
        outcome = "no answer"
        try:
            status, headers, body = self._exchange(request, token, deadline)
            outcome = str(status)
            self._limits.record(token, headers)
            if status // 100 != _SUCCESS:
                raise calendly_error(request.route, status, headers, body)
            return Reply(body, json_object(request.route, status, body) if body else {})
        except CalendlyError as error:
            outcome = f"{outcome}, {error.category}"
            raise
        finally:
            milliseconds = round((time.monotonic() - started) * 1000)
            log.info("Calendly %s: %s in %d ms", request.route, outcome, milliseconds)

    def _exchange(
        self, request: _Request, token: str, deadline: Deadline
    ) -> tuple[int, Mapping[str, str], bytes]:
        connect, read = self._timeouts.page if request.method == "GET" else self._timeouts.write
        left = max(deadline.remaining(), _SHORTEST_WAIT)
        # The total makes connecting and waiting share the time that is left. requests hands it on as it is.
        timeout = urllib3.Timeout(connect=min(connect, left), read=min(read, left), total=left)
        try:
            with self._session.request(
                request.method,
                self.url(request.path),
                params=dict(request.params),
                json=request.body,
                auth=_Bearer(token),
                timeout=cast("Any", timeout),
                allow_redirects=False,
                stream=True,
            ) as response:
                return (
                    response.status_code,
                    response.headers,
                    _bounded_body(response, request.route, deadline),
                )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            # Neither the text nor the chain is kept: they hold the address, and it may hold an invitee's id.
            raise CalendlyUnavailable(f"{request.route}: no answer ({type(error).__name__})") from None


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    params: Mapping[str, str]
    body: Mapping[str, object] | None

    @property
    def route(self) -> str:
        """Our name of the call for logs and errors: without ids, because some ids are keys to a booking."""
        family, *rest = self.path.split("/")
        names = [part if index % 2 or part == "me" else "{id}" for index, part in enumerate(rest)]
        return f"{self.method} /{'/'.join([family, *names])}"


def _bounded_body(response: requests.Response, route: str, deadline: Deadline) -> bytes:
    """Read the body piece by piece, because a time-out alone never ends an answer that trickles."""
    parts: list[bytes] = []
    size = 0
    # The read time-out begins anew with each piece; the socket is told how much time is really left.
    connection = getattr(response.raw, "connection", None)
    while True:
        sock = getattr(connection, "sock", None)
        if sock is not None:
            sock.settimeout(max(deadline.remaining(), _SHORTEST_WAIT))
        part = response.raw.read1(_CHUNK, decode_content=True)
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
        if size > _LARGEST_BODY:
            raise CalendlyBadReply(f"{route}: the answer is too long", status=response.status_code)
        if deadline.remaining() <= 0:
            raise CalendlyUnavailable(f"{route}: the answer did not end in time")


def _pause(error: CalendlyError, attempt: int) -> float | None:
    """Seconds before the next try; None where Calendly told us to stop and not for how long."""
    if isinstance(error, CalendlyRateLimited):
        return error.retry_after
    return max(backoff(attempt, base=0.15, cap=0.6), error.retry_after or 0.0)


def is_loopback(url: str) -> bool:
    """Whether an address leads to this very machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
