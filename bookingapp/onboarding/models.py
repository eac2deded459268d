"""Applications of people who want to become builders. Invitations are links of :mod:`bookingapp.accounts.links`."""

from __future__ import annotations

import enum
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookingapp.core.db import Model, code_column
from bookingapp.core.i18n import LONGEST_CODE, SOURCE


class Decision(enum.StrEnum):
    """What an operator answered."""

    ACCEPTED = "accepted"  # An invitation was sent.
    DECLINED = "declined"


class Application(Model):
    """One application, from the moment when its sender confirmed the address. An address has at most one that waits."""

    __tablename__ = "builder_applications"
    __table_args__ = (
        sa.Index(
            "uq_builder_applications_waiting",
            "email",
            unique=True,
            sqlite_where=sa.text("decided_at IS NULL"),
            postgresql_where=sa.text("decided_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254))  # Normalized: lower case.
    name: Mapped[str] = mapped_column(sa.String(120))
    about: Mapped[str] = mapped_column(sa.Text)  # What they build, in their own words.
    link: Mapped[str] = mapped_column(sa.String(300), default="")  # An https address, or nothing.
    # The code of the language of the page that they applied on.
    language: Mapped[str] = mapped_column(sa.String(LONGEST_CODE), default=SOURCE, server_default=SOURCE)
    confirmed_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decision: Mapped[Decision | None] = mapped_column(code_column(Decision))
    answer: Mapped[str | None] = mapped_column(sa.String(300))  # The sentence that a declined one reads.
