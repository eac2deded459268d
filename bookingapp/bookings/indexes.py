"""The indexes of bookings that lists and the retention read."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

_TO_ERASE = "erased_at IS NULL AND status IN ('completed', 'canceled', 'expired')"


def list_indexes() -> Iterator[sa.Index]:
    """The indexes of a builder's list of bookings with a time: one for each order and each set of filters, so that a
    page is read from its place in an index. A filter on one half of ``status, payment_status`` reads a few places.
    """
    has_time = sa.text("starts_at IS NOT NULL")
    orders = {
        "start": ("starts_at", "id"),
        "created": ("created_at", "id"),
        # A range of starts is checked in the index.
        "amount": ("currency", "price_minor", "id", "starts_at"),
        "name": ("name_key", "id", "starts_at"),
    }
    filters = {
        "": (),
        "_state": ("status", "payment_status"),
        "_type": ("session_type_id",),
        "_type_state": ("session_type_id", "status", "payment_status"),
    }
    for order, last in orders.items():
        for name, first in filters.items():
            columns = ("builder_id", *first, *last)
            yield sa.Index(
                f"ix_bookings_by_{order}{name}", *columns, sqlite_where=has_time, postgresql_where=has_time
            )
    no_time = sa.text("starts_at IS NULL")
    columns = ("builder_id", "created_at", "id")
    yield sa.Index("ix_bookings_without_time", *columns, sqlite_where=no_time, postgresql_where=no_time)


def retention_indexes() -> Iterator[sa.Index]:
    """Ended bookings, by when their status changed last: those to erase, and the erased ones to delete."""
    for name, condition in (
        ("ix_bookings_to_erase", is_to_erase()),
        ("ix_bookings_to_delete", sa.text("erased_at IS NOT NULL")),
    ):
        yield sa.Index(name, "updated_at", "id", sqlite_where=condition, postgresql_where=condition)


def is_to_erase() -> sa.TextClause:
    """The condition of the first of them, in its words: SQLite compares the texts."""
    return sa.text(_TO_ERASE)
