"""Sign-in links, and the browsers that were verified by them."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookingapp.core.db import Model
from bookingapp.core.i18n import LONGEST_CODE, SOURCE


class SignIn(Model):
    """A link that was sent to one address. It works once, and verifies the address for the browser that used it."""

    __tablename__ = "client_sign_ins"
    __table_args__ = (sa.Index("ix_client_sign_ins_email_created", "email", "created_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254))  # Normalized: lower case.
    link_token: Mapped[str] = mapped_column(sa.String(32), unique=True)  # The link has it signed.
    # SHA-256 of the secret in the verified browser's cookie, which is not the link's.
    browser_hash: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    # The code of the language of the page that asked for it.
    language: Mapped[str] = mapped_column(sa.String(LONGEST_CODE), default=SOURCE, server_default=SOURCE)
    return_to: Mapped[str | None] = mapped_column(sa.String(200))  # The path of the session type that asked.
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
