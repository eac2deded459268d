"""Calendly clients for tests, and the addresses of the resources in ``tests/fixtures/calendly``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bookingapp.integrations.calendly import CalendlyClient, PlatformTokens
from bookingapp.integrations.calendly.tokens import TokenProvider

if TYPE_CHECKING:
    from tests.unit.integrations.conftest import StubServer

API = "https://api.calendly.com"
USER = f"{API}/users/4c1f0a9e-6b1d-4a35-9f6e-0c2f6f6a1d11"
ORGANIZATION = f"{API}/organizations/7d0b2a4e-1c3f-4b58-8a9d-2e5f6a7b8c9d"
EVENT = f"{API}/scheduled_events/b7a3c1d2-9e8f-4a6b-8c5d-1f2e3d4c5b6a"
INVITEE = f"{EVENT}/invitees/c8b4d2e3-0f90-4b7c-9d6e-2a3f4e5d6c7b"
EVENT_TYPE = f"{API}/event_types/GBGBDCAADAEDCRZ2"
TOKEN = "secret-token-of-the-platform"

Published = Callable[[str], bytes]


class OneToken(TokenProvider):
    """One token for every tenant, which a test may change."""

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token

    def token_for(self, tenant: str) -> str:
        return self.token


def make_client(server: StubServer | None = None, **how: Any) -> CalendlyClient:
    """A client of ``server``, else one that speaks to Calendly's own address."""
    how.setdefault("tokens", PlatformTokens(TOKEN))
    api_url = API if server is None else f"{server.url}/calendly-api"
    return CalendlyClient(api_url=api_url, user_agent="bookingapp-tests/1", **how)


def user_of(server: StubServer, number: int = 0) -> str:
    return f"{server.url}/calendly-api/users/AAAAAAAAAAAA{number:04}"


def event_of(server: StubServer) -> str:
    return f"{server.url}/calendly-api/scheduled_events/AAAAAAAAAAAAAAAA"


def breaker_state(client: CalendlyClient) -> str:
    """Now: mypy takes a property's value to be the one that was asserted before."""
    return client.breaker_state
