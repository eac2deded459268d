"""The OAuth states that protect a builder's way to Calendly's consent page and back."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.connections.models import OAuthAttempt
from bookingapp.core.encryption import hash_secret

LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True)
class ConsentRequest:
    """What goes into the consent page's address: the state, and the PKCE verifier whose challenge it carries."""

    state: str = field(repr=False)
    verifier: str = field(repr=False)


def request_consent(session: Session, *, account_id: int, browser: str, now: datetime) -> ConsentRequest:
    """Record an account's new attempt in one browser, and delete expired ones. ``browser`` is its log-in's secret."""
    attempt = ConsentRequest(secrets.token_urlsafe(32), secrets.token_urlsafe(64))
    session.execute(sa.delete(OAuthAttempt).where(OAuthAttempt.expires_at <= now))
    session.add(
        OAuthAttempt(
            state_hash=_hash_for_oauth(attempt.state),
            browser_hash=_hash_for_oauth(browser),
            account_id=account_id,
            verifier=attempt.verifier,
            expires_at=now + LIFETIME,
        )
    )
    session.flush()
    return attempt


def use_attempt(session: Session, *, state: str, account_id: int, browser: str, now: datetime) -> str | None:
    """Delete a valid attempt and return its verifier; None where it is used, expired, or another browser's."""
    row = OAuthAttempt
    statement = (
        sa.delete(row)
        .where(
            row.state_hash == _hash_for_oauth(state),
            row.browser_hash == _hash_for_oauth(browser),
            row.account_id == account_id,
            row.expires_at > now,
        )
        .returning(row.verifier)
    )
    return session.execute(statement).scalar_one_or_none()


def _hash_for_oauth(secret: str) -> str:
    return hash_secret(f"oauth:{secret}")
