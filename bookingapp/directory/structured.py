"""What search engines and messengers read about builders and sessions: data of schema.org, and the list of pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder, DirectoryEntry
from bookingapp.core.money import to_decimal
from bookingapp.directory.service import Offer

MOST_ADDRESSES = 40_000
"""Below what one sitemap may have (sitemaps.org: 50,000 addresses)."""
_CONTEXT = "https://schema.org"


def list_slugs(session: Session) -> Sequence[str]:
    """The builders whom the directory lists, the longest known first."""
    query = sa.select(Builder.slug).join(DirectoryEntry, DirectoryEntry.builder_id == Builder.id)
    return session.scalars(query.order_by(Builder.id).limit(MOST_ADDRESSES)).all()


def describe_person(builder: Builder, offer: Offer, *, address: str, picture: str | None) -> dict[str, Any]:
    """A builder as schema.org's Person, with the lowest price of a session. Addresses are absolute."""
    person: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "Person",
        "name": builder.display_name,
        "url": address,
        "description": builder.headline,
        "image": picture,
        "knowsAbout": builder.skills,
        "sameAs": list(builder.links.values()),
    }
    if offer.price_minor is not None and offer.currency is not None:
        person["makesOffer"] = {
            "@type": "AggregateOffer",
            "url": address,
            "lowPrice": _amount(offer.price_minor, offer.currency),
            "priceCurrency": offer.currency,
        }
    return {name: value for name, value in person.items() if value}


def describe_offer(
    builder: Builder, title: str, price_minor: int, currency: str, *, address: str, seller: str
) -> dict[str, Any]:
    """A session as schema.org's Offer, by a builder whose page is ``seller``. Addresses are absolute."""
    return {
        "@context": _CONTEXT,
        "@type": "Offer",
        "url": address,
        "price": _amount(price_minor, currency),
        "priceCurrency": currency,
        "itemOffered": {"@type": "Service", "name": title},
        "seller": {"@type": "Person", "name": builder.display_name, "url": seller},
    }


def _amount(minor: int, currency: str) -> str:
    return f"{to_decimal(minor, currency):f}"
