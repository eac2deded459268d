"""The application and the sandbox over HTTP, on both databases where a test is marked for it, and a client's road."""

from __future__ import annotations

import pytest

from tests.life.road import Road
from tests.live import Live, app_url, hands, live, settings

__all__ = ["app_url", "hands", "live", "road", "settings"]


@pytest.fixture
def road(live: Live) -> Road:
    """One builder with an hour at £60.00, and what clients and time do."""
    live.builder(default_currency="GBP")
    return Road(live)
