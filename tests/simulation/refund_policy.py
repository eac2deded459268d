"""What the published policy promises for a cancellation, from what people did: the reference for the checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product

WHOLE = 100

# So many hours before the start so many percent go back: the longest notice first.
Terms = tuple[tuple[int, int], ...]
USUAL: Terms = ((24, WHOLE), (12, 50))
POLICIES: tuple[Terms, ...] = (USUAL, ((72, WHOLE), (24, 60), (2, 25)), ((48, 80),), ((1, WHOLE),))


@dataclass(frozen=True)
class Moved:
    """A reschedule: by ``host`` or ``invitee``."""

    by: str
    at: datetime
    start: datetime
    new_start: datetime


@dataclass(frozen=True)
class Canceled:
    """A cancellation. ``starts`` are those that the site may have known then; none for a booking without a time."""

    at: datetime
    starts: tuple[datetime, ...]
    by_builder: bool


def possible_shares(
    canceled: Canceled, moves: Sequence[Moved], paying_since: datetime, terms: Terms
) -> set[int]:
    """The percentages that may go back. ``paying_since`` is when the client opened the payment page. The site may have
    known of the first moves alone, and, of those, not yet who made the last.
    """
    if canceled.by_builder or not canceled.starts:
        return {WHOLE}
    shares: set[int] = set()
    before = [move for move in moves if move.at <= canceled.at]
    for number in range(len(before) + 1):
        known = before[:number]
        start = known[-1].new_start if known else (before[0].start if before else None)
        counted = [move for move in known if move.at >= paying_since]
        for sides in product(*[(move.by, "unknown") for move in counted]):
            told = list(zip(sides, counted, strict=True))
            shares |= {
                _share(told, one, canceled.at, terms) for one in ([start] if start else canceled.starts)
            }
    if len(canceled.starts) > len(before) + 1:
        # A second time was taken beside the first: either may be the one that counts.
        shares |= {_percent(start, canceled.at, terms) for start in canceled.starts}
    return shares


def _share(moves: Iterable[tuple[str, Moved]], start: datetime, now: datetime, terms: Terms) -> int:
    """The host's moves never lower it, until the client moves to a nearer time; the client's never raise it. One by an
    unknown side does neither.
    """
    most, latest = WHOLE, datetime.min.replace(tzinfo=now.tzinfo)
    for by, move in moves:
        if by != "host":
            most = min(most, _percent(max(latest, move.start), move.at, terms))
        if by != "invitee":
            latest = max(latest, move.start)
        elif move.new_start < move.start:
            latest = datetime.min.replace(tzinfo=now.tzinfo)
    return min(most, _percent(max(latest, start), now, terms))


def _percent(start: datetime, now: datetime, terms: Terms) -> int:
    left = start - now
    return next((percent for hours, percent in terms if left >= timedelta(hours=hours)), 0)
