"""Calendly's OAuth: where a person is sent to consent, and the tokens that Calendly gives for it.

Tokens and codes travel in bodies and headers alone, and neither an error's text nor a log line carries one.
Source: Calendly developer documentation, "OAuth 2.0".
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from requests.auth import HTTPBasicAuth

from bookingapp.integrations.calendly.errors import (
    CalendlyBadReply,
    CalendlyError,
    CalendlyRejected,
    InvalidClient,
    InvalidGrant,
)
from bookingapp.integrations.calendly.http_client import Deadline, HttpAnswer, HttpClient
from bookingapp.integrations.calendly.replies import calendly_error, json_object
from bookingapp.marking import N_

SCOPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "users:read": N_("see whose account it is"),
        "event_types:read": N_("read event types"),
        "availability:read": N_("read free times"),
        "scheduled_events:read": N_("see the sessions that are booked"),
        "scheduled_events:write": N_("schedule or cancel a session"),
        "scheduling_links:write": N_("make single-use booking links"),
        "webhooks:write": N_("be notified at once when a session is booked, moved or canceled"),
    }
)
"""What this application needs of an account, and what each is for, in words."""

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
    """The S256 challenge of a PKCE verifier (RFC 7636)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class OAuthClient:
    """A client of one OAuth app. Create one per process; safe for threads.

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
        before_call: Callable[[], None] = lambda: None,
    ) -> None:
        self._client_id = (client_id or "").strip()
        self._client_secret = (client_secret or "").strip()
        self._timeouts = timeouts
        self._http = HttpClient(
            auth_url, user_agent=user_agent, largest_body=_LARGEST_BODY, before_call=before_call
        )

    @property
    def is_configured(self) -> bool:
        """Whether there is an OAuth app at all."""
        return bool(self._client_id and self._client_secret)

    def authorize_url(self, *, redirect_uri: str, state: str, verifier: str) -> str:
        """Where the browser goes to ask its user; the answer comes to ``redirect_uri`` with ``state``."""
        query = {
            "client_id": self._client_id,
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "scope": " ".join(SCOPES),
            "state": state,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        return f"{self._http.base_url}/oauth/authorize?{urlencode(query)}"

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
        """The next pair. The given token works only once, whether or not the answer reaches us.

        Raises InvalidGrant for a token that is used or revoked, InvalidClient where our own id or secret is refused,
        and CalendlyUnavailable where it is not known whether the token was used.
        """
        return self._grant({"grant_type": "refresh_token", "refresh_token": refresh_token})

    def revoke(self, token: str) -> None:
        """Revoke a token; one that is revoked already is a success."""
        form = {"client_id": self._client_id, "client_secret": self._client_secret, "token": token}
        try:
            self._post("revoke", form, auth=None)
        except InvalidGrant:
            return

    def _grant(self, form: Mapping[str, str]) -> Grant:
        # Measured before the call, so that the token is never thought to live longer than it does.
        asked_at = datetime.now(UTC)
        auth = HTTPBasicAuth(self._client_id, self._client_secret)
        return _read_grant(self._post("token", form, auth=auth), asked_at)

    def _post(self, endpoint: str, form: Mapping[str, str], *, auth: HTTPBasicAuth | None) -> dict[str, Any]:
        route = f"POST /oauth/{endpoint}"
        if not self.is_configured:
            raise InvalidClient(f"{route}: not sent, no OAuth app is configured")

        def read(answer: HttpAnswer) -> dict[str, Any]:
            if answer.status != HTTPStatus.OK:
                raise _refusal(route, answer)
            return json_object(route, answer.status, answer.body)

        return self._http.send(
            route,
            "POST",
            f"oauth/{endpoint}",
            auth=auth,
            timeouts=self._timeouts,
            deadline=Deadline(sum(self._timeouts)),
            read=read,
            data=dict(form),
        )


def _refusal(route: str, answer: HttpAnswer) -> CalendlyError:
    """OAuth's errors are ``{error, error_description}``; only the first is a code to decide by."""
    status, text = answer.status, f"{route}: {answer.status}"
    if status >= HTTPStatus.TOO_MANY_REQUESTS:
        return calendly_error(route, answer)
    try:
        code = json_object(route, status, answer.body).get("error")
    except CalendlyBadReply:
        code = None
    if code == "invalid_grant":
        return InvalidGrant(f"{text}, invalid_grant", status=status)
    if code in ("invalid_client", "unauthorized_client"):
        return InvalidClient(f"{text}, {code}", status=status)
    if status in (401, 403):
        # Whatever the body says: this endpoint knows no other secret than the app's.
        return InvalidClient(text, status=status)
    return CalendlyRejected(text, status=status)


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
