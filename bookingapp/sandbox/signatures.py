"""The headers by which each provider signs what it sends."""

from __future__ import annotations

import hashlib
import hmac
import time


def _digest(key: str, timestamp: int, body: bytes) -> str:
    return hmac.new(key.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def calendly_signature(key: str, body: bytes) -> str:
    """``t=<unix seconds>,v1=<hex>`` over ``t.body``, the key taken as text."""
    timestamp = int(time.time())
    return f"t={timestamp},v1={_digest(key, timestamp, body)}"


def stripe_signature(secret: str, body: bytes) -> str:
    """Stripe's header in test mode: a good ``v1`` beside a ``v0`` that means nothing."""
    timestamp = int(time.time())
    decoy = _digest(f"v0:{secret}", timestamp, body)
    return f"t={timestamp},v1={_digest(secret, timestamp, body)},v0={decoy}"
