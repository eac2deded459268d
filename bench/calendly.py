"""The session-type cards: how much a warm fragment costs, and how many questions cold readers ask."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import requests
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from bench.load import Ask, Wave, check, run
from bench.stack import Stack
from bench.table import Row
from bookingapp.core.settings import load_settings
from bookingapp.factory import create_app

CARDS = "/builders/ada-okonkwo/session-types"
HTMX = {"HX-Request": "true"}
CONNECTIONS = 8
ROUNDS = 3
SECONDS = 2.0
READERS = 30


def measure(stack: Stack) -> Iterator[Row]:
    """Rows for the cards. Leaves the caches of the web process warm."""
    yield _cold_readers(stack)
    yield from _warm_speed(stack)
    yield from _warm_cost(stack)


def _cold_readers(stack: Stack) -> Row:
    stack.restart_web()
    stack.control("reset-requests", {})
    # Slow enough for all readers to be there before the answer is.
    stack.control("faults", {"provider": "calendly", "kind": "latency", "seconds": 0.4})
    everybody = threading.Barrier(READERS)

    def read(_: int) -> int:
        everybody.wait()
        return requests.get(f"{stack.url}{CARDS}", headers=HTMX, timeout=20).status_code

    try:
        with ThreadPoolExecutor(READERS) as pool:
            statuses = set(pool.map(read, range(READERS)))
    finally:
        stack.control("faults/clear", {})
    if statuses != {200}:
        raise RuntimeError(f"cold readers were answered {sorted(statuses)}")
    calls = stack.event_type_calls()
    return Row(f"{READERS} cold readers at once: calls to Calendly", calls, "", limit=1)


def _warm_speed(stack: Stack) -> Iterator[Row]:
    # To book is a decision, for which Calendly is asked.
    month, cookies = book_pending(stack)
    stack.control("reset-requests", {})
    totals = {"cards": 0, "month": 0, "profile": 0, "bare": 0}
    asks = {
        "cards": (stack.url, Ask("cards", CARDS, headers=HTMX)),
        "month": (stack.url, Ask("month", month, headers={**HTMX, "Cookie": cookies})),
        "profile": (stack.url, Ask("profile", "/builders/ada-okonkwo")),
        "bare": (stack.bare_url, Ask("bare", "/page")),
    }
    for _ in range(ROUNDS):
        for name, (url, ask) in asks.items():
            heard = run(url, [Wave(CONNECTIONS, lambda _, ask=ask: ask)], SECONDS)  # type: ignore[misc]
            check(heard, 200)
            totals[name] += len(heard)
    per_second = {name: count / (ROUNDS * SECONDS) for name, count in totals.items()}
    calls = stack.event_type_calls()
    yield Row(
        "warm cards fragment vs. bare Flask page",
        per_second["cards"],
        "req/s",
        per_second["bare"],
        limit=0.05,
        at_least=True,
    )
    yield Row(
        "warm cards fragment vs. profile page (no Calendly)",
        per_second["cards"],
        "req/s",
        per_second["profile"],
        limit=0.5,
        at_least=True,
    )
    yield Row(
        "warm month of free times vs. cards fragment", per_second["month"], "req/s", per_second["cards"]
    )
    yield Row(f"{totals['cards']} warm fragments: calls to Calendly", calls, "", limit=0)


def book_pending(stack: Stack) -> tuple[str, str]:
    """A pending booking: the address of next month on its list of times, and its browser's cookies."""
    client, address = requests.Session(), f"{stack.url}{CARDS}/ETADACONSULT0060"
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(address, timeout=20).text)
    if token is None:
        raise RuntimeError("the booking form has no token")
    form = {"csrf_token": token[1], "name": "Zoë", "email": "zoe@example.org", "timezone": "Europe/Berlin"}
    answer = client.post(f"{address}/book", data=form, headers={"Origin": stack.url}, timeout=20)
    ref = urlsplit(answer.url).path.split("/")[2]
    next_month = datetime.now(UTC).replace(day=1) + timedelta(days=32)
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    return f"/bookings/{ref}/times?month={next_month:%Y-%m}", cookies


def _warm_cost(stack: Stack) -> Iterator[Row]:
    """SQL statements of one fragment, counted inside a copy of the application on the same database."""
    with mock.patch.dict("os.environ", stack.environment, clear=True):
        app = create_app(load_settings())
    client = app.test_client()
    client.get(CARDS, headers=HTMX)
    with _statements() as seen:
        answer = client.get(CARDS, headers=HTMX)
    if answer.status_code != 200 or b"data-session-type" not in answer.data:
        raise RuntimeError("the fragment is not what it should be")
    yield Row("one warm fragment: SQL statements", len(seen), "", limit=2)


@contextmanager
def _statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    sa.event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(Engine, "before_cursor_execute", note)
