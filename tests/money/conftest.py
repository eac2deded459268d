"""The application and the sandbox on ports of their own, so that webhooks travel; the worker is run by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live import Live, app_url, hands, live, settings
from tests.mailbox import Mailbox
from tests.money.deals import Deal, open_shop

__all__ = ["app_url", "hands", "live", "settings"]


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    """What has been mailed."""
    return Mailbox(tmp_path / "outbox")


@pytest.fixture
def deal(live: Live) -> Deal:
    """A booking of Grace's with a time in thirteen days, to be paid: £60.00."""
    open_shop(live)
    return Deal.made(live)
