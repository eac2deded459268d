"""Our gateway beside granian's own WSGI, over real connections: the same requests, the same answers."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bookingapp.core.bodies import FAILURE, LARGEST_BODY
from bookingapp.core.settings import PROJECT_ROOT
from tests.servers import free_port
from tests.waiting import eventually

from .echo import CLOSED

HOST = b"Host: book.example:81\r\nConnection: close\r\n"
POST = b"POST /a HTTP/1.1\r\n" + HOST
GETS = [
    b"GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /a%20b%C3%A9%2Fc%25?x=%FF&y=1+2&z HTTP/1.1\r\n" + HOST + b"\r\n",
    "GET /ü?ü=ß HTTP/1.1\r\n".encode() + HOST + b"\r\n",
    b"GET http://other.example/x?y HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /x HTTP/1.0\r\nHost: book.example\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    b"HEAD /a HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /a HTTP/1.1\r\n" + HOST + b"Cookie: a=1\r\nX-Two: a\r\nX-Two: b\r\nCookie: b=2\r\n\r\n",
    b"GET /a HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
    b"GET /a HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
    b"DELETE /a HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /empty HTTP/1.1\r\n" + HOST + b"\r\n",
    b"NONSENSE\r\n\r\n",
]
POSTS = [
    POST + b"Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
    POST + b"Content-Length: 0\r\n\r\n",
    POST + b"\r\n",
    POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    POST + b"Content-Length: %d\r\n\r\n" % LARGEST_BODY + b"x" * LARGEST_BODY,
]
# How they differ, and why: core/gateway.py.
APART = ("SERVER_SOFTWARE", "SERVER_PORT", "HTTP_TRANSFER_ENCODING")


@dataclass(frozen=True)
class Echo:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]
    output: Path

    def ask(self, request: bytes) -> bytes:
        """The whole answer, until the server ends the connection."""
        with self.begin(request) as connection:
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def begin(self, request: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.sendall(request)
        return connection

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@contextmanager
def running(kind: str, folder: Path) -> Iterator[Echo]:
    port, output = free_port(), folder / f"{kind}.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.endurance.echo", kind, str(port)],
            cwd=PROJECT_ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            eventually(lambda: listens(port), what="a server")
            yield Echo(port, process, output)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Echo, Echo]]:
    folder = tmp_path_factory.mktemp("echo")
    with running("wsgi", folder) as theirs, running("gateway", folder) as ours:
        yield theirs, ours


def said(answer: bytes) -> tuple[bytes, dict[str, str]]:
    """The head without what differs by chance, and the environment."""
    head, _, body = answer.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"").partition(b"\r\n\r\n")
    environ = json.loads(body) if body.startswith(b"{") else {"body": body.decode()}
    # granian names HTTP/1.0 by half.
    environ["SERVER_PROTOCOL"] = re.sub("/1$", "/1.0", environ.get("SERVER_PROTOCOL", ""))
    environ.setdefault("CONTENT_LENGTH", str(len(environ.get("body", ""))))
    head = re.sub(rb"(?m)^(date|content-length): .*$", b"", head)
    return head, {name: value for name, value in environ.items() if name not in APART}


@pytest.mark.parametrize("request_", [*GETS, *POSTS], ids=lambda one: one[:30].decode("latin-1"))
def test_requests_and_answers_are_those_of_granian(both: tuple[Echo, Echo], request_: bytes) -> None:
    theirs, ours = (one.ask(request_) for one in both)
    assert said(ours) == said(theirs)
    assert theirs.startswith(b"HTTP/1.1 100 ") == ours.startswith(b"HTTP/1.1 100 ")


def test_an_application_that_breaks_is_answered_for(both: tuple[Echo, Echo]) -> None:
    for one in both:
        for path in (b"/broken", b"/bad-header"):
            assert one.ask(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n").startswith(b"HTTP/1.1 500 ")
        assert one.ask(GETS[0]).startswith(b"HTTP/1.1 200 ")


def test_bodies_that_break_off_are_not_taken_for_whole(both: tuple[Echo, Echo]) -> None:
    _, ours = both
    answer = ours.ask(POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nZZ\r\n")
    assert FAILURE in answer.decode() or answer == b""


def test_bodies_that_are_too_large_are_not_waited_for(both: tuple[Echo, Echo]) -> None:
    _, ours = both
    _, environ = said(ours.ask(POST + b"Content-Length: %d\r\n\r\nhello" % (LARGEST_BODY + 1)))
    assert environ["body"] == ""
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    _, environ = said(ours.ask(POST + b"Transfer-Encoding: chunked\r\n\r\n" + piece * 5))
    assert environ["body"] == ""


def test_a_stream_is_closed_when_its_reader_leaves(both: tuple[Echo, Echo]) -> None:
    _, ours = both
    with ours.begin(b"GET /endless HTTP/1.1\r\n" + HOST + b"\r\n") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    eventually(lambda: CLOSED in ours.output.read_text(), what="the end of the stream")


def test_what_has_begun_is_answered_before_the_server_ends(tmp_path: Path) -> None:
    """Also where a body is still on its way."""
    with running("gateway", tmp_path) as server:
        slow = server.begin(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n")
        half = server.begin(POST + b"Content-Length: 10\r\n\r\nhello")
        idle = server.begin(b"GET / HTTP/1.1\r\nHost: book.example\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200 ")
        server.process.send_signal(signal.SIGTERM)
        assert slow.recv(65536).startswith(b"HTTP/1.1 200 ")
        half.sendall(b"world")
        assert half.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert server.process.wait(timeout=60) == 0
        assert "destroyed" not in server.output.read_text()
        for one in (slow, half, idle):
            one.close()
