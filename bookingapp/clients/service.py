"""Verifies a client's e-mail address by a link that works once, for one browser and 24 hours."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.clients.models import SignIn
from bookingapp.core.db import changed_rows
from bookingapp.core.encryption import hash_secret
from bookingapp.core.i18n import language
from bookingapp.core.queue import enqueue

SEND_LINK_JOB = "clients.send_link"

VERIFIED_FOR = timedelta(hours=24)
# Longer than a link and the sign-in after it are valid.
KEPT = timedelta(hours=48)


def request_link(session: Session, *, email: str, return_to: str | None, now: datetime) -> None:
    """Enqueue the mail with a link to a (normalized) address, whether it has bookings or not: the job finds that out.
    ``return_to`` is the path of the session type that asks for a verified address. Deletes old rows.
    """
    session.execute(sa.delete(SignIn).where(SignIn.created_at < now - KEPT))
    sign_in = SignIn(
        email=email,
        link_token=secrets.token_urlsafe(18),
        language=language(),
        return_to=return_to,
        created_at=now,
    )
    session.add(sign_in)
    session.flush()
    enqueue(
        session,
        SEND_LINK_JOB,
        key=f"link:{sign_in.link_token}",
        args={"sign_in_id": sign_in.id},
        run_at=now,
        now=now,
    )


def find_link(session: Session, link_token: str | None) -> SignIn | None:
    """The row of a link that was not used yet."""
    if link_token is None:
        return None
    return session.scalar(sa.select(SignIn).where(SignIn.link_token == link_token, SignIn.used_at.is_(None)))


def use_link(session: Session, link_token: str | None, *, now: datetime) -> tuple[SignIn, str] | None:
    """Use a link. Returns its row and the secret for the browser's cookie; None where it is unknown or used."""
    sign_in = find_link(session, link_token)
    if sign_in is None:
        return None
    token = secrets.token_urlsafe(32)
    statement = (
        sa.update(SignIn)
        .where(SignIn.id == sign_in.id, SignIn.used_at.is_(None))
        .values(used_at=now, browser_hash=hash_secret(token))
        .execution_options(synchronize_session=False)
    )
    if changed_rows(session, statement) != 1:
        return None
    return sign_in, token


def find_sign_in(session: Session, browser_token: str | None, *, now: datetime) -> SignIn | None:
    """The valid sign-in of a browser's secret: verified within the last 24 hours, and not ended."""
    if not browser_token:
        return None
    found = session.scalar(sa.select(SignIn).where(SignIn.browser_hash == hash_secret(browser_token)))
    if found is None or found.used_at is None or now - found.used_at > VERIFIED_FOR:
        return None
    return found


def end_sign_in(session: Session, browser_token: str | None) -> None:
    """Delete the sign-in of a browser's secret: its cookie is not valid any more."""
    if browser_token:
        session.execute(sa.delete(SignIn).where(SignIn.browser_hash == hash_secret(browser_token)))
