"""A list of bookings as a CSV file (RFC 4180), written piece by piece while it is read.

It begins with a byte order mark, without which Excel takes UTF-8 for another encoding. No cell can be a formula: what
begins like one is preceded by an apostrophe, which spreadsheets take for "this is text"; also behind a semicolon, where
Excel begins a cell in much of Europe. Amounts are plain decimals
with a point, and their currency is a column of its own.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.checkout.words import STATUS_LABELS, payment_label
from bookingapp.core.clock import iso, zone
from bookingapp.core.i18n import gettext
from bookingapp.core.money import to_decimal
from bookingapp.dashboard.listing import Found, Wanted, iterate_rows

AT_ONCE = 1000
_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
# With their wide forms, which some spreadsheets take for the same.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_INNER_FORMULA = re.compile(rf";\s*(?=[{re.escape(''.join(_FORMULA))}])")


def write_csv(session: Session, wanted: Wanted, timezone: str) -> Iterator[str]:
    """The file in pieces of a thousand bookings. No read of the database stays open while a piece is sent."""
    yield _MARK + _lines([_head(timezone)])
    for found in iterate_rows(session, wanted, AT_ONCE):
        yield _lines([_cells(one, timezone) for one in found])


def safe(text: str) -> str:
    """``text`` as a cell that no spreadsheet takes for a formula."""
    kept = f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
    return _INNER_FORMULA.sub("\\g<0>'", kept)


def _lines(rows: list[list[str]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows([safe(cell) for cell in row] for row in rows)
    return file.getvalue()


def _head(timezone: str) -> list[str]:
    return [
        gettext("Booking"),
        gettext("Session"),
        gettext("Client"),
        gettext("E-mail"),
        gettext("Start (UTC)"),
        gettext("End (UTC)"),
        gettext("Start (%(zone)s)", zone=timezone),
        gettext("End (%(zone)s)", zone=timezone),
        gettext("Booked (UTC)"),
        gettext("Status"),
        gettext("Payment"),
        gettext("Amount"),
        gettext("Currency"),
        gettext("Pathway"),
    ]


def _cells(one: Found, timezone: str) -> list[str]:
    is_free = one.price_minor == 0
    return [
        one.tracking_id,
        one.title,
        one.client_name,
        one.client_email,
        _utc(one.starts_at),
        _utc(one.ends_at),
        _local(one.starts_at, timezone),
        _local(one.ends_at, timezone),
        _utc(one.created_at),
        str(STATUS_LABELS[one.status]),
        payment_label(
            one.payment_status, is_free=is_free, was_released=one.was_released, in_calendly=one.in_calendly
        ),
        f"{to_decimal(one.price_minor, one.currency):f}",
        one.currency,
        one.pathway.label if one.pathway else "",
    ]


def _utc(at: datetime | None) -> str:
    return iso(at) if at else ""


def _local(at: datetime | None, timezone: str) -> str:
    """With its offset, so that the hour that clocks repeat is told apart."""
    return at.astimezone(zone(timezone)).isoformat(sep=" ", timespec="minutes") if at else ""
