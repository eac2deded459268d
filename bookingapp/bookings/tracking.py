"""The booking's tracking id as it travels through Calendly in ``utm_content``: signed, so that it cannot be forged.

Calendly, Stripe and the builder see the tracking id, which opens nothing. The booking's ``ref`` is the client's key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from itsdangerous import BadSignature, Signer

SOURCE = "bookingapp"
LONGEST = 200


class TrackingSigner:
    """Signs with the first key and accepts every key, so that keys can be rotated."""

    def __init__(self, keys: Sequence[str]) -> None:
        # itsdangerous signs with the last key of a list and accepts them all.
        self._signer = Signer(list(reversed(keys)), salt="calendly-tracking", digest_method=hashlib.sha256)

    def sign(self, tracking_id: str) -> str:
        """The value for ``utm_content``."""
        return self._signer.sign(tracking_id).decode("ascii")

    def read(self, value: str | None) -> str | None:
        """The tracking id inside a value that we signed, else None."""
        if not value or len(value) > LONGEST:
            return None
        try:
            return self._signer.unsign(value.encode("utf-8", "replace")).decode("ascii")
        except BadSignature:
            return None


def scheduling_link(scheduling_url: str, *, tracking: str, name: str, email: str) -> str:
    """The builder's Calendly page with our reference, and the name and e-mail already filled in."""
    parts = urlsplit(scheduling_url)
    query = dict(parse_qsl(parts.query))
    query.update(name=name, email=email, utm_source=SOURCE, utm_content=tracking)
    return urlunsplit(parts._replace(query=urlencode(query)))
