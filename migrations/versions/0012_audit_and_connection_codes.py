"""The reason of a connection becomes a code, and an audit entry facts; a sentence that is not known is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

REASONS = {
    "revoked": "Calendly no longer accepts the permission that you gave: it was taken back there, or replaced.",
    "interrupted": "The last renewal was broken off before its answer was safe with us, and Calendly gives each answer "
    "once.",
    "refused_after_renewal": "Calendly refused the access although it had just been renewed.",
    "app_refused": "This site's own access to Calendly has to be renewed by the people who run it.",
    "ended_by_builder": "You have disconnected it.",
}
SENTENCES = {
    "connection.made": "The builder connected their own Calendly account.",
    "connection.ended": "The builder disconnected their own Calendly account.",
    "token.accepted": "Calendly accepts the platform's token again; booking is open again.",
}
TAKEOVER = re.compile(
    r"Calendly refused the (first|second) of the platform's tokens; the other has taken over\."
)
REFUSED = re.compile(
    r"Calendly refused the (first|second) of the platform's tokens, and no other is left\. "
    r"Booking is closed for (\d+) builders? until one is good again\."
)
ROTATED = re.compile(r"(\d+) stored secrets were sealed anew, under the key (\w+)\.")
POSITIONS = ("first", "second")

Row = dict[str, Any]


def upgrade() -> None:
    op.execute("ALTER TABLE calendly_connections RENAME COLUMN reason TO former")
    op.add_column("calendly_connections", sa.Column("reason", sa.String(length=64), nullable=True))
    op.add_column(
        "calendly_connections", sa.Column("reason_facts", sa.JSON(), server_default="{}", nullable=False)
    )
    _rewrite("calendly_connections", ("former",), _reason_from)
    op.drop_column("calendly_connections", "former")
    op.add_column("audit_entries", sa.Column("facts", sa.JSON(), server_default="{}", nullable=False))
    _rewrite("audit_entries", ("kind", "text"), _facts_from)
    op.drop_column("audit_entries", "text")


def downgrade() -> None:
    # With a default, because the rows are there already; the older program always gives a text.
    op.add_column(
        "audit_entries", sa.Column("text", sa.String(length=500), server_default="", nullable=False)
    )
    _rewrite("audit_entries", ("kind", "facts"), _text_from)
    op.drop_column("audit_entries", "facts")
    op.execute("ALTER TABLE calendly_connections RENAME COLUMN reason TO former")
    op.add_column("calendly_connections", sa.Column("reason", sa.String(length=300), nullable=True))
    _rewrite("calendly_connections", ("former", "reason_facts"), _reason_sentence_from)
    for column in ("former", "reason_facts"):
        op.drop_column("calendly_connections", column)


def _rewrite(table: str, names: tuple[str, ...], new_values: Callable[..., Row]) -> None:
    """Set in each row what ``new_values`` makes of the named columns. The tables are small."""
    bind = op.get_bind()
    rows = sa.Table(table, sa.MetaData(), autoload_with=bind)
    for row in bind.execute(sa.select(rows.c.id, *(rows.c[name] for name in names))).all():
        bind.execute(rows.update().where(rows.c.id == row[0]).values(new_values(*row[1:])))


def _code_of(sentence: str) -> tuple[str, Row]:
    code = next((code for code, known in REASONS.items() if known == sentence), None)
    return (code, {}) if code else ("other", {"text": sentence})


def _sentence_of(code: str, facts: Row) -> str:
    return REASONS.get(code) or str(facts.get("text", ""))


def _reason_from(former: str | None) -> Row:
    code, facts = _code_of(former) if former else (None, {})
    return {"reason": code, "reason_facts": facts}


def _reason_sentence_from(former: str | None, facts: Row) -> Row:
    return {"reason": _sentence_of(former, facts) if former else None}


def _facts_from(kind: str, text: str) -> Row:
    if SENTENCES.get(kind) == text:
        return {"facts": {}}
    if kind == "connection.dead":
        code, facts = _code_of(text)
        return {"facts": {"reason": code, **facts}}
    if kind == "token.takeover" and (found := TAKEOVER.fullmatch(text)):
        return {"facts": {"token": POSITIONS.index(found[1]) + 1}}
    if kind == "token.refused" and (found := REFUSED.fullmatch(text)):
        return {"facts": {"token": POSITIONS.index(found[1]) + 1, "builders": int(found[2])}}
    if kind == "keys.rotated" and (found := ROTATED.fullmatch(text)):
        return {"facts": {"secrets": int(found[1]), "key": found[2]}}
    return {"kind": "other", "facts": {"kind": kind, "text": text}}


def _text_from(kind: str, facts: Row) -> Row:
    if kind == "other":
        return {"kind": facts["kind"], "text": facts["text"]}
    return {"text": SENTENCES.get(kind) or _made_of_facts(kind, facts)}


def _made_of_facts(kind: str, facts: Row) -> str:
    match kind, facts:
        case "connection.dead", {"reason": reason}:
            return _sentence_of(reason, facts)
        case "token.takeover", {"token": token}:
            return f"Calendly refused the {POSITIONS[token - 1]} of the platform's tokens; the other has taken over."
        case "token.refused", {"token": token, "builders": builders}:
            return (
                f"Calendly refused the {POSITIONS[token - 1]} of the platform's tokens, and no other is left. "
                f"Booking is closed for {builders} builder{'' if builders == 1 else 's'} until one is good again."
            )
        case "keys.rotated", {"secrets": secrets, "key": key}:
            return f"{secrets} stored secrets were sealed anew, under the key {key}."
    # A kind that the older program does not know.
    return json.dumps(facts)[:500]
