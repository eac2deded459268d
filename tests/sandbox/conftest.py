"""A sandbox for every test, a receiver for its webhooks, and Stripe's SDK pointed at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe

from bookingapp.sandbox import SandboxConfig

from .shop import Shop, stripe_client
from .support import Hands, Receiver, running_receiver, running_sandbox


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as found:
        yield found


@pytest.fixture
def config(receiver: Receiver, tmp_path: Path) -> SandboxConfig:
    return SandboxConfig(
        base_url="",
        app_url=receiver.url,
        state_path=str(tmp_path / "sandbox.sqlite"),
        deliver_retry_seconds=(0.05, 0.1),
    )


@pytest.fixture
def hands(config: SandboxConfig) -> Iterator[Hands]:
    with running_sandbox(config) as found:
        yield found


@pytest.fixture
def shop(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(stripe, "enable_telemetry", False)
    return Shop(hands, stripe_client(hands))
