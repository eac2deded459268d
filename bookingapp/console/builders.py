"""The builders as operators find them, and the evidence for a builder's tier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from bookingapp.accounts.models import Account
from bookingapp.bookings.lookup import is_of_builder
from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.builders.service import get_by_slug
from bookingapp.core.errors import NotFound
from bookingapp.integrations.calendly import CalendlyClient, User
from bookingapp.payments.models import Dispute, Refund, RefundState
from bookingapp.sync.subscriptions import platform_organization
from bookingapp.webhooks.handlers import PLATFORM


@dataclass(frozen=True)
class Evidence:
    """What a builder has done here. Each is a number of bookings; ``since`` is the end of the first completed session,
    ``refunded`` have been refunded in whole or in part, ``missed`` are those whose client was marked as a no-show.
    """

    completed: int
    since: datetime | None
    canceled: int
    missed: int
    refunded: int
    disputed: int


def list_builders(session: Session, anything: str, *, before: int | None, limit: int) -> Sequence[Builder]:
    """At most ``limit`` builders with their accounts, the newest first, with smaller ids than ``before``. ``anything``
    is a part of a name, an e-mail address or a slug.
    """
    query = sa.select(Builder).join(Builder.account).options(joinedload(Builder.account))
    if anything:
        columns = (Builder.display_name, Builder.slug, Account.email)
        query = query.where(sa.or_(*(column.icontains(anything, autoescape=True) for column in columns)))
    if before is not None:
        query = query.where(Builder.id < before)
    return session.scalars(query.order_by(Builder.id.desc()).limit(limit)).all()


def get_builder(session: Session, slug: str) -> tuple[Builder, Account]:
    """A builder with the account. Raises :class:`NotFound`."""
    builder = get_by_slug(session, slug)
    account = session.get(Account, builder.account_id)
    if account is None:
        raise NotFound
    return builder, account


def collect_evidence(session: Session, builder: Builder) -> Evidence:
    """Count what a builder has done here."""
    is_completed = Booking.status == Status.COMPLETED
    count = sa.func.count()
    mine = sa.select(Booking.id).where(is_of_builder(builder.id)).correlate(None)
    done = sa.select(
        count.filter(is_completed),
        sa.func.min(Booking.ends_at).filter(is_completed),
        count.filter(Booking.status == Status.CANCELED),
        count.filter(Booking.no_show_at.is_not(None)),
    ).where(is_of_builder(builder.id))
    # Few bookings have one, so these are counted from their side.
    refunded, disputed = (
        sa.select(sa.func.count(model.booking_id.distinct()))
        .where(model.booking_id.in_(mine), *conditions)
        .scalar_subquery()
        for model, conditions in ((Refund, [Refund.state == RefundState.SUCCEEDED]), (Dispute, []))
    )
    row = session.execute(done.add_columns(refunded, disputed)).one()
    return Evidence(*row)


def fetch_free_users(session: Session, calendly: CalendlyClient) -> list[User]:
    """The Calendly users of the platform's organization who belong to no builder, by name. Asks Calendly; call it
    outside of a transaction. Raises :class:`CalendlyError`.
    """
    me = calendly.known_user(PLATFORM).value
    members = calendly.organization_members(PLATFORM, platform_organization(me))
    taken = set(session.scalars(sa.select(Builder.calendly_user_uri)))
    free = (one for one in members if one.uri not in taken and one.uri != me.uri)
    return sorted(free, key=lambda one: one.name.casefold())
