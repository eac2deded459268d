"""Two products that may be broken: one on SQLite, one on a PostgreSQL and a Redis of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.stack import Stack
from tests.servers import OwnPostgresql, OwnRedis, own_postgresql, own_redis

# A killed worker's row is taken up again after this many seconds, where operators wait for 60.
LEASE_SECONDS = 5
LEASE = ("--lease", str(LEASE_SECONDS))


@dataclass(frozen=True)
class Estate:
    """The product, and the servers that it stands on."""

    stack: Stack
    postgresql: OwnPostgresql
    redis: OwnRedis


@pytest.fixture(scope="session")
def sqlite_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two web processes and two workers on one SQLite file."""
    folder = tmp_path_factory.mktemp("endurance-sqlite")
    yield from _running(Stack(folder, webs=2, workers=2, worker_options=LEASE))


@pytest.fixture(scope="session")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """Two web processes and three workers on servers that nobody else uses."""
    folder = tmp_path_factory.mktemp("endurance-postgresql")
    with own_postgresql() as database, own_redis() as redis:
        settings = {"REDIS_URL": redis.url}
        stack = Stack(folder, database.url, webs=2, workers=3, worker_options=LEASE, settings=settings)
        for one in _running(stack):
            yield Estate(one, database, redis)


def _running(stack: Stack) -> Iterator[Stack]:
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
