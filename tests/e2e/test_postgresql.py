"""The main road on the production engine."""

from __future__ import annotations

import pytest

from .browsing import Surf
from .road import walk
from .stack import Stack
from .visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("e2e-postgresql")]


def test_scenario_01_happy_path_on_postgresql(postgresql_stack: Stack, surf: Surf) -> None:
    stack, client = postgresql_stack, Visitor(postgresql_stack)
    assert stack.engine.dialect.name == "postgresql"
    walk(surf(stack), client)
    client.http.close()
