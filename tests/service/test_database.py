"""Transactions: one insert of a key wins, no provider is called inside of one, nothing is lost silently."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account
from bookingapp.core.db import (
    TransactionOpen,
    UnsavedChanges,
    assert_no_transaction,
    end_read,
    insert_if_new,
    reading,
    rolled_back,
    transaction,
)
from bookingapp.core.queue import Job, WorkState
from tests.factories import NOW
from tests.service.jobs import at_once, enqueue, the_job

pytestmark = pytest.mark.any_database


def test_two_inserts_of_one_key_end_with_one_row(app: Flask, session: Session) -> None:
    values = {"name": "test", "key": "same", "args": {}, "run_at": NOW, "created_at": NOW}
    values |= {"state": WorkState.RECEIVED, "attempts": 0}

    def insert(own: Session) -> bool:
        with transaction(own):
            return insert_if_new(own, Job, values, ["key"]) is not None

    assert sorted(at_once(app, 6, insert)) == [False] * 5 + [True]
    assert the_job(session).key == "same"


def test_no_provider_is_called_inside_a_transaction(session: Session) -> None:
    """Reading included."""
    assert_no_transaction()
    with transaction(session):
        session.scalar(sa.select(sa.func.count()).select_from(Job))
        with pytest.raises(TransactionOpen):
            assert_no_transaction()
    session.scalar(sa.select(sa.func.count()).select_from(Job))
    with pytest.raises(TransactionOpen):
        assert_no_transaction()
    end_read(session)
    assert_no_transaction()


def test_changes_are_not_thrown_away_silently(session: Session) -> None:
    session.add(Account(email="x", name="x", password_hash="x", is_operator=False, created_at=NOW))
    with pytest.raises(UnsavedChanges), transaction(session):
        pass
    with pytest.raises(UnsavedChanges):
        end_read(session)


def test_times_come_back_aware_and_in_utc(session: Session) -> None:
    at = NOW + timedelta(microseconds=123456)
    enqueue(session, run_at=at.astimezone(tz=None))
    found = the_job(session).run_at
    assert found == at
    assert found.utcoffset() == timedelta(0)
    with pytest.raises(sa.exc.StatementError, match="naive"):
        enqueue(session, run_at=datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused.
    session.rollback()


def test_what_only_reads_keeps_prepared_statements_and_what_writes_is_undone(session: Session) -> None:
    """PostgreSQL's connections go from one to the other, and nothing that is undone stays."""

    def add(email: str) -> None:
        session.add(Account(email=email, name="x", password_hash="x", is_operator=False, created_at=NOW))
        session.flush()

    def fail() -> None:
        add("failed")
        raise ZeroDivisionError

    for _ in range(8):
        with reading(session):
            assert session.scalar(sa.select(sa.func.count()).select_from(Job)) == 0
    if session.get_bind().dialect.name == "postgresql":
        with reading(session):
            names = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%FROM jobs%'"
            assert session.scalar(sa.text(names)) == 1
    with rolled_back(session):
        add("undone")
    with pytest.raises(ZeroDivisionError), transaction(session):
        fail()
    with transaction(session):
        add("kept")
    with reading(session):
        assert session.scalars(sa.select(Account.email)).all() == ["kept"]
