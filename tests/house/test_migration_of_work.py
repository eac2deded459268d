"""Rows of work, and what was found about them, keep what they are when the schema moves up and down."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import flask_migrate
import sqlalchemy as sa
from flask import Flask

from bookingapp.checkout.stripe_check import MoneyFinding, finding
from bookingapp.core.db import db
from bookingapp.core.queue import Restart
from bookingapp.outcomes import Awaited, Failure
from bookingapp.sync.models import Missing, NotFetched
from bookingapp.webhooks.models import DeliveryOutcome

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)
LEASE = datetime(2026, 11, 24, 11, tzinfo=UTC)


def states(table: str) -> dict[str, str]:
    """The state of each row, by its name."""
    key = "event_key" if table == "inbox_events" else "key"
    with db.engine.connect() as connection:
        found = connection.execute(sa.text(f"SELECT {key} AS name, state FROM {table}"))
        return {row.name: row.state for row in found}


def insert(table: str, rows: list[dict[str, object]]) -> None:
    """Rows by the database's own means, for a schema that the models do not know."""
    with db.engine.begin() as connection:
        reflected = sa.Table(table, sa.MetaData(), autoload_with=connection)
        connection.execute(reflected.insert(), rows)


def test_states_are_translated_both_ways(empty_app: Flask) -> None:
    """Who was at work keeps the row until its lease ends; nothing that is open is lost."""
    flask_migrate.upgrade(revision="0004")
    common = {"name": "test", "args": "{}", "run_at": AT, "created_at": AT, "attempts": 0, "waits": 0}
    insert(
        "jobs",
        [
            {**common, "key": "waiting", "state": "ready", "lease_until": None},
            {**common, "key": "held", "state": "ready", "lease_until": LEASE},
            {**common, "key": "over", "state": "done", "lease_until": None},
            {**common, "key": "given-up", "state": "dead", "lease_until": None},
        ],
    )
    flask_migrate.upgrade(revision="0005")
    assert states("jobs") == {"waiting": "received", "held": "processing", "over": "done", "given-up": "dead"}
    with db.engine.connect() as connection:
        due = connection.execute(sa.text("SELECT run_at FROM jobs WHERE key = 'held'")).scalar_one()
    assert str(due).startswith("2026-11-24 11:00")
    with db.engine.begin() as connection:
        connection.execute(sa.text("UPDATE jobs SET state = 'failed' WHERE key = 'waiting'"))
    flask_migrate.downgrade(revision="0004")
    assert states("jobs") == {"waiting": "ready", "held": "ready", "over": "done", "given-up": "dead"}


def test_a_body_that_is_gone_does_not_stop_a_downgrade(empty_app: Flask) -> None:
    """The older schema knows none without; there it is empty."""
    flask_migrate.upgrade(revision="0005")
    insert(
        "inbox_events",
        [
            {
                "provider": "stripe",
                "event_key": "evt_1",
                "type": "x",
                "body": None,
                "headers": "{}",
                "signed_at": AT,
                "key_index": 0,
                "received_at": AT,
                "run_at": AT,
                "state": "done",
                "attempts": 1,
                "waits": 0,
            }
        ],
    )
    flask_migrate.downgrade(revision="0004")
    assert states("inbox_events") == {"evt_1": "done"}


