"""Signs the token inside a sign-in link, together with the time, and reads it back."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from itsdangerous import BadSignature, URLSafeTimedSerializer

GOOD_FOR = timedelta(minutes=30)
LONGEST = 300


class LinkSigner:
    """Signs with the first key and accepts every key. Its salt keeps other signed values from working as links."""

    def __init__(self, keys: Sequence[str]) -> None:
        # itsdangerous signs with the last key of a list.
        self._serializer = URLSafeTimedSerializer(
            list(reversed(keys)), salt="client-sign-in", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def sign(self, link_token: str) -> str:
        """The value of a link that is valid for 30 minutes from now."""
        return str(self._serializer.dumps(link_token))

    def read(self, value: str) -> str | None:
        """The token of a genuine value that has not expired, else None."""
        if len(value) > LONGEST:
            return None
        try:
            token = self._serializer.loads(value, max_age=int(GOOD_FOR.total_seconds()))
        except BadSignature:
            return None
        return token if isinstance(token, str) else None
