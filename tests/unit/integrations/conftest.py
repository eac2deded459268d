"""The published payloads, and providers that answer: mocked at their own address, or as a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import responses
import time_machine

from tests.factories import FIXTURES
from tests.unit.integrations.clients import START, Published
from tests.unit.integrations.stub_server import StubServer, running


@pytest.fixture
def published() -> Published:
    """Reads a payload by its name below tests/fixtures."""
    return lambda name: (FIXTURES / name).read_bytes()


@pytest.fixture
def event_types(published: Published) -> bytes:
    return published("calendly/event_types.page2.json")


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    """Both providers at their own addresses. Every answer that a test prepares has to be asked for."""
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def server() -> Iterator[StubServer]:
    with running() as stub:
        yield stub
