"""Providers that answer: mocked at their own address, or as a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import time_machine
from time_machine import Traveller

from tests.unit.integrations.clients import START, Wire
from tests.unit.integrations.stub_server import StubServer, running


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Both providers at their own addresses. Every answer that a test prepares has to be asked for."""
    with Wire() as mock:
        yield mock


@pytest.fixture
def clock() -> Iterator[Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def server() -> Iterator[StubServer]:
    with running() as stub:
        yield stub
