"""The application and the sandbox on ports of their own, so that webhooks travel; the worker is run by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from bookingapp.core.settings import Settings
from tests.conftest import make_settings
from tests.live import Live, app_url, hands, live
from tests.mailbox import Mailbox
from tests.money.deals import Deal, open_shop
from tests.sandbox.support import Hands

__all__ = ["app_url", "hands", "live"]


@pytest.fixture
def settings(tmp_path: Path, database_url: str, hands: Hands, app_url: str) -> Settings:
    """Settings whose providers are the sandbox, in both directions."""
    return make_settings(
        tmp_path,
        database_url=database_url,
        public_url=app_url,
        calendly_api_url=f"{hands.base}/calendly-api",
        calendly_auth_url=f"{hands.base}/calendly-auth",
        calendly_booking_url=hands.base,
        calendly_token=hands.server.config.calendly_token,
        stripe_api_url=f"{hands.base}/stripe-api",
        stripe_checkout_url=f"{hands.base}/stripe-checkout",
        stripe_secret_key=hands.server.config.stripe_secret_key,
        stripe_webhook_secrets=hands.server.config.stripe_webhook_secret,
    )


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    """What has been mailed."""
    return Mailbox(tmp_path / "outbox")


@pytest.fixture
def deal(live: Live) -> Deal:
    """A booking of Grace's with a time in nine days, to be paid: £60.00."""
    open_shop(live)
    return Deal.made(live)
