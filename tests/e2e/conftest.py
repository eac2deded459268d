"""One stack for each test session and xdist worker; fresh clients for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.conftest import new_database

from .browsing import Surf, Surfing
from .stack import Stack
from .visitor import Visitor


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The product on SQLite."""
    yield from _running(Stack(tmp_path_factory.mktemp("instance")))


@pytest.fixture(scope="session")
def running_postgresql_stack(
    postgresql_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The product on a PostgreSQL database of its own."""
    with new_database(postgresql_server) as url:
        yield from _running(Stack(tmp_path_factory.mktemp("instance-postgresql"), url))


def _running(stack: Stack) -> Iterator[Stack]:
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


def _cared_for(stack: Stack) -> Iterator[Stack]:
    yield stack
    stack.clear_faults()
    stack.check_logs()


@pytest.fixture
def stack(running_stack: Stack) -> Iterator[Stack]:
    """The product; after the test the faults end, and the logs are checked."""
    yield from _cared_for(running_stack)


@pytest.fixture
def postgresql_stack(running_postgresql_stack: Stack) -> Iterator[Stack]:
    """The same on PostgreSQL."""
    yield from _cared_for(running_postgresql_stack)


@pytest.fixture
def visitor(stack: Stack) -> Iterator[Visitor]:
    """A client without a past, whose browser runs no script."""
    one = Visitor(stack)
    yield one
    one.http.close()


@pytest.fixture
def another(stack: Stack) -> Iterator[Visitor]:
    """A second one, in another browser."""
    one = Visitor(stack)
    yield one
    one.http.close()


@pytest.fixture
def surf(chromium: Browser) -> Iterator[Surf]:
    """Opens guarded windows: ``surf(stack, cdn=…, forgive=…, java_script_enabled=…)``; checked at the end."""
    with ExitStack() as windows:

        def open_window(stack: Stack, **options: Any) -> Surfing:
            return windows.enter_context(Surfing(chromium, stack, **options))

        yield open_window
