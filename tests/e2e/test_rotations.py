"""The drills of docs/operations.md for STRIPE_SECRET_KEY, DATABASE_URL and REDIS_URL: old and new processes serve side
by side behind nginx, a client books meanwhile, and at the end the old secret is worth nothing.

Those for the other secrets are beside what they protect: ``tests/web/test_security.py`` (SECRET_KEY),
``tests/web/test_webhooks.py`` (the keys of webhooks), ``tests/connections`` (ENCRYPTION_KEYS and CALENDLY_TOKEN).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
import requests
import sqlalchemy as sa

from bookingapp.cli.processes import SANDBOX_SECRETS
from tests.nginx import plan_proxy, running
from tests.servers import OwnPostgresql, OwnRedis, own_postgresql, own_redis

from .road import PAID_ROAD
from .stack import Stack
from .visitor import Booking, Visitor

OLD_KEY, NEW_KEY = SANDBOX_SECRETS["STRIPE_SECRET_KEY"], "sk_test_of_the_drill"
OLD_PASSWORD, NEW_PASSWORD = "old-word-of-redis", "new-word-of-redis"


@dataclass(frozen=True)
class Site:
    """The product behind nginx, with a PostgreSQL and a Redis of its own, whose secrets a drill may change."""

    stack: Stack
    postgresql: OwnPostgresql
    redis: OwnRedis

    def administer(self, *statements: str) -> None:
        """As the server's own administrator."""
        with psycopg.connect(self.postgresql.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def redis_url(self, password: str) -> str:
        return f"redis://:{password}@{urlsplit(self.redis.url).netloc}/0"

    def set_redis_passwords(self, change: str, *, known: str) -> None:
        """Change those of the default user, as somebody who knows one."""
        with redis.Redis.from_url(self.redis_url(known)) as one:
            one.execute_command("ACL", "SETUSER", "default", change)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    proxy = plan_proxy(tmp_path_factory.mktemp("nginx"))
    folder = tmp_path_factory.mktemp("instance-rotations")
    with own_postgresql() as database, own_redis() as cache:
        found = urlsplit(database.url)
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE bookingapp LOGIN")
            connection.execute("CREATE DATABASE bookingapp OWNER bookingapp")
        with redis.Redis.from_url(cache.url) as one:
            one.execute_command("ACL", "SETUSER", "default", "resetpass", f">{OLD_PASSWORD}")
        url = found._replace(netloc=f"bookingapp@127.0.0.1:{found.port}", path="/bookingapp").geturl()
        settings = {
            "TRUSTED_PROXIES": "1",
            "REDIS_URL": f"redis://:{OLD_PASSWORD}@{urlsplit(cache.url).netloc}/0",
        }
        stack = Stack(folder, url, webs=2, settings=settings, proxy=proxy)
        with running(proxy, stack.urls):
            try:
                stack.start()
                yield Site(stack, database, cache)
            finally:
                stack.stop()


@pytest.fixture
def booking(site: Site) -> Iterator[Booking]:
    """A client who begins to book before the drill and ends after it."""
    visitor = Visitor(site.stack)
    yield visitor.book()
    visitor.http.close()
    site.stack.check_logs()


def restart_one_by_one(stack: Stack, booking: Booking) -> None:
    """With the new settings. Between the two, both kinds of process answer: no page fails, and the booking goes on."""
    path = f"/bookings/{booking.ref}"

    def read_pages() -> None:
        for _ in range(10):
            assert booking.visitor.get(path).status == 200

    first, second = stack.webs
    assert stack.end(first, meanwhile=read_pages) == 0
    stack.spawn(first)
    stack.wait_for(f"{stack.urls[0]}/readyz", first)
    read_pages()
    booking.schedule()
    checkout = booking.open_checkout()
    assert stack.end(second, meanwhile=read_pages) == 0
    stack.spawn(second)
    stack.wait_for(f"{stack.urls[1]}/readyz", second)
    booking.pay_on_page(checkout)
    assert stack.end("worker", meanwhile=read_pages) == 0
    stack.spawn("worker")
    stack.wait_for_worker("worker")


def check_result(stack: Stack, booking: Booking) -> None:
    """It is paid once, and the installation is whole with the new secret alone."""
    booking.wait("confirmed", "paid")
    assert stack.history(booking.ref) == PAID_ROAD
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]
    stack.run("stripe", "subscribe")
    assert "bad" not in stack.run("doctor")
    for url in stack.urls:
        assert requests.get(f"{url}/readyz", timeout=10).json()["status"] == "ok"


def test_stripe_secret_key(site: Site, booking: Booking) -> None:
    stack = site.stack
    stack.control("stripe/keys", {"keys": [OLD_KEY, NEW_KEY]})
    stack.change_settings(STRIPE_SECRET_KEY=NEW_KEY)
    restart_one_by_one(stack, booking)
    stack.control("stripe/keys", {"keys": [NEW_KEY]})
    check_result(stack, booking)
    stack.change_settings(STRIPE_SECRET_KEY=OLD_KEY)
    with pytest.raises(AssertionError, match="ended with 1"):
        stack.run("stripe", "subscribe")
    stack.change_settings(STRIPE_SECRET_KEY=NEW_KEY)


def test_database_url(site: Site, booking: Booking) -> None:
    """A second role, which acts as the first one: so it may do the same, and what it creates has the same owner."""
    stack = site.stack
    old = stack.setting("DATABASE_URL")
    site.administer(
        "CREATE ROLE bookingapp_2 LOGIN PASSWORD 'new' IN ROLE bookingapp",
        "ALTER ROLE bookingapp_2 SET role = bookingapp",
    )
    stack.change_settings(DATABASE_URL=old.replace("bookingapp@", "bookingapp_2:new@", 1))
    restart_one_by_one(stack, booking)
    site.administer(
        "ALTER ROLE bookingapp NOLOGIN PASSWORD NULL",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bookingapp'",
    )
    check_result(stack, booking)
    assert stack.query(sa.select(sa.func.current_user())) == [("bookingapp",)]
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        psycopg.connect(old)


def test_redis_url(site: Site, booking: Booking) -> None:
    """Redis accepts several passwords of one user."""
    stack = site.stack
    site.set_redis_passwords(f">{NEW_PASSWORD}", known=OLD_PASSWORD)
    stack.change_settings(REDIS_URL=site.redis_url(NEW_PASSWORD))
    restart_one_by_one(stack, booking)
    site.set_redis_passwords(f"<{OLD_PASSWORD}", known=NEW_PASSWORD)
    check_result(stack, booking)
    with pytest.raises(redis.AuthenticationError), redis.Redis.from_url(site.redis_url(OLD_PASSWORD)) as one:
        one.ping()
