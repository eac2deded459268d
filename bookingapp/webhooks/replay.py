"""Applies ended deliveries again. What a delivery did already is not done twice."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.core.db import changed_rows
from bookingapp.core.errors import Conflict
from bookingapp.core.i18n import N_, gettext
from bookingapp.core.queue import Restart, WorkState, restart
from bookingapp.webhooks.models import InboxEvent

STILL_OPEN = N_("It has not ended yet: the worker will apply it.")


def why_not_replayable(event: InboxEvent) -> str | None:
    """Why a delivery cannot be applied again, as a sentence; None where it can."""
    if event.state.is_open:
        return gettext(STILL_OPEN)
    if event.body is None:
        return gettext("Its body has been deleted, so it cannot be applied again.")
    return None


def replay_delivery(session: Session, event: InboxEvent, *, now: datetime) -> None:
    """Let the worker apply a delivery again, with all its tries, in the caller's transaction.

    Raises :class:`Conflict`, with a sentence, where that is not possible.
    """
    refusal = why_not_replayable(event)
    if refusal is None and not restart(session, InboxEvent, event.id, now=now, outcome=Restart.REPLAYED):
        refusal = gettext(STILL_OPEN)
    if refusal is not None:
        raise Conflict(refusal)


def set_aside(session: Session, event: InboxEvent) -> None:
    """Accept that a dead delivery is never applied, in the caller's transaction: its outcome stays. Raises
    :class:`Conflict` where it is not dead.
    """
    same = (InboxEvent.id == event.id, InboxEvent.state == WorkState.DEAD)
    if changed_rows(session, sa.update(InboxEvent).where(*same).values(state=WorkState.IGNORED)) != 1:
        raise Conflict(gettext("It was not given up, so there is nothing to set aside."))


def replay_dead_deliveries(session: Session, *, now: datetime) -> tuple[int, int]:
    """Let the worker apply all dead deliveries again, in the caller's transaction. Returns how many it will apply, and
    how many it cannot, because their bodies have been deleted.
    """
    dead = sa.select(InboxEvent.id, InboxEvent.body.is_not(None)).where(InboxEvent.state == WorkState.DEAD)
    found = session.execute(dead.order_by(InboxEvent.id)).all()
    again = [event_id for event_id, has_body in found if has_body]
    for event_id in again:
        restart(session, InboxEvent, event_id, now=now, outcome=Restart.REPLAYED)
    return len(again), len(found) - len(again)
