"""Builders' own Calendly accounts, refused tokens, the audit log. ``dashboard/words/connections.py`` has the words."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookingapp.core.db import Model
from bookingapp.core.encryption import EncryptedText


class ConnectionState(enum.StrEnum):
    """``connected`` works; ``dead`` was refused by Calendly; ``disconnected`` was ended by the builder."""

    CONNECTED = "connected"
    DEAD = "dead"
    DISCONNECTED = "disconnected"


class ConnectionReason(enum.StrEnum):
    """Why a connection ended, or why its last renewal failed where a person has to act."""

    REVOKED = "revoked"  # Calendly refuses the refresh token: the permission was withdrawn or replaced.
    INTERRUPTED = "interrupted"  # The same, after a renewal whose answer was never stored.
    REFUSED_AFTER_RENEWAL = (
        "refused_after_renewal"  # Calendly refuses an access token that it has just issued.
    )
    APP_REFUSED = "app_refused"  # Calendly refuses our OAuth app; the pair may still be good.
    ENDED_BY_BUILDER = "ended_by_builder"
    OTHER = "other"  # An older release's sentence, in ``reason_facts["text"]``.


class AuditKind(enum.StrEnum):
    """What was done. Behind each kind are its facts."""

    CONNECTION_MADE = "connection.made"
    CONNECTION_ENDED = "connection.ended"
    CONNECTION_DEAD = "connection.dead"  # reason: a ConnectionReason
    USER_ASSIGNED = "user.assigned"  # An operator chose a user of the platform's organization.
    PLATFORM_TAKEOVER = "token.takeover"  # token: 1 or 2, the position of the refused platform token
    PLATFORM_REFUSED = "token.refused"  # token; builders: how many can no longer be booked
    PLATFORM_ACCEPTED = "token.accepted"
    KEYS_ROTATED = "keys.rotated"  # secrets: how many were encrypted again; key: the newest key's id
    OTHER = "other"  # An older release's entry: its kind and text.


def _code_column(kind: type[enum.StrEnum]) -> sa.Enum:
    """A column of codes without a check: a new code needs no migration."""
    return sa.Enum(
        kind,
        native_enum=False,
        create_constraint=False,
        length=64,
        values_callable=lambda e: [member.value for member in e],
    )


class CalendlyConnection(Model):
    """A builder's own Calendly account: its pair of tokens, loaded only by queries that name them, and their renewal.
    ``fence`` grows with each lease and each change of the pair: a writer with an older number changes nothing.
    """

    __tablename__ = "calendly_connections"

    id: Mapped[int] = mapped_column(primary_key=True)
    builder_id: Mapped[int] = mapped_column(sa.ForeignKey("builders.id"), unique=True)
    user_uri: Mapped[str] = mapped_column(sa.String(255), unique=True)
    organization_uri: Mapped[str | None] = mapped_column(sa.String(255))
    access_token: Mapped[str | None] = mapped_column(EncryptedText, deferred=True)
    refresh_token: Mapped[str | None] = mapped_column(EncryptedText, deferred=True)
    expires_at: Mapped[datetime]
    scopes: Mapped[list[str]]
    state: Mapped[ConnectionState]
    reason: Mapped[ConnectionReason | None] = mapped_column(_code_column(ConnectionReason))
    reason_facts: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    # The operator had entered this Calendly user for the platform's token before the builder connected it: only
    # then may that token serve it again after the builder disconnects.
    platform_may_serve: Mapped[bool] = mapped_column(default=False)
    fence: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]  # A process is renewing the pair until then.
    asked_at: Mapped[datetime | None]  # A renewal was sent and its answer is not stored (yet).
    retry_at: Mapped[datetime | None]  # The last renewal failed; the next is not tried before.
    connected_at: Mapped[datetime]
    renewed_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class OAuthAttempt(Model):
    """A builder's visit to Calendly's consent page. Its ``state`` works once, for ten minutes, in the same browser
    and for the same account; only hashes of both are stored.
    """

    __tablename__ = "oauth_attempts"

    id: Mapped[int] = mapped_column(primary_key=True)
    state_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    browser_hash: Mapped[str] = mapped_column(sa.String(64))
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    verifier: Mapped[str] = mapped_column(EncryptedText)
    expires_at: Mapped[datetime]


class PendingRevocation(Model):
    """A token that we no longer use and that Calendly has not confirmed to revoke yet."""

    __tablename__ = "owed_revocations"

    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(EncryptedText, deferred=True)
    created_at: Mapped[datetime]


class TokenRefusal(Model):
    """A platform token that Calendly has refused, by its fingerprint, so that no process sends it again."""

    __tablename__ = "token_refusals"

    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(sa.String(64), unique=True)
    refused_at: Mapped[datetime]


class AuditEntry(Model):
    """One act on an account, a token or a key, without secrets; without an actor where no builder did it."""

    __tablename__ = "audit_entries"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor_account_id: Mapped[int | None] = mapped_column(sa.ForeignKey("accounts.id"), index=True)
    builder_id: Mapped[int | None] = mapped_column(sa.ForeignKey("builders.id"), index=True)
    kind: Mapped[AuditKind] = mapped_column(_code_column(AuditKind))
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
