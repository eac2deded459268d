"""A sandbox of its own for every test, and a receiver for its webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import stripe

from bookingapp.sandbox import SandboxConfig, SandboxServer

from .support import Hands, Receiver, start_receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found, stop = start_receiver()
    yield found
    stop()


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
    server = SandboxServer(config).start()
    with requests.Session() as http:
        yield Hands(server, http)
    server.stop()


@pytest.fixture
def stripe_client(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> Iterator[stripe.StripeClient]:
    monkeypatch.setattr(stripe, "enable_telemetry", False)
    with requests.Session() as session:
        yield stripe.StripeClient(
            "sk_test_sandbox",
            base_addresses={"api": f"{hands.base}/stripe-api"},
            http_client=stripe.RequestsClient(timeout=5, session=session),
        )
