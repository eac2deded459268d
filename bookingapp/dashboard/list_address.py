"""The address of a list of bookings: what it asks for, and the addresses of the lists beside it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from bookingapp.bookings.codes import PaymentStatus
from bookingapp.bookings.search import split_words
from bookingapp.bookings.states import Status
from bookingapp.core.clock import zone
from bookingapp.dashboard.listing import BY_CREATION, Cursor, Filters, Sort, Wanted, place_types
from bookingapp.text import read_code

UNFINISHED = "unfinished"
LONGEST_SEARCH = 300


@dataclass(frozen=True)
class Asked:
    """What an address says, as its form shows it. What cannot be read is not there, and no error."""

    q: str = ""
    status: Status | None = None
    payment: PaymentStatus | None = None
    type: str = ""
    first: date | None = None
    last: date | None = None
    sort: Sort | None = None
    is_unfinished: bool = False
    cursor: Cursor | None = None

    @property
    def order(self) -> Sort:
        """The order asked for; else what is ahead, or the newest where something narrows the list."""
        if self.is_unfinished:
            return self.sort if self.sort in BY_CREATION else Sort.NEWEST
        return self.sort or (Sort.LATEST if self.is_narrowed else Sort.NEXT)

    @property
    def is_narrowed(self) -> bool:
        """Whether a filter or a search is in it."""
        return any((self.q, self.status, self.payment, self.type, self.first, self.last))

    def arguments(self, **changes: Any) -> dict[str, Any]:
        """The query of this list's address, without its place in it unless that is among the changes."""
        asked = replace(self, **{"cursor": None, **changes})
        found = {
            "q": asked.q,
            "status": asked.status,
            "payment": asked.payment,
            "type": asked.type,
            "from": asked.first and asked.first.isoformat(),
            "to": asked.last and asked.last.isoformat(),
            "sort": asked.sort,
            "show": UNFINISHED if asked.is_unfinished else "",
        }
        if asked.cursor is not None:
            found["before" if asked.cursor.is_backwards else "after"] = _write(asked.cursor)
        return {name: str(value) for name, value in found.items() if value}

    def wanted(self, builder_id: int, timezone: str, *, session_type_id: int | None, now: datetime) -> Wanted:
        """What to look for. Dates are days in the builder's zone."""
        local = zone(timezone)
        begins = datetime.combine(self.first, time(), local) if self.first else None
        ends = datetime.combine(self.last + timedelta(days=1), time(), local) if self.last else None
        filters = Filters(
            status=self.status,
            payment=self.payment,
            session_type_id=session_type_id,
            begins=begins,
            ends=ends,
            words=tuple(split_words(self.q)),
        )
        return Wanted(
            builder_id, now, self.order, filters, has_time=not self.is_unfinished, cursor=self.cursor
        )


def read_address(arguments: Mapping[str, str]) -> Asked:
    """What the query of an address asks for."""
    asked = Asked(
        q=" ".join(arguments.get("q", "")[:LONGEST_SEARCH].split()),
        status=read_code(Status, arguments.get("status")),
        payment=read_code(PaymentStatus, arguments.get("payment")),
        type=arguments.get("type", "")[:100],
        first=read_date(arguments.get("from")),
        last=read_date(arguments.get("to")),
        sort=read_code(Sort, arguments.get("sort")),
        is_unfinished=arguments.get("show") == UNFINISHED,
    )
    after, before = arguments.get("after"), arguments.get("before")
    cursor = _read(after or before or "", asked.order, is_backwards=not after)
    return replace(asked, cursor=cursor)


def read_date(text: str | None) -> date | None:
    """A day like ``2026-11-25``, or None."""
    try:
        found = date.fromisoformat(text or "")
    except ValueError:
        return None
    # The days beside it are dates too, in every zone.
    return found if date(1900, 1, 1) < found < date(9000, 1, 1) else None


def _write(cursor: Cursor) -> str:
    values = [value.isoformat() if isinstance(value, datetime) else value for value in cursor.values]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _read(text: str, sort: Sort, *, is_backwards: bool) -> Cursor | None:
    """The place that an address names; None for one of another order, or of none."""
    try:
        values = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        kinds = place_types(sort)
        if len(values) != len(kinds):
            return None
        place = tuple(
            datetime.fromisoformat(value) if kind is datetime else value
            for value, kind in zip(values, kinds, strict=True)
        )
    except (ValueError, TypeError, RecursionError, binascii.Error):
        return None
    right = all(
        isinstance(value, kind)
        and not (
            isinstance(value, datetime) and (value.tzinfo is None or read_date(f"{value:%Y-%m-%d}") is None)
        )
        and not (isinstance(value, int) and not -1 < value < 2**31)
        and not (isinstance(value, str) and not value.isprintable())
        for value, kind in zip(place, kinds, strict=True)
    )
    return Cursor(place, is_backwards) if right else None
