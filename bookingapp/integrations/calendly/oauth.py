"""Calendly's OAuth: where a person is sent to consent, and what we do with the answer.

Two POSTs and one address, so there is no library behind it. Tokens and codes travel in bodies and headers
alone, and neither an error's text nor a log line carries one.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.cookiejar import DefaultCookiePolicy
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

import requests
import urllib3
from requests.auth import HTTPBasicAuth

from bookingapp.integrations.calendly.errors import (
    CalendlyBadReply,
    CalendlyError,
    CalendlyRateLimited,
    CalendlyRejected,
    CalendlyUnavailable,
    InvalidClient,
    InvalidGrant,
)
from bookingapp.integrations.calendly.replies import calendly_error, json_object, retry_after
from bookingapp.integrations.calendly.transport import is_loopback

log = logging.getLogger(__name__)

SCOPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "users:read": "see whose account it is",
        "event_types:read": "read event types",
        "availability:read": "read free times",
        "scheduled_events:read": "see the sessions that are booked",
        "scheduled_events:write": "cancel a session",
        "scheduling_links:write": "make single-use booking links",
        "webhooks:write": "be told at once when a session is booked, moved or canceled",
    }
)
"""What this application needs of an account, and what each is for, in words."""

_OK: Final = 200
_TOO_MANY: Final = 429
_FIRST_SERVER_ERROR: Final = 500
_LARGEST_BODY: Final = 64 * 1024
_LONGEST_LIFE: Final = timedelta(days=1)


@dataclass(frozen=True)
class Grant:
    """A fresh pair of tokens. ``expires_at`` is by our own clock; ``owner`` and ``organization`` are URIs."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime
    scopes: frozenset[str]
    owner: str
    organization: str | None


def missing_scopes(granted: Iterable[str]) -> tuple[str, ...]:
    """The scopes of :data:`SCOPES` that were not granted; a write scope includes its read scope."""
    held = set(granted)
    held |= {scope.removesuffix(":write") + ":read" for scope in held if scope.endswith(":write")}
    return tuple(scope for scope in SCOPES if scope not in held)


