"""The headers by which each provider signs its webhooks."""

from __future__ import annotations

import hashlib
import hmac
import time


def _digest(key: str, timestamp: int, body: bytes) -> str:
    return hmac.new(key.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def calendly_signature(key: str, body: bytes) -> str:
    """``t=<unix seconds>,v1=<hex>`` over ``t.body``, keyed with the text (Calendly docs, Webhook Signatures)."""
    timestamp = int(time.time())
    return f"t={timestamp},v1={_digest(key, timestamp, body)}"


def stripe_signature(secret: str, body: bytes) -> str:
    """A valid ``v1`` beside the meaningless ``v0`` of test mode (Stripe docs, Webhooks, Verify signatures)."""
    timestamp = int(time.time())
    decoy = _digest(f"v0:{secret}", timestamp, body)
    return f"t={timestamp},v1={_digest(secret, timestamp, body)},v0={decoy}"
