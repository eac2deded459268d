"""What was found missing when both providers were asked: one row for each time."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookingapp.core.db import Model


class Reconciliation(Model):
    """One look at both providers, for everything or (with ``booking_id``) for one booking. ``missing`` are sentences
    about what no webhook had told us, ``failed`` about what could not be asked; none of them names a person.
    """

    __tablename__ = "reconciliations"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    since: Mapped[datetime]  # How far back was looked.
    booking_id: Mapped[int | None] = mapped_column(sa.ForeignKey("bookings.id"), index=True)
    with_events: Mapped[bool] = mapped_column(default=False)  # Whether Stripe's events were asked for.
    missing: Mapped[list[str]] = mapped_column(default=list)
    failed: Mapped[list[str]] = mapped_column(default=list)
