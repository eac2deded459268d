"""The token provider of the Calendly client: a builder's own token where there is one, else the platform's."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from flask import Flask

from bookingapp.connections import lease, service
from bookingapp.connections.lease import ConnectionSnapshot
from bookingapp.connections.models import ConnectionState
from bookingapp.connections.refusals import PlatformRefusals, is_checking_refused_tokens
from bookingapp.connections.renewal import NOT_CURED, Renewals
from bookingapp.core.db import db, reading, transaction
from bookingapp.core.encryption import EncryptionError
from bookingapp.integrations.calendly import CalendlyUnauthorized, PlatformTokens, fingerprint

log = structlog.get_logger(__name__)

# A pair is renewed this long before it expires, behind the back of whoever asks for it.
EARLY = timedelta(minutes=5)
# A token with less time than this is not sent any more: it might expire on its way.
TOO_LATE = timedelta(seconds=15)

_BUILDER = re.compile(r"builder:([0-9]{1,18})(?:-[0-9]+)?")


class Tokens:
    """Gives each tenant its token. A tenant is ``platform`` or ``builder:<id>-<catalog version>``.

    Safe for threads; looks into the database in sessions of its own, so that no caller's transaction is
    touched. ``before_look`` raises where the caller has one open, because a call is about to follow.
    """

    def __init__(
        self,
        app: Flask,
        *,
        platform: PlatformTokens,
        refusals: PlatformRefusals,
        renewals: Renewals,
        clock: Callable[[], datetime],
        before_look: Callable[[], None],
    ) -> None:
        self._app = app
        self._platform = platform
        self._refusals = refusals
        self._renewals = renewals
        self._clock = clock
        self._before_look = before_look
        # Platform tokens that somebody is trying although builders are still marked as disconnected.
        self._hoped_for: frozenset[str] = frozenset()

    def token_for(self, tenant: str) -> str:
        """The token to use now, renewed where it has to be.

        Raises Unauthorized where a person has to connect the account (again) or to set a token, and
        Unavailable where a renewal does not come to its end in time.
        """
        self._before_look()
        seen, is_marked = self._look(tenant)
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
                self._renewals.begin(seen)
            return seen.access_token
        self._renewals.wait(seen)
        return self._renewed(tenant, seen)

    def refused(self, tenant: str, token: str) -> bool:
        """Calendly answered 401 to ``token``. True when there is another, after a renewal where need be."""
        self._before_look()
        seen, _ = self._look(tenant)
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
        """Calendly answered 401 to the token that had taken a refused one's place: there is no cure here."""
        self._before_look()
        seen, _ = self._look(tenant)
        if seen is None:
            self._platform.refused(tenant, token)
        elif seen.state is ConnectionState.CONNECTED and seen.access_token == token:
            with self._app.app_context(), transaction(db.session()) as session:
                service.mark_dead(
                    session,
                    builder_id=seen.builder_id,
                    fence=seen.fence,
                    reason=NOT_CURED,
                    now=self._clock(),
                )

    def accepted(self, tenant: str, token: str) -> None:  # noqa: ARG002 - the token says enough.
        """Calendly took the token. News only where it is a platform token that was not thought to be good."""
        if token in self._hoped_for:
            self._hoped_for -= {token}
            self._refusals.forget(fingerprint(token))

    def _platform_token(self, tenant: str, *, is_marked: bool) -> str:
        token = self._platform.token_for(tenant)
        if is_marked or is_checking_refused_tokens():
            self._hoped_for |= {token}
        return token

    def _renewed(self, tenant: str, before: ConnectionSnapshot) -> str:
        seen, _ = self._look(tenant)
        if seen is None or seen.state is not ConnectionState.CONNECTED:
            raise CalendlyUnauthorized(f"the connection of {tenant} has ended while it was renewed")
        if seen.access_token == before.access_token:
            raise CalendlyUnauthorized(f"the connection of {tenant} was not renewed")
        return seen.access_token

    def _look(self, tenant: str) -> tuple[ConnectionSnapshot | None, bool]:
        """The tenant's own connection, None where the platform's token serves it; and whether those whom it
        serves are marked as disconnected.
        """
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
