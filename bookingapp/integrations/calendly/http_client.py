"""HTTP to Calendly, for its API and for OAuth: bounded in time and size, logged, failing with a CalendlyError.

What is sent and how an answer is read is decided by ``transport`` and ``oauth``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar, cast

import requests
import urllib3

from bookingapp.integrations.calendly.errors import CalendlyBadReply, CalendlyError, CalendlyUnavailable
from bookingapp.integrations.sessions import new_session, read_time

T = TypeVar("T")
Auth = Callable[[requests.PreparedRequest], requests.PreparedRequest]

log = logging.getLogger(__name__)

# A time-out of nothing would be an error of its own (seconds).
_SHORTEST_WAIT: Final = 0.05
_CHUNK: Final = 64 * 1024


class Deadline:
    """A point in time by which an answer must be there, given in seconds from now."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(self._end - time.monotonic(), 0.0)


@dataclass(frozen=True)
class HttpAnswer:
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Sends requests below ``base_url`` over pooled connections. Safe for threads.

    ``largest_body`` is in bytes. ``before_call`` runs before each request; what it raises comes through unchanged.
    ``note_time`` gets the server's time from each answer that says it.
    """

    def __init__(
        self,
        base_url: str,
        *,
        user_agent: str,
        largest_body: int,
        before_call: Callable[[], None],
        note_time: Callable[[datetime], object] = lambda _at: None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._largest_body = largest_body
        self._before_call = before_call
        self._note_time = note_time
        self._session = new_session(self.base_url)
        self._session.headers["User-Agent"] = user_agent
        self._session.headers["Accept"] = "application/json"

    def send(
        self,
        route: str,
        method: str,
        path: str,
        *,
        auth: Auth | None,
        timeouts: tuple[float, float],
        deadline: Deadline,
        read: Callable[[HttpAnswer], T],
        **request: Any,
    ) -> T:
        """What ``read`` makes of the answer. Redirects are not followed.

        ``route`` is our name of the call, without ids, for the log; ``timeouts`` are (connect, read) in seconds;
        ``request`` goes to requests. Raises CalendlyUnavailable where no whole answer came by ``deadline``,
        CalendlyBadReply for one that is too long, and what ``read`` raises.
        """
        self._before_call()
        started, outcome = time.monotonic(), "no answer"
        try:
            answer = self._request(route, method, path, auth, timeouts, deadline, request)
            outcome = str(answer.status)
            return read(answer)
        except CalendlyError as error:
            outcome = f"{outcome}, {error.category}"
            raise
        finally:
            log.info("Calendly %s: %s in %d ms", route, outcome, round((time.monotonic() - started) * 1000))

    def _request(
        self,
        route: str,
        method: str,
        path: str,
        auth: Auth | None,
        timeouts: tuple[float, float],
        deadline: Deadline,
        request: dict[str, Any],
    ) -> HttpAnswer:
        left = max(deadline.remaining(), _SHORTEST_WAIT)
        # The total makes connecting and waiting share the time that is left. requests passes it on unchanged.
        timeout = urllib3.Timeout(connect=min(timeouts[0], left), read=min(timeouts[1], left), total=left)
        try:
            with self._session.request(
                method,
                f"{self.base_url}/{path}",
                # With an auth of ours requests reads no password from ~/.netrc.
                auth=auth or _unchanged,
                timeout=cast("Any", timeout),
                allow_redirects=False,
                stream=True,
                **request,
            ) as response:
                if (at := read_time(response.headers)) is not None:
                    self._note_time(at)
                return HttpAnswer(
                    response.status_code, response.headers, self._read_body(response, route, deadline)
                )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            # Neither the text nor the chain is kept: they hold the address, and it may hold an invitee's id.
            raise CalendlyUnavailable(f"{route}: no answer ({type(error).__name__})") from None

    def _read_body(self, response: requests.Response, route: str, deadline: Deadline) -> bytes:
        """Read the body piece by piece, because a time-out alone never ends an answer that trickles."""
        body = bytearray()
        # The read time-out begins anew with each piece, so the socket gets the time that is really left.
        while True:
            sock = getattr(getattr(response.raw, "connection", None), "sock", None)
            if sock is not None:
                sock.settimeout(max(deadline.remaining(), _SHORTEST_WAIT))
            part = response.raw.read1(_CHUNK, decode_content=True)
            if not part:
                return bytes(body)
            body += part
            if len(body) > self._largest_body:
                raise CalendlyBadReply(f"{route}: the answer is too long", status=response.status_code)
            if deadline.remaining() <= 0:
                raise CalendlyUnavailable(f"{route}: the answer did not end in time")


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
