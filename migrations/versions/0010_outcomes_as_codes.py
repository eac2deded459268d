"""Outcomes of work, findings of reconciliations and failures of checks are codes with facts, no longer sentences.

Each sentence that was ever written is read and written back by the same table, so that what it said survives both
ways. A text that is in no table stays as it is, in the facts of the code ``other``.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from alembic import op
from babel import Locale
from babel.numbers import format_currency, get_currency_precision

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

OTHER = "other"
FETCHED = "; asked for, because it was not delivered"
Facts = dict[str, Any]

FAILURES = {
    "unavailable": "no answer",
    "rate_limited": "asked to come later",
    "bad_reply": "the answer could not be read",
    "unauthorized": "our key or token is not accepted",
    "invalid_grant": "the connection is not accepted any more",
    "invalid_client": "our OAuth app is not accepted",
    "forbidden": "not allowed with our key or token",
    "not_found": "not known there",
    "rejected": "refused",
    "idempotency_conflict": "asked before with other details",
    "not_accepted": "the other side did not take it",
    "database": "the database did not take it",
    "unexpected": "an unexpected fault, whose trace is in the log",
}
OUTCOMES = {
    **{code: f"{words} ({{error}} at try {{try}})" for code, words in FAILURES.items()},
    "lease_expired": "each try ended its worker, or took longer than its lease",
    "waiting_connection": "waits for the connection to Calendly",
    "waiting_mail_server": "waits for the mail server",
    "replayed": "replayed",
    "retried": "tried again",
    "retried_hourly": "given up before, and tried again by the hour",
    "slot_recorded": "slot recorded",
    "rescheduled": "rescheduled: the new time keeps the booking",
    "slot_canceled": "slot lost",
    "no_show_recorded": "no-show recorded",
    "no_show_undone": "no-show taken back",
    "event_types_invalidated": "event types will be read again",
    "checkout_session_recorded": "checkout session is {status}, {payment_status}",
    "refunds_recorded": "ledger brought up to date",
    "dispute_recorded": "dispute is {status}",
    "fee_recorded": "fee entered",
    "nothing_new": "nothing new",
    "not_ours": "not made through this site",
    "booking_unknown": "its booking is not known here",
    "payment_unknown": "its payment is not known here",
    "attempt_unknown": "its attempt to pay is not known here",
    "no_handler": "nothing to do for {type}",
    "body_deleted": "its body is not kept any more",
}
MISSING = {
    "stripe_event_undelivered": "Stripe: {type} of {at} UTC was never delivered (booking {booking_id})",
    "stripe_movement": "Stripe: booking {booking_id}: {kind} of {amount} was missing",
    "stripe_payment_status": "Stripe: booking {booking_id}: the payment was {before} here, and is {after}",
    "stripe_booking_status": "Stripe: booking {booking_id}: went from {before} to {after}",
    "calendly_booking_status": "Calendly: booking {booking_id}: went from {before} to {after}",
    "calendly_time_canceled": "Calendly: booking {booking_id}: its time was canceled",
    "calendly_time_changed": "Calendly: booking {booking_id}: its time was another one",
}
# In this order, as a text of the first two fits the third as well.
NOT_FETCHED = {
    "stripe_events_left": "Stripe's events: only {most} of {found} at a time, the rest with the next look",
    "stripe_event_not_applied": "Stripe's events: {type}: {message}",
    "stripe_events_not_listed": "Stripe's events: {message}",
    "stripe_booking_not_fetched": "Stripe, for booking {booking_id}: {message}",
    "calendly_builder_not_fetched": "Calendly, for builder {builder_id}: {message}",
}
CALENDLY = {
    "unavailable": "The calendar is not answering right now. Please try again in a moment.",
    "rate_limited": "The calendar is very busy right now. Please try again in a minute.",
    "unauthorized": "The connection to the calendar needs to be renewed. Please come back a little later.",
    "invalid_grant": "Calendly does not accept this permission any more. Please connect the account again.",
    "invalid_client": "This site's own access to Calendly has to be renewed by the people who run it.",
    "forbidden": "The calendar does not allow this. Please contact the person you want to book.",
    "not_found": "The calendar does not know this any more. It may have been removed.",
    "rejected": "The calendar did not accept this. Please check the details and try again.",
    "bad_reply": "The calendar gave an answer that we could not read. Please try again later.",
}
STRIPE = {
    "unavailable": "The payment service is not answering right now. Please try again in a moment.",
    "rate_limited": "The payment service is very busy right now. Please try again in a moment.",
    "unauthorized": "Payments are not available right now. You have not been charged. Please come back later.",
    "not_found": "The payment service does not know this payment.",
    "rejected": "The payment service did not accept this. You have not been charged.",
    "idempotency_conflict": "This payment was already started with other details. Please reload the page.",
    "bad_reply": "The payment service gave an answer that we could not read. Please try again later.",
}
CATEGORIES = {message: code for table in (CALENDLY, STRIPE) for code, message in table.items()}
NUMBERS = {"try", "booking_id", "builder_id", "most", "found"}
# Stripe counts two decimals of these; they are written without.
TWO_DECIMALS = {"ISK", "UGX"}
CURRENCIES = {symbol: currency for currency, symbol in Locale.parse("en_GB").currency_symbols.items()}


def upgrade() -> None:
    for name in ("inbox_events", "jobs"):
        op.add_column(name, sa.Column("outcome", sa.String(length=64), nullable=True))
        op.add_column(name, sa.Column("outcome_facts", sa.JSON(), server_default="{}", nullable=False))
        _upgrade_work(_table(name))
        op.drop_column(name, "note")
    op.add_column("subscription_checks", sa.Column("failure", sa.String(length=64), nullable=True))
    _replace("subscription_checks", "note", "failure", lambda note: CATEGORIES.get(note, OTHER))
    op.drop_column("subscription_checks", "note")
    _rewrite_reports(lambda missing: _finding(MISSING, missing), lambda failed: _finding(NOT_FETCHED, failed))


def downgrade() -> None:
    for name in ("inbox_events", "jobs"):
        op.add_column(name, sa.Column("note", sa.String(length=500), nullable=True))
        _downgrade_work(_table(name))
        op.drop_column(name, "outcome_facts")
        op.drop_column(name, "outcome")
    op.add_column("subscription_checks", sa.Column("note", sa.String(length=300), nullable=True))
    _replace("subscription_checks", "failure", "note", lambda code: CALENDLY.get(code, code))
    op.drop_column("subscription_checks", "failure")
    _rewrite_reports(
        lambda missing: _sentence(MISSING, **missing), lambda failed: _sentence(NOT_FETCHED, **failed)
    )


def _table(name: str) -> sa.TableClause:
    texts = [sa.column(column, sa.String()) for column in ("note", "failure", "outcome")]
    lists = [sa.column(column, sa.JSON()) for column in ("outcome_facts", "missing", "failed")]
    return sa.table(name, sa.column("id", sa.Integer()), *texts, *lists)


def _upgrade_work(table: sa.TableClause) -> None:
    """Text by text: a long table has few of them."""
    connection, c = op.get_bind(), table.c
    for note in connection.scalars(sa.select(c.note).where(c.note.is_not(None)).distinct()).all():
        code, facts = _read(OUTCOMES, note.removesuffix(FETCHED))
        if note.endswith(FETCHED):
            facts["fetched"] = True
        connection.execute(sa.update(table).where(c.note == note).values(outcome=code, outcome_facts=facts))


def _downgrade_work(table: sa.TableClause) -> None:
    connection, c = op.get_bind(), table.c
    # PostgreSQL compares no JSON.
    as_text = sa.cast(c.outcome_facts, sa.Text())
    kinds = sa.select(c.outcome, as_text).where(c.outcome.is_not(None)).distinct()
    for code, text in connection.execute(kinds).all():
        facts = json.loads(text)
        note = _sentence(OUTCOMES, code, facts) + (FETCHED if facts.get("fetched") else "")
        connection.execute(sa.update(table).where(c.outcome == code, as_text == text).values(note=note))


def _replace(name: str, before: str, after: str, translate: Callable[[str], str]) -> None:
    connection, table = op.get_bind(), _table(name)
    column = table.c[before]
    for value in connection.scalars(sa.select(column).where(column.is_not(None)).distinct()).all():
        statement = sa.update(table).where(column == value)
        connection.execute(statement.values({after: translate(value)}))


def _rewrite_reports(missing: Callable[[Any], Any], failed: Callable[[Any], Any]) -> None:
    connection, table = op.get_bind(), _table("reconciliations")
    c = table.c
    for row in connection.execute(sa.select(c.id, c.missing, c.failed)).all():
        values = {"missing": list(map(missing, row.missing)), "failed": list(map(failed, row.failed))}
        connection.execute(sa.update(table).where(c.id == row.id).values(values))


def _finding(sentences: Mapping[str, str], text: str) -> Facts:
    code, facts = _read(sentences, text)
    return {"code": code, "facts": facts}


def _read(sentences: Mapping[str, str], text: str) -> tuple[str, Facts]:
    """The code and the facts of a text."""
    for code, sentence in sentences.items():
        # Every second piece is the name of a gap.
        pieces = re.split(r"\{(\w+)\}", sentence)
        pattern = "".join(
            f"(?P<{piece}>{r'[0-9]+' if piece in NUMBERS else '.+'})" if number % 2 else re.escape(piece)
            for number, piece in enumerate(pieces)
        )
        found = re.fullmatch(pattern, text, re.DOTALL)
        if found:
            try:
                return code, _facts(found.groupdict())
            except (KeyError, ValueError, ArithmeticError):
                break
    return OTHER, {"text": text}


def _facts(words: Mapping[str, str]) -> Facts:
    facts: Facts = {name: int(word) if name in NUMBERS else word for name, word in words.items()}
    if "message" in facts:
        facts["category"] = CATEGORIES[facts.pop("message")]
    if "at" in facts:
        facts["at"] = f"{datetime.strptime(facts['at'], '%Y-%m-%d %H:%M'):%Y-%m-%dT%H:%M}:00Z"  # noqa: DTZ007
    if "amount" in facts:
        facts["amount_minor"], facts["currency"] = _read_money(facts.pop("amount"))
    if facts.get("before") == "nothing":
        facts["before"] = None
    return facts


def _sentence(sentences: Mapping[str, str], code: str, facts: Facts) -> str:
    """The text of a code and its facts; a fact that is not there is a question mark."""
    if code not in sentences:
        return str(facts.get("text", code))
    messages = CALENDLY if code.startswith("calendly") else STRIPE
    words = defaultdict(lambda: "?", facts)
    if "category" in facts:
        words["message"] = messages.get(facts["category"], facts["category"])
    if "at" in facts:
        words["at"] = facts["at"][:16].replace("T", " ")
    if "amount_minor" in facts:
        words["amount"] = _write_money(facts["amount_minor"], facts["currency"])
    if "before" in facts:
        words["before"] = facts["before"] or "nothing"
    return sentences[code].format_map(words)


def _read_money(text: str) -> tuple[int, str]:
    found = re.fullmatch(r"(-?)(\D+?)\s?([\d,.]+)", text)
    if found is None:
        raise ValueError(text)
    sign, symbol, figure = found.groups()
    currency = CURRENCIES.get(symbol, symbol)
    minor = int(Decimal(figure.replace(",", "")).scaleb(_decimals(currency)))
    return (-minor if sign else minor), currency


def _write_money(minor: int, currency: str) -> str:
    shown = format_currency(Decimal(minor).scaleb(-_decimals(currency)), currency, locale="en_GB")
    return re.sub(r"(?<=[A-Za-z])(?=[0-9])", "\N{NO-BREAK SPACE}", shown)


def _decimals(currency: str) -> int:
    return 2 if currency in TWO_DECIMALS else get_currency_precision(currency)
