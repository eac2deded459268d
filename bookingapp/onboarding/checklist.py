"""How far a new builder is, in five steps. Nothing of it is stored: each step is done once its facts are there.
``words.py`` has the sentences.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account
from bookingapp.bookings.models import Booking, HistoryEntry
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.core.errors import Conflict
from bookingapp.core.i18n import gettext
from bookingapp.session_types.models import SessionType


class Step(enum.StrEnum):
    """What a new builder does, in this order."""

    PROFILE = "profile"  # A headline, and something about themselves.
    CONNECTION = "connection"  # A Calendly user.
    PRICE = "price"  # At least one session type that has a price and is published.
    PUBLISH = "publish"  # They are in the directory.
    TEST = "test"  # They have booked themselves once, and that is over.


BEFORE_PUBLISHING = (Step.PROFILE, Step.CONNECTION, Step.PRICE)


@dataclass(frozen=True)
class Checklist:
    """The steps that are done. ``test_id`` is the tracking id of a test booking that is still ahead; ``price`` is the
    lowest of the published session types, in minor units with its currency; ``email`` is the builder's own address, by
    which a booking is known as a test.
    """

    done: frozenset[Step]
    email: str
    price: tuple[int, str] | None = None
    test_id: str | None = None

    @property
    def next(self) -> Step | None:
        """The first step that is not done; None where all are."""
        return next((step for step in Step if step not in self.done), None)

    @property
    def can_publish(self) -> bool:
        """Whether the directory may list the builder."""
        return self.done.issuperset(BEFORE_PUBLISHING)


def load_checklist(session: Session, builder: Builder, *, now: datetime) -> Checklist:
    """How far the builder is. Once a client has booked them, nothing is left to do."""
    email = sa.select(Account.email).where(Account.id == builder.account_id).scalar_subquery()
    # One without a time was never confirmed, and is in another index.
    mine = sa.select(Booking.id).where(Booking.builder_id == builder.id, Booking.starts_at.is_not(None))
    # PostgreSQL might read the whole history of an EXISTS.
    was_confirmed = (
        sa.select(HistoryEntry.id)
        .where(HistoryEntry.booking_id == Booking.id, HistoryEntry.to_status == Status.CONFIRMED)
        .limit(1)
        .scalar_subquery()
        .is_not(None)
    )
    tests = mine.where(Booking.client_email == email)
    is_ahead = sa.and_(Booking.status == Status.CONFIRMED, Booking.ends_at > now)
    address, by_client, by_self, test_id = session.execute(
        sa.select(
            email,
            mine.where(Booking.client_email != email, was_confirmed).exists(),
            tests.where(was_confirmed).exists(),
            tests.where(is_ahead).with_only_columns(Booking.tracking_id).limit(1).scalar_subquery(),
        )
    ).one()
    if by_client:
        return Checklist(frozenset(Step), address)
    prices = _list_published_prices(session, builder)
    facts = {
        Step.PROFILE: bool(builder.headline.strip() and builder.bio.strip()),
        Step.CONNECTION: builder.calendly_user_uri is not None and builder.disconnected_at is None,
        Step.PRICE: bool(prices),
        Step.PUBLISH: builder.listed,
        Step.TEST: by_self and test_id is None,
    }
    done = frozenset(step for step, is_done in facts.items() if is_done)
    return Checklist(done, address, min(prices, default=None), test_id)


def publish_profile(session: Session, builder: Builder, *, now: datetime) -> None:
    """Let the directory list the builder. Raises :class:`Conflict` while a step before that is not done."""
    if not load_checklist(session, builder, now=now).can_publish:
        raise Conflict(
            gettext(
                "Before clients can find you, your profile needs a headline and a text, Calendly has to be connected, "
                "and one session type has to be priced and published."
            )
        )
    session.get_one(Builder, builder.id, with_for_update=True).listed = True


def _list_published_prices(session: Session, builder: Builder) -> Sequence[tuple[int, str]]:
    query = sa.select(SessionType.price_minor, SessionType.currency)
    query = query.where(SessionType.builder_id == builder.id, SessionType.published)
    return [(minor, currency) for minor, currency in session.execute(query)]
