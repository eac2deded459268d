"""Sentences that older releases stored become codes, and sentences again, without a loss."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import flask_migrate
import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.bookings.codes import CauseCode, FlagCode, RefundReason
from bookingapp.core.db import db
from bookingapp.core.settings import PROJECT_ROOT
from bookingapp.dashboard.words.bookings import CAUSES, FLAGS

from .test_migration_of_work import insert

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)
BEFORE, AFTER = "0010", "0011"
UNKNOWN = "A sentence of nobody's."


@pytest.fixture
def migration() -> ModuleType:
    """The migration as a module."""
    path = PROJECT_ROOT / "migrations/versions/0011_flags_and_causes_as_codes.py"
    spec = importlib.util.spec_from_file_location("flags_and_causes", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def column(table: str, name: str) -> list[Any]:
    """All values of a column, by id."""
    with db.engine.connect() as connection:
        return list(connection.execute(sa.text(f"SELECT {name} FROM {table} ORDER BY id")).scalars())


def required(table: str, given: dict[str, Any]) -> dict[str, Any]:
    """The given columns, and something in each other one that must not be empty."""
    values: dict[str, Any] = dict(given)
    for one in sa.inspect(db.engine).get_columns(table):
        if one["nullable"] or one["name"] in values or one["name"] == "id" or one["default"] is not None:
            continue
        kind = one["type"]
        if isinstance(kind, sa.Boolean):
            values[one["name"]] = False
        elif isinstance(kind, sa.DateTime):
            values[one["name"]] = AT
        elif isinstance(kind, sa.Integer):
            values[one["name"]] = 1
        else:
            values[one["name"]] = "{}" if isinstance(kind, sa.JSON) else "x"
    return values


def fill(migration: ModuleType) -> dict[str, list[Any]]:
    """A database that holds each sentence of the older releases. Returns what it holds."""
    flags = [*migration.FLAGS.values(), UNKNOWN]
    attention = [*flags, "\n".join(flags[:3]), None]
    causes = [
        *migration.CAUSES.values(),
        "webhook invitee.created",
        *(f"seen to: {text}"[:200] for text in flags),
        "Stripe refused: rejected",
        UNKNOWN,
    ]
    reasons = list(migration.REASONS.values())
    insert("accounts", [required("accounts", {"id": 1, "email": "ada@example.org"})])
    insert("builders", [required("builders", {"id": 1, "slug": "ada", "account_id": 1, "timezone": "UTC",
                                               "tier": "entry", "availability": "available"})])  # fmt: skip
    insert("session_types", [required("session_types", {"id": 1, "builder_id": 1, "category": "other"})])
    insert(
        "bookings",
        [
            required(
                "bookings",
                {"id": number, "ref": f"ref-{number}", "tracking_id": f"t-{number}", "builder_id": 1, "slot": "none",
                 "session_type_id": 1, "status": "pending", "attention": text, "updated_at": AT},
            )
            for number, text in enumerate(attention, start=1)
        ],
    )  # fmt: skip
    history = {"booking_id": 1, "to_status": "pending", "actor": "system", "at": AT}
    insert("booking_history", [required("booking_history", {**history, "cause": text}) for text in causes])
    payment = {"booking_id": 1, "state": "failed", "expires_at": AT}
    insert(
        "payments",
        [
            required("payments", {**payment, "id": number, "attempt": number, "said_by": text})
            for number, text in enumerate([*causes, None], start=1)
        ],
    )
    refund = {"booking_id": 1, "payment_id": 1, "state": "owed"}
    insert(
        "refunds",
        [required("refunds", {**refund, "token": f"r-{text}"[:32], "reason": text}) for text in reasons],
    )
    insert("disputes", [required("disputes", {"booking_id": 1, "payment_id": 1, "said_by": causes[0]})])
    return {"attention": attention, "causes": causes, "reasons": reasons}


def test_each_sentence_becomes_a_code_and_comes_back(empty_app: Flask, migration: ModuleType) -> None:
    """On a database that holds all of them; what is not known is kept as it is."""
    flask_migrate.upgrade(revision=BEFORE)
    held = fill(migration)
    flask_migrate.upgrade(revision=AFTER)
    codes = column("attention_flags", "code")
    assert codes == [*migration.FLAGS, "other", *list(migration.FLAGS)[:3]]
    assert set(migration.FLAGS) | {"other"} <= set(FlagCode)
    causes = column("booking_history", "cause")
    known = {*migration.CAUSES, "webhook", "flag_resolved", "refused_by_stripe", "other"}
    assert set(causes) == known <= set(CauseCode)
    assert column("payments", "cause")[:-1] == causes and column("payments", "cause")[-1] is None
    assert column("refunds", "reason") == list(migration.REASONS)
    assert set(migration.REASONS) | {"canceled_in_calendly", "other"} <= set(RefundReason)
    assert set(column("refunds", "state")) == {"enqueued"}
    assert column("disputes", "cause") == [causes[0]]
    flask_migrate.downgrade(revision=BEFORE)
    assert column("bookings", "attention") == held["attention"]
    assert column("booking_history", "cause") == held["causes"]
    assert column("payments", "said_by") == [*held["causes"], None]
    assert column("refunds", "reason") == held["reasons"]
    assert set(column("refunds", "state")) == {"owed"}


def test_the_builder_has_words_for_each_code() -> None:
    """But for those whose words are made of their facts."""
    assert set(FLAGS) == set(FlagCode) - {FlagCode.OTHER}
    made = {CauseCode.WEBHOOK, CauseCode.FLAG_RESOLVED, CauseCode.REFUSED_BY_STRIPE, CauseCode.OTHER}
    made |= {CauseCode.REFUND_DECIDED, CauseCode.MAIL_REPEATED}
    assert set(CAUSES) == set(CauseCode) - made
