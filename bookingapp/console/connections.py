"""Lists what happened to connections with Calendly, tokens and keys, over all builders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account
from bookingapp.builders.models import Builder
from bookingapp.connections.models import AuditEntry


class ListedEntry(NamedTuple):
    """An entry, with the account that acted and the builder whom it concerns, where it has them."""

    entry: AuditEntry
    actor: str | None
    builder: str | None
    slug: str | None


def list_entries(session: Session, *, before: int | None, limit: int) -> Sequence[ListedEntry]:
    """At most ``limit`` entries, the newest first, with smaller ids than ``before``."""
    query = (
        sa.select(AuditEntry, Account.name, Builder.display_name, Builder.slug)
        .outerjoin(Account, Account.id == AuditEntry.actor_account_id)
        .outerjoin(Builder, Builder.id == AuditEntry.builder_id)
    )
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return [ListedEntry(*row) for row in session.execute(query.order_by(AuditEntry.id.desc()).limit(limit))]
