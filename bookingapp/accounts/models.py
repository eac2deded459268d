"""Accounts and their log-ins."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bookingapp.core.db import Model


class Account(Model):
    """A person who can log in: a builder, an operator (``is_operator``), or both."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254), unique=True)  # Normalized: lower case.
    name: Mapped[str] = mapped_column(sa.String(120))
    password_hash: Mapped[str] = mapped_column(sa.String(200))
    is_operator: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]


class LogIn(Model):
    """One browser in which an account is logged in. Its cookie is valid as long as this row exists."""

    __tablename__ = "log_ins"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(
        sa.String(64), unique=True
    )  # SHA-256 of the secret in the cookie.
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]

    account: Mapped[Account] = relationship(lazy="joined")
