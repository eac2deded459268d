"""Field types that accept what Calendly is known to send, also where it differs from its own schema."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from math import isfinite
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from bookingapp.text import one_line

# Their owners write them at any length, and this much is read: what our columns hold.
LONGEST_TITLE: Final = 160
LONGEST_NAME: Final = 120

# Calendly's own documentation writes the end of a day as hour 24, which Python's parser refuses.
_HOUR_24: Final = re.compile(r"^(\d{4}-\d{2}-\d{2})[Tt]24:00(.*)$")


def _utc(value: object) -> object:
    """Read ISO 8601 with microseconds, milliseconds or no fraction, and make it aware UTC."""
    try:
        if isinstance(value, str):
            midnight = _HOUR_24.match(value)
            if midnight:
                value = datetime.fromisoformat(f"{midnight[1]}T00:00{midnight[2]}") + timedelta(days=1)
            else:
                value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            # A time without a zone is UTC: all of Calendly's API times are.
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time outside the calendar") from None
    raise ValueError("not a time")


def _text(value: object) -> object:
    """Turn numbers into text: some ids arrive as numbers where the schema promises text. What no page and no database
    takes is left out: halves of characters, and NUL.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value.encode(errors="ignore").decode().replace("\0", "") if isinstance(value, str) else value


def _minutes(value: object) -> object:
    """The schema says "number", so a fraction may come; whole minutes are what we show."""
    return round(value) if isinstance(value, float) and isfinite(value) else value


def _flag(value: object) -> object:
    """A null flag is an unset one."""
    return False if value is None else value


def _word(value: object) -> object:
    """A null word is an empty one."""
    return "" if value is None else value


def _choices(value: object) -> object:
    """Null in webhook bodies; choices that are numbers are read as texts."""
    found = value if isinstance(value, list | tuple) else ()
    return tuple(text for text in map(_text, found) if isinstance(text, str))


def _or_none(value: object, read: ValidatorFunctionWrapHandler) -> object:
    try:
        return read(value)
    except ValidationError:
        return None


IF_READABLE: Final = WrapValidator(_or_none)
"""For parts without which a booking is still one: what cannot be read is absent."""

Moment = Annotated[datetime, BeforeValidator(_utc)]
Text = Annotated[str, BeforeValidator(_text)]
Title = Annotated[Text, AfterValidator(partial(one_line, longest=LONGEST_TITLE))]
Name = Annotated[Text, AfterValidator(partial(one_line, longest=LONGEST_NAME))]
Minutes = Annotated[int, BeforeValidator(_minutes)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Word = Annotated[str, BeforeValidator(_word)]
Choices = Annotated[tuple[str, ...], BeforeValidator(_choices)]
Readable = Annotated[str | None, IF_READABLE]
ReadableText = Annotated[Text | None, IF_READABLE]
