"""Stores which platform tokens Calendly has refused, for every process, and checks them again at long intervals."""

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
from bookingapp.connections.models import AuditKind, TokenRefusal
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, insert_if_new, reading, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.core.queue import enqueue
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, fingerprint

log = structlog.get_logger(__name__)

PLATFORM = "platform"
RECHECK_JOB = "connections.ask_again"
# One call after each of these finds out that a token was refused by mistake, or is good again.
CHECK_AFTER = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=15))

# Inside of :func:`checking_refused_tokens`: what was refused there; earlier refusals do not count.
_refused_in_check: ContextVar[set[str] | None] = ContextVar("refused_in_check", default=None)


class PlatformRefusals:
    """The refusals in the database, each read and write in a transaction of its own."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def known(self, fingerprints: Sequence[str]) -> Collection[str]:
        """Those of ``fingerprints`` that were refused; during a check, those that were refused in it."""
        just_now = _refused_in_check.get()
        if just_now is not None:
            return just_now.intersection(fingerprints)
        with self._app.app_context(), reading(db.session()) as session:
            query = sa.select(TokenRefusal.fingerprint).where(TokenRefusal.fingerprint.in_(fingerprints))
            return frozenset(session.scalars(query))

    def record(self, fingerprint: str, *, position: int, remaining: int) -> None:
        """Record that Calendly refused the platform's token at ``position`` (from 1). With none ``remaining``, the
        builders whom it serves are marked as disconnected, and a check is enqueued.
        """
        now, just_now = utcnow(), _refused_in_check.get()
        if just_now is not None:
            just_now.add(fingerprint)
        with self._app.app_context(), transaction(db.session()) as session:
            values = {"fingerprint": fingerprint, "refused_at": now}
            if insert_if_new(session, TokenRefusal, values, ["fingerprint"]) is None:
                return
            if remaining:
                audit.record_audit(session, AuditKind.PLATFORM_TAKEOVER, now=now, token=position)
                return
            marked = service.mark_platform_refused(session, now=now)
            audit.record_audit(session, AuditKind.PLATFORM_REFUSED, now=now, token=position, builders=marked)
            enqueue_token_check(session, number=0, now=now)
        log.error("platform_token_refused", position=position)

    def forget(self, fingerprint: str) -> None:
        """Record that a token is good (again): the builders whom it serves can be booked again."""
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
    """Calls of this thread in this block are made with the first token, even if it was refused before."""
    before = _refused_in_check.set(set())
    try:
        yield
    finally:
        _refused_in_check.reset(before)


def is_checking_refused_tokens() -> bool:
    """Whether this thread is inside of :func:`checking_refused_tokens`."""
    return _refused_in_check.get() is not None


def enqueue_token_check(session: Session, *, number: int, now: datetime) -> None:
    """Enqueue the ``number``-th check (from 0) whether the platform's token is good again."""
    run_at = now + CHECK_AFTER[min(number, len(CHECK_AFTER) - 1)]
    key = f"ask-again:{number}:{int(run_at.timestamp())}"
    enqueue(session, RECHECK_JOB, key=key, args={"number": number}, run_at=run_at, now=now)


@job(RECHECK_JOB, label=lazy_gettext("a check of a refused token"))
def check_refused_token(session: Session, calendly: CalendlyClient, *, number: int, now: datetime) -> None:
    """Call Calendly with a refused platform token. The token provider unmarks the builders if it is good again."""
    with reading(session):
        is_marked = service.is_platform_marked(session)
    if not is_marked:
        return
    try:
        with checking_refused_tokens():
            calendly.current_user(PLATFORM)
    except CalendlyError:
        with transaction(session):
            enqueue_token_check(session, number=number + 1, now=now)
