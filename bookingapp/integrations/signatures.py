"""Webhook signatures: the one scheme that Calendly and Stripe share.

The header reads ``t=<unix seconds>,v1=<hex>[,v1=<hex>...][,v0=...]``. Each ``v1`` is the HMAC-SHA256, in
hex, of ``"<t>." + raw body`` under a shared key. Several ``v1`` appear while a key is being rolled; ``v0``
and every unknown scheme are ignored.

Sources: Calendly's "Webhook signatures" page and Stripe's "Verify webhook signatures manually".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

SignatureFault = Literal["missing", "malformed", "mismatch", "too_old", "from_the_future"]

# Far above any real header (a roll of two keys is about 150 characters), and low enough that a stranger
# cannot make us compare thousands of digests.
_LONGEST_HEADER: Final = 4096
_MOST_SIGNATURES: Final = 16
# Unix seconds until the year 9999 have at most twelve digits.
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)


class SignatureError(Exception):
    """The delivery is not proven genuine. ``reason`` says which check failed, and nothing about the keys."""

    def __init__(self, reason: SignatureFault) -> None:
        super().__init__(reason)
        self.reason: SignatureFault = reason


class NoKeys(Exception):
    """No usable signing key is configured, so nothing can be verified (and nothing may be accepted)."""


@dataclass(frozen=True)
class Verified:
    """Proof of a genuine delivery: which of the keys matched, and when it was signed (aware UTC)."""

    key_index: int
    signed_at: datetime


def verify(
    *,
    header: str | None,
    body: bytes,
    keys: Sequence[str],
    now: datetime,
    tolerance: timedelta,
) -> Verified:
    """Check a delivery's signature over its raw ``body`` and return which key proved it.

    ``now`` is an aware datetime. The signature counts when it is at most ``tolerance`` away from ``now``, in either
    direction. The age is checked only after the digest matched, so "too_old" and "from_the_future" mean a genuine
    delivery, and point at a slow retry or a wrong clock.

    Raises NoKeys when ``keys`` is empty or any of them is blank (a stranger could sign with an empty key), and
    SignatureError in every other case of doubt.
    """
    if not keys or any(not key.strip() for key in keys):
        raise NoKeys("no webhook signing key is configured")
    if header is None or not header.strip():
        raise SignatureError("missing")
    timestamp, signed_at, candidates = _parse_header(header)
    message = timestamp.encode("ascii") + b"." + body
    matched = _matching_key(message, candidates, keys)
    if matched is None:
        raise SignatureError("mismatch")
    if now - signed_at > tolerance:
        raise SignatureError("too_old")
    if signed_at - now > tolerance:
        raise SignatureError("from_the_future")
    return Verified(key_index=matched, signed_at=signed_at)


def _parse_header(header: str) -> tuple[str, datetime, list[bytes]]:
    if len(header) > _LONGEST_HEADER:
        raise SignatureError("malformed")
    timestamp: str | None = None
    candidates: list[bytes] = []
    for part in header.split(","):
        scheme, separator, value = part.strip().partition("=")
        if not separator:
            raise SignatureError("malformed")
        if scheme == "t":
            # With two time stamps it is unclear which of them was signed.
            if timestamp is not None or not _TIMESTAMP.fullmatch(value):
                raise SignatureError("malformed")
            timestamp = value
        elif scheme == "v1":
            if not _DIGEST.fullmatch(value) or len(candidates) == _MOST_SIGNATURES:
                raise SignatureError("malformed")
            candidates.append(bytes.fromhex(value))
    if timestamp is None or not candidates:
        raise SignatureError("malformed")
    try:
        signed_at = datetime.fromtimestamp(int(timestamp), UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise SignatureError("malformed") from error
    return timestamp, signed_at, candidates


def _matching_key(message: bytes, candidates: Sequence[bytes], keys: Sequence[str]) -> int | None:
    """Try every key against every signature, always all of them, so that the duration reveals nothing."""
    matched: int | None = None
    for index, key in enumerate(keys):
        # "surrogatepass": a key with a stray surrogate from the environment is a wrong key, not a crash.
        expected = hmac.new(key.encode("utf-8", "surrogatepass"), message, hashlib.sha256).digest()
        for candidate in candidates:
            if hmac.compare_digest(expected, candidate) and matched is None:
                matched = index
    return matched
