"""Attention flags are rows with codes; history, payments, refunds and disputes name their causes by codes."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

OTHER = "other"
Code = tuple[str, dict[str, Any]]

# Every sentence that the releases before this one stored, by the code that takes its place.
FLAGS = {
    "paid_without_time": "Paid, but Calendly has not told us of a time yet.",
    "rescheduled_unknown": "The time was moved in Calendly, and Calendly does not say to when. Nothing was refunded.",
    "wrong_event_type": "A time was picked for a different session type than the one that was booked; "
    "it is given back.",
    "unknown_event_type": "Calendly does not say which session type this time is for; "
    "please see that it is the right one.",
    "time_canceled_late": "The time was canceled in Calendly after it was paid or had passed.",
    "no_show_without_time": "Calendly says that the client did not come, but this booking has no session to come to.",
    "no_show_not_sent": "Calendly did not take our word on who came to this session. Please see to it in Calendly.",
    "type_withdrawn": "Calendly does not offer this session type any more; this booking stays as it is.",
    "seat_not_released": "A seat in a group session has to be released in Calendly; others stay in it.",
    "time_not_released": "Calendly could not be told that this time is free again. "
    "Please cancel it there if it still stands.",
    "release_refused": "Calendly refused to cancel the time of this expired booking: it has to be canceled by hand.",
    "paid_in_calendly": "Calendly itself has taken a payment for this session; nothing is charged here. "
    "Please settle it.",
    "late_payment_checked": "Paid after the hold had ended: we are asking Calendly whether the time can still be had.",
    "late_payment": "Paid after the booking had ended: the money goes back by itself.",
    "payment_processing": "The client's bank has neither sent the payment nor refused it; the time is kept meanwhile.",
    "payment_unexpected": "Stripe has a payment that names this booking and was not asked for here. "
    "Please look at it in Stripe.",
    "wrong_amount": "Stripe received another amount or currency than the price of this booking.",
    "wrong_reference": "A payment arrived whose reference does not match this booking.",
    "refund_delayed": "A refund could not be sent to Stripe yet: it is tried again by itself until it is.",
    "refund_refused": "Stripe refused a refund that is owed: it has to be made by hand.",
    "refund_undelivered": "A refund could not be delivered: it has to be paid out another way.",
    "refunded_outside": "Money was paid back in Stripe's dashboard, and the booking still stands: "
    "please keep it or cancel it.",
    "dispute_open": "The payment is disputed with the client's bank: it has to be answered in Stripe in time.",
    "dispute_lost": "The dispute is lost: the client's bank has given them the money back for good.",
}
CAUSES = {
    "session_type_picked": "picked a session type",
    "time_reported": "browser reported the scheduled time; read back from Calendly",
    "reschedule_fetched": "asked Calendly where the time was moved to",
    "missed_times_fetched": "asked Calendly for what it had not told us",
    "time_requested_again": "asked Calendly for the time again, because the money came after all",
    "stripe_fetched": "asked Stripe",
    "missed_money_fetched": "asked Stripe for what it had not told us",
    "missed_events_fetched": "asked Stripe for events that it had not delivered",
    "checkout_expired_by_hold": "asked Stripe to end the checkout session at the end of the hold",
    "checkout_expired_unwanted": "asked Stripe to end a checkout session that is not wanted any more",
    "checkout_replaced": "asked Stripe to end an old checkout session",
    "checkout_expired": "asked Stripe to end it",
    "checkout_was_over": "checkout session was over when it was asked for",
    "orphan_expired": "found a checkout session that nobody was given, and ended it",
    "hold_ended": "the hold ended",
    "session_ended": "the session has ended",
    "canceled_on_page": "canceled on the booking page",
    "canceled_on_dashboard": "canceled on the dashboard",
    "no_show_marked": "said on the dashboard that the client did not come",
    "attendance_marked": "said on the dashboard that the client came",
    "type_withdrawn": "the session type is not offered in Calendly any more",
    "withheld_for_dispute": "the client's bank has the money for a dispute",
    "made_in_stripe": "made in Stripe's dashboard",
}
REASONS = {
    "hold_ended": "the hold ended",
    "paid_after_end": "paid after the booking had ended",
    "paid_twice": "paid a second time",
    "paid_in_calendly": "paid in Calendly already",
    "wrong_amount": "what was paid is not what the booking costs",
    "made_in_stripe": "made in Stripe's dashboard",
    "canceled_by_client": "canceled on the booking page",
    "canceled_by_builder": "canceled on the dashboard",
}
FLAG_CODES = {text: code for code, text in FLAGS.items()}
CAUSE_CODES = {text: code for code, text in CAUSES.items()}
REASON_CODES = {text: code for code, text in REASONS.items()}
WEBHOOK, SEEN_TO = "webhook ", "seen to: "
REFUSED = ("Stripe refused it: ", "Stripe refused: ")
WITH_CAUSE = ("payments", "refunds", "disputes")
LONGEST_CAUSE = 200
POSITIVE = ("amount_positive", "amount_minor > 0")
REFUND_STATES = ("pending", "succeeded", "failed", "dropped")


def flag_code(text: str) -> Code:
    """The code of a sentence that a booking was flagged with."""
    code = FLAG_CODES.get(text)
    return (code, {}) if code else (OTHER, {"text": text})


def cause_code(text: str) -> Code:
    """The code of a sentence that said what brought a change about."""
    if text in CAUSE_CODES:
        return CAUSE_CODES[text], {}
    if text.startswith(WEBHOOK):
        return "webhook", {"type": text.removeprefix(WEBHOOK)}
    if text.startswith(SEEN_TO):
        seen = text.removeprefix(SEEN_TO)
        # The column had cut off what was longer.
        known = next((code for code, full in FLAGS.items() if seen and full.startswith(seen)), None)
        return "flag_resolved", {"flag": known} if known else {"flag": OTHER, "text": seen}
    for beginning in REFUSED:
        if text.startswith(beginning):
            return "refused_by_stripe", {"category": text.removeprefix(beginning)}
    return OTHER, {"text": text}


def reason_code(text: str) -> Code:
    """The code of a sentence that said why money goes back: of a cancellation in Calendly it was its cause."""
    return REASON_CODES.get(text, "canceled_in_calendly"), {}


def flag_text(code: str, facts: dict[str, Any]) -> str:
    """The older release's sentence."""
    return str(facts.get("text", "")) if code == OTHER else FLAGS[code]


