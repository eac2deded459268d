"""Finds builders by slug or account; creates profiles. The directory has a package of its own."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account
from bookingapp.builders.models import Builder
from bookingapp.core.errors import NotFound, refusing_twins
from bookingapp.core.i18n import gettext


def get_by_slug(session: Session, slug: str) -> Builder:
    """The builder at that address. Raises :class:`NotFound`."""
    builder = session.scalar(sa.select(Builder).where(Builder.slug == slug))
    if builder is None:
        raise NotFound(gettext("There is no builder at this address."))
    return builder


def find_by_account(session: Session, account_id: int) -> Builder | None:
    """The profile that belongs to an account."""
    return session.scalar(sa.select(Builder).where(Builder.account_id == account_id))


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
