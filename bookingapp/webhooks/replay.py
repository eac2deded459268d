"""Applying a delivery again. What it said already changes nothing a second time; what it could not say, it says."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.core.errors import Conflict
from bookingapp.core.queue import WorkState, restart
from bookingapp.webhooks.models import InboxEvent

REPLAYED = "replayed"
STILL_OPEN = "It has not ended yet: the worker will apply it by itself."
BODY_GONE = "Its body is not kept any more, so that it cannot be applied again."


def why_not_replayable(event: InboxEvent) -> str | None:
    """Why it cannot be applied again, as a sentence, if it cannot."""
    if event.state.is_open:
        return STILL_OPEN
    return BODY_GONE if event.body is None else None


def replay_delivery(session: Session, event: InboxEvent, *, now: datetime) -> None:
    """Let the worker apply it again, with all its tries before it, in the caller's transaction.

    Raises :class:`Conflict` where that is not possible, in words.
    """
    words = why_not_replayable(event)
    if words is None and not restart(session, InboxEvent, event.id, now=now, note=REPLAYED):
        words = STILL_OPEN
    if words is not None:
        raise Conflict(words)


def replay_dead_deliveries(session: Session, *, now: datetime) -> tuple[int, int]:
    """The same for every delivery that was given up, in the caller's transaction. Returns how many will be applied
    again, and how many cannot be, because their bodies are not kept any more.
    """
    dead = sa.select(InboxEvent.id, InboxEvent.body.is_not(None)).where(InboxEvent.state == WorkState.DEAD)
    found = session.execute(dead.order_by(InboxEvent.id)).all()
    again = [event_id for event_id, has_body in found if has_body]
    for event_id in again:
        restart(session, InboxEvent, event_id, now=now, note=REPLAYED)
    return len(again), len(found) - len(again)
