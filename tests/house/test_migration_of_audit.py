"""Reasons of connections and audit entries keep what they say when the schema moves up and down."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import flask_migrate
import sqlalchemy as sa
from flask import Flask

from bookingapp.core.db import db
from tests.house.test_migration_of_work import insert

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)

REASONS = {
    "revoked": "Calendly no longer accepts the permission that you gave: it was taken back there, or replaced.",
    "interrupted": "The last renewal was broken off before its answer was safe with us, and Calendly gives each answer "
    "once.",
    "refused_after_renewal": "Calendly refused the access although it had just been renewed.",
    "app_refused": "This site's own access to Calendly has to be renewed by the people who run it.",
    "ended_by_builder": "You have disconnected it.",
}
UNKNOWN = "A sentence of long ago."
NO_OTHER = "of the platform's tokens, and no other is left. Booking is closed for"
Facts = dict[str, Any]
# Kind and text as they were; kind and facts as they are now.
ENTRIES: list[tuple[str, str, str, Facts]] = [
    ("connection.made", "The builder connected their own Calendly account.", "connection.made", {}),
    ("connection.ended", "The builder disconnected their own Calendly account.", "connection.ended", {}),
    *(("connection.dead", text, "connection.dead", {"reason": code}) for code, text in REASONS.items()),
    ("connection.dead", UNKNOWN, "connection.dead", {"reason": "other", "text": UNKNOWN}),
    (
        "token.takeover",
        "Calendly refused the first of the platform's tokens; the other has taken over.",
        "token.takeover",
        {"token": 1},
    ),
    (
        "token.refused",
        f"Calendly refused the second {NO_OTHER} 1 builder until one is good again.",
        "token.refused",
        {"token": 2, "builders": 1},
    ),
    (
        "token.refused",
        f"Calendly refused the first {NO_OTHER} 12 builders until one is good again.",
        "token.refused",
        {"token": 1, "builders": 12},
    ),
    (
        "token.accepted",
        "Calendly accepts the platform's token again; booking is open again.",
        "token.accepted",
        {},
    ),
    (
        "keys.rotated",
        "2 stored secrets were sealed anew, under the key 0a1b2c3d4e5f.",
        "keys.rotated",
        {"secrets": 2, "key": "0a1b2c3d4e5f"},
    ),
    ("keys.rotated", UNKNOWN, "other", {"kind": "keys.rotated", "text": UNKNOWN}),
    ("account.made", UNKNOWN, "other", {"kind": "account.made", "text": UNKNOWN}),
]


def columns(table: str, *names: str) -> list[tuple[Any, ...]]:
    """The named columns of each row, in the order of the ids."""
    with db.engine.connect() as connection:
        reflected = sa.Table(table, sa.MetaData(), autoload_with=connection)
        query = sa.select(*(reflected.c[name] for name in names)).order_by(reflected.c.id)
        return [tuple(row) for row in connection.execute(query)]


def add_builders(number: int) -> None:
    """As many builders, with the ids from 1."""
    ids = range(1, number + 1)
    account = {"name": "x", "password_hash": "x", "is_operator": False, "created_at": AT}
    insert("accounts", [{**account, "id": n, "email": f"{n}@example.com"} for n in ids])
    texts = dict.fromkeys(("display_name", "headline", "bio", "timezone", "default_currency"), "x")
    flags = {
        "listed": True,
        "is_demo": False,
        "catalog_version": 0,
        "tier": "entry",
        "availability": "limited",
    }
    builder = {**texts, **flags, "skills": [], "links": {}, "created_at": AT}
    insert(
        "builders",
        [{**builder, "id": n, "account_id": n, "slug": f"b{n}", "calendly_user_uri": f"u{n}"} for n in ids],
    )


def test_sentences_become_codes_and_come_back(empty_app: Flask) -> None:
    """Each sentence that was ever stored, and some that are unknown."""
    flask_migrate.upgrade(revision="0011")
    sentences = [None, *REASONS.values(), UNKNOWN]
    add_builders(len(sentences))
    times = dict.fromkeys(("expires_at", "connected_at", "renewed_at", "changed_at"), AT)
    connection = {**times, "scopes": [], "state": "dead", "platform_may_serve": False, "fence": 1}
    insert(
        "calendly_connections",
        [
            {**connection, "id": n, "builder_id": n, "user_uri": f"u{n}", "reason": sentence}
            for n, sentence in enumerate(sentences, start=1)
        ],
    )
    insert("audit_entries", [{"at": AT, "kind": kind, "text": text} for kind, text, _, _ in ENTRIES])

    flask_migrate.upgrade(revision="0012")
    codes = [(None, {}), *((code, {}) for code in REASONS), ("other", {"text": UNKNOWN})]
    assert columns("calendly_connections", "reason", "reason_facts") == codes
    assert columns("audit_entries", "kind", "facts") == [(kind, facts) for _, _, kind, facts in ENTRIES]

    flask_migrate.downgrade(revision="0011")
    assert columns("calendly_connections", "reason") == [(sentence,) for sentence in sentences]
    assert columns("audit_entries", "kind", "text") == [(kind, text) for kind, text, _, _ in ENTRIES]
