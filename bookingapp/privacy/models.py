"""Erasures that are not finished: what is left to do with an address after our own rows have none of it."""

from __future__ import annotations

import enum
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookingapp.core.db import Model, code_column
from bookingapp.core.encryption import EncryptedText


class Result(enum.StrEnum):
    """How the erasure of an address ended in one place."""

    DONE = "done"  # Here.
    ACCEPTED = "accepted"  # By Calendly, which needs up to seven days.
    BY_HAND = "by_hand"  # Calendly does not let us: the booking is flagged for a person.


class ErasureRequest(Model):
    """An address that is to be erased in one place: in the Calendly account behind a booking, or (without a booking) in
    that of a builder (the job says whose) or the bodies of deliveries here. The address is encrypted, and deleted with
    the end.
    """

    __tablename__ = "erasure_requests"

    id: Mapped[int] = mapped_column(primary_key=True)
    booking_id: Mapped[int | None] = mapped_column(sa.ForeignKey("bookings.id"), index=True)
    address: Mapped[str | None] = mapped_column(EncryptedText)
    asked_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]
    result: Mapped[Result | None] = mapped_column(code_column(Result))
