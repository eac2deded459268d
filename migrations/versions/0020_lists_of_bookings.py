"""What a builder's list of bookings is sorted, filtered and searched by, with its indexes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_HARMLESS = ("won", "warning_closed", "prevented")
_AT_ONCE = 500
_INDEXES = {
    f"ix_bookings_by_{order}{name}": ("builder_id", *first, *last)
    for order, last in (
        ("start", ("starts_at", "id")),
        ("created", ("created_at", "id")),
        ("amount", ("currency", "price_minor", "id", "starts_at")),
        ("name", ("name_key", "id", "starts_at")),
    )
    for name, first in (
        ("", ()),
        ("_state", ("status", "payment_status")),
        ("_type", ("session_type_id",)),
        ("_type_state", ("session_type_id", "status", "payment_status")),
    )
}


def _text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="ucs_basic"), "postgresql")


def upgrade() -> None:
    none = sa.Column("payment_status", sa.String(length=32), nullable=False, server_default="none")
    op.add_column("bookings", none)
    op.add_column("bookings", sa.Column("name_key", _text(120), nullable=False, server_default=""))
    op.create_table(
        "booking_words",
        sa.Column("booking_id", sa.Integer(), nullable=False),
        sa.Column("word", _text(64), nullable=False),
        sa.Column("builder_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_booking_words_booking_id_bookings")
        ),
        sa.ForeignKeyConstraint(
            ["builder_id"], ["builders.id"], name=op.f("fk_booking_words_builder_id_builders")
        ),
        sa.PrimaryKeyConstraint("booking_id", "word", name=op.f("pk_booking_words")),
        sqlite_with_rowid=False,
    )
    _fill(op.get_bind())
    op.create_index("ix_booking_words_builder", "booking_words", ["builder_id", "word", "booking_id"])
    op.create_index("ix_booking_words_word", "booking_words", ["word", "booking_id"])
    op.drop_index("ix_bookings_builder_start", table_name="bookings")
    has_time, no_time = sa.text("starts_at IS NOT NULL"), sa.text("starts_at IS NULL")
    for name, columns in _INDEXES.items():
        op.create_index(name, "bookings", list(columns), sqlite_where=has_time, postgresql_where=has_time)
    op.create_index(
        "ix_bookings_without_time",
        "bookings",
        ["builder_id", "created_at", "id"],
        sqlite_where=no_time,
        postgresql_where=no_time,
    )


def downgrade() -> None:
    for name in ("ix_bookings_without_time", *_INDEXES):
        op.drop_index(name, table_name="bookings")
    op.create_index("ix_bookings_builder_start", "bookings", ["builder_id", "starts_at"])
    op.drop_table("booking_words")
    for column in ("name_key", "payment_status"):
        op.drop_column("bookings", column)


def _fill(connection: sa.Connection) -> None:
    """Names as they sort, words, and payment statuses of the bookings that exist; the rules are those of today."""
    bookings = sa.table(
        "bookings",
        *map(
            sa.column,
            (
                "id", "builder_id", "client_name", "client_email", "invitee_email", "tracking_id", "event_uri",
                "invitee_uri", "name_key", "payment_status",
            ),
        ),
    )  # fmt: skip
    words = sa.table("booking_words", *map(sa.column, ("booking_id", "builder_id", "word")))
    last = 0
    while found := connection.execute(
        sa.select(bookings).where(bookings.c.id > last).order_by(bookings.c.id).limit(_AT_ONCE)
    ).all():
        last = found[-1].id
        stripe_ids, statuses = _money(connection, found[0].id, last)
        of_each: dict[int, set[str]] = {}
        changed = []
        for one in found:
            calendly = (part.rpartition("/")[2] for part in (one.event_uri, one.invitee_uri) if part)
            ids = (one.tracking_id, *calendly, *stripe_ids.get(one.id, ()))
            of_each[one.id] = _person(one) | {_fold(part)[:64] for part in ids}
            status = statuses.get(one.id, "none")
            changed.append({"key": _fold(one.client_name)[:120], "status": status, "number": one.id})
        rows = [
            {"booking_id": one.id, "builder_id": one.builder_id, "word": word}
            for one in found
            for word in sorted(of_each[one.id])
        ]
        connection.execute(words.insert(), rows)
        values = {"name_key": sa.bindparam("key"), "payment_status": sa.bindparam("status")}
        update = bookings.update().where(bookings.c.id == sa.bindparam("number")).values(**values)
        connection.execute(update, changed)


def _person(booking: Any) -> set[str]:
    words: set[str] = set()
    for word in _fold(booking.client_name).split():
        whole = word.strip("\"'()[]<>,;:.!?")
        words.update((whole, *re.split(r"[-'\N{RIGHT SINGLE QUOTATION MARK}]", whole)))
    for email in (booking.client_email, booking.invitee_email):
        address = _fold(email or "")
        words.update((address, address.rpartition("@")[2]))
    return {word[:64] for word in words if word}


def _fold(text: str) -> str:
    folded = " ".join(text.casefold().split())
    parts = unicodedata.normalize("NFKD", folded)
    return "".join(part for part in parts if not unicodedata.combining(part))


def _money(connection: sa.Connection, first: int, last: int) -> tuple[dict[int, list[str]], dict[int, str]]:
    """Stripe's ids and the payment status of the bookings with ids from ``first`` to ``last``."""
    ids: dict[int, list[str]] = {}

    def rows(columns: str, table: str, end: str = "") -> Iterator[Any]:
        between = "booking_id BETWEEN :first AND :last"
        sql = f"SELECT {columns} FROM {table} WHERE {between} {end}"  # noqa: S608 - constants of this file.
        yield from connection.execute(sa.text(sql), {"first": first, "last": last})

    newest: dict[int, tuple[str, bool]] = {}
    attempts = "booking_id, state, authorized_at, checkout_session_id, payment_intent_id"
    for row in rows(attempts, "payments", "ORDER BY booking_id, attempt"):
        newest[row.booking_id] = row.state, row.state == "processing" and row.authorized_at is not None
        ids.setdefault(row.booking_id, []).extend(filter(None, row[3:]))
    for table in ("refunds", "disputes"):
        for row in rows("booking_id, stripe_id", table):
            ids.setdefault(row.booking_id, []).extend(filter(None, row[1:]))
    disputed = {
        row.booking_id for row in rows("booking_id, status", "disputes") if row.status not in _HARMLESS
    }
    moved: dict[int, dict[int, dict[str, int]]] = {}
    by = "booking_id, payment_id, kind"
    for row in rows(f"{by}, sum(amount_minor)", "ledger_entries", f"GROUP BY {by}"):
        moved.setdefault(row[0], {}).setdefault(row[1], {})[row[2]] = int(row[3])
    statuses = {
        booking_id: _status(
            state,
            moved.get(booking_id, {}),
            is_disputed=booking_id in disputed,
            is_authorized=is_authorized,
        )
        for booking_id, (state, is_authorized) in newest.items()
    }
    return ids, statuses


def _status(
    newest: str, attempts: dict[int, dict[str, int]], *, is_disputed: bool, is_authorized: bool
) -> str:
    if is_disputed:
        return "disputed"
    sums = [(one.get("charge", 0), -one.get("refund", 0)) for one in attempts.values()]
    still = [(charged, refunded) for charged, refunded in sums if refunded < charged]
    if sum(charged for charged, _ in still):
        return "partially_refunded" if sum(refunded for _, refunded in still) else "paid"
    if sum(charged for charged, _ in sums):
        return "refunded"
    if is_authorized:
        return "authorized"
    return "open" if newest == "starting" else newest
