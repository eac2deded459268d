"""A paid webhook, accepted durably: from the signature to the commit."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterator

from bench.load import Ask, Heard, Wave, check, percentile, run
from bench.stack import STRIPE_SECRET, Stack, database_name
from bench.table import Row

CONNECTIONS = 16
ROUNDS = 3
SECONDS = 3.0


def paid_event() -> tuple[bytes, dict[str, str]]:
    """A Checkout Session that was paid, as Stripe sends it, and its headers. Each is a new event."""
    mark = secrets.token_hex(12)
    session = {
        "id": f"cs_test_{mark}",
        "object": "checkout.session",
        "amount_subtotal": 6000,
        "amount_total": 6000,
        "client_reference_id": mark,
        "created": 1789000000,
        "currency": "gbp",
        "customer_details": {"address": None, "email": "someone@example.org", "name": None, "phone": None},
        "expires_at": 1789086400,
        "livemode": False,
        "metadata": {"booking": mark},
        "mode": "payment",
        "payment_intent": f"pi_{mark}",
        "payment_method_types": ["card"],
        "payment_status": "paid",
        "status": "complete",
        "url": None,
    }
    event = {
        "id": f"evt_{mark}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1789000100,
        "data": {"object": session},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "checkout.session.completed",
    }
    body = json.dumps(event, indent=2).encode()
    stamp = str(int(time.time()))
    digest = hmac.new(STRIPE_SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return body, {"Content-Type": "application/json", "Stripe-Signature": f"t={stamp},v1={digest}"}


def ask(path: str) -> Ask:
    """The delivery of such an event to ``path``."""
    body, headers = paid_event()
    return Ask("webhook", path, "POST", body, headers)


def measure(stack: Stack) -> Iterator[Row]:
    """Rows for the webhook, product and reference in turns."""
    name = database_name(stack.database_url)
    ours: list[Heard] = []
    bare: list[Heard] = []
    for _ in range(ROUNDS):
        ours += run(stack.url, [Wave(CONNECTIONS, lambda _: ask("/webhooks/stripe"))], SECONDS)
        bare += run(stack.bare_url, [Wave(CONNECTIONS, lambda _: ask("/webhook"))], SECONDS)
    check(ours + bare, 200)
    spent = ROUNDS * SECONDS
    yield Row(
        f"{name}: paid webhook accepted, 16 connections, vs. bare insert",
        len(ours) / spent,
        "req/s",
        len(bare) / spent,
        limit=0.7,
        at_least=True,
    )
    p50, p99 = percentile(ours, "webhook", 50), percentile(ours, "webhook", 99)
    yield Row(f"{name}: paid webhook, p99 vs. p50", p99, "ms", p50, limit=4)
