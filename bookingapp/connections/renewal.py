"""Renews a pair of tokens exactly once, however many threads and processes find it expired.

A refresh token works once, so the lease is committed before Calendly is called, and the new pair is stored before it
is used. Callers wait for a thread that renews: they give up long before an answer comes that must not be lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta

import structlog
from flask import Flask

from bookingapp.connections import lease, service
from bookingapp.connections.lease import ConnectionSnapshot
from bookingapp.connections.models import ConnectionReason, ConnectionState
from bookingapp.connections.revocations import enqueue_revocations
from bookingapp.core.db import db, reading, transaction
from bookingapp.integrations.calendly import (
    CalendlyError,
    CalendlyRateLimited,
    CalendlyRejected,
    CalendlyUnauthorized,
    CalendlyUnavailable,
    Grant,
    InvalidClient,
    InvalidGrant,
    OAuthClient,
)

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 2.5
POLL_SECONDS = 0.05
# After a renewal that failed: soon where Calendly did not answer, later where it would refuse again.
RETRY_SOON = timedelta(seconds=5)
RETRY_LATER = timedelta(minutes=1)


class Renewals:
    """The renewals of one application. ``patience`` is how many seconds a caller waits."""

    def __init__(
        self,
        app: Flask,
        oauth: OAuthClient,
        *,
        clock: Callable[[], datetime],
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._app = app
        self._oauth = oauth
        self._clock = clock
        self._patience = patience
        self._lock = threading.Lock()
        self._running: dict[int, Future[None]] = {}

    def start(self, seen: ConnectionSnapshot, *, is_refused: bool = False) -> Future[None]:
        """Start a renewal without waiting for it, or return the one that is running for this builder."""
        with self._lock:
            running = self._running.get(seen.builder_id)
            if running is not None:
                return running
            running = self._running[seen.builder_id] = Future()
        # Not a daemon: a process that ends waits for the answer, because the connection dies with a lost answer.
        threading.Thread(target=self._run, args=(seen, running, is_refused), name="token-renewal").start()
        return running

    def wait(self, seen: ConnectionSnapshot, *, is_refused: bool = False) -> None:
        """Wait until the pair has been renewed, by this process or another. Raises :class:`CalendlyUnavailable` where
        that takes too long or has just failed, :class:`CalendlyUnauthorized` where the builder has to connect again.
        """
        try:
            self.start(seen, is_refused=is_refused).result(timeout=self._patience)
        except TimeoutError:
            raise CalendlyUnavailable(
                "the access to Calendly is still being renewed", retry_after=1.0
            ) from None

    def _run(self, seen: ConnectionSnapshot, running: Future[None], is_refused: bool) -> None:  # noqa: FBT001
        failure: BaseException | None = None
        try:
            with self._app.app_context():
                self._renew(seen, is_refused=is_refused)
        except BaseException as error:
            if not isinstance(error, CalendlyError):
                log.exception("renewal_failed_unexpectedly", builder=seen.builder_id)
            failure = error
        with self._lock:
            del self._running[seen.builder_id]
        if failure is None:
            running.set_result(None)
        else:
            running.set_exception(failure)

    def _renew(self, asked: ConnectionSnapshot, *, is_refused: bool) -> None:
        deadline = time.monotonic() + lease.LEASE.total_seconds()
        while True:
            seen = self._read_snapshot(asked.builder_id)
            if seen is None or seen.state is not ConnectionState.CONNECTED:
                raise CalendlyUnauthorized("the connection has ended while it was to be renewed")
            if seen.access_token != asked.access_token:
                return
            now = self._clock()
            if seen.has_to_wait(now):
                raise _recent_failure(seen, now)
            if not seen.is_being_renewed(now):
                with transaction(db.session()) as session:
                    held = lease.claim_lease(session, seen, is_refused=is_refused, now=now)
                if held is not None:
                    self._exchange_tokens(held)
                    return
            if time.monotonic() > deadline:
                raise CalendlyUnavailable(
                    "another process has been renewing the access to Calendly for too long"
                )
            time.sleep(POLL_SECONDS)

    def _exchange_tokens(self, held: ConnectionSnapshot) -> None:
        try:
            grant = self._oauth.refresh(held.refresh_token)
        except InvalidGrant as error:
            was_interrupted = held.asked_at is not None
            reason = ConnectionReason.INTERRUPTED if was_interrupted else ConnectionReason.REVOKED
            with transaction(db.session()) as session:
                service.mark_dead(
                    session, builder_id=held.builder_id, fence=held.fence, reason=reason, now=self._clock()
                )
            raise CalendlyUnauthorized(f"the connection is dead: {error}") from None
        except (InvalidClient, CalendlyRejected) as error:
            self._release_lease(held, RETRY_LATER, answered=True, reason=ConnectionReason.APP_REFUSED)
            raise InvalidClient(str(error), status=error.status) from None
        except CalendlyRateLimited as error:
            wait = timedelta(seconds=error.retry_after or 0)
            self._release_lease(held, max(wait, RETRY_SOON), answered=True)
            raise
        except CalendlyError as error:
            # The refresh token may be spent. The next try shows it.
            self._release_lease(held, RETRY_SOON, answered=False)
            raise CalendlyUnavailable(str(error), status=error.status) from None
        self._store_tokens(held, grant)

    def _store_tokens(self, held: ConnectionSnapshot, grant: Grant) -> None:
        now = self._clock()
        with transaction(db.session()) as session:
            if lease.store_renewed(session, held, grant, now=now):
                log.info("tokens_renewed", builder=held.builder_id)
                return
            # The builder has disconnected or connected again while Calendly answered: this pair is not used.
            enqueue_revocations(session, [grant.refresh_token, grant.access_token], now=now)
        log.warning("renewal_came_late", builder=held.builder_id)

    def _release_lease(
        self,
        held: ConnectionSnapshot,
        wait: timedelta,
        *,
        answered: bool,
        reason: ConnectionReason | None = None,
    ) -> None:
        log.warning("renewal_failed", builder=held.builder_id, answered=answered)
        retry_at = self._clock() + wait
        with transaction(db.session()) as session:
            lease.release_lease(session, held, retry_at=retry_at, answered=answered, reason=reason)

    def _read_snapshot(self, builder_id: int) -> ConnectionSnapshot | None:
        with reading(db.session()) as session:
            return lease.find_snapshot(session, builder_id)[0]


def _recent_failure(seen: ConnectionSnapshot, now: datetime) -> CalendlyError:
    """The error of a caller while the next renewal is not tried yet."""
    wait = (seen.retry_at - now).total_seconds() if seen.retry_at else 0.0
    if seen.reason is ConnectionReason.APP_REFUSED:
        return InvalidClient("not sent: Calendly has just refused our OAuth app", retry_after=wait)
    return CalendlyUnavailable("not sent: Calendly has just failed to renew the access", retry_after=wait)
