"""What is kept of a builder's own Calendly account, and who did what with secrets."""

from __future__ import annotations

import enum
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookingapp.core.db import Model
from bookingapp.core.encryption import EncryptedText


class ConnectionState(enum.StrEnum):
    """``connected`` works; ``dead`` was refused by Calendly; ``disconnected`` was ended by the builder."""

    CONNECTED = "connected"
    DEAD = "dead"
    DISCONNECTED = "disconnected"


class CalendlyConnection(Model):
    """A builder's own Calendly account: a pair of tokens, and whose turn it is to renew them.

    ``fence`` grows with each claim of the renewal and each change of the pair by hand: whoever holds an older
    number can change nothing any more. Tokens are loaded only where they are asked for by name.
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
    reason: Mapped[str | None] = mapped_column(sa.String(300))  # A sentence for the builder.
    # The operator had entered this very Calendly user for the platform's token to serve, before it was
    # connected: then, and only then, that token may serve it again once the builder disconnects.
    platform_may_serve: Mapped[bool] = mapped_column(default=False)
    fence: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]  # Somebody is renewing the pair until then.
    asked_at: Mapped[datetime | None]  # A renewal was sent and its answer is not stored (yet).
    retry_at: Mapped[datetime | None]  # The last renewal failed; none is tried before.
    connected_at: Mapped[datetime]
    renewed_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class OAuthAttempt(Model):
    """A person on their way to Calendly's consent page. Its ``state`` works once, for ten minutes, in the same
    browser and for the same account; only hashes of state and browser are kept.
    """

    __tablename__ = "oauth_attempts"

    id: Mapped[int] = mapped_column(primary_key=True)
    state_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    browser_hash: Mapped[str] = mapped_column(sa.String(64))
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    verifier: Mapped[str] = mapped_column(EncryptedText)
    expires_at: Mapped[datetime]


class PendingRevocation(Model):
    """A token that we let go of and that Calendly has not been heard to revoke yet."""

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
    """Who did what with an account, a token or a key. ``text`` is a sentence without secrets; without an
    actor it happened by itself or from the command line.
    """

    __tablename__ = "audit_entries"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor_account_id: Mapped[int | None] = mapped_column(sa.ForeignKey("accounts.id"), index=True)
    builder_id: Mapped[int | None] = mapped_column(sa.ForeignKey("builders.id"), index=True)
    kind: Mapped[str] = mapped_column(sa.String(64))
    text: Mapped[str] = mapped_column(sa.String(500))
