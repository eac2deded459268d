"""Links that clients asked for, and the browsers that they verified."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookingapp.core.db import Model


class SignIn(Model):
    """One link, sent to one address. Used once, it verifies that address for the browser that used it."""

    __tablename__ = "client_sign_ins"
    __table_args__ = (sa.Index("ix_client_sign_ins_email_created", "email", "created_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254))  # Lower case, as it was normalized.
    link_token: Mapped[str] = mapped_column(sa.String(32), unique=True)  # What the link carries, signed.
    # SHA-256 of what the verified browser's cookie carries; another secret than the link's.
    browser_hash: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    return_to: Mapped[str | None] = mapped_column(sa.String(200))  # The session type that asked for it.
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
