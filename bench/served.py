"""Public pages through the server: requests a second, beside a bare Flask page of the same size with one query.

Both sides are served as ``flask serve`` does it, with as many threads, to the same connections, in turns.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from bench.bookings import Client
from bench.calendly import CARDS, HTMX, book_pending
from bench.load import ASKS_BY_ADDRESS, next_address
from bench.stack import Stack, database_name
from bench.table import Row

CONNECTIONS = 8
ROUNDS = 9
SECONDS = 0.6
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Page:
    """A page of ours: where it is, and what its browser sends with it."""

    name: str
    path: str
    headers: Mapping[str, str]


def measure(stack: Stack) -> Iterator[Row]:
    """Two rows a page: by the clock, and by the processor time of the process that answers.

    The clock is the issue's measure, but on a busy machine it includes the client and everybody else.
    """
    database = database_name(stack.database_url)
    for page in _pages(stack):
        size = len(_once(stack.url, page))
        bare = Page("bare", f"/rows?bytes={size}", {})
        rates: list[tuple[float, float]] = []
        costs: list[tuple[float, float]] = []
        for number in range(ROUNDS + 1):
            ours, ours_cost = _wave(stack.url, page, stack.pid("web"))
            theirs, theirs_cost = _wave(stack.bare_url, bare, stack.pid("bare"))
            if number:
                # The first warms both up.
                rates.append((ours, theirs))
                costs.append((ours_cost, theirs_cost))
        for what, pairs in (("served", rates), ("served, per processor second", costs)):
            speed, reference = (median(side) for side in zip(*pairs, strict=True))
            title = f"{database}, {what}: {page.name} vs. bare page of {size} bytes"
            yield Row(title, speed, "req/s", reference, 0.6, at_least=True)


def _pages(stack: Stack) -> list[Page]:
    with stack.workers():
        client = Client(stack)
        client.book()
    mine = {"Cookie": client.cookies}
    month, cookies = book_pending(stack)
    return [
        Page("directory", "/", {}),
        Page("profile", "/builders/ada-okonkwo", {}),
        Page("cards page", CARDS, {}),
        Page("cards fragment", CARDS, HTMX),
        Page("truth page", f"/bookings/{client.ref}", mine),
        Page("status fragment", f"/bookings/{client.ref}/status", {**mine, **HTMX}),
        Page("list of times", month, {"Cookie": cookies}),
    ]


def _wave(base_url: str, page: Page, pid: int) -> tuple[float, float]:
    """Requests a second, and requests for each second of processor time of the processes under ``pid``."""
    counts: list[int] = []
    began, spent = time.monotonic(), _processor_seconds(pid)
    end = began + SECONDS
    threads = [
        threading.Thread(target=lambda: counts.append(_ask_until(end, base_url, page)))
        for _ in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers = sum(counts)
    if len(counts) < CONNECTIONS or not answers:
        raise RuntimeError(f"{page.path}: a connection got another answer than 200")
    return answers / (time.monotonic() - began), answers / max(_processor_seconds(pid) - spent, 1 / TICK)


def _ask_until(end: float, base_url: str, page: Page) -> int:
    asked = 0
    while time.monotonic() < end:
        with _connect(base_url) as connection:
            for _ in range(ASKS_BY_ADDRESS):
                _ask(connection, base_url, page)
                asked += 1
                if time.monotonic() >= end:
                    break
    return asked


def _once(base_url: str, page: Page) -> bytes:
    with _connect(base_url) as connection:
        return _ask(connection, base_url, page)


def _connect(base_url: str) -> socket.socket:
    address = urlsplit(base_url)
    return socket.create_connection(
        (address.hostname, address.port or 80), timeout=40, source_address=(next_address(), 0)
    )


def _ask(connection: socket.socket, base_url: str, page: Page) -> bytes:
    """One request and the body of its answer. A client of the library would cost as much as the server."""
    headers = {"Host": urlsplit(base_url).netloc, **page.headers}
    lines = [f"GET {page.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    got = connection.recv(65536)
    while b"\r\n\r\n" not in got:
        got += connection.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{page.path}: {head[:40]!r}")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    pieces = [body]
    missing = length - len(body)
    while missing > 0:
        pieces.append(connection.recv(missing))
        missing -= len(pieces[-1])
    return b"".join(pieces)


def _processor_seconds(pid: int) -> float:
    """What a process and its children have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (int(fields[11]) + int(fields[12])) / TICK + sum(_processor_seconds(int(one)) for one in children)
