"""Key rotation: encrypts every stored secret with the newest of ENCRYPTION_KEYS."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.connections.audit import record_audit
from bookingapp.connections.models import AuditKind
from bookingapp.core.db import Base, changed_rows
from bookingapp.core.encryption import EncryptedText, EncryptionError, Keyring


def reencrypt_all(session: Session, keyring: Keyring, *, now: datetime) -> int:
    """Encrypt every secret with the newest key, and return how many were not yet. Raises :class:`EncryptionError` where
    one's own key is missing; then the caller's transaction changes none.
    """
    number = sum(_reencrypt_column(session, keyring, column) for column in _encrypted_columns())
    record_audit(session, AuditKind.KEYS_ROTATED, now=now, secrets=number, key=keyring.newest_id)
    return number


def count_unreadable(session: Session, keyring: Keyring) -> int:
    """How many stored secrets none of the keys opens."""
    stored = (
        sealed
        for column in _encrypted_columns()
        for sealed in session.scalars(sa.select(sa.type_coerce(column, sa.Text)).where(column.is_not(None)))
    )
    return sum(not _opens(keyring, str(sealed)) for sealed in stored)


def _opens(keyring: Keyring, sealed: str) -> bool:
    try:
        keyring.open(sealed)
    except EncryptionError:
        return False
    return True


def _encrypted_columns() -> list[sa.Column[Any]]:
    return [
        column
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, EncryptedText)
    ]


def _reencrypt_column(session: Session, keyring: Keyring, column: sa.Column[Any]) -> int:
    table = column.table
    # As it is stored: the column's own type would decrypt it.
    stored = sa.type_coerce(column, sa.Text)
    number = 0
    for row in session.execute(sa.select(table.c.id, stored).where(column.is_not(None))).all():
        sealed = str(row[1])
        fresh = keyring.reseal(sealed)
        if fresh == sealed:
            continue
        # A renewal may have stored another pair meanwhile; that one is under the newest key already.
        statement = sa.update(table).where(table.c.id == row[0], stored == sealed)
        statement = statement.values({column.name: sa.type_coerce(fresh, sa.Text)})
        number += changed_rows(session, statement)
    return number
