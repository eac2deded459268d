"""The bodies of requests: each is read as a whole, in bounded time, before the application sees its request.

That is done on the event loop of the web server (:mod:`bookingapp.core.gateway`), where a body that is on its way costs
a little memory and no thread. What is not taken is refused by the application, whose answers have headers, words and a
line in the log: it finds the reason in the environment of the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from granian.rsgi import Headers, HTTPProtocol, ProtocolClosed, ProtocolError
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    RequestTimeout,
    ServiceUnavailable,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# No route takes more, but those of uploads.
LARGEST_BODY = 256 * 1024
LONGEST_SECONDS = 15.0
# For uploads: seconds, and how many may be on their way in a process, because each may need several megabytes.
LONGEST_UPLOAD_SECONDS = 60.0
UPLOADS = 6
# How many bodies may be on their way in a process, and how many of one address: the others are for everybody else.
PLACES = 240
PLACES_OF_ONE = PLACES // 2
# In the environment of a request.
FAILURE = "bookingapp.body_failure"
_RETRY_SECONDS = 5


_uploads: dict[str, int] = {}


def accept_uploads(path: str, largest: int) -> None:
    """Let requests to exactly this path have bodies of up to ``largest`` bytes."""
    _uploads[path] = largest


def largest_upload(path: str) -> int | None:
    """The most bytes of a body at this path, where it accepts uploads."""
    return _uploads.get(path)


class Body(NamedTuple):
    """What the application gets of a body.

    One that is too large has its length and no content: each route has a limit and refuses it by that.
    """

    content: bytes
    length: int
    failure: HTTPException | None = None

    @property
    def is_read(self) -> bool:
        """Whether nothing of it is still to come."""
        return self.failure is None and len(self.content) == self.length


class Bodies:
    """Reads bodies and counts those that are on their way. Belongs to one event loop."""

    def __init__(self) -> None:
        self._under_way: dict[str, int] = {}
        self._count = 0
        self._uploads = 0

    async def read(self, address: str, headers: Headers, protocol: HTTPProtocol, path: str = "") -> Body:
        """The body of a request from this address. Its failure is 400 for a lost connection, 408 or 503."""
        largest = largest_upload(path)
        if largest is None:
            return await self._read(address, headers, protocol, LARGEST_BODY, LONGEST_SECONDS)
        if self._uploads >= UPLOADS:
            return Body(b"", 0, ServiceUnavailable(retry_after=_RETRY_SECONDS))
        self._uploads += 1
        try:
            return await self._read(address, headers, protocol, largest, LONGEST_UPLOAD_SECONDS)
        finally:
            self._uploads -= 1

    async def _read(
        self, address: str, headers: Headers, protocol: HTTPProtocol, largest: int, seconds: float
    ) -> Body:
        declared = None if "transfer-encoding" in headers else headers.get("content-length")
        # The server has seen that it is a number.
        if declared is not None and not 0 < int(declared) <= largest:
            return Body(b"", int(declared))
        try:
            with self._place(address):
                async with asyncio.timeout(seconds):
                    content = await (
                        protocol() if declared is not None else _read_pieces(headers, protocol, largest)
                    )
        except (ProtocolClosed, ProtocolError):
            return Body(b"", 0, BadRequest())
        except TimeoutError:
            return Body(b"", 0, RequestTimeout())
        except HTTPException as error:
            return Body(b"", 0, error)
        length = len(content)
        return Body(content, length) if length <= largest else Body(b"", length)

    @contextmanager
    def _place(self, address: str) -> Iterator[None]:
        of_one = self._under_way.get(address, 0)
        if self._count >= PLACES or of_one >= PLACES_OF_ONE:
            raise ServiceUnavailable(retry_after=_RETRY_SECONDS)
        self._count += 1
        self._under_way[address] = of_one + 1
        try:
            yield
        finally:
            self._count -= 1
            if left := self._under_way[address] - 1:
                self._under_way[address] = left
            else:
                del self._under_way[address]


def failure(environ: WSGIEnvironment) -> HTTPException | None:
    """Why this request's body was not read."""
    found: HTTPException | None = environ.get(FAILURE)
    return found


async def _read_pieces(headers: Headers, protocol: HTTPProtocol, largest: int) -> bytes:
    """A body without a declared length."""
    body = bytearray()
    empty = 0
    async for piece in protocol:
        body += piece
        if len(body) > largest:
            break
        empty += not piece
    # granian ends a body with one empty piece. Where a chunked one breaks off, it gives one more.
    if empty > 1 and "transfer-encoding" in headers:
        raise BadRequest
    return bytes(body)
