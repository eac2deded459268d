"""Runs a WSGI application behind granian's event loop, in a pool of threads (PEP 3333).

granian's own WSGI reads a body in the thread of its request, without a limit of time. Here a request takes a thread
only when all of it has arrived (:mod:`bookingapp.core.bodies`).
"""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from io import BytesIO
from itertools import chain
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from granian.rsgi import Headers, HTTPProtocol, ProtocolClosed, ProtocolError, Scope

from bookingapp.core.bodies import FAILURE, Bodies, Body

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

_PROTOCOLS = {"1": "HTTP/1.0", "1.1": "HTTP/1.1", "2": "HTTP/2"}
_ONCE = frozenset(("", "CONTENT_TYPE"))
_BODILESS = frozenset(("GET", "HEAD"))
# What the next piece of a stream may wait for the event loop.
_LONGEST_SEND_SECONDS = 15.0
_LONGEST_END_SECONDS = 1.0
_BASE: WSGIEnvironment = {
    "GATEWAY_INTERFACE": "CGI/1.1",
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "granian",
    "wsgi.errors": sys.stderr,
    # Every body is read already.
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}

log = structlog.get_logger(__name__)


class _Request(NamedTuple):
    """A request that has arrived. ``done`` ends the event loop's part of it."""

    scope: Scope
    headers: Headers
    protocol: HTTPProtocol
    body: Body | None
    done: asyncio.Future[None]


_Lane = SimpleQueue[_Request | None]


