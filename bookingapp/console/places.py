"""Places in lists, as addresses carry them: a moment to the microsecond, and the id of a row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from bookingapp.core.edge import LARGEST_ID

FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_STEP: Final = timedelta(microseconds=1)


def write_moment(at: datetime) -> str:
    """A moment as a number of microseconds."""
    return str((at - FIRST) // _STEP)


def read_moment(text: str) -> datetime:
    """The moment. Raises ``ValueError`` or ``OverflowError`` for any other text."""
    return FIRST + int(text) * _STEP


def read_id(text: str) -> int:
    """The id of a row, no larger than databases can compare. Raises ``ValueError`` for any other text."""
    return int(text) % (LARGEST_ID + 1)


def write_place(at: datetime, number: int) -> str:
    """The place behind a row."""
    return f"{write_moment(at)}~{number}"


def read_place(text: str) -> tuple[datetime, int] | None:
    """The place that an address carries; None where it carries none."""
    try:
        at, number = text.split("~")
        return read_moment(at), read_id(number)
    except (ValueError, OverflowError):
        return None
