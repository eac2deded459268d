"""The signed value inside a sign-in link: it says which row it belongs to and when it was made."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from itsdangerous import BadSignature, URLSafeTimedSerializer

GOOD_FOR = timedelta(minutes=30)
LONGEST = 300


class LinkSigner:
    """Signs with the first key, accepts every key: the same rotation as the cookies have.

    The salt is this purpose's own, so that nothing else that the application signs opens a link.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        # itsdangerous signs with the last key of a list and accepts them all.
        self._serializer = URLSafeTimedSerializer(
            list(reversed(keys)), salt="client-sign-in", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def sign(self, link_token: str) -> str:
        """The value for a link that is good for 30 minutes from now."""
        return str(self._serializer.dumps(link_token))

    def read(self, value: str) -> str | None:
        """The token inside a genuine value that is not too old, else None."""
        if len(value) > LONGEST:
            return None
        try:
            token = self._serializer.loads(value, max_age=int(GOOD_FOR.total_seconds()))
        except BadSignature:
            return None
        return token if isinstance(token, str) else None
