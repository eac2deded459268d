"""What granian hands to :mod:`bookingapp.core.gateway`, made by hand: no server, no connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from granian.rsgi import HTTPProtocol, ProtocolClosed, Scope

from bookingapp.core.gateway import Gateway

T = TypeVar("T")


class FakeHeaders:
    """In the order in which they were sent, one after another where they have one name; as granian gives them."""

    def __init__(self, *pairs: tuple[str, str]) -> None:
        self._pairs = [(name.lower(), value) for name, value in pairs]

    def __contains__(self, key: str) -> bool:
        return any(name == key for name, _ in self._pairs)

    def get(self, key: str, default: Any = None) -> Any:
        return next((value for name, value in self._pairs if name == key), default)

    def items(self) -> list[tuple[str, str]]:
        return list(self._pairs)


@dataclass
class FakeScope:
    """A request's head."""

    method: str = "GET"
    path: str = "/"
    query_string: str = ""
    headers: FakeHeaders = field(default_factory=FakeHeaders)
    http_version: str = "1.1"
    scheme: str = "http"
    server: str = "127.0.0.1:8000"
    client: str = "192.0.2.1:40000"
    authority: str | None = None


class FakeProtocol:
    """A connection: the pieces of a body that come, and then what ends them; and what was answered."""

    def __init__(self, *pieces: bytes, never_ends: bool = False, breaks_off: bool = False) -> None:
        self._pieces = pieces
        self._never_ends = never_ends
        self._breaks_off = breaks_off
        self.taken = 0
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.sent: list[bytes] = []
        self.is_stream = False
        self.is_gone = False

    async def __call__(self) -> bytes:
        body = b"".join([piece async for piece in self])
        if self._breaks_off:
            raise ProtocolClosed
        return body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            self.taken += 1
            yield piece
        if self._never_ends:
            await asyncio.Event().wait()
        # As granian does it.
        for _ in range(2 if self._breaks_off else 1):
            yield b""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        assert not self.status
        self.status, self.headers, self.sent = status, headers, [body]

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.response_bytes(status, headers, b"")

    def response_stream(self, status: int, headers: list[tuple[str, str]]) -> FakeProtocol:
        assert not self.status
        self.status, self.headers, self.is_stream = status, headers, True
        return self

    async def send_bytes(self, data: bytes) -> None:
        if self.is_gone:
            raise ProtocolClosed
        self.sent.append(data)


def beside(do: Callable[[], T]) -> T:
    """Do it in a thread of its own: another test's browser may have its event loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(do).result()


def send(
    wsgi_app: Callable[..., Iterable[bytes]],
    *requests: tuple[FakeScope, FakeProtocol],
    threads: int = 2,
    apart: Collection[str] = (),
) -> None:
    """Send requests to an application at the same time, wait until all are answered, and stop."""
    beside(lambda: _send(wsgi_app, requests, threads, apart))


def _send(
    wsgi_app: Callable[..., Iterable[bytes]],
    requests: Sequence[tuple[FakeScope, FakeProtocol]],
    threads: int,
    apart: Collection[str],
) -> None:
    gateway, loop = Gateway(wsgi_app, threads, apart), asyncio.new_event_loop()

    async def serve() -> None:
        tasks = [
            loop.create_task(gateway.__rsgi__(cast("Scope", scope), cast("HTTPProtocol", one)))
            for scope, one in requests
        ]
        # Those that are answered end with the next request, or with the server.
        while sum(not task.done() for task in tasks) > len(gateway._answered):
            await asyncio.sleep(0.001)

    gateway.__rsgi_init__(loop)
    loop.run_until_complete(serve())
    gateway.__rsgi_del__(loop)
    loop.close()


def names(pairs: Sequence[tuple[str, str]], wanted: str) -> list[str]:
    """The values of the headers of this name."""
    return [value for name, value in pairs if name.lower() == wanted]
