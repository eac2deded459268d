"""One page of a builder's list of bookings, as its view shows it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from bookingapp.dashboard.list_address import Asked
from bookingapp.dashboard.listed import Row, describe_rows
from bookingapp.dashboard.listing import Cursor, Sort, Wanted, find_page


@dataclass(frozen=True)
class ListPage:
    """``asked`` is what is shown: everything, where nothing of it is ahead."""

    asked: Asked
    rows: list[Row]
    before: Cursor | None
    after: Cursor | None


def find_list(session: Session, asked: Asked, wanted: Wanted, timezone: str) -> ListPage:
    """The page that was asked for. Where nothing is ahead, all that matches instead, the latest first."""
    page = find_page(session, wanted)
    if not page.rows and wanted.sort is Sort.NEXT and wanted.cursor is None:
        asked = replace(asked, sort=Sort.LATEST)
        page = find_page(session, replace(wanted, sort=Sort.LATEST))
    return ListPage(asked, describe_rows(session, page.rows, timezone), page.before, page.after)
