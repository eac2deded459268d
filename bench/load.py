"""Requests over keep-alive connections, each connection in a thread of its own."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from urllib.parse import urlsplit

# The application counts requests by address. On loopback every address of 127.0.0.0/8 is ours, so each connection
# takes another one before it has asked too often from the last.
ASKS_BY_ADDRESS = 500
_addresses = itertools.count(1)
_taking = threading.Lock()


@dataclass(frozen=True)
class Ask:
    """One request. ``name`` is what its times are collected under."""

    name: str
    path: str
    method: str = "GET"
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Heard:
    """One answer: how long it took in seconds, and its status (0 for none)."""

    name: str
    seconds: float
    status: int


@dataclass(frozen=True)
class Wave:
    """Some connections that ask the same things over and over.

    ``ask`` makes the n-th request of all of them. With ``every`` (seconds) each connection asks at that pace,
    otherwise as soon as it has its answer.
    """

    connections: int
    ask: Callable[[int], Ask]
    every: float | None = None


def run(base_url: str, waves: Sequence[Wave], seconds: float, timeout: float = 40.0) -> list[Heard]:
    """Send all waves at once for so long, and wait for the answers that are still out."""
    heard: list[Heard] = []
    end = time.monotonic() + seconds
    threads = []
    for wave in waves:
        numbers = itertools.count()
        for _ in range(wave.connections):
            one = _Connection(base_url, timeout)
            thread = threading.Thread(target=_asking, args=(one, wave, numbers, end, heard), daemon=True)
            threads.append(thread)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return heard


def _asking(
    one: _Connection, wave: Wave, numbers: itertools.count[int], end: float, heard: list[Heard]
) -> None:
    due = time.monotonic()
    while (now := time.monotonic()) < end:
        if wave.every is not None:
            if now < due:
                time.sleep(min(due, end) - now)
                continue
            due = max(due + wave.every, now)
        heard.append(one.send(wave.ask(next(numbers))))
    one.close()


class _Connection:
    def __init__(self, base_url: str, timeout: float) -> None:
        self._host, self._port = urlsplit(base_url).hostname or "", urlsplit(base_url).port
        self._timeout = timeout
        self._asked = 0
        self._open: http.client.HTTPConnection | None = None

    def send(self, ask: Ask) -> Heard:
        if self._open is None or self._asked >= ASKS_BY_ADDRESS:
            self._connect()
        assert self._open is not None
        self._asked += 1
        began = time.perf_counter()
        try:
            self._open.request(ask.method, ask.path, body=ask.body, headers=dict(ask.headers))
            response = self._open.getresponse()
            response.read()
            status = response.status
        except (OSError, http.client.HTTPException):
            status = 0
            self.close()
        return Heard(ask.name, time.perf_counter() - began, status)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _connect(self) -> None:
        self.close()
        self._open = http.client.HTTPConnection(
            self._host, self._port, timeout=self._timeout, source_address=(next_address(), 0)
        )
        self._asked = 0


def next_address() -> str:
    """Another address of this machine."""
    with _taking:
        number = next(_addresses)
    return f"127.{1 + number // 62500 % 250}.{number // 250 % 250}.{1 + number % 250}"


def percentile(heard: Sequence[Heard], name: str, percent: int) -> float:
    """Milliseconds within which so many percent of the answers to ``name`` came."""
    times = [one.seconds * 1000 for one in heard if one.name == name]
    if len(times) < 2:
        raise RuntimeError(f"too few answers to {name}")
    return quantiles(times, n=100)[percent - 1]


def check(heard: Sequence[Heard], *expected: int) -> None:
    """Raises RuntimeError where an answer has another status: a fast refusal is no result."""
    wrong = {(one.name, one.status) for one in heard if one.status not in expected}
    if wrong:
        raise RuntimeError(f"unexpected answers: {sorted(wrong)}")
