"""The Calendly client's token provider: the builder's own token if an account is connected, else the platform's."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from flask import Flask

from bookingapp.connections import lease, service
from bookingapp.connections.lease import ConnectionSnapshot
from bookingapp.connections.models import ConnectionReason, ConnectionState
from bookingapp.connections.refusals import PlatformRefusals, is_checking_refused_tokens
from bookingapp.connections.renewal import Renewals
from bookingapp.core.db import db, reading, transaction
from bookingapp.core.encryption import EncryptionError
from bookingapp.integrations.calendly import CalendlyUnauthorized, PlatformTokens, fingerprint

log = structlog.get_logger(__name__)

# From this long before it expires, a pair is renewed in the background while its token is still used.
EARLY = timedelta(minutes=5)
# A token with less time left is not sent: it might expire on its way.
TOO_LATE = timedelta(seconds=15)

_BUILDER = re.compile(r"builder:([0-9]{1,18})(?:-[0-9]+)?")


class Tokens:
    """Gives each tenant its token. A tenant is ``platform`` or ``builder:<id>-<catalog version>``. Safe for threads;
    has sessions of its own. ``before_call`` raises where the caller has a transaction open.
    """

    def __init__(
        self,
        app: Flask,
        *,
        platform: PlatformTokens,
        refusals: PlatformRefusals,
        renewals: Renewals,
        clock: Callable[[], datetime],
        before_call: Callable[[], None],
    ) -> None:
        self._app = app
        self._platform = platform
        self._refusals = refusals
        self._renewals = renewals
        self._clock = clock
        self._before_call = before_call
        # Platform tokens that are being tried while builders are still marked as disconnected.
        self._on_trial: frozenset[str] = frozenset()

    def token_for(self, tenant: str) -> str:
        """The token to use now, renewed first where it is about to expire. Raises :class:`CalendlyUnauthorized` where a
        person has to act, and :class:`CalendlyUnavailable` where a renewal does not end in time.
        """
        self._before_call()
        seen, is_marked = self._find_connection(tenant)
        if seen is None:
            return self._platform_token(tenant, is_marked=is_marked)
        if seen.state is not ConnectionState.CONNECTED:
            raise CalendlyUnauthorized(f"the connection of {tenant} is {seen.state.value}; nothing was sent")
        now = self._clock()
        left = seen.expires_at - now
        if left > EARLY:
            return seen.access_token
        if left > TOO_LATE:
            if not seen.is_being_renewed(now) and not seen.has_to_wait(now):
                self._renewals.start(seen)
            return seen.access_token
        self._renewals.wait(seen)
        return self._token_after_renewal(tenant, seen)

    def refused(self, tenant: str, token: str) -> bool:
        """After a 401 to ``token``: renew the pair, or use the next platform token. Returns whether there is one."""
        self._before_call()
        seen, _ = self._find_connection(tenant)
        if seen is None:
            return self._platform.refused(tenant, token)
        if seen.state is not ConnectionState.CONNECTED:
            return False
        if seen.access_token != token:
            return True
        try:
            self._renewals.wait(seen, is_refused=True)
        except CalendlyUnauthorized:
            return False
        return True

    def refused_again(self, tenant: str, token: str) -> None:
        """After a 401 to a token that had just replaced a refused one: end the connection."""
        self._before_call()
        seen, _ = self._find_connection(tenant)
        if seen is None:
            self._platform.refused(tenant, token)
        elif seen.state is ConnectionState.CONNECTED and seen.access_token == token:
            with self._app.app_context(), transaction(db.session()) as session:
                service.mark_dead(
                    session,
                    builder_id=seen.builder_id,
                    fence=seen.fence,
                    reason=ConnectionReason.REFUSED_AFTER_RENEWAL,
                    now=self._clock(),
                )

    def accepted(self, tenant: str, token: str) -> None:  # noqa: ARG002 - the token says enough.
        """After an answer to ``token`` that is no 401: one that was on trial is good again."""
        if token in self._on_trial:
            self._on_trial -= {token}
            self._refusals.forget(fingerprint(token))

    def _platform_token(self, tenant: str, *, is_marked: bool) -> str:
        token = self._platform.token_for(tenant)
        if is_marked or is_checking_refused_tokens():
            self._on_trial |= {token}
        return token

    def _token_after_renewal(self, tenant: str, before: ConnectionSnapshot) -> str:
        seen, _ = self._find_connection(tenant)
        if seen is None or seen.state is not ConnectionState.CONNECTED:
            raise CalendlyUnauthorized(f"the connection of {tenant} has ended while it was renewed")
        if seen.access_token == before.access_token:
            raise CalendlyUnauthorized(f"the connection of {tenant} was not renewed")
        return seen.access_token

    def _find_connection(self, tenant: str) -> tuple[ConnectionSnapshot | None, bool]:
        """The tenant's own connection, None if the platform's token serves it; and whether its builders are marked."""
        found = _BUILDER.fullmatch(tenant)
        try:
            with self._app.app_context(), reading(db.session()) as session:
                if found is None:
                    return None, service.is_platform_marked(session)
                seen, is_marked = lease.find_snapshot(session, int(found[1]))
        except EncryptionError as error:
            log.critical("connection_unreadable", tenant=tenant, why=str(error))
            raise CalendlyUnauthorized(f"the connection of {tenant} cannot be read: {error}") from None
        return (None if seen is None or seen.by_platform else seen), is_marked
