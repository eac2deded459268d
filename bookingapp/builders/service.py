"""Finds builders for the directory, and by slug or account; creates profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account
from bookingapp.builders.models import Availability, Builder, Tier, is_in_directory
from bookingapp.core.errors import NotFound
from bookingapp.core.i18n import gettext


@dataclass(frozen=True)
class Filters:
    """The search and filters of the directory, as typed. An empty or unknown value does not filter."""

    q: str = ""
    skill: str = ""
    tier: str = ""
    availability: str = ""

    @property
    def are_set(self) -> bool:
        """Whether the reader has searched or filtered at all."""
        return self != Filters()


def list_directory(session: Session) -> Sequence[Builder]:
    """Every builder whom the directory lists: featured ones first, then the most validated, then by name."""
    rank = sa.case({tier: -position for position, tier in enumerate(Tier)}, value=Builder.tier)
    query = sa.select(Builder).where(is_in_directory())
    order = (Builder.featured_at.is_(None), rank, Builder.display_name)
    return session.scalars(query.order_by(*order)).all()


def filter_builders(builders: Sequence[Builder], filters: Filters) -> list[Builder]:
    """The builders that match every filter; ``q``'s words in any order, in name, headline, bio or skills."""
    words = filters.q.casefold().split()
    tier = filters.tier if filters.tier in set(Tier) else ""
    availability = filters.availability if filters.availability in set(Availability) else ""

    def matches(builder: Builder) -> bool:
        text = " ".join((builder.display_name, builder.headline, builder.bio, *builder.skills)).casefold()
        return (
            all(word in text for word in words)
            and (not filters.skill or filters.skill in builder.skills)
            and (not tier or builder.tier == tier)
            and (not availability or builder.availability == availability)
        )

    return [builder for builder in builders if matches(builder)]


def list_skills(builders: Sequence[Builder]) -> list[str]:
    """Every skill that a listed builder names, sorted."""
    return sorted({skill for builder in builders for skill in builder.skills}, key=str.casefold)


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
    """Add a builder's profile to an account. Without a Calendly user it cannot be booked yet."""
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
