"""Published payloads as files, and a small real HTTP server for what a mock cannot show."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

FIXTURES = Path(__file__).parents[2] / "fixtures"

Answer = tuple[int, dict[str, str], bytes]
Respond = Callable[["Seen"], Answer]


@pytest.fixture
def published() -> Callable[[str], bytes]:
    """Reads a payload by its name below tests/fixtures."""
    return lambda name: (FIXTURES / name).read_bytes()


@dataclass(frozen=True)
class Seen:
    """One request as the server got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class StubServer:
    """A provider on a free port. ``respond`` decides each answer; ``seen`` is what came."""

    url: str
    respond: Respond
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    pieces: Callable[[bytes], Iterable[bytes]] = lambda body: (body,)


def json_answer(data: object, status: int = 200, **headers: str) -> Answer:
    """A JSON answer; ``X_RateLimit_Reset`` stands for the header of that name with dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"Content-Type": "application/json", **named}, json.dumps(data).encode()


@pytest.fixture
def server() -> Iterator[StubServer]:
    """A server that answers 404 until a test says otherwise; it lets go of everything at the end."""
    stub = StubServer(url="", respond=lambda seen: json_answer({"title": "Resource Not Found"}, 404))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            with stub.lock:
                stub.connections += 1
                self.number = stub.connections

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            seen = Seen(self.command, self.path, dict(self.headers), self.rfile.read(length), self.number)
            with stub.lock:
                stub.seen.append(seen)
            status, headers, body = stub.respond(seen)
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                for piece in stub.pieces(body):
                    self.wfile.write(piece)
            except OSError:
                self.close_connection = True

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the names are http.server's.

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hangs up is part of these tests; a fault of a test shows in its own result."""

    httpd = Server(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    stub.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join(timeout=5)


@pytest.fixture
def answer() -> Callable[..., Answer]:
    """Makes a JSON answer for ``server.respond``."""
    return json_answer
