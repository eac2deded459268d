"""Secrets at rest: sealed with the newest of ENCRYPTION_KEYS, opened with the key that sealed them.

What is stored is ``<key id>:<Fernet token>``; the id is the beginning of the key's SHA-256, so that a row says
which key it needs. A key that is missing is an error, never a reason to store or to read anything unsealed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from bookingapp.core import services

_ID_LENGTH = 12


class EncryptionError(RuntimeError):
    """A secret cannot be sealed or opened: its key is not in ENCRYPTION_KEYS, or what is stored was changed.

    The text names the key's id and shows nothing of the secret.
    """


class Keyring:
    """The keys of ENCRYPTION_KEYS, newest first."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._ids = [_id(key) for key in keys]
        self._fernet = MultiFernet([Fernet(key) for key in keys]) if keys else None

    @property
    def newest_id(self) -> str:
        """The id of the key that seals. Raises :class:`CannotOpen` where there is no key."""
        if not self._ids:
            raise EncryptionError("ENCRYPTION_KEYS is empty: nothing can be sealed")
        return self._ids[0]

    def seal(self, text: str) -> str:
        """``text`` sealed with the newest key. Raises :class:`CannotOpen` where there is no key."""
        return f"{self.newest_id}:{self._known().encrypt(text.encode()).decode()}"

    def open(self, sealed: str) -> str:
        """What :meth:`seal` was given. Raises :class:`CannotOpen`."""
        try:
            return self._known().decrypt(self._token(sealed)).decode()
        except InvalidToken:
            raise EncryptionError(
                "a stored secret was changed, or sealed with another key than it says"
            ) from None

    def reseal(self, sealed: str) -> str:
        """The same secret under the newest key; what is under it already stays as it is. Raises likewise."""
        if sealed.startswith(f"{self.newest_id}:"):
            return sealed
        try:
            return f"{self.newest_id}:{self._known().rotate(self._token(sealed)).decode()}"
        except InvalidToken:
            raise EncryptionError(
                "a stored secret was changed, or sealed with another key than it says"
            ) from None

    def _known(self) -> MultiFernet:
        if self._fernet is None:
            raise EncryptionError("ENCRYPTION_KEYS is empty: nothing can be sealed or opened")
        return self._fernet

    def _token(self, sealed: str) -> bytes:
        name, _, token = sealed.partition(":")
        if name not in self._ids:
            raise EncryptionError(
                f"a stored secret needs the key {name[:_ID_LENGTH]}, which ENCRYPTION_KEYS lacks"
            )
        return token.encode()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._ids)})"


class EncryptedText(TypeDecorator[str]):
    """A text that the database only ever sees sealed. Needs an application context for its keys.

    It cannot be compared in SQL: the same text is sealed differently each time.
    """

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """To the database: sealed. Raises :class:`CannotOpen`."""
        return None if value is None else services.get(Keyring).seal(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """From the database: opened. Raises :class:`CannotOpen`."""
        return None if value is None else services.get(Keyring).open(value)


def _id(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:_ID_LENGTH]