def cause_text(code: str, facts: dict[str, Any]) -> str:
    """The older release's sentence."""
    if code == "webhook":
        return f"{WEBHOOK}{facts['type']}"
    if code == "flag_resolved":
        return f"{SEEN_TO}{flag_text(facts['flag'], facts)}"
    if code == "refused_by_stripe":
        return f"{REFUSED[1]}{facts['category']}"
    return str(facts.get("text", "")) if code == OTHER else CAUSES[code]


def reason_text(code: str, _facts: dict[str, Any]) -> str:
    """The older release's sentence."""
    return REASONS.get(code, "webhook invitee.canceled")


def upgrade() -> None:
    op.create_table(
        "attention_flags",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("booking_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("facts", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_attention_flags_booking_id_bookings")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attention_flags")),
    )
    op.create_index(op.f("ix_attention_flags_booking_id"), "attention_flags", ["booking_id"], unique=False)
    op.create_index(
        "uq_attention_flags_open",
        "attention_flags",
        ["booking_id", "code"],
        unique=True,
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    _flags_from_sentences()
    op.drop_column("bookings", "attention")
    _cause_from("booking_history", "cause", nullable=False)
    for table in WITH_CAUSE:
        _cause_from(table, "said_by", nullable=True)
    _recode("refunds", "reason", 32, reason_code)
    _recheck_refunds("owed", "enqueued")
    op.execute("UPDATE refunds SET state = 'enqueued' WHERE state = 'owed'")
    _recheck_refunds("enqueued")


def downgrade() -> None:
    _recheck_refunds("owed", "enqueued")
    op.execute("UPDATE refunds SET state = 'owed' WHERE state = 'enqueued'")
    _recheck_refunds("owed")
    _recode("refunds", "reason", LONGEST_CAUSE, lambda text: (reason_text(text, {}), {}))
    for table in reversed(WITH_CAUSE):
        _cause_to(table, "said_by", nullable=True)
    _cause_to("booking_history", "cause", nullable=False)
    op.add_column("bookings", sa.Column("attention", sa.Text(), nullable=True))
    _flags_to_sentences()
    op.drop_index("uq_attention_flags_open", table_name="attention_flags")
    op.drop_index(op.f("ix_attention_flags_booking_id"), table_name="attention_flags")
    op.drop_table("attention_flags")


def _flags_from_sentences() -> None:
    bind = op.get_bind()
    flags = sa.table(
        "attention_flags",
        *(sa.column(name) for name in ("booking_id", "code", "raised_at")),
        sa.column("facts", sa.JSON),
    )
    rows = []
    found = bind.execute(
        sa.text("SELECT id, attention, updated_at FROM bookings WHERE attention IS NOT NULL").columns(
            id=sa.Integer, attention=sa.Text, updated_at=sa.DateTime(timezone=True)
        )
    )
    for booking_id, attention, updated_at in found:
        seen: dict[str, dict[str, Any]] = {}
        for line in attention.split("\n"):
            code, facts = flag_code(line)
            # One open flag for each code: what is not known shares one.
            text = "\n".join(part for part in (seen.get(code, {}).get("text"), facts.get("text")) if part)
            seen[code] = {"text": text} if text else {}
        rows += [
            {"booking_id": booking_id, "code": code, "facts": facts, "raised_at": updated_at}
            for code, facts in seen.items()
        ]
    if rows:
        bind.execute(
            flags.insert().values(raised_at=sa.bindparam("raised_at", type_=sa.DateTime(timezone=True))), rows
        )


def _flags_to_sentences() -> None:
    bind = op.get_bind()
    query = sa.text(
        "SELECT booking_id, code, facts FROM attention_flags WHERE resolved_at IS NULL ORDER BY booking_id, id"
    ).columns(booking_id=sa.Integer, code=sa.String, facts=sa.JSON)
    lines: dict[int, list[str]] = {}
    for booking_id, code, facts in bind.execute(query):
        lines.setdefault(booking_id, []).append(flag_text(code, facts))
    update = sa.text("UPDATE bookings SET attention = :attention WHERE id = :id")
    for booking_id, texts in lines.items():
        bind.execute(update, {"attention": "\n".join(texts), "id": booking_id})


def _cause_from(table: str, column: str, *, nullable: bool) -> None:
    """A sentence becomes ``cause`` and ``cause_facts``; not by a batch, which on SQLite would drop the table for a
    moment while other tables refer to its rows.
    """
    op.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO former")
    op.add_column(
        table,
        sa.Column(
            "cause", sa.String(length=32), nullable=nullable, server_default=None if nullable else OTHER
        ),
    )
    op.add_column(table, sa.Column("cause_facts", sa.JSON(), nullable=False, server_default="{}"))
    bind = op.get_bind()
    update = sa.text(f"UPDATE {table} SET cause = :code, cause_facts = :facts WHERE former = :text")  # noqa: S608
    update = update.bindparams(sa.bindparam("facts", type_=sa.JSON))
    former = sa.text(f"SELECT DISTINCT former FROM {table} WHERE former IS NOT NULL")  # noqa: S608
    for (text,) in bind.execute(former).all():
        code, facts = cause_code(text)
        bind.execute(update, {"code": code, "facts": facts, "text": text})
    op.drop_column(table, "former")


def _cause_to(table: str, column: str, *, nullable: bool) -> None:
    op.add_column(
        table,
        sa.Column(
            "latter",
            sa.String(length=LONGEST_CAUSE),
            nullable=nullable,
            server_default=None if nullable else "",
        ),
    )
    bind = op.get_bind()
    # As text, for PostgreSQL compares no JSON.
    found = bind.execute(
        sa.text(f"SELECT DISTINCT cause, CAST(cause_facts AS TEXT) FROM {table} WHERE cause IS NOT NULL")  # noqa: S608
    )
    update = sa.text(
        f"UPDATE {table} SET latter = :text WHERE cause = :code AND CAST(cause_facts AS TEXT) = :facts"  # noqa: S608
    )
    for code, facts in found.all():
        text = cause_text(code, json.loads(facts))[:LONGEST_CAUSE]
        bind.execute(update, {"text": text, "code": code, "facts": facts})
    op.drop_column(table, "cause_facts")
    op.drop_column(table, "cause")
    op.execute(f"ALTER TABLE {table} RENAME COLUMN latter TO {column}")


def _recode(table: str, column: str, length: int, translate: Any) -> None:
    """Give a text column other values, and another length."""
    op.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO former")
    op.add_column(table, sa.Column(column, sa.String(length=length), nullable=False, server_default=OTHER))
    bind = op.get_bind()
    update = sa.text(f"UPDATE {table} SET {column} = :value WHERE former = :text")  # noqa: S608
    for (text,) in bind.execute(sa.text(f"SELECT DISTINCT former FROM {table}")).all():  # noqa: S608
        bind.execute(update, {"value": translate(text)[0], "text": text})
    op.drop_column(table, "former")


def _recheck_refunds(*first: str) -> None:
    """Allow these states and the others. SQLite makes the table anew, and Alembic does not read its other check."""
    listed = ", ".join(f"'{value}'" for value in (*first, *REFUND_STATES))
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    with op.batch_alter_table("refunds", schema=None) as batch_op:
        if not on_sqlite:
            batch_op.drop_constraint(op.f("ck_refunds_refundstate"), type_="check")
        batch_op.create_check_constraint(op.f("ck_refunds_refundstate"), sa.text(f"state IN ({listed})"))
        if on_sqlite:
            batch_op.create_check_constraint(op.f(f"ck_refunds_{POSITIVE[0]}"), sa.text(POSITIVE[1]))
