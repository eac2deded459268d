"""Which access token a call is made with. A tenant is ``platform`` or ``builder:<id>``."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Protocol

from bookingapp.integrations.calendly.errors import CalendlyUnauthorized


class TokenProvider(Protocol):
    """Gives the access token for a tenant's calls, and learns what Calendly made of it."""

    def token_for(self, tenant: str) -> str:
        """The token to use now. Raises CalendlyUnauthorized where there is none."""
        ...

    def accepted(self, tenant: str, token: str) -> None:
        """Calendly accepted ``token`` as valid, even if it refused the request."""
        ...

    def refused(self, tenant: str, token: str) -> bool:
        """Calendly answered 401 to ``token``. True when ``token_for`` now gives another one."""
        ...

    def refused_again(self, tenant: str, token: str) -> None:
        """Calendly answered 401 to the token that had replaced a refused one."""
        ...


class Refusals(Protocol):
    """Remembers by their fingerprints which tokens Calendly has refused."""

    def known(self, fingerprints: Sequence[str]) -> Collection[str]:
        """Those of ``fingerprints`` that were refused, and so are not to be sent again."""
        ...

    def record(self, fingerprint: str, *, position: int, remaining: int) -> None:
        """The token configured at ``position`` (from 1) was refused; ``remaining`` others are still good."""
        ...


class ProcessRefusals:
    """Refusals that last until the process ends. The last token that is left is tried again each time."""

    def __init__(self) -> None:
        self._refused: frozenset[str] = frozenset()

    def known(self, fingerprints: Sequence[str]) -> Collection[str]:
        """As :class:`Refusals` says."""
        return self._refused.intersection(fingerprints)

    def record(self, fingerprint: str, *, position: int, remaining: int) -> None:  # noqa: ARG002
        """As :class:`Refusals` says."""
        if remaining:
            self._refused |= {fingerprint}


class PlatformTokens:
    """The platform's personal access tokens, in order: the first that Calendly has not refused serves every tenant.

    A refused one is not sent again, because a revoked personal access token never becomes valid again. ``refusals``
    decides for how long that holds.
    """

    def __init__(
        self, primary: str, secondary: str | None = None, *, refusals: Refusals | None = None
    ) -> None:
        given = [token.strip() for token in (primary, secondary) if token and token.strip()]
        self._tokens = {fingerprint(token): token for token in given}
        self._refusals = refusals or ProcessRefusals()

    def token_for(self, tenant: str) -> str:
        """The token in use, whichever the tenant. Raises CalendlyUnauthorized where there is none, or none left."""
        if not self._tokens:
            raise CalendlyUnauthorized(f"no Calendly token is configured for {tenant}")
        left = self._good_tokens()
        if not left:
            raise CalendlyUnauthorized(
                f"Calendly has refused every platform token; nothing was sent for {tenant}"
            )
        return self._tokens[left[0]]

    def refused(self, tenant: str, token: str) -> bool:  # noqa: ARG002 - one token serves every tenant.
        """Move on to the next token. True when there is one."""
        name = fingerprint(token)
        if name in self._tokens:
            others = [each for each in self._good_tokens() if each != name]
            self._refusals.record(name, position=[*self._tokens].index(name) + 1, remaining=len(others))
        return any(each != name for each in self._good_tokens())

    def accepted(self, tenant: str, token: str) -> None:
        """Changes nothing."""

    def refused_again(self, tenant: str, token: str) -> None:
        """Changes nothing."""

    def _good_tokens(self) -> list[str]:
        known = self._refusals.known([*self._tokens])
        return [name for name in self._tokens if name not in known]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._tokens)} tokens)"


def fingerprint(token: str) -> str:
    """The SHA-256 of a token, in hexadecimal: names it without being worth anything to a reader."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
