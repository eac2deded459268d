"""Renewing a pair of tokens exactly once, however many threads and processes find it expired.

A refresh token works once: Calendly spends it with its answer. So the lease is committed before the question is
sent, the question goes out with no transaction open, and the new pair is stored before anybody uses it. In one
process, all who need the same pair wait for one thread; between processes, for the lease. The thread is not the
asker's own: a page stops waiting long before an answer is given up, and the answer must not be lost for that.
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
from bookingapp.connections.models import ConnectionState
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
# After a renewal that failed: soon where Calendly did not answer, later where it would only say so again.
RETRY_SOON = timedelta(seconds=5)
RETRY_LATER = timedelta(minutes=1)

TAKEN_BACK = "Calendly no longer accepts the permission that you gave: it was taken back there, or replaced."
INTERRUPTED = (
    "The last renewal was broken off before its answer was safe with us, and Calendly gives each answer once."
)
NOT_CURED = "Calendly refused the access although it had just been renewed."


class Renewals:
    """Renewals of one application. ``patience`` is how many seconds an asker waits."""

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
        self._flights: dict[int, Future[None]] = {}

    def begin(self, seen: ConnectionSnapshot, *, is_refused: bool = False) -> Future[None]:
        """See to it that the pair is renewed, and do not wait; one renewal for all who ask."""
        with self._lock:
            flight = self._flights.get(seen.builder_id)
            if flight is not None:
                return flight
            flight = self._flights[seen.builder_id] = Future()
        # Not a daemon: a process that ends waits for the answer, because an answer that nobody stores is the
        # end of the connection.
        work = threading.Thread(target=self._fly, args=(seen, flight, is_refused), name="token-renewal")
        work.start()
        return flight

    def wait(self, seen: ConnectionSnapshot, *, is_refused: bool = False) -> None:
        """Wait until the pair has been renewed, by whomever.

        Raises Unavailable where that takes too long or has just failed, Unauthorized where a person has to
        connect the account again.
        """
        try:
            self.begin(seen, is_refused=is_refused).result(timeout=self._patience)
        except TimeoutError:
            raise CalendlyUnavailable(
                "the access to Calendly is still being renewed", retry_after=1.0
            ) from None

    def _fly(self, seen: ConnectionSnapshot, flight: Future[None], is_refused: bool) -> None:  # noqa: FBT001
        failure: BaseException | None = None
        try:
            with self._app.app_context():
                self._renew(seen, is_refused=is_refused)
        except CalendlyError as error:
            failure = error
        except BaseException as error:
            log.exception("renewal_failed_unexpectedly", builder=seen.builder_id)
            failure = error
        with self._lock:
            del self._flights[seen.builder_id]
        if failure is None:
            flight.set_result(None)
        else:
            flight.set_exception(failure)

    def _renew(self, asked: ConnectionSnapshot, *, is_refused: bool) -> None:
        deadline = time.monotonic() + lease.LEASE.total_seconds()
        while True:
            seen = self._look(asked.builder_id)
            if seen is None or seen.state is not ConnectionState.CONNECTED:
                raise CalendlyUnauthorized("the connection has ended while it was to be renewed")
            if seen.access_token != asked.access_token:
                return
            now = self._clock()
            if seen.has_to_wait(now):
                raise _still_failing(seen, now)
            if not seen.is_being_renewed(now):
                with transaction(db.session()) as session:
                    held = lease.claim_lease(session, seen, is_refused=is_refused, now=now)
                if held is not None:
                    self._ask(held)
                    return
            if time.monotonic() > deadline:
                raise CalendlyUnavailable(
                    "another process has been renewing the access to Calendly for too long"
                )
            time.sleep(POLL_SECONDS)

    def _ask(self, held: ConnectionSnapshot) -> None:
        try:
            grant = self._oauth.refresh(held.refresh_token)
        except InvalidGrant as error:
            reason = TAKEN_BACK if held.asked_at is None else INTERRUPTED
            with transaction(db.session()) as session:
                service.mark_dead(
                    session, builder_id=held.builder_id, fence=held.fence, reason=reason, now=self._clock()
                )
            raise CalendlyUnauthorized(f"the connection is dead: {error}") from None
        except (InvalidClient, CalendlyRejected) as error:
            self._give_up(held, RETRY_LATER, answered=True, reason=InvalidClient.user_message)
            raise InvalidClient(str(error), status=error.status) from None
        except CalendlyRateLimited as error:
            wait = timedelta(seconds=error.retry_after or 0)
            self._give_up(held, max(wait, RETRY_SOON), answered=True)
            raise
        except CalendlyError as error:
            # Nobody can say whether the refresh token is spent. The next try will tell.
            self._give_up(held, RETRY_SOON, answered=False)
            raise CalendlyUnavailable(str(error), status=error.status) from None
        self._keep(held, grant)

    def _keep(self, held: ConnectionSnapshot, grant: Grant) -> None:
        now = self._clock()
        with transaction(db.session()) as session:
            if lease.store_renewed(session, held, grant, now=now):
                log.info("tokens_renewed", builder=held.builder_id)
                return
            # The builder has disconnected or connected anew while Calendly answered: this pair is nobody's.
            enqueue_revocations(session, [grant.refresh_token, grant.access_token], now=now)
        log.warning("renewal_came_late", builder=held.builder_id)

    def _give_up(
        self, held: ConnectionSnapshot, wait: timedelta, *, answered: bool, reason: str | None = None
    ) -> None:
        log.warning("renewal_failed", builder=held.builder_id, answered=answered)
        retry_at = self._clock() + wait
        with transaction(db.session()) as session:
            lease.release_lease(session, held, retry_at=retry_at, answered=answered, reason=reason)

    def _look(self, builder_id: int) -> ConnectionSnapshot | None:
        with reading(db.session()) as session:
            return lease.find_snapshot(session, builder_id)[0]


def _still_failing(seen: ConnectionSnapshot, now: datetime) -> CalendlyError:
    wait = (seen.retry_at - now).total_seconds() if seen.retry_at else 0.0
    if seen.reason is not None:
        return InvalidClient("not asked: Calendly has just refused our OAuth app", retry_after=wait)
    return CalendlyUnavailable("not asked: Calendly has just failed to renew the access", retry_after=wait)
