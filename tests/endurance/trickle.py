"""Connections that send a byte now and then, and never the whole request."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

FORM = b"POST /login HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/x-www-form-urlencoded\r\n"
WEBHOOK = b"POST /webhooks/stripe HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/json\r\n"
LONG = b"Content-Length: 60000\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
HEAD = b"GET / HTTP/1.1\r\nHost: a.example\r\nX-Long: "
PAUSE_SECONDS = 1.0


class Trickle:
    """One connection: what is sent at first, and what again and again. ``ended_after`` is in seconds."""

    def __init__(self, url: str, first: bytes, again: bytes) -> None:
        parts = urlsplit(url)
        self.connection = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20)
        self._began = time.monotonic()
        self._again = again
        self.answer = b""
        self.ended_after: float | None = None
        self.connection.sendall(first)

    def send_more(self) -> None:
        """One byte of a body or a head."""
        if self.ended_after is None:
            with contextlib.suppress(OSError):
                self.connection.sendall(self._again)

    def read(self) -> None:
        """What has come; to be called when something has."""
        try:
            came = self.connection.recv(65536)
        except OSError:
            came = b""
        self.answer += came
        if not came:
            self.ended_after = time.monotonic() - self._began


@contextmanager
def trickling(url: str, kinds: Sequence[tuple[bytes, bytes]], count: int) -> Iterator[list[Trickle]]:
    """So many of them, of these kinds in turns, sending and listening until the block ends."""
    senders = [Trickle(url, *kinds[number % len(kinds)]) for number in range(count)]
    is_over = threading.Event()
    thread = threading.Thread(target=_tend, args=(senders, is_over), daemon=True)
    thread.start()
    try:
        yield senders
    finally:
        is_over.set()
        thread.join(timeout=20)
        for one in senders:
            one.connection.close()


def _tend(senders: Sequence[Trickle], is_over: threading.Event) -> None:
    with selectors.DefaultSelector() as selector:
        for one in senders:
            selector.register(one.connection, selectors.EVENT_READ, one)
        next_byte = time.monotonic() + PAUSE_SECONDS
        while not is_over.is_set():
            for key, _ in selector.select(timeout=0.1):
                key.data.read()
                if key.data.ended_after is not None:
                    selector.unregister(key.fileobj)
            if time.monotonic() >= next_byte:
                next_byte = time.monotonic() + PAUSE_SECONDS
                for one in senders:
                    one.send_more()
