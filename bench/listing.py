"""The list of bookings of a builder with 100,000, beside the same of one with 1,000 and beside a bare page."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from statistics import median

import requests
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bench.bare import bare_engine
from bench.many import make_builder
from bench.stack import Stack, database_name
from bench.table import Row
from bookingapp.builders.models import Builder
from bookingapp.cli.demo import DEMO_PASSWORD
from bookingapp.core.clock import utcnow

MANY, FEW = 100_000, 1_000
ROUNDS, AT_ONCE, DEEP = 15, 6, 60
LISTS = {
    "the first page": "",
    "a status": "?status=canceled",
    "a rare payment status": "?payment=disputed&sort=newest",
    "nothing that matches": "?status=paid&payment=failed",
    "a month": "?from=2026-05-01&to=2026-05-31",
    "by amount": "?sort=highest",
    "by name, of a status": "?status=completed&sort=name",
    "by an e-mail address": "?q=grace.hall",
}


def measure(stack: Stack) -> Iterator[Row]:
    """Requests in turns, so that what else the machine does meets them alike; of each the faster half."""
    name = database_name(stack.database_url)
    engine = bare_engine(stack.database_url)
    with Session(engine) as session:
        like = session.scalars(sa.select(Builder).limit(1)).one()
        hashed = session.scalar(sa.text("SELECT password_hash FROM accounts LIMIT 1"))
        for slug, number in (("many", MANY), ("few", FEW)):
            make_builder(session, like, slug, str(hashed), number, utcnow())
    if name == "PostgreSQL":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    many, few = (_log_in(stack, slug) for slug in ("many", "few"))
    page = many.get(f"{stack.url}/dashboard/bookings", timeout=30)
    bare = f"{stack.bare_url}/rows?bytes={len(page.content)}"
    ours, reference = _turns((many, f"{stack.url}/dashboard/bookings"), (requests.Session(), bare))
    yield Row(
        f"{name}: bare page of 25 rows vs. bookings page with {MANY:,}",
        reference,
        "ms",
        ours,
        0.5,
        at_least=True,
    )
    for what, query in LISTS.items():
        address = f"{stack.url}/dashboard/bookings{query}"
        at_many, at_few = _turns((many, address), (few, address))
        yield Row(f"{name}: bookings, {what}: {MANY:,} vs. {FEW:,}", at_many, "ms", at_few, 1.3)
    address = f"{stack.url}/dashboard/bookings?sort=latest"
    deep = address
    for _ in range(DEEP):
        deep = stack.url + _link(many.get(deep, timeout=30).text)
    at_deep, at_first = _turns((many, deep), (many, address))
    yield Row(f"{name}: bookings, page {DEEP + 1} vs. page 1", at_deep, "ms", at_first, 1.3)


def _turns(*pages: tuple[requests.Session, str]) -> list[float]:
    """Milliseconds for each of the pages."""
    spent: list[list[float]] = [[] for _ in pages]
    for _ in range(ROUNDS):
        for times, (http, url) in zip(spent, pages, strict=True):
            for _ in range(AT_ONCE):
                began = time.perf_counter()
                http.get(url, timeout=30).raise_for_status()
                times.append((time.perf_counter() - began) * 1000)
    return [median(sorted(times)[: len(times) // 2]) for times in spent]


def _log_in(stack: Stack, slug: str) -> requests.Session:
    http = requests.Session()
    http.trust_env = False
    token = re.search(
        r'name="csrf_token"[^>]*value="([^"]+)"', http.get(f"{stack.url}/login", timeout=30).text
    )
    fields = {
        "csrf_token": token[1] if token else "",
        "email": f"{slug}@example.com",
        "password": DEMO_PASSWORD,
    }
    http.post(f"{stack.url}/login", data=fields, headers={"Origin": stack.url}, timeout=30).raise_for_status()
    return http


def _link(text: str) -> str:
    found = re.search(r'<a[^>]*rel="next"[^>]*href="([^"]+)"', text)
    if found is None:
        raise RuntimeError("no further page")
    return found[1].replace("&amp;", "&")
