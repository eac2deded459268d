"""The first page of the dashboard: today and next, what needs a person, money, and whether all is connected.

It asks no provider: everything is from what is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.codes import ATTENDANCE_FLAGS, OPERATORS_FLAGS, FlagCode
from bookingapp.bookings.models import AttentionFlag, Booking, UnattachedInvitee
from bookingapp.bookings.unattached import list_unattached
from bookingapp.builders.models import Builder
from bookingapp.core.clock import zone
from bookingapp.dashboard.connection_checks import Check, check_stored
from bookingapp.dashboard.listed import Row, describe_rows
from bookingapp.dashboard.listing import Sort, Wanted, find_page
from bookingapp.dashboard.settling import SETTLED_BY, Settling
from bookingapp.dashboard.words.bookings import flag_sentence
from bookingapp.payments.models import LedgerEntry

NEXT = 10
MOST_ATTENTION = 25
BAR = 100


@dataclass(frozen=True)
class Item:
    """A condition that needs a person, and what settles it; None where marking it as resolved is all."""

    code: FlagCode
    sentence: str
    tracking_id: str
    title: str
    client_name: str
    starts_at: datetime | None
    settling: Settling | None

    @property
    def can_resolve(self) -> bool:
        """Whether it can be marked as resolved."""
        return self.code not in ATTENDANCE_FLAGS


@dataclass(frozen=True)
class Takings:
    """What came in less what went back, in minor units of one currency, this month and last. The widths are of a chart
    whose longest bar is 100.
    """

    currency: str
    this_minor: int
    last_minor: int

    @property
    def widths(self) -> tuple[int, int]:
        """The lengths of the two bars; nothing for what is below zero."""
        longest = max(self.this_minor, self.last_minor, 1)
        this, last = (max(0, minor) * BAR // longest for minor in (self.this_minor, self.last_minor))
        return this, last


@dataclass(frozen=True)
class Home:
    """Everything on the page. ``today`` and ``later`` are the next sessions."""

    today: list[Row]
    later: list[Row]
    attention: list[Item]
    unattached: Sequence[UnattachedInvitee]
    takings: list[Takings]
    month: datetime
    last_month: datetime
    checks: list[Check]


def load_home(session: Session, builder: Builder, *, now: datetime) -> Home:
    """The page of a builder."""
    local = zone(builder.timezone)
    page = find_page(session, Wanted(builder.id, now, Sort.NEXT, size=NEXT))
    rows = describe_rows(session, page.rows, builder.timezone)
    day = now.astimezone(local).date()
    is_today = [row.starts_at is not None and row.starts_at.astimezone(local).date() <= day for row in rows]
    month = now.astimezone(local).replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)
    last_month = (month - timedelta(days=1)).replace(day=1)
    return Home(
        today=[row for row, first in zip(rows, is_today, strict=True) if first],
        later=[row for row, first in zip(rows, is_today, strict=True) if not first],
        attention=_list_attention(session, builder),
        unattached=list_unattached(session, builder, now=now),
        takings=_load_takings(session, builder, last_month, month),
        month=month,
        last_month=last_month,
        checks=check_stored(session, builder, now=now),
    )


def _list_attention(session: Session, builder: Builder) -> list[Item]:
    flag = AttentionFlag
    query = (
        sa.select(
            flag.code, flag.facts, Booking.tracking_id, Booking.title, Booking.client_name, Booking.starts_at
        )
        .join(Booking, Booking.id == flag.booking_id)
        .where(
            Booking.builder_id == builder.id, flag.resolved_at.is_(None), flag.code.not_in(OPERATORS_FLAGS)
        )
        .order_by(flag.raised_at.desc(), flag.id.desc())
        .limit(MOST_ATTENTION)
    )
    return [
        Item(
            row.code,
            flag_sentence(row.code, row.facts),
            row.tracking_id,
            row.title,
            row.client_name,
            row.starts_at,
            SETTLED_BY.get(row.code),
        )
        for row in session.execute(query)
    ]


def _load_takings(session: Session, builder: Builder, last: datetime, this: datetime) -> list[Takings]:
    """The sums of the ledger in each currency that had a movement in one of the two months."""
    is_this = LedgerEntry.at >= this
    amount = LedgerEntry.amount_minor
    # Of few entries; PostgreSQL would read all bookings for a join.
    builder_id = sa.select(Booking.builder_id).where(Booking.id == LedgerEntry.booking_id).scalar_subquery()
    query = (
        sa.select(
            LedgerEntry.currency,
            sa.func.sum(sa.case((is_this, amount), else_=0)),
            sa.func.sum(sa.case((is_this, 0), else_=amount)),
        )
        .where(LedgerEntry.at >= last, builder_id == builder.id)
        .group_by(LedgerEntry.currency)
        .order_by(LedgerEntry.currency)
    )
    return [Takings(currency, int(now), int(before)) for currency, now, before in session.execute(query)]
