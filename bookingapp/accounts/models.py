"""Accounts, their log-ins, links, second steps and security events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bookingapp.accounts.codes import LinkPurpose, LogInEnd, SecondStep, SecurityCode
from bookingapp.core.db import Model, code_column
from bookingapp.core.encryption import EncryptedText
from bookingapp.core.i18n import LONGEST_CODE


class Account(Model):
    """A person who can log in: a builder, an operator (``is_operator``), or both."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254), unique=True)  # Normalized: lower case.
    name: Mapped[str] = mapped_column(sa.String(120))
    password_hash: Mapped[str] = mapped_column(sa.String(200))
    # The code of the language that they read, once they have logged in. Their mails are in it.
    language: Mapped[str | None] = mapped_column(sa.String(LONGEST_CODE))
    is_operator: Mapped[bool] = mapped_column(default=False)
    two_step_since: Mapped[datetime | None]  # Since then, each log-in needs a code after the password.
    created_at: Mapped[datetime]


class LogIn(Model):
    """One browser in which an account is or was logged in. Its row stays for a year, as a record."""

    __tablename__ = "log_ins"
    __table_args__ = (sa.Index("ix_log_ins_account_id_browser_hash", "account_id", "browser_hash"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(
        sa.String(64), unique=True
    )  # SHA-256 of the secret in the cookie.
    second_step: Mapped[SecondStep] = mapped_column(
        code_column(SecondStep), default=SecondStep.NOT_NEEDED, server_default=SecondStep.NOT_NEEDED.value
    )
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_how: Mapped[LogInEnd | None] = mapped_column(code_column(LogInEnd))
    # SHA-256 of the browser's own secret, by which it is known again. None once another browser has ended the log-in.
    browser_hash: Mapped[str | None] = mapped_column(sa.String(64))
    network: Mapped[str] = mapped_column(sa.String(45), default="", server_default="")  # See origins.py.
    user_agent: Mapped[str] = mapped_column(sa.String(300), default="", server_default="")

    account: Mapped[Account] = relationship(lazy="joined")


class AccountLink(Model):
    """A link that works once, sent to one address. It is good until ``expires_at``, ``used_at`` or ``ended_at``."""

    __tablename__ = "account_links"
    __table_args__ = (sa.Index("ix_account_links_email_purpose", "email", "purpose"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    purpose: Mapped[LinkPurpose] = mapped_column(code_column(LinkPurpose))
    account_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("accounts.id", ondelete="CASCADE"), index=True
    )  # None where there is no account, or it is not looked up yet.
    email: Mapped[str] = mapped_column(sa.String(254))  # Normalized: lower case.
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)  # SHA-256.
    token: Mapped[str | None] = mapped_column(EncryptedText)  # For the job that sends it, until that is done.
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]  # Replaced by a newer one, or withdrawn.


class TwoStep(Model):
    """The secret that an account shares with its authenticator app. Used once ``Account.two_step_since`` is set."""

    __tablename__ = "two_steps"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id", ondelete="CASCADE"), unique=True)
    secret: Mapped[str | None] = mapped_column(EncryptedText)  # Base32.
    new_secret: Mapped[str | None] = mapped_column(EncryptedText)  # Shown, but not confirmed by a code yet.
    last_period: Mapped[int] = mapped_column(default=0)  # Of the last code that was used: none works twice.
    created_at: Mapped[datetime]


class RecoveryCode(Model):
    """A code that replaces the authenticator app once."""

    __tablename__ = "recovery_codes"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    code_hash: Mapped[str] = mapped_column(
        sa.String(64)
    )  # SHA-256: a code has 120 random bits, one of before 80.
    used_at: Mapped[datetime | None]


class SecurityEvent(Model):
    """Something that concerns the safety of an account, kept for a year. ``facts`` never has a secret or an address."""

    __tablename__ = "security_events"
    __table_args__ = (sa.Index("ix_security_events_account_id_id", "account_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    code: Mapped[SecurityCode] = mapped_column(code_column(SecurityCode))
    account_id: Mapped[int | None] = mapped_column(sa.ForeignKey("accounts.id", ondelete="CASCADE"))
    network: Mapped[str] = mapped_column(sa.String(45))
    user_agent: Mapped[str] = mapped_column(sa.String(300))
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
