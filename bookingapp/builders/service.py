"""Finds builders by slug or account; creates profiles. The directory has a package of its own."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account
from bookingapp.builders.models import Builder, Closure, closure_of
from bookingapp.core.db import table_of
from bookingapp.core.errors import NotFound, refusing_twins
from bookingapp.core.i18n import gettext


def get_by_slug(session: Session, slug: str) -> Builder:
    """The builder at that address. Raises :class:`NotFound`."""
    builder = session.scalar(sa.select(Builder).where(Builder.slug == slug))
    if builder is None:
        raise NotFound(gettext("There is no builder at this address."))
    return builder


class Owner(NamedTuple):
    """What each page of the dashboard needs to know of its builder, as plain values: lists need nothing else, and the
    ORM takes three times as long.
    """

    id: int
    timezone: str
    listed: bool
    suspended_at: datetime | None
    suspension_reason: str | None
    calendly_user_uri: str | None
    disconnected_at: datetime | None

    @property
    def closure(self) -> Closure | None:
        """As :attr:`Builder.closure`."""
        return closure_of(self.suspended_at, self.calendly_user_uri, self.disconnected_at)


# Built once, because building them takes longer than executing them.
_B = table_of(Builder).c
_OWNER = sa.select(*(_B[name] for name in Owner._fields)).where(_B.account_id == sa.bindparam("account"))
_BY_ACCOUNT = sa.select(Builder).where(Builder.account_id == sa.bindparam("account"))


def find_by_account(session: Session, account_id: int) -> Builder | None:
    """The profile that belongs to an account."""
    return session.scalar(_BY_ACCOUNT, {"account": account_id})


def find_owner(session: Session, account_id: int) -> Owner | None:
    """What the pages of the dashboard need of that profile."""
    row = session.execute(_OWNER, {"account": account_id}).one_or_none()
    return Owner._make(row) if row else None


def create_builder(
    session: Session,
    *,
    account: Account,
    slug: str,
    name: str,
    calendly_user_uri: str | None,
    timezone: str,
    currency: str,
    now: datetime,
    listed: bool = True,
) -> Builder:
    """Add a builder's profile to an account. Without a Calendly user it cannot be booked yet. Raises
    :class:`~bookingapp.core.errors.Conflict` where another builder gets that slug, or the account another profile, at
    the same moment.
    """
    builder = Builder(
        account_id=account.id,
        slug=slug,
        display_name=name,
        calendly_user_uri=calendly_user_uri,
        timezone=timezone,
        default_currency=currency,
        listed=listed,
        created_at=now,
    )
    session.add(builder)
    with refusing_twins(gettext("Somebody else chose the same name at this moment. Please try again.")):
        session.flush()
    return builder


def is_taken(session: Session, *, slug: str, calendly_user_uri: str) -> bool:
    """Whether a builder has that slug or that Calendly user already."""
    query = sa.select(Builder.id).where(
        sa.or_(Builder.slug == slug, Builder.calendly_user_uri == calendly_user_uri)
    )
    return session.scalar(query.limit(1)) is not None


def lock_builder(session: Session, builder_id: int) -> None:
    """Let other transactions that lock this builder wait until the caller's ends; rows that refer to the builder can
    still be inserted.
    """
    session.execute(sa.select(Builder.id).where(Builder.id == builder_id).with_for_update(key_share=True))
