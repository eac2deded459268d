"""Platform tokens that Calendly has refused: remembered for every process, and asked about again at leisure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp.connections import audit, service
from bookingapp.connections.models import TokenRefusal
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, insert_if_new, reading, transaction
from bookingapp.core.queue import enqueue
from bookingapp.integrations.calendly import fingerprint

log = structlog.get_logger(__name__)

ASK_AGAIN_JOB = "connections.ask_again"
# A token that was refused by mistake, or made good again, is found out by one call after each of these.
ASK_AGAIN_AFTER = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=15))

# Inside of :func:`asking_again`: what was refused there, which is all that counts there.
_asking_again: ContextVar[set[str] | None] = ContextVar("asking_again", default=None)


class PlatformRefusals:
    """The refusals in the database, each look and each write in a transaction of its own."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def known(self, fingerprints: Sequence[str]) -> Collection[str]:
        """Those of ``fingerprints`` that were refused; inside of :func:`asking_again` those refused there."""
        just_now = _asking_again.get()
        if just_now is not None:
            return just_now.intersection(fingerprints)
        with self._app.app_context(), reading(db.session()) as session:
            query = sa.select(TokenRefusal.fingerprint).where(TokenRefusal.fingerprint.in_(fingerprints))
            return frozenset(session.scalars(query))

    def record(self, fingerprint: str, *, position: int, remaining: int) -> None:
        """A token was refused. With none left, the builders whom it serves are marked as disconnected."""
        now, just_now = utcnow(), _asking_again.get()
        if just_now is not None:
            just_now.add(fingerprint)
        with self._app.app_context(), transaction(db.session()) as session:
            values = {"fingerprint": fingerprint, "refused_at": now}
            if insert_if_new(session, TokenRefusal, values, ["fingerprint"]) is None:
                return
            which = ("first", "second")[position - 1]
            if remaining:
                text = f"Calendly refused the {which} of the platform's tokens; the other has taken over."
                audit.record_audit(session, "token.takeover", text, now=now)
                return
            marked = service.mark_platform_refused(session, now=now)
            text = f"Calendly refused the {which} of the platform's tokens, and no other is left. "
            text += (
                f"Booking is closed for {marked} builder{'' if marked == 1 else 's'} until one is good again."
            )
            audit.record_audit(session, "token.refused", text, now=now)
            enqueue_token_check(session, number=0, now=now)
        log.error("platform_token_refused", position=position)

    def forget(self, fingerprint: str) -> None:
        """A token is good (again), and whoever it serves can be booked again."""
        with self._app.app_context(), transaction(db.session()) as session:
            session.execute(sa.delete(TokenRefusal).where(TokenRefusal.fingerprint == fingerprint))
            service.unmark_platform(session, now=utcnow())


def any_refused(session: Session, *tokens: str) -> bool:
    """Whether one of these platform tokens was refused."""
    names = [fingerprint(token) for token in tokens]
    query = sa.select(TokenRefusal.id).where(TokenRefusal.fingerprint.in_(names)).limit(1)
    return session.scalar(query) is not None


@contextmanager
def checking_refused_tokens() -> Iterator[None]:
    """What this thread asks in this block goes out with the first token, also where it was refused before."""
    before = _asking_again.set(set())
    try:
        yield
    finally:
        _asking_again.reset(before)


def is_checking_refused_tokens() -> bool:
    """Whether this is inside of :func:`asking_again`."""
    return _asking_again.get() is not None


def enqueue_token_check(session: Session, *, number: int, now: datetime) -> None:
    """Owe the ``number``-th look (from 0) whether the platform's token is good again."""
    run_at = now + ASK_AGAIN_AFTER[min(number, len(ASK_AGAIN_AFTER) - 1)]
    key = f"ask-again:{number}:{int(run_at.timestamp())}"
    enqueue(session, ASK_AGAIN_JOB, key=key, args={"number": number}, run_at=run_at, now=now)