class Gateway:
    """A WSGI application as granian's RSGI interface wants it. Each path of ``apart`` has a thread for itself, and is
    answered when all others wait for a database.
    """

    def __init__(self, wsgi_app: WSGIApplication, threads: int, apart: Collection[str] = ()) -> None:
        self._wsgi_app = wsgi_app
        self._bodies = Bodies()
        self._requests = _Lane()
        self._apart = {path: _Lane() for path in apart}
        self._lanes = [*[self._requests] * threads, *self._apart.values()]
        self._threads = [
            threading.Thread(target=self._work, args=(lane,), name=f"request-{number}", daemon=True)
            for number, lane in enumerate(self._lanes)
        ]
        self._answered: deque[asyncio.Future[None]] = deque()
        self._loop: asyncio.AbstractEventLoop

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called by granian before the first request."""
        self._loop = loop
        for thread in self._threads:
            thread.start()

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called by granian when it has no connections any more: what no client waits for is finished, too."""
        for lane in self._lanes:
            lane.put(None)
        for thread in self._threads:
            thread.join()
        self._end_answered()
        if tasks := asyncio.all_tasks(loop):
            loop.run_until_complete(asyncio.wait(tasks, timeout=_LONGEST_END_SECONDS))

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Called by granian for each request, when its head has arrived."""
        self._end_answered()
        headers, body = scope.headers, None
        if "content-length" in headers or scope.method not in _BODILESS or "transfer-encoding" in headers:
            body = await self._bodies.read(_split(scope.client)[0], headers, protocol, scope.path)
        done = self._loop.create_future()
        lane = self._apart.get(scope.path, self._requests)
        lane.put(_Request(scope, headers, protocol, body, done))
        await done

    def _work(self, lane: _Lane) -> None:
        while (request := lane.get()) is not None:
            self._answer(request)
            # Nothing of it is kept while this thread waits for the next one.
            del request

    def _answer(self, request: _Request) -> None:
        answer = _Answer(request.protocol, self._loop)
        # Where something of a body was not read, the connection goes on when the event loop lets go of that.
        may_end_later = request.body is None or request.body.is_read
        try:
            environ = environ_of(request.scope, request.headers, request.body)
            answer.send(self._wsgi_app(environ, answer.start))
        except (ProtocolClosed, ProtocolError):
            # The client has left.
            log.info("reader_left")
        except BaseException:
            # A thread of the pool survives whatever an application does.
            log.exception("request_broke")
            answer.break_off()
            may_end_later = False
        if may_end_later:
            self._answered.append(request.done)
        else:
            self._loop.call_soon_threadsafe(request.done.set_result, None)

    def _end_answered(self) -> None:
        # At the next request, because to wake the event loop for each costs more than to wait for that.
        while self._answered:
            self._answered.popleft().set_result(None)


class _Answer:
    """The answer to one request."""

    __slots__ = ("_headers", "_is_begun", "_loop", "_protocol", "_status", "_written")

    def __init__(self, protocol: HTTPProtocol, loop: asyncio.AbstractEventLoop) -> None:
        self._protocol = protocol
        self._loop = loop
        self._status = 0
        self._headers: list[tuple[str, str]] | None = None
        self._written: list[bytes] = []
        self._is_begun = False

    def start(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: tuple[type[BaseException], BaseException, TracebackType]
        | tuple[None, None, None]
        | None = None,
        /,
    ) -> Callable[[bytes], object]:
        """``start_response`` of PEP 3333."""
        if exc_info is not None and exc_info[1] is not None:
            if self._is_begun:
                raise exc_info[1]
        elif self._headers is not None:
            raise RuntimeError("start_response was called before")
        self._status, self._headers = int(status[:3]), headers
        return self._written.append

    def send(self, result: Iterable[bytes]) -> None:
        """Send what the application returned, and close that."""
        try:
            # Applications may begin their answer as late as with its first piece.
            pieces = iter(result)
            first = next(pieces, b"")
            if self._written:
                pieces, first = chain((first,), pieces), b"".join(self._written)
            if self._headers is None:
                raise RuntimeError("start_response was not called")
            if _has_length(self._headers) or isinstance(result, list | tuple):
                # In one go: it is at hand, and small, because nothing large is served here.
                rest = b"".join(pieces)
                self._protocol.response_bytes(self._status, self._headers, first + rest if rest else first)
                self._is_begun = True
            else:
                self._stream(first, pieces)
        finally:
            if (close := getattr(result, "close", None)) is not None:
                close()

    def break_off(self) -> None:
        """Answer 500 if there is still time."""
        if not self._is_begun:
            self._is_begun = True
            self._protocol.response_empty(500, [])

    def _stream(self, first: bytes, rest: Iterator[bytes]) -> None:
        transport = self._protocol.response_stream(self._status, self._headers or [])
        self._is_begun = True

        async def send(piece: bytes) -> None:
            await transport.send_bytes(piece)

        for piece in chain((first,), rest):
            if piece:
                asyncio.run_coroutine_threadsafe(send(piece), self._loop).result(_LONGEST_SEND_SECONDS)


def load(target: str, *, threads: int, apart: Collection[str] = ()) -> Any:
    """The gateway to an application that is named like ``wsgi:app``, in the process that serves it.

    That process ends when its parent does. granian takes a ``Gateway``, but its types know nothing but functions.
    """
    if parent := multiprocessing.parent_process():
        # Until granian handles them here. A forked process begins with its parent's handlers, which do nothing here.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        threading.Thread(target=_end_with, args=(parent,), name="parent", daemon=True).start()
    module, _, name = target.partition(":")
    return Gateway(getattr(importlib.import_module(module), name), threads, apart)


def _end_with(parent: BaseProcess) -> None:
    """End this process in order when ``parent`` was killed: then no other process stops it."""
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def environ_of(scope: Scope, headers: Headers, body: Body | None) -> WSGIEnvironment:
    """The environment of a request. Holds none of this process's own variables, which include secrets."""
    server, port = _split(scope.server)
    environ: WSGIEnvironment = {
        **_BASE,
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": _latin(scope.path),
        "QUERY_STRING": _latin(scope.query_string),
        "SERVER_NAME": server,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": _PROTOCOLS[scope.http_version],
        "REMOTE_ADDR": _split(scope.client)[0],
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": BytesIO(body.content if body else b""),
    }
    for name, value in headers.items():
        key = _key(name)
        if key not in environ:
            environ[key] = value
        elif key not in _ONCE:
            # The server gives what was sent several times one after another.
            environ[key] += f"{';' if key == 'HTTP_COOKIE' else ','}{value}"
    environ.pop("", None)
    if body:
        environ["CONTENT_LENGTH"] = str(body.length)
        if body.failure:
            environ[FAILURE] = body.failure
    if "HTTP_HOST" not in environ and (host := scope.authority):
        environ["HTTP_HOST"] = host
    return environ


@lru_cache(256)
def _key(header: str) -> str:
    """The name of a header in an environment; empty for one that is left out.

    Those are: names with underscores, which would pass for those with hyphens that a proxy sets; and how the body was
    sent, since it is at hand.
    """
    if "_" in header or header in ("transfer-encoding", "content-length"):
        return ""
    key = header.upper().replace("-", "_")
    return key if key in _ONCE else f"HTTP_{key}"


def _split(address: str) -> tuple[str, str]:
    """Host and port of what granian writes like ``127.0.0.1:8000`` or ``[fe80::1%2]:8000``."""
    host, _, port = address.rpartition(":")
    return (host if host[:1] != "[" else host[1:-1].partition("%")[0]), port


def _latin(text: str) -> str:
    """Text as an environment holds it: a character for each of its bytes."""
    return text if text.isascii() else text.encode().decode("latin-1")


def _has_length(headers: list[tuple[str, str]]) -> bool:
    return any(name.lower() == "content-length" for name, _ in headers)