# Every outcome that was written as a sentence, with the code and the facts that it becomes.
NOTES: dict[str, tuple[str, dict[str, Any]]] = {
    "no answer (CalendlyUnavailable at try 8)": (
        Failure.UNAVAILABLE,
        {"error": "CalendlyUnavailable", "try": 8},
    ),
    "no answer (Unavailable at try 80)": (Failure.UNAVAILABLE, {"error": "Unavailable", "try": 80}),
    **{
        f"{words} (Trouble at try 2)": (code, {"error": "Trouble", "try": 2})
        for words, code in {
            "asked to come later": Failure.RATE_LIMITED,
            "the answer could not be read": Failure.BAD_REPLY,
            "our key or token is not accepted": Failure.UNAUTHORIZED,
            "the connection is not accepted any more": Failure.INVALID_GRANT,
            "our OAuth app is not accepted": Failure.INVALID_CLIENT,
            "not allowed with our key or token": Failure.FORBIDDEN,
            "not known there": Failure.NOT_FOUND,
            "refused": Failure.REJECTED,
            "asked before with other details": Failure.IDEMPOTENCY_CONFLICT,
            "the other side did not take it": Failure.NOT_ACCEPTED,
            "the database did not take it": Failure.DATABASE,
            "an unexpected fault, whose trace is in the log": Failure.UNEXPECTED,
        }.items()
    },
    "each try ended its worker, or took longer than its lease": (Failure.LEASE_EXPIRED, {}),
    "waits for the connection to Calendly": (Awaited.CONNECTION, {}),
    "waits for the mail server": (Awaited.MAIL_SERVER, {}),
    "replayed": (Restart.REPLAYED, {}),
    "tried again": (Restart.RETRIED, {}),
    "given up before, and tried again by the hour": (Restart.RETRIED_HOURLY, {}),
    "slot recorded": (DeliveryOutcome.SLOT_RECORDED, {}),
    "rescheduled: the new time keeps the booking": (DeliveryOutcome.RESCHEDULED, {}),
    "slot lost": (DeliveryOutcome.SLOT_CANCELED, {}),
    "no-show recorded": (DeliveryOutcome.NO_SHOW_RECORDED, {}),
    "no-show taken back": (DeliveryOutcome.NO_SHOW_UNDONE, {}),
    "event types will be read again": (DeliveryOutcome.EVENT_TYPES_INVALIDATED, {}),
    "checkout session is complete, paid": (
        DeliveryOutcome.CHECKOUT_SESSION_RECORDED,
        {"status": "complete", "payment_status": "paid"},
    ),
    "ledger brought up to date": (DeliveryOutcome.REFUNDS_RECORDED, {}),
    "dispute is warning_needs_response": (
        DeliveryOutcome.DISPUTE_RECORDED,
        {"status": "warning_needs_response"},
    ),
    "fee entered": (DeliveryOutcome.FEE_RECORDED, {}),
    "nothing new": (DeliveryOutcome.NOTHING_NEW, {}),
    "not made through this site": (DeliveryOutcome.NOT_OURS, {}),
    "its booking is not known here": (DeliveryOutcome.BOOKING_UNKNOWN, {}),
    "its payment is not known here": (DeliveryOutcome.PAYMENT_UNKNOWN, {}),
    "its attempt to pay is not known here": (DeliveryOutcome.ATTEMPT_UNKNOWN, {}),
    "nothing to do for routing form, 100 % odd": (
        DeliveryOutcome.NO_HANDLER,
        {"type": "routing form, 100 % odd"},
    ),
    "its body is not kept any more": (DeliveryOutcome.BODY_DELETED, {}),
    "fee entered; asked for, because it was not delivered": (DeliveryOutcome.FEE_RECORDED, {"fetched": True}),
    "dispute is lost; asked for, because it was not delivered": (
        DeliveryOutcome.DISPUTE_RECORDED,
        {"status": "lost", "fetched": True},
    ),
    # From the first days, and from nowhere.
    "Unavailable at attempt 3": ("other", {"text": "Unavailable at attempt 3"}),
    "flagged for a person": ("other", {"text": "flagged for a person"}),
    'a "text" of {nobody}': ("other", {"text": 'a "text" of {nobody}'}),
}
AWAY = "is not answering right now. Please try again in a moment."
MISSING = {
    "Stripe: refund.created of 2026-11-24 09:05 UTC was never delivered (booking 7)": finding(
        Missing.STRIPE_EVENT, type="refund.created", at="2026-11-24T09:05:00Z", booking_id=7
    ),
    **{
        f"Stripe: booking 7: {kind} of {amount} was missing": finding(
            MoneyFinding.MOVEMENT, booking_id=7, kind=kind, amount_minor=minor, currency=currency
        )
        for kind, amount, minor, currency in (
            ("charge", "£1,060.00", 106000, "GBP"),
            ("refund", "-US$0.50", -50, "USD"),
            ("dispute", "-JP¥9,000", -9000, "JPY"),
            ("fee", "-KWD\N{NO-BREAK SPACE}1.250", -1250, "KWD"),
            ("charge", "ISK\N{NO-BREAK SPACE}1,500", 150000, "ISK"),
        )
    },
    "Stripe: booking 7: the payment was open here, and is paid": finding(
        MoneyFinding.PAYMENT_STATUS, booking_id=7, before="open", after="paid"
    ),
    "Stripe: booking 7: went from scheduled to paid": finding(
        MoneyFinding.BOOKING_STATUS, booking_id=7, before="scheduled", after="paid"
    ),
    "Calendly: booking 7: went from nothing to pending": finding(
        Missing.BOOKING_STATUS, booking_id=7, before=None, after="pending"
    ),
    "Calendly: booking 7: its time was canceled": finding(Missing.TIME_CANCELED, booking_id=7),
    "Calendly: booking 7: its time was another one": finding(Missing.TIME_CHANGED, booking_id=7),
    "Stripe: booking 7: charge of a lot was missing": {
        "code": "other",
        "facts": {"text": "Stripe: booking 7: charge of a lot was missing"},
    },
}
FAILED = {
    f"Stripe's events: The payment service {AWAY}": finding(NotFetched.EVENTS, category="unavailable"),
    "Stripe's events: charge.updated: The payment service does not know this payment.": finding(
        NotFetched.EVENT, type="charge.updated", category="not_found"
    ),
    "Stripe's events: only 100 of 123 at a time, the rest with the next look": finding(
        NotFetched.MORE_EVENTS, most=100, found=123
    ),
    f"Stripe, for booking 7: The payment service {AWAY}": finding(
        NotFetched.BOOKING, booking_id=7, category="unavailable"
    ),
    f"Calendly, for builder 3: The calendar {AWAY}": finding(
        NotFetched.BUILDER, builder_id=3, category="unavailable"
    ),
    "Calendly, for builder 3: silence": {
        "code": "other",
        "facts": {"text": "Calendly, for builder 3: silence"},
    },
}


