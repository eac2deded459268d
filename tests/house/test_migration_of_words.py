"""Each word of a booking has the session's start, whichever release writes it and whatever interrupts the migration."""

from __future__ import annotations

from datetime import timedelta

import flask_migrate
import sqlalchemy as sa
from flask import Flask

from bookingapp.bookings.models import Booking, BookingWord
from bookingapp.core.db import db, transaction
from tests.factories import START, facts, make_booking, make_builder, make_session_type, reread, schedule

WEEK = timedelta(weeks=1).total_seconds()


def stored() -> dict[str, list[tuple[object, object]]]:
    """The starts and weeks of each booking's words."""
    session = db.session()
    rows = session.execute(
        sa.select(Booking.client_email, BookingWord.starts_at, BookingWord.week)
        .join(Booking, Booking.id == BookingWord.booking_id)
        .order_by(Booking.id, BookingWord.word)
    ).all()
    session.rollback()
    found: dict[str, list[tuple[object, object]]] = {}
    for email, starts_at, week in rows:
        found.setdefault(email, []).append((starts_at, week))
    return found


def expected() -> dict[str, list[tuple[object, object]]]:
    """The same as the bookings have it."""
    session = db.session()
    starts = {row.client_email: row.starts_at for row in session.scalars(sa.select(Booking))}
    session.rollback()
    session.expunge_all()
    weeks = {email: at and int(at.timestamp() // WEEK) for email, at in starts.items()}
    return {email: [(starts[email], weeks[email])] * len(rows) for email, rows in stored().items()}


def write(*statements: str) -> None:
    """As a process of the older release, which knows nothing of starts beside words."""
    with transaction(db.session()) as session:
        for statement in statements:
            session.execute(sa.text(statement))


def test_words_have_the_start_of_their_session(empty_app: Flask) -> None:
    flask_migrate.upgrade(revision="0032")
    session = db.session()
    builder = make_builder(session)
    session_type = make_session_type(session, builder)
    for number in range(3):
        made = make_booking(
            session, builder=builder, session_type=session_type, client_email=f"{number}@x.test"
        )
        if number:
            schedule(session, made, starts_at=START + timedelta(days=9 * number), name=f"INV{number}")
    flask_migrate.upgrade(revision="0033")
    before = stored()
    assert before == expected()
    assert {email: rows[0][0] for email, rows in before.items()} == {
        "0@x.test": None,
        "1@x.test": START + timedelta(days=9),
        "2@x.test": START + timedelta(days=18),
    }
    # An older release still writes.
    write(
        "INSERT INTO booking_words (booking_id, builder_id, word)"
        " SELECT id, builder_id, 'pi_1' FROM bookings WHERE client_email = '1@x.test'",
        "UPDATE bookings SET starts_at = '2027-02-03 10:00:00+00' WHERE client_email = '2@x.test'"
        if db.engine.dialect.name == "postgresql"
        else "UPDATE bookings SET starts_at = '2027-02-03 10:00:00.000000' WHERE client_email = '2@x.test'",
    )
    assert stored() == expected() != before
    # So does this one.
    schedule(
        session,
        reread(session, made),
        starts_at=START,
        name="INV9",
        replaces=facts(made, name="INV2").invitee_uri,
    )
    assert stored() == expected()
    assert expected()["2@x.test"][0][0] == START
    whole = stored()
    # Interrupted before it has filled everything, and begun again.
    write(
        "UPDATE booking_words SET starts_at = NULL, week = NULL WHERE word <> 'pi_1'",
        "UPDATE alembic_version SET version_num = '0032'",
    )
    flask_migrate.upgrade(revision="0033")
    assert stored() == whole
    flask_migrate.downgrade(revision="0032")
    columns = {column["name"] for column in sa.inspect(db.engine).get_columns("booking_words")}
    assert columns == {"booking_id", "word", "builder_id"}
    flask_migrate.upgrade()
    assert stored() == whole
