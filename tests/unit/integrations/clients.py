"""Calendly clients for tests, and the addresses of the resources in ``tests/fixtures/calendly``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from responses import RequestsMock

from bookingapp.integrations.calendly import CalendlyClient, PlatformTokens
from bookingapp.integrations.circuit_breaker import CircuitBreaker
from tests.factories import FIXTURES
from tests.unit.integrations.stub_server import StubServer

API = "https://api.calendly.com"
USER = f"{API}/users/4c1f0a9e-6b1d-4a35-9f6e-0c2f6f6a1d11"
ORGANIZATION = f"{API}/organizations/7d0b2a4e-1c3f-4b58-8a9d-2e5f6a7b8c9d"
EVENT = f"{API}/scheduled_events/b7a3c1d2-9e8f-4a6b-8c5d-1f2e3d4c5b6a"
INVITEE = f"{EVENT}/invitees/c8b4d2e3-0f90-4b7c-9d6e-2a3f4e5d6c7b"
EVENT_TYPE = f"{API}/event_types/GBGBDCAADAEDCRZ2"
TOKEN = "secret-token-of-the-platform"
START = datetime(2026, 11, 25, 10, 42, tzinfo=UTC)

Wire = RequestsMock
T = TypeVar("T")


def sample(name: str) -> bytes:
    """A provider's published payload, by its name below ``tests/fixtures``."""
    return (FIXTURES / name).read_bytes()


# A list of event types that has one page.
ONE_PAGE = sample("calendly/event_types.page2.json")


class OneToken(PlatformTokens):
    """One token for every tenant, which a test may change; it stays when it is refused."""

    def __init__(self) -> None:
        super().__init__(TOKEN)
        self.token = TOKEN

    def token_for(self, tenant: str) -> str:
        return self.token


def make_client(server: StubServer | None = None, **how: Any) -> CalendlyClient:
    how.setdefault("tokens", PlatformTokens(TOKEN))
    api_url = API if server is None else f"{server.url}/calendly-api"
    return CalendlyClient(api_url=api_url, user_agent="bookingapp-tests/1", **how)


def all_at_once(threads: int, call: Callable[[int], T]) -> list[T]:
    """What the call returns to that many threads, which begin together."""
    ready = threading.Barrier(threads, timeout=10)

    def begin(number: int) -> T:
        ready.wait()
        return call(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(begin, range(threads)))


def never_opens() -> CircuitBreaker:
    return CircuitBreaker(failure_threshold=1000)


def user_of(server: StubServer, number: int = 0) -> str:
    return f"{server.url}/calendly-api/users/AAAAAAAAAAAA{number:04}"


def event_of(server: StubServer) -> str:
    return f"{server.url}/calendly-api/scheduled_events/AAAAAAAAAAAAAAAA"


def state(of: CalendlyClient | CircuitBreaker) -> str:
    """The breaker's state by now: mypy believes what was asserted of a property before."""
    return of.breaker_state if isinstance(of, CalendlyClient) else of.state


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds
