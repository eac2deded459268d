"""Whole bookings through one machine that also carries the stand-in providers and the load: a lower bound."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import HTTPAdapter

from bench.stack import Stack, database_name
from bench.table import Row

CLIENTS = 8
SECONDS = 30.0
PAUSE_SECONDS = 0.3
PATIENCE_SECONDS = 60.0
WORKERS = 3
SLUG, SESSION_TYPE = "ada-okonkwo", "ETADACONSULT0030"
_clients = itertools.count(1)


def measure(stack: Stack) -> Iterator[Row]:
    """Bookings a second, each from the form to *confirmed*, by several clients at once."""
    confirmed: list[float] = []
    failures: list[BaseException] = []
    began = time.monotonic()

    def book_on() -> None:
        try:
            while time.monotonic() < began + SECONDS:
                confirmed.append(Client(stack).book())
        except BaseException as error:
            failures.append(error)
            raise

    with stack.workers(WORKERS):
        threads = [threading.Thread(target=book_on) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spent = time.monotonic() - began
    if failures:
        raise RuntimeError(f"{len(failures)} clients failed") from failures[0]
    name = database_name(stack.database_url)
    yield Row(
        f"{name}: whole bookings, {CLIENTS} clients at once, {WORKERS} workers", len(confirmed) / spent, "/s"
    )
    slowest = sorted(confirmed)[int(len(confirmed) * 0.95)]
    yield Row(f"{name}: … from Stripe's Pay to confirmed, p95", slowest * 1000, "ms")


class Client:
    """A browser without a past, from an address of its own."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._number = next(_clients)
        self.ref = self.cookies = ""
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.mount("http://", _From(f"127.1.{self._number // 250}.{self._number % 250 + 1}"))

    def book(self) -> float:
        """One booking; the seconds from the payment to *confirmed*."""
        with self._http:
            page = f"{self._stack.url}/builders/{SLUG}/session-types/{SESSION_TYPE}"
            token = _found(r'name="csrf_token"[^>]*value="([^"]+)"', self._get(page))
            fields = {"csrf_token": token, "name": "A Client", "email": f"c{self._number}@example.org"}
            answer = self._post(f"{page}/book", fields, follow=True)
            self.ref = ref = urlsplit(answer.url).path.split("/")[2]
            self.cookies = "; ".join(f"{name}={value}" for name, value in self._http.cookies.items())
            link = _found(r'data-scheduling-url="([^"]+)"', answer.text).replace("&amp;", "&")
            query = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
            self._stack.control("calendly/book", {"event_type": SESSION_TYPE, **query})
            self._wait(ref, "scheduled")
            checkout = self._post(f"{self._stack.url}/bookings/{ref}/pay", {"csrf_token": token}).headers[
                "Location"
            ]
            session = urlsplit(checkout).path.rpartition("/")[2]
            began = time.monotonic()
            self._stack.control(f"stripe/sessions/{session}/pay", {"method": "card"})
            self._wait(ref, "confirmed")
            return time.monotonic() - began

    def _get(self, url: str) -> str:
        answer = self._http.get(url, timeout=30)
        answer.raise_for_status()
        return answer.text

    def _post(self, url: str, fields: dict[str, str], *, follow: bool = False) -> requests.Response:
        headers = {"Origin": self._stack.url}
        answer = self._http.post(url, data=fields, headers=headers, timeout=30, allow_redirects=follow)
        answer.raise_for_status()
        return answer

    def _wait(self, ref: str, status: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while f'data-booking-status="{status}"' not in self._get(f"{self._stack.url}/bookings/{ref}/status"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"a booking did not become {status}")
            time.sleep(PAUSE_SECONDS)


class _From(HTTPAdapter):
    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: object, **kwargs: object) -> None:
        super().init_poolmanager(*args, source_address=(self._address, 0), **kwargs)  # type: ignore[arg-type]


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(f"no {pattern} on the page")
    return match[1]
