"""Encrypts secrets at rest with the newest of ENCRYPTION_KEYS; decrypts them with the key that encrypted them.

What is stored is ``<key id>:<Fernet token>``; the id is the beginning of the key's SHA-256, so that a row names
the key it needs. Without that key there is an error, and never plain text in the database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from bookingapp.core import services

_ID_LENGTH = 12


class EncryptionError(RuntimeError):
    """A secret cannot be encrypted or decrypted: its key is not in ENCRYPTION_KEYS, or what is stored was changed.

    The message names the key's id and shows nothing of the secret.
    """


class Keyring:
    """The keys of ENCRYPTION_KEYS, newest first."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = {hashlib.sha256(key.encode()).hexdigest()[:_ID_LENGTH]: Fernet(key) for key in keys}

    @property
    def newest_id(self) -> str:
        """The id of the key that encrypts. Raises :class:`EncryptionError` without any key."""
        if not self._keys:
            raise EncryptionError("ENCRYPTION_KEYS is empty: nothing can be encrypted")
        return next(iter(self._keys))

    def seal(self, text: str) -> str:
        """``text``, encrypted with the newest key. Raises :class:`EncryptionError` without any key."""
        newest = self.newest_id
        return f"{newest}:{self._keys[newest].encrypt(text.encode()).decode()}"

    def open(self, sealed: str) -> str:
        """The text that :meth:`seal` encrypted. Raises :class:`EncryptionError`."""
        name, _, token = sealed.partition(":")
        if name not in self._keys:
            raise EncryptionError(
                f"a stored secret needs the key {name[:_ID_LENGTH]}, which ENCRYPTION_KEYS lacks"
            )
        try:
            return self._keys[name].decrypt(token.encode()).decode()
        except InvalidToken:
            raise EncryptionError("a stored secret was changed, or names the wrong key") from None

    def reseal(self, sealed: str) -> str:
        """The same secret under the newest key, unchanged where it is already. Raises :class:`EncryptionError`."""
        return sealed if sealed.startswith(f"{self.newest_id}:") else self.seal(self.open(sealed))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._keys)})"


class EncryptedText(TypeDecorator[str]):
    """A text that is encrypted in the database. Needs an application context, for the keys.

    It cannot be compared in SQL: the same text is encrypted differently each time.
    """

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """To the database: encrypted. Raises :class:`EncryptionError`."""
        return None if value is None else services.get(Keyring).seal(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """From the database: decrypted. Raises :class:`EncryptionError`."""
        return None if value is None else services.get(Keyring).open(value)


def hash_secret(secret: str) -> str:
    """The SHA-256 of a random secret: what is stored of one that a browser or a mailbox keeps."""
    return hashlib.sha256(secret.encode()).hexdigest()
