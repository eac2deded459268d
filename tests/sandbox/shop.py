"""Stripe's own SDK, pointed at a sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import stripe
from stripe._v1_services import V1Services
from stripe.checkout import Session

from .support import Hands


def line_item(amount: int = 6000, currency: str = "gbp", quantity: int = 1) -> dict[str, Any]:
    price = {"currency": currency, "unit_amount": amount, "product_data": {"name": "60 Minute Consultation"}}
    return {"quantity": quantity, "price_data": price}


def session_params(**changes: Any) -> Any:
    """What the app asks for; typed loosely, because some tests ask for what is refused."""
    return {
        "mode": "payment",
        "line_items": [line_item()],
        "success_url": "http://127.0.0.1:9/paid?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:9/back",
        "client_reference_id": "ref-1",
        "metadata": {"booking": "ref-1"},
        "payment_intent_data": {"metadata": {"booking": "ref-1"}},
        **changes,
    }


def stripe_client(hands: Hands, key: str = "sk_test_sandbox", **options: Any) -> stripe.StripeClient:
    http = stripe.RequestsClient(timeout=5, session=hands.http)
    return stripe.StripeClient(
        key, base_addresses={"api": f"{hands.base}/stripe-api"}, http_client=http, **options
    )


@dataclass
class Shop:
    hands: Hands
    client: stripe.StripeClient

    @property
    def api(self) -> V1Services:
        return self.client.v1

    def open(self, options: Any = None, **changes: Any) -> Session:
        return self.api.checkout.sessions.create(session_params(**changes), options)

    def reread(self, session: Session, *expand: str) -> Session:
        return self.api.checkout.sessions.retrieve(session.id, {"expand": list(expand)})

    def paid_intent(self, **changes: Any) -> str:
        session = self.open(**changes)
        self.hands.control(f"stripe/sessions/{session.id}/pay")
        return str(self.reread(session).payment_intent)
