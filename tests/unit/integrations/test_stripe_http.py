"""The gateway over real sockets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from bookingapp.integrations.stripe_gateway import StripeGateway, StripeUnavailable
from tests.unit.integrations.clients import at_most, sample
from tests.unit.integrations.stub_server import Answer, Seen, StubServer


def test_the_environments_proxy_is_ignored(server: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox is on this machine, below a path."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.answer(sample("stripe/payment_intent.json"))
    gateway = StripeGateway(secret_key="sk_test_x", api_url=f"{server.url}/stripe-api/")
    assert gateway.retrieve_payment_intent("pi_1").status == "succeeded"
    assert [urlsplit(seen.path).path for seen in server.seen] == ["/stripe-api/v1/payment_intents/pi_1"]


def test_a_hanging_stripe_costs_what_the_time_out_says(server: StubServer) -> None:
    """The SDK's own default is eighty seconds."""
    gateway = StripeGateway(secret_key="sk_test_x", api_url=server.url, timeout=(0.3, 0.3), max_retries=0)
    with server.hanging(), at_most(2), pytest.raises(StripeUnavailable):
        gateway.retrieve_payment_intent("pi_1")


def test_connections_are_kept_and_threads_do_not_mix(server: StubServer) -> None:
    def echo(seen: Seen) -> Answer:
        asked = urlsplit(seen.path).path.rpartition("/")[2].encode()
        return 200, {}, sample("stripe/payment_intent.json").replace(b"pi_3Sxy0000000000000000001", asked)

    server.respond = echo
    gateway = StripeGateway(secret_key="sk_test_x", api_url=server.url)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: gateway.retrieve_payment_intent(f"pi_{number}").id, range(64)))
    assert found == [f"pi_{number}" for number in range(64)]
    assert server.connections <= 16
