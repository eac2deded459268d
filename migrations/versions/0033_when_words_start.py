"""The start of the session beside each word of a booking, so that a search reads what is ahead without the rest.

The database itself keeps them equal, because processes of the older release write words while this runs. What it
commits on its way is begun again where it was interrupted.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

_INDEX = "ix_booking_words_week"
_AT_ONCE = 500
_ON_SQLITE = (
    """
CREATE TRIGGER booking_words_with_start AFTER INSERT ON booking_words
WHEN (SELECT starts_at FROM bookings WHERE id = NEW.booking_id) IS NOT NULL
BEGIN
    UPDATE booking_words
    SET (starts_at, week) = (
        SELECT starts_at, CAST(strftime('%s', starts_at) AS INTEGER) / 604800 FROM bookings WHERE id = NEW.booking_id
    )
    WHERE booking_id = NEW.booking_id AND word = NEW.word;
END
""",
    """
CREATE TRIGGER booking_words_of_start AFTER UPDATE OF starts_at ON bookings
WHEN NEW.starts_at IS NOT OLD.starts_at
BEGIN
    UPDATE booking_words
    SET starts_at = NEW.starts_at, week = CAST(strftime('%s', NEW.starts_at) AS INTEGER) / 604800
    WHERE booking_id = NEW.id;
END
""",
)
# The lock lets nobody change the start until this word is seen by whoever does.
_ON_POSTGRESQL = (
    """
CREATE FUNCTION booking_words_with_start() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT starts_at, floor(extract(epoch FROM starts_at) / 604800) INTO NEW.starts_at, NEW.week
    FROM bookings WHERE id = NEW.booking_id FOR NO KEY UPDATE;
    RETURN NEW;
END $$
""",
    """
CREATE TRIGGER booking_words_with_start BEFORE INSERT ON booking_words
FOR EACH ROW EXECUTE FUNCTION booking_words_with_start()
""",
    """
CREATE FUNCTION booking_words_of_start() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE booking_words
    SET starts_at = NEW.starts_at, week = floor(extract(epoch FROM NEW.starts_at) / 604800)
    WHERE booking_id = NEW.id;
    RETURN NULL;
END $$
""",
    """
CREATE TRIGGER booking_words_of_start AFTER UPDATE OF starts_at ON bookings
FOR EACH ROW WHEN (NEW.starts_at IS DISTINCT FROM OLD.starts_at) EXECUTE FUNCTION booking_words_of_start()
""",
)
# Who changed the start meanwhile has written the words; then they have one.
_FILL = {
    "sqlite": """
UPDATE booking_words SET (starts_at, week) = (
    SELECT starts_at, CAST(strftime('%s', starts_at) AS INTEGER) / 604800 FROM bookings WHERE id = booking_id
)
WHERE booking_id BETWEEN :first AND :last AND starts_at IS NULL
""",
    "postgresql": """
UPDATE booking_words SET starts_at = b.starts_at, week = floor(extract(epoch FROM b.starts_at) / 604800)
FROM bookings AS b
WHERE b.id = booking_id AND booking_id BETWEEN :first AND :last AND booking_words.starts_at IS NULL
    AND b.starts_at IS NOT NULL
""",
}


def upgrade() -> None:
    connection = op.get_bind()
    is_postgresql = connection.dialect.name == "postgresql"
    if "week" not in {one["name"] for one in sa.inspect(connection).get_columns("booking_words")}:
        op.add_column("booking_words", sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True))
        op.add_column("booking_words", sa.Column("week", sa.Integer(), nullable=True))
        for statement in _ON_POSTGRESQL if is_postgresql else _ON_SQLITE:
            op.execute(statement)
    _commit()
    fill = sa.text(_FILL[connection.dialect.name])
    for first in range(1, (connection.scalar(sa.text("SELECT max(id) FROM bookings")) or 0) + 1, _AT_ONCE):
        op.get_bind().execute(fill, {"first": first, "last": first + _AT_ONCE - 1})
        _commit()
    with op.get_context().autocommit_block():
        op.drop_index(_INDEX, table_name="booking_words", if_exists=True)
        op.create_index(
            _INDEX,
            "booking_words",
            ["builder_id", "week", "word", "starts_at", "booking_id"],
            sqlite_where=sa.text("week IS NOT NULL"),
            postgresql_where=sa.text("week IS NOT NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    for name, table in (
        ("booking_words_with_start", "booking_words"),
        ("booking_words_of_start", "bookings"),
    ):
        op.execute(f"DROP TRIGGER {name} ON {table}" if on_postgresql else f"DROP TRIGGER {name}")
        if on_postgresql:
            op.execute(f"DROP FUNCTION {name}()")
    op.drop_index(_INDEX, table_name="booking_words")
    for column in ("week", "starts_at"):
        op.drop_column("booking_words", column)


def _commit() -> None:
    with op.get_context().autocommit_block():
        pass
