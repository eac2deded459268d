"""Calls of Calendly's API: with a tenant's token, within rate limit and bulkhead, behind a circuit breaker.

From the outside in: token (a refused one is replaced once where there is another), tries (GET only), a place to wait
in, rate limit, breaker, HTTP (``http_client``), reading the reply (``replies``). Every failure is a CalendlyError.
"""

from __future__ import annotations

import copy
import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import requests

from bookingapp.integrations.calendly.errors import (
    CalendlyError,
    CalendlyForbidden,
    CalendlyNotFound,
    CalendlyRateLimited,
    CalendlyRejected,
    CalendlyUnauthorized,
    CalendlyUnavailable,
)
from bookingapp.integrations.calendly.http_client import Auth, Deadline, HttpAnswer, HttpClient
from bookingapp.integrations.calendly.invitee_limits import InviteeLimits
from bookingapp.integrations.calendly.ratelimits import Purpose, RateLimits
from bookingapp.integrations.calendly.replies import calendly_error, json_object
from bookingapp.integrations.calendly.tokens import TokenProvider, fingerprint
from bookingapp.integrations.circuit_breaker import BreakerState, CircuitBreaker, CircuitOpen
from bookingapp.integrations.concurrency import Bulkhead, BulkheadFull

log = logging.getLogger(__name__)

_TENANT: Final = re.compile(r"platform|builder:[A-Za-z0-9_-]{1,64}")
_SUCCESS: Final = 2
# Less time than this is not worth another try: TLS alone may need half of it (seconds).
_SHORTEST_TRY: Final = 0.5
# Where no place to wait in is free, one may become free within this time (seconds).
_WAIT_FOR_PLACE: Final = 1.5
# A hundred event types with long descriptions are about one megabyte.
_LARGEST_BODY: Final = 8 * 1024 * 1024


@dataclass(frozen=True)
class Timeouts:
    """Seconds: (connect, read) for one GET, all tries of a page's GETs together, (connect, read) of a write.

    A write gets more than a page's reader would wait: knowing whether it happened is worth it.
    """

    page: tuple[float, float] = (1.0, 2.5)
    page_total: float = 3.0
    write: tuple[float, float] = (3.0, 10.0)


@dataclass(frozen=True)
class Reply:
    """A successful answer: the raw body and the JSON object in it (empty where there is no body)."""

    body: bytes
    data: dict[str, Any]


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    params: Mapping[str, str] | None = None
    body: Mapping[str, object] | None = None

    @property
    def route(self) -> str:
        """Our name of the call for logs and errors: without ids, because some ids are keys to a booking."""
        family, *rest = self.path.split("/")
        names = [part if index % 2 or part == "me" else "{id}" for index, part in enumerate(rest)]
        return f"{self.method} /{'/'.join([family, *names])}"

    @property
    def creates_invitee(self) -> bool:
        """Whether this is the call that Calendly limits apart from all others."""
        return self.method == "POST" and self.path == "invitees"


