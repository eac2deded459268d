"""Lists what needs a person, over all builders: money first, then times, then the rest; in each the oldest first.

One statement finds the page's items in the indexes of what is open, and reads what is shown of them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import AttentionFlag, Booking, UnattachedInvitee
from bookingapp.builders.models import Builder
from bookingapp.connections.models import CalendlyConnection, ConnectionState
from bookingapp.console.places import FIRST, read_id, read_moment, write_moment
from bookingapp.core.db import UTCDateTime
from bookingapp.core.jobs import REGISTRY
from bookingapp.core.queue import DEAD, Job
from bookingapp.payments.models import DISPUTES_ENDED, Dispute
from bookingapp.webhooks.models import InboxEvent, Provider

PER_PAGE = 25


class Topic(enum.StrEnum):
    """What an item is about, in the order of the list."""

    MONEY = "money"
    TIMES = "times"
    OTHER = "other"


class Source(enum.StrEnum):
    """Which table an item comes from. The value is its ``data-attention`` where it is no flag."""

    FLAG = "flag"
    DELIVERY = "delivery_dead"
    JOB = "job_dead"
    UNATTACHED = "unattached_time"
    CONNECTION = "connection_lost"


TOPICS: Final = tuple(Topic)
MONEY_FLAGS: Final = (
    FlagCode.PAID_WITHOUT_TIME,
    FlagCode.PAID_IN_CALENDLY,
    FlagCode.LATE_PAYMENT_CHECKED,
    FlagCode.LATE_PAYMENT,
    FlagCode.PAYMENT_PROCESSING,
    FlagCode.PAYMENT_REFUSED,
    FlagCode.PAYMENT_UNEXPECTED,
    FlagCode.WRONG_AMOUNT,
    FlagCode.WRONG_REFERENCE,
    FlagCode.REFUND_DELAYED,
    FlagCode.REFUND_REFUSED,
    FlagCode.REFUND_WAITS_FOR_CLIENT,
    FlagCode.REFUND_UNDELIVERED,
    FlagCode.REFUNDED_OUTSIDE,
    FlagCode.FRAUD_WARNING,
    FlagCode.DISPUTE_OPEN,
    FlagCode.DISPUTE_LOST,
    FlagCode.ABSENCE_CLAIMED,
    FlagCode.ABSENCE_DENIED,
    FlagCode.NO_SHOW_DENIED,
)
OTHER_FLAGS: Final = (
    FlagCode.MAIL_NOT_SENT,
    FlagCode.ERASE_IN_CALENDLY,
    FlagCode.ERASE_IN_STRIPE,
    FlagCode.OTHER,
)
MONEY_JOBS: Final = ("payments.", "checkout.")

IS_DEAD: Final = sa.text(DEAD)

Key = tuple[int, datetime, Source, int]
"""The place of an item in the list: the index of its topic, since when it is open, and its row."""


@dataclass(frozen=True)
class Item:
    """One item. ``code`` is its ``data-attention``; ``facts`` are the flag's, or an outcome's; ``due_by`` the last day
    of a dispute; ``what`` the type of a delivery or the name of a job. The booking and the builder are those that it is
    about, where there are some.
    """

    key: Key
    code: str
    facts: Mapping[str, Any]
    outcome: str | None
    what: str | None
    provider: Provider | None
    due_by: datetime | None
    tracking_id: str | None
    title: str | None
    client_name: str | None
    starts_at: datetime | None
    builder_name: str | None
    builder_slug: str | None

    @property
    def source(self) -> Source:
        """The table of its row."""
        return self.key[2]

    @property
    def id(self) -> int:
        """The number of its row."""
        return self.key[3]

    @property
    def since(self) -> datetime:
        """Since when it is open."""
        return self.key[1]

    @property
    def topic(self) -> Topic:
        """What it is about."""
        return TOPICS[self.key[0]]


def list_items(
    session: Session,
    *,
    now: datetime,
    topic: Topic | None = None,
    after: Key | None = None,
    limit: int = PER_PAGE,
) -> list[Item]:
    """At most ``limit`` items behind the place ``after``, in their order."""
    low, high = (0, len(TOPICS)) if topic is None else (TOPICS.index(topic),) * 2
    rank, at, source, number = after or (-1, FIRST, Source.FLAG, 0)
    values = {"rank": rank, "at": at, "source": source.value, "id": number}
    found = []
    for row in session.execute(
        _statement(), {**values, "low": low, "high": high, "limit": limit, "now": now}
    ):
        source = Source(row.source)
        found.append(
            Item(
                key=(row.rank, row.at, source, row.id),
                code=row.flag or source.value,
                facts=row.flag_facts or row.delivery_facts or row.job_facts or {},
                outcome=row.outcome,
                what=row.what,
                provider=row.provider,
                due_by=row.due_by if row.flag is FlagCode.DISPUTE_OPEN else None,
                tracking_id=row.tracking_id,
                title=row.title,
                client_name=row.client_name,
                starts_at=row.starts_at,
                builder_name=row.builder_name,
                builder_slug=row.builder_slug,
            )
        )
    return found


def count_items(session: Session, *, now: datetime) -> Mapping[Topic, int]:
    """How many items of each topic there are."""
    counts = {TOPICS[rank]: int(number) for rank, number in session.execute(_counting(), {"now": now})}
    return {topic: counts.get(topic, 0) for topic in TOPICS}


@cache
def _counting() -> sa.Select[Any]:
    items = _open_items().subquery()
    return sa.select(items.c.rank, sa.func.count()).group_by(items.c.rank)


def _open_items() -> sa.CompoundSelect[Any]:
    """The places of everything that is open. Each of the five reads an index of open rows alone."""
    money, times, other = (sa.literal_column(str(number), sa.Integer()) for number in range(len(TOPICS)))
    # A dead job of these flags its booking, and is settled there.
    flagged = [kind.name for kind in REGISTRY.values() if kind.flag_dead]
    is_money_job = sa.or_(*(Job.name.startswith(name) for name in MONEY_JOBS))
    return sa.union_all(
        _place(
            Source.FLAG,
            AttentionFlag.id,
            AttentionFlag.raised_at,
            sa.case(
                (AttentionFlag.code.in_(MONEY_FLAGS), money),
                (AttentionFlag.code.in_(OTHER_FLAGS), other),
                else_=times,
            ),
        ).where(AttentionFlag.resolved_at.is_(None)),
        _place(
            Source.DELIVERY,
            InboxEvent.id,
            sa.func.coalesce(InboxEvent.finished_at, InboxEvent.run_at),
            sa.case((InboxEvent.provider == Provider.STRIPE, money), else_=times),
        ).where(IS_DEAD),
        _place(
            Source.JOB,
            Job.id,
            sa.func.coalesce(Job.finished_at, Job.run_at),
            sa.case((is_money_job, money), else_=other),
        ).where(IS_DEAD, Job.name.not_in(flagged)),
        _place(Source.UNATTACHED, UnattachedInvitee.id, UnattachedInvitee.found_at, times).where(
            UnattachedInvitee.resolved_at.is_(None), UnattachedInvitee.starts_at > sa.bindparam("now")
        ),
        # Where the platform's token is refused, that is one matter, and is on the page of the state.
        _place(Source.CONNECTION, CalendlyConnection.builder_id, CalendlyConnection.changed_at, times).where(
            CalendlyConnection.state == ConnectionState.DEAD
        ),
    )


def _place(source: Source, number: Any, at: Any, rank: Any) -> sa.Select[Any]:
    return sa.select(
        rank.label("rank"),
        sa.type_coerce(at, UTCDateTime()).label("at"),
        sa.literal_column(f"'{source.value}'").label("source"),
        number.label("id"),
    )


# Built once: building it costs more than executing it.
@cache
def _statement() -> sa.Select[Any]:
    items = _open_items().subquery()
    order = (items.c.rank, items.c.at, items.c.source, items.c.id)
    place = (
        sa.bindparam("rank", type_=sa.Integer()),
        sa.bindparam("at", type_=UTCDateTime()),
        sa.bindparam("source", type_=sa.String()),
        sa.bindparam("id", type_=sa.Integer()),
    )
    page = (
        sa.select(items)
        .where(
            items.c.rank.between(sa.bindparam("low"), sa.bindparam("high")),
            sa.tuple_(*order) > sa.tuple_(*place),
        )
        .order_by(*order)
        .limit(sa.bindparam("limit"))
        .cte("page")
    )

    def of(source: Source, number: Any) -> sa.ColumnElement[bool]:
        return sa.and_(page.c.source == source.value, number == page.c.id)

    due_by = (
        sa.select(sa.func.min(Dispute.due_by))
        .where(Dispute.booking_id == Booking.id, Dispute.status.not_in(DISPUTES_ENDED))
        .correlate(Booking)
        .scalar_subquery()
    )
    about = sa.func.coalesce(AttentionFlag.booking_id, InboxEvent.booking_id, Job.booking_id)
    whose = sa.case(
        (page.c.source == Source.CONNECTION.value, page.c.id),
        else_=sa.func.coalesce(Booking.builder_id, UnattachedInvitee.builder_id),
    )
    return (
        sa.select(
            page,
            AttentionFlag.code.label("flag"),
            AttentionFlag.facts.label("flag_facts"),
            InboxEvent.outcome_facts.label("delivery_facts"),
            Job.outcome_facts.label("job_facts"),
            sa.func.coalesce(InboxEvent.outcome, Job.outcome).label("outcome"),
            sa.func.coalesce(InboxEvent.type, Job.name).label("what"),
            InboxEvent.provider,
            due_by.label("due_by"),
            Booking.tracking_id,
            sa.func.coalesce(Booking.title, UnattachedInvitee.title).label("title"),
            sa.func.coalesce(Booking.client_name, UnattachedInvitee.name).label("client_name"),
            sa.func.coalesce(Booking.starts_at, UnattachedInvitee.starts_at).label("starts_at"),
            Builder.display_name.label("builder_name"),
            Builder.slug.label("builder_slug"),
        )
        .select_from(page)
        .outerjoin(AttentionFlag, of(Source.FLAG, AttentionFlag.id))
        .outerjoin(InboxEvent, of(Source.DELIVERY, InboxEvent.id))
        .outerjoin(Job, of(Source.JOB, Job.id))
        .outerjoin(UnattachedInvitee, of(Source.UNATTACHED, UnattachedInvitee.id))
        .outerjoin(Booking, Booking.id == about)
        .outerjoin(Builder, Builder.id == whose)
        .order_by(page.c.rank, page.c.at, page.c.source, page.c.id)
    )


def write_key(item: Item) -> str:
    """The place of an item, as an address carries it."""
    rank, at, source, number = item.key
    return f"{rank}~{write_moment(at)}~{source.value}~{number}"


def read_key(text: str) -> Key | None:
    """The place that an address carries; None where it carries none."""
    try:
        rank, at, source, number = text.split("~")
        return int(rank) % (len(TOPICS) + 1), read_moment(at), Source(source), read_id(number)
    except (ValueError, OverflowError):
        return None
