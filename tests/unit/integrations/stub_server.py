"""A small real HTTP server in place of a provider, for what a mock cannot show: time, connections, threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
Respond = Callable[["Seen"], Answer]


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class StubServer:
    """A provider at ``url``. ``respond`` decides each answer; ``seen`` are the requests."""

    url: str = ""
    respond: Respond = lambda seen: (404, {}, b'{"title": "Resource Not Found"}')
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    pieces: Callable[[bytes], Iterable[bytes]] = lambda body: (body,)

    def answer(self, body: bytes = b"", status: int = 200, **headers: str) -> None:
        """Give this answer from now on; ``X_RateLimit_Reset`` is the header of that name with dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.respond = lambda seen: (status, named, body)

    def answer_late(self, body: bytes, seconds: float) -> None:
        """Give this answer after that time, or as soon as a second request comes."""

        def respond(seen: Seen) -> Answer:
            deadline = time.monotonic() + seconds
            while len(self.seen) == 1 and time.monotonic() < deadline:
                time.sleep(0.01)
            return 200, {}, body

        self.respond = respond

    @contextmanager
    def hanging(self, body: bytes = b"{}") -> Iterator[threading.Event]:
        """Requests wait until the event is set, or the block ends; then they get this answer."""
        released = threading.Event()

        def respond(seen: Seen) -> Answer:
            released.wait(20)
            return 200, {}, body

        self.respond = respond
        try:
            yield released
        finally:
            released.set()


@contextmanager
def running() -> Iterator[StubServer]:
    stub = StubServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            with stub.lock:
                stub.connections += 1

        def answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen = Seen(self.command, self.path, dict(self.headers), sent)
            with stub.lock:
                stub.seen.append(seen)
            status, headers, body = stub.respond(seen)
            try:
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                for piece in stub.pieces(body):
                    self.wfile.write(piece)
            except OSError:
                self.close_connection = True

        do_GET = do_HEAD = do_POST = answer  # noqa: N815 - the names are http.server's.

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