def rows(table: str, *columns: str) -> list[tuple[Any, ...]]:
    """These columns of a table, in the order of its rows, as the schema of this moment has them."""
    with db.engine.connect() as connection:
        reflected = sa.Table(table, sa.MetaData(), autoload_with=connection)
        found = connection.execute(
            sa.select(*(reflected.c[name] for name in columns)).order_by(reflected.c.id)
        )
        return [tuple(row) for row in found]


def test_sentences_become_codes_and_come_back(empty_app: Flask) -> None:
    """Every sentence that was ever stored of work, reconciliations and checks; and a row that has none."""
    flask_migrate.upgrade(revision="0009")
    notes = [*NOTES, None]
    work = {"run_at": AT, "state": "done", "attempts": 1, "waits": 0}
    job = {**work, "name": "test", "args": {}, "created_at": AT}
    delivery = {**work, "provider": "stripe", "type": "x", "headers": {}, "key_index": 0}
    delivery |= {"signed_at": AT, "received_at": AT}
    insert("jobs", [{**job, "key": str(number), "note": note} for number, note in enumerate(notes)])
    insert(
        "inbox_events",
        [{**delivery, "event_key": str(number), "note": note} for number, note in enumerate(notes)],
    )
    report = {"at": AT, "since": AT, "with_events": True}
    empty: dict[str, Any] = {**report, "missing": [], "failed": []}
    insert("reconciliations", [{**report, "missing": list(MISSING), "failed": list(FAILED)}, empty])
    check = {"at": AT, "found": "unknown", "repaired": False}
    insert("subscription_checks", [{**check, "note": note} for note in (f"The calendar {AWAY}", None)])

    flask_migrate.upgrade(revision="0010")
    for table in ("jobs", "inbox_events"):
        assert rows(table, "outcome", "outcome_facts") == [*NOTES.values(), (None, {})]
    assert rows("reconciliations", "missing", "failed") == [
        (list(MISSING.values()), list(FAILED.values())),
        ([], []),
    ]
    assert rows("subscription_checks", "failure") == [("unavailable",), (None,)]

    flask_migrate.downgrade(revision="0009")
    for table in ("jobs", "inbox_events"):
        assert rows(table, "note") == [(note,) for note in notes]
    assert rows("reconciliations", "missing", "failed") == [(list(MISSING), list(FAILED)), ([], [])]
    assert rows("subscription_checks", "note") == [(f"The calendar {AWAY}",), (None,)]