class Transport:
    """Sends requests to one API and returns JSON, or raises a CalendlyError. Safe for threads."""

    def __init__(
        self,
        *,
        api_url: str,
        tokens: TokenProvider,
        user_agent: str,
        timeouts: Timeouts,
        breaker: CircuitBreaker,
        before_call: Callable[[], None],
        note_time: Callable[[datetime], object],
        limits: RateLimits,
        invitee_limits: InviteeLimits,
        places: Bulkhead | None = None,
        left_of_page: Callable[[float], float] = float,
    ) -> None:
        self._http = HttpClient(
            api_url,
            user_agent=user_agent,
            largest_body=_LARGEST_BODY,
            before_call=before_call,
            note_time=note_time,
        )
        self._tokens = tokens
        self._timeouts = timeouts
        self._breaker = breaker
        self._limits = limits
        self._invitee_limits = invitee_limits
        self._purpose = Purpose.OWED
        self.places = places
        self._left_of_page = left_of_page

    def with_patience(self, timeouts: Timeouts) -> Transport:
        """The same connections, tokens, breaker and rate limits with other time-outs and no bulkhead."""
        patient = copy.copy(self)
        patient._timeouts = timeouts  # noqa: SLF001 - it is one of us.
        patient.places = None
        patient._left_of_page = float  # noqa: SLF001
        return patient

    def for_purpose(self, purpose: Purpose) -> Transport:
        """The same, with the share of the rate limit that ``purpose`` has."""
        other = copy.copy(self)
        other._purpose = purpose  # noqa: SLF001
        return other

    @property
    def breaker_state(self) -> BreakerState:
        """The state of the circuit breaker as the next call would find it."""
        return self._breaker.state

    def budget_left(self, tenant: str) -> float:
        """Which share of this minute's requests is left to the tenant's token, 1.0 where that is not known."""
        known = self._limits.known(self._tokens.token_for(tenant))
        return known.remaining / known.limit if known and known.limit else 1.0

    def may_send(self, tenant: str) -> bool:
        """Whether the rate limit and the breaker would let a call through now."""
        known = self._limits.known(self._tokens.token_for(tenant))
        return self._breaker.state == "closed" and (known is None or known.permits(self._purpose))

    def seconds_until_bookable(self, tenant: str) -> float:
        """Seconds for which the tenant's token may create no invitee, 0.0 where it may."""
        return self._invitee_limits.seconds_left(self._tokens.token_for(tenant))

    def account_of(self, tenant: str) -> str:
        """A name of the account whose token the tenant has."""
        return fingerprint(self._tokens.token_for(tenant))

    def token_fingerprint(self, tenant: str) -> str:
        """The fingerprint of the tenant's present token."""
        return fingerprint(self._tokens.token_for(tenant))

    def url(self, path: str) -> str:
        """The address of ``path``, which has no leading slash."""
        return f"{self._http.base_url}/{path}"

    def page_deadline(self) -> Deadline:
        """The time that a page view has left for all its calls."""
        return Deadline(self._left_of_page(self._timeouts.page_total))

    def background_deadline(self) -> Deadline:
        """The time of a call in the background, of which no page view has used any."""
        return Deadline(self._timeouts.page_total)

    def get(
        self,
        tenant: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        deadline: Deadline | None = None,
    ) -> Reply:
        """GET, tried twice at most, by ``deadline`` (default: a page's time for this request alone)."""
        return self._send(_Request("GET", path, params), tenant, deadline or self.page_deadline())

    def post(self, tenant: str, path: str, body: Mapping[str, object]) -> Reply:
        """POST, once: Calendly has no idempotency keys, so only the caller knows if it may be repeated."""
        return self._send(_Request("POST", path, body=body), tenant, Deadline(sum(self._timeouts.write)))

    def delete(self, tenant: str, path: str) -> Reply:
        """DELETE, once."""
        return self._send(_Request("DELETE", path), tenant, Deadline(sum(self._timeouts.write)))

    def _send(self, request: _Request, tenant: str, deadline: Deadline) -> Reply:
        if not _TENANT.fullmatch(tenant):
            raise ValueError("a tenant is 'platform' or 'builder:<id>'")
        token = self._tokens.token_for(tenant)
        try:
            return self._send_with_token(request, tenant, token, deadline)
        except CalendlyUnauthorized:
            if not self._tokens.refused(tenant, token):
                raise
        # A 401 did nothing, so even a write may be sent again.
        log.warning("Calendly refused the token of %s; another one takes over", tenant)
        token = self._tokens.token_for(tenant)
        try:
            return self._send_with_token(request, tenant, token, deadline)
        except CalendlyUnauthorized:
            self._tokens.refused_again(tenant, token)
            raise

    def _send_with_token(self, request: _Request, tenant: str, token: str, deadline: Deadline) -> Reply:
        """All tries with one token; reports to its provider that Calendly accepted it."""
        try:
            reply = self._send_with_tries(request, token, deadline)
        except (CalendlyForbidden, CalendlyNotFound, CalendlyRejected):
            self._tokens.accepted(tenant, token)
            raise
        self._tokens.accepted(tenant, token)
        return reply

    def _send_with_tries(self, request: _Request, token: str, deadline: Deadline) -> Reply:
        if not token.isascii() or not token.isprintable():
            # No header can hold it, and the breaker must not count that as a fault of Calendly.
            raise CalendlyUnauthorized(
                f"{request.route}: not sent, the token has characters that no token has"
            )
        if request.creates_invitee:
            self._invitee_limits.check(token, request.route)
        tries_left = 2 if request.method == "GET" else 1
        while True:
            tries_left -= 1
            if deadline.remaining() <= 0:
                raise CalendlyUnavailable(f"{request.route}: not sent, the time is over")
            try:
                with self._permission_to_send(token, request.route, deadline):
                    return self._breaker.call(
                        lambda: self._send_once(request, token, deadline), counts=CalendlyUnavailable
                    )
            except BulkheadFull:
                raise CalendlyUnavailable(
                    f"{request.route}: not sent, too many are waiting already"
                ) from None
            except CircuitOpen as error:
                text = f"{request.route}: not sent, Calendly has just failed too often"
                raise CalendlyUnavailable(text, retry_after=error.retry_after) from None
            except (CalendlyUnavailable, CalendlyRateLimited) as error:
                pause = _seconds_to_next_try(error)
                if not tries_left or pause is None or deadline.remaining() < pause + _SHORTEST_TRY:
                    raise
            time.sleep(pause)

    @contextmanager
    def _permission_to_send(self, token: str, route: str, deadline: Deadline) -> Iterator[None]:
        """Hold a place to wait in for the block, and spend one request of the token's rate limit.

        An open breaker is about to refuse the call, so neither is needed. Raises BulkheadFull, CalendlyRateLimited.
        """
        if self._breaker.state == "open":
            yield
            return
        patience = min(_WAIT_FOR_PLACE, deadline.remaining())
        with self.places.place(patience) if self.places is not None else nullcontext():
            self._limits.check(token, route, self._purpose)
            yield

    def _send_once(self, request: _Request, token: str, deadline: Deadline) -> Reply:
        def read(answer: HttpAnswer) -> Reply:
            # Calendly limits the creation of invitees apart from other calls, so its headers say nothing about those.
            if not request.creates_invitee:
                self._limits.record(token, answer.headers)
            if answer.status // 100 != _SUCCESS:
                error = calendly_error(request.route, answer, creates_invitee=request.creates_invitee)
                if request.creates_invitee and isinstance(error, CalendlyRateLimited):
                    error.retry_after = self._invitee_limits.close(token, error.retry_after)
                raise error
            if request.creates_invitee:
                self._invitee_limits.note_created(token)
            return Reply(
                answer.body, json_object(request.route, answer.status, answer.body) if answer.body else {}
            )

        return self._http.send(
            request.route,
            request.method,
            request.path,
            auth=_bearer(token),
            timeouts=self._timeouts.page if request.method == "GET" else self._timeouts.write,
            deadline=deadline,
            read=read,
            params=dict(request.params or {}),
            json=request.body,
        )


def _bearer(token: str) -> Auth:
    def with_token(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    return with_token


def _seconds_to_next_try(error: CalendlyError) -> float | None:
    """Seconds before the next try; None where Calendly limits us and does not say for how long."""
    if isinstance(error, CalendlyRateLimited):
        return error.retry_after
    # Spread, so that many waiters do not all come back at once.
    return max(random.uniform(0.12, 0.18), error.retry_after or 0.0)  # noqa: S311 - no secret.
