"""The main road on the production engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .browsing import Surfing
from .road import walk
from .stack import Stack
from .test_expiry import let_the_hold_end
from .visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("e2e-postgresql")]


def test_scenario_01_happy_path_on_postgresql(postgresql_stack: Stack, surf: Callable[..., Surfing]) -> None:
    stack, client = postgresql_stack, Visitor(postgresql_stack)
    assert stack.engine.dialect.name == "postgresql"
    walked = walk(surf(stack), client, slug="ada-okonkwo", session_type="ETADACONSULT0060")
    client.http.close()
    assert (walked.clicks, walked.forms) == (5, 1)
    assert stack.history(walked.ref) == [">pending", "pending>scheduled", "scheduled>paid", "paid>confirmed"]
    assert stack.ledger(walked.ref) == [("charge", 6000, "GBP")]


def test_scenario_29_hold_expires_on_postgresql(postgresql_stack: Stack) -> None:
    client = Visitor(postgresql_stack)
    booking = client.book("ada-okonkwo", "ETADACONSULT0060")
    booking.schedule()
    booking.open_checkout()
    let_the_hold_end(postgresql_stack, booking)
    booking.wait("expired", "expired")
    client.http.close()
    assert postgresql_stack.ledger(booking.ref) == []
