"""Two installations that tests may break: one on SQLite, one on a PostgreSQL and a Redis of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.stack import Stack
from tests.servers import OwnPostgresql, OwnRedis, own_postgresql, own_redis

# Seconds until a killed worker's rows are claimed again; 60 by default.
LEASE_SECONDS = 5
LEASE = ("--lease", str(LEASE_SECONDS))


@dataclass(frozen=True)
class Estate:
    """The product and its servers."""

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
    """Two web processes and three workers on servers of their own."""
    folder = tmp_path_factory.mktemp("endurance-postgresql")
    with own_postgresql() as database, own_redis() as redis:
        settings = {"REDIS_URL": redis.url}
        stack = Stack(folder, database.url, webs=2, workers=3, worker_options=LEASE, settings=settings)
        for one in _running(stack):
            yield Estate(one, database, redis)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A busy machine needs long for these, and none of them may end because of that."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(900))


def _running(stack: Stack) -> Iterator[Stack]:
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
