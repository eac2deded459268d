"""On the way to Calendly's consent page and back: a state that works once, here, and soon."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.connections.models import OAuthAttempt

LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True)
class ConsentRequest:
    """What the consent page is asked with: the state as it travels, and the PKCE verifier."""

    state: str = field(repr=False)
    verifier: str = field(repr=False)


def start_attempt(session: Session, *, account_id: int, browser: str, now: datetime) -> ConsentRequest:
    """A new attempt of an account in one browser, whose secret is ``browser``; in the caller's transaction."""
    attempt = ConsentRequest(secrets.token_urlsafe(32), secrets.token_urlsafe(64))
    session.execute(sa.delete(OAuthAttempt).where(OAuthAttempt.expires_at <= now))
    session.add(
        OAuthAttempt(
            state_hash=_digest(attempt.state),
            browser_hash=_digest(browser),
            account_id=account_id,
            verifier=attempt.verifier,
            expires_at=now + LIFETIME,
        )
    )
    session.flush()
    return attempt


def use_attempt(session: Session, *, state: str, account_id: int, browser: str, now: datetime) -> str | None:
    """The verifier of a living attempt, which is used up by that, in the caller's transaction.

    None for a state that is unknown, used, too old, or of another browser or account; such a look uses
    nothing up.
    """
    row = OAuthAttempt
    statement = (
        sa.delete(row)
        .where(
            row.state_hash == _digest(state),
            row.browser_hash == _digest(browser),
            row.account_id == account_id,
            row.expires_at > now,
        )
        .returning(row.verifier)
    )
    return session.execute(statement).scalar_one_or_none()


def _digest(secret: str) -> str:
    return hashlib.sha256(f"oauth:{secret}".encode()).hexdigest()
