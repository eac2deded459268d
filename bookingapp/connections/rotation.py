"""Key rotation: every stored secret under the newest of ENCRYPTION_KEYS."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.connections import audit
from bookingapp.core.db import Base, changed_rows
from bookingapp.core.encryption import EncryptedText, Keyring


def reencrypt_all(session: Session, keyring: Keyring, *, now: datetime) -> int:
    """Seal every secret anew that is not under the newest key yet, in the caller's transaction, so that it is
    all of them or none. Returns how many those were.

    Raises :class:`~bookingapp.core.encryption.EncryptionError` where a secret's own key is missing.
    """
    columns = [
        column
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, EncryptedText)
    ]
    number = sum(_reseal(session, keyring, column) for column in columns)
    text = f"{number} stored secrets were sealed anew, under the key {keyring.newest_id}."
    audit.record_audit(session, "keys.rotated", text, now=now)
    return number


def _reseal(session: Session, keyring: Keyring, column: sa.Column[Any]) -> int:
    table = column.table
    # As it is stored: the column's own type would open it.
    stored = sa.type_coerce(column, sa.Text)
    number = 0
    for row in session.execute(sa.select(table.c.id, stored).where(column.is_not(None))).all():
        sealed = str(row[1])
        fresh = keyring.reseal(sealed)
        if fresh == sealed:
            continue
        # A renewal may have stored another pair since it was read; that one is under the newest key already.
        statement = sa.update(table).where(table.c.id == row[0], stored == sealed)
        statement = statement.values({column.name: sa.type_coerce(fresh, sa.Text)})
        number += changed_rows(session, statement)
    return number