def challenge(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _nothing() -> None:
    """The default of ``before_call``."""


class OAuthClient:
    """A client of one OAuth app. Make one per process; safe for threads.

    ``timeouts`` are seconds to connect and to read: generous, because an answer that we do not wait for is a
    single-use token lost. ``before_call`` runs before each request, and what it raises comes through.
    """

    def __init__(
        self,
        *,
        auth_url: str,
        client_id: str | None,
        client_secret: str | None,
        user_agent: str,
        timeouts: tuple[float, float] = (3.0, 10.0),
        before_call: Callable[[], None] = _nothing,
    ) -> None:
        self._auth_url = auth_url.rstrip("/")
        self._client_id = (client_id or "").strip()
        self._client_secret = (client_secret or "").strip()
        self._timeouts = timeouts
        self._before_call = before_call
        self._session = requests.Session()
        self._session.headers["User-Agent"] = user_agent
        self._session.headers["Accept"] = "application/json"
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        if is_loopback(self._auth_url):
            # A company proxy from the environment cannot reach this machine.
            self._session.trust_env = False

    @property
    def is_configured(self) -> bool:
        """Whether there is an OAuth app at all."""
        return bool(self._client_id and self._client_secret)

    def authorize_url(self, *, redirect_uri: str, state: str, verifier: str) -> str:
        """Where the browser goes to ask its person; the answer comes to ``redirect_uri`` with ``state``."""
        query = {
            "client_id": self._client_id,
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "scope": " ".join(SCOPES),
            "state": state,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        return f"{self._auth_url}/oauth/authorize?{urlencode(query)}"

    def exchange(self, *, code: str, redirect_uri: str, verifier: str) -> Grant:
        """The pair that a code stands for. Raises InvalidGrant for a code that is used, old or not ours."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        return self._grant(form)

    def refresh(self, refresh_token: str) -> Grant:
        """The next pair. The given token is spent by that, whether or not the answer reaches us.

        Raises InvalidGrant for a token that is spent or revoked, InvalidClient where our own id or secret is
        refused, and Unavailable where nobody can say if it happened.
        """
        return self._grant({"grant_type": "refresh_token", "refresh_token": refresh_token})

    def revoke(self, token: str) -> None:
        """Make a token worthless; one that is so already is a success."""
        form = {"client_id": self._client_id, "client_secret": self._client_secret, "token": token}
        try:
            self._post("revoke", form, auth=None)
        except InvalidGrant:
            return

    def _grant(self, form: Mapping[str, str]) -> Grant:
        # Measured before the call, so that the token is never thought to live longer than it does.
        asked_at = datetime.now(UTC)
        return _read_grant(self._post("token", form, auth=self._basic()), asked_at)

    def _basic(self) -> HTTPBasicAuth:
        return HTTPBasicAuth(self._client_id, self._client_secret)

    def _post(self, endpoint: str, form: Mapping[str, str], *, auth: HTTPBasicAuth | None) -> dict[str, Any]:
        route = f"POST /oauth/{endpoint}"
        if not self.is_configured:
            raise InvalidClient(f"{route}: not sent, no OAuth app is configured")
        self._before_call()
        started, outcome = time.monotonic(), "no answer"
        try:
            status, headers, body = self._exchange(endpoint, form, auth, route)
            outcome = str(status)
            if status != _OK:
                raise _refusal(route, status, headers, body)
            return json_object(route, status, body)
        except CalendlyError as error:
            outcome = f"{outcome}, {error.category}"
            raise
        finally:
            log.info("Calendly %s: %s in %d ms", route, outcome, round((time.monotonic() - started) * 1000))

    def _exchange(
        self, endpoint: str, form: Mapping[str, str], auth: HTTPBasicAuth | None, route: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        deadline = time.monotonic() + sum(self._timeouts)
        try:
            with self._session.post(
                f"{self._auth_url}/oauth/{endpoint}",
                data=dict(form),
                auth=auth or _NoAuth(),
                timeout=self._timeouts,
                allow_redirects=False,
                stream=True,
            ) as response:
                return response.status_code, response.headers, _bounded(response, route, deadline)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise CalendlyUnavailable(f"{route}: no answer ({type(error).__name__})") from None


class _NoAuth(requests.auth.AuthBase):
    """Keeps requests from taking a password from ~/.netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _bounded(response: requests.Response, route: str, deadline: float) -> bytes:
    body = b""
    while part := response.raw.read1(_LARGEST_BODY, decode_content=True):
        body += part
        if len(body) > _LARGEST_BODY:
            raise CalendlyBadReply(f"{route}: the answer is too long", status=response.status_code)
        if time.monotonic() > deadline:
            raise CalendlyUnavailable(f"{route}: the answer did not end in time")
    return body


def _refusal(route: str, status: int, headers: Mapping[str, str], body: bytes) -> CalendlyError:
    """OAuth's errors are ``{error, error_description}``; only the first is a word to decide by."""
    said = f"{route}: {status}"
    if status == _TOO_MANY:
        return CalendlyRateLimited(said, status=status, retry_after=retry_after(headers))
    if status >= _FIRST_SERVER_ERROR:
        return calendly_error(route, status, headers, body)
    try:
        code = json_object(route, status, body).get("error")
    except CalendlyBadReply:
        code = None
    if code == "invalid_grant":
        return InvalidGrant(f"{said}, invalid_grant", status=status)
    if code in ("invalid_client", "unauthorized_client"):
        return InvalidClient(f"{said}, {code}", status=status)
    if status in (401, 403):
        # Whatever the body says: this endpoint knows no other secret than the app's.
        return InvalidClient(said, status=status)
    return CalendlyRejected(said, status=status)


def _read_grant(data: Mapping[str, Any], asked_at: datetime) -> Grant:
    texts = {name: data.get(name) for name in ("access_token", "refresh_token", "owner")}
    lives = data.get("expires_in")
    if not all(isinstance(text, str) and text for text in texts.values()):
        raise CalendlyBadReply("POST /oauth/token: an answer without its tokens or their owner")
    if not isinstance(lives, int) or isinstance(lives, bool) or lives <= 0:
        raise CalendlyBadReply("POST /oauth/token: an answer that does not say how long its token lives")
    scope, organization = data.get("scope"), data.get("organization")
    return Grant(
        access_token=str(texts["access_token"]),
        refresh_token=str(texts["refresh_token"]),
        expires_at=asked_at + min(timedelta(seconds=lives), _LONGEST_LIFE),
        scopes=frozenset(scope.split()) if isinstance(scope, str) else frozenset(),
        owner=str(texts["owner"]),
        organization=organization if isinstance(organization, str) else None,
    )
