"""Whose token a call is made with. A tenant is ``platform`` or ``builder:<id>``."""

from __future__ import annotations

import threading
from typing import Protocol, runtime_checkable

from bookingapp.integrations.calendly.errors import Unauthorized


class TokenProvider(Protocol):
    """Gives the access token for a tenant's calls."""

    def token_for(self, tenant: str) -> str:
        """The token to use now. Raises Unauthorized where there is none."""
        ...


@runtime_checkable
class ReplacesRefusedTokens(Protocol):
    """A provider that may have another token when Calendly refuses one."""

    def refused(self, tenant: str, token: str) -> bool:
        """Calendly answered 401 to ``token``. True when ``token_for`` now gives another one."""
        ...


class PlatformTokens:
    """The platform's personal access token for every tenant, and a second one that takes over on a 401.

    The takeover lasts until the process ends: personal access tokens do not come back once revoked.
    """

    def __init__(self, primary: str, secondary: str | None = None) -> None:
        self._tokens = [token.strip() for token in (primary, secondary) if token and token.strip()]
        self._lock = threading.Lock()

    def token_for(self, tenant: str) -> str:
        """The token in use, whoever the tenant is. Raises Unauthorized where none is configured."""
        with self._lock:
            if not self._tokens:
                raise Unauthorized(f"no Calendly token is configured for {tenant}")
            return self._tokens[0]

    def refused(self, tenant: str, token: str) -> bool:  # noqa: ARG002 - one token serves every tenant.
        """Move on to the next token. True when there is one."""
        with self._lock:
            if len(self._tokens) > 1 and self._tokens[0] == token:
                # Several threads may report the same token; only the first report moves on.
                self._tokens = self._tokens[1:]
            return bool(self._tokens) and self._tokens[0] != token

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._tokens)} tokens)"
