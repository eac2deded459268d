"""The builder's own order of session types on the profile, within each category."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder
from bookingapp.session_types.models import PriceState, SessionType
from bookingapp.session_types.service import Priced


def find_neighbors(items: Sequence[Priced], event_type_id: str) -> tuple[Priced | None, Priced | None]:
    """The types before and after a type in its category; None at either end, and for one that is on no profile."""
    movable = [item for item in items if item.state in (PriceState.PUBLISHED, PriceState.HIDDEN)]
    found = next((item for item in movable if item.event_type.id == event_type_id), None)
    if found is None or found.session_type is None:
        return None, None
    category = found.session_type.category
    row = [item for item in movable if item.session_type and item.session_type.category is category]
    at = row.index(found)
    return (row[at - 1] if at else None), (row[at + 1] if at + 1 < len(row) else None)


def move_type(
    session: Session, builder: Builder, items: Sequence[Priced], event_type_id: str, *, up: bool
) -> bool:
    """Swap a type with its neighbor. ``items`` is the list as it was shown. Returns whether there was a neighbor."""
    before, after = find_neighbors(items, event_type_id)
    other = before if up else after
    if other is None:
        return False
    ids = [item.event_type.id for item in items if item.session_type]
    first, second = ids.index(event_type_id), ids.index(other.event_type.id)
    ids[first], ids[second] = ids[second], ids[first]
    # One writer of the order at a time: two at once would put two types into one place.
    session.execute(sa.select(Builder.id).where(Builder.id == builder.id).with_for_update())
    rows = session.scalars(sa.select(SessionType).where(SessionType.builder_id == builder.id))
    places = {event_type_id: place for place, event_type_id in enumerate(ids, start=1)}
    for row in rows:
        # A type that is gone from Calendly goes to the end, should it ever come back.
        row.display_order = places.get(row.event_type_uri.rpartition("/")[2], len(ids) + 1)
    return True
