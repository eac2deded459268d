"""Creates accounts, checks passwords, starts and ends log-ins."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from email_validator import EmailNotValidError, validate_email
from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account, LogIn
from bookingapp.core.errors import Invalid, Unavailable
from bookingapp.core.i18n import gettext, ngettext
from bookingapp.integrations.concurrency import Bulkhead, BulkheadFull
from bookingapp.text import printable

ABSOLUTE = timedelta(hours=24)
IDLE = timedelta(hours=2)
SEEN_EVERY = timedelta(minutes=5)
SHORTEST_PASSWORD = 10
LONGEST_ADDRESS = 254

# In one process. Those who verify and those who wait for it together are half of its threads (cli/servers.py).
VERIFIED_AT_ONCE = 3
WAITING_OR_VERIFIED = 8
PATIENCE_SECONDS = 2.0
RETRY_AFTER_SECONDS = 5

_hasher = PasswordHasher()
_verifying, _entering = Bulkhead(VERIFIED_AT_ONCE), Bulkhead(WAITING_OR_VERIFIED)


@lru_cache(maxsize=1)
def _fallback_hash() -> str:
    """Verified where there is no account, so that the answer takes equally long. Made once, because that is slow."""
    return _hasher.hash(secrets.token_urlsafe(16))


def normalize_email(text: str) -> str:
    """An e-mail address as it is stored and compared, without what was pasted with it. Raises :class:`Invalid` for any
    other text.
    """
    try:
        found = validate_email(printable(text), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise Invalid(gettext("Please enter a valid e-mail address.")) from None
    address = found.normalized.lower()
    # One letter may become two in lower case.
    if len(address) > LONGEST_ADDRESS:
        raise Invalid(gettext("This address is too long."))
    return address


def create_account(
    session: Session, *, email: str, name: str, password: str, now: datetime, is_operator: bool = False
) -> Account:
    """Add an account. Raises :class:`Invalid` for a short password, a bad address or one that has an account."""
    if len(password) < SHORTEST_PASSWORD:
        raise Invalid(
            ngettext(
                "The password needs at least %(num)s character.",
                "The password needs at least %(num)s characters.",
                SHORTEST_PASSWORD,
            )
        )
    address = normalize_email(email)
    if session.scalar(sa.select(Account.id).where(Account.email == address)) is not None:
        raise Invalid(gettext("There is an account with that e-mail address already."))
    account = Account(
        email=address,
        name=name.strip(),
        password_hash=_hasher.hash(password),
        is_operator=is_operator,
        created_at=now,
    )
    session.add(account)
    session.flush()
    return account


@dataclass(frozen=True)
class Credentials:
    """An account's id and the hash of its password, as they were read. ``new_hash`` takes the hash's place where that
    was made with weaker parameters than ours are now.
    """

    account_id: int
    password_hash: str
    new_hash: str | None = None


def find_credentials(session: Session, email: str) -> Credentials | None:
    """What a password for that address is verified against."""
    query = sa.select(Account.id, Account.password_hash).where(Account.email == printable(email).lower())
    found = session.execute(query).one_or_none()
    return Credentials(*found) if found else None


def verify_password(credentials: Credentials | None, password: str) -> Credentials | None:
    """The credentials where it is the account's password, else None. A wrong address takes as long as a wrong password.

    It takes a core and 64 MB for a good while, so it is never called inside of a transaction, and few threads do it at
    a time. Others wait up to two seconds; then, or where many wait already, it raises :class:`Unavailable`.
    """
    try:
        with _entering.place(0), _verifying.place(PATIENCE_SECONDS):
            # Before the branch, so that the first log-in of a process takes equally long for both.
            fallback = _fallback_hash()
            _hasher.verify(credentials.password_hash if credentials else fallback, password)
            if credentials is None or not _hasher.check_needs_rehash(credentials.password_hash):
                return credentials
            return replace(credentials, new_hash=_hasher.hash(password))
    except BulkheadFull:
        message = gettext("Many people are logging in right now. Please try again in a moment.")
        raise Unavailable(message, retry_after=RETRY_AFTER_SECONDS) from None
    except (VerificationError, InvalidHashError):
        return None


def start_log_in(session: Session, verified: Credentials, *, now: datetime) -> str | None:
    """Log in an account whose password was verified, in the caller's transaction. Returns the secret for the browser's
    cookie; None where the password has changed since.
    """
    query = sa.select(Account).where(
        Account.id == verified.account_id, Account.password_hash == verified.password_hash
    )
    account = session.scalar(query)
    if account is None:
        return None
    account.password_hash = verified.new_hash or account.password_hash
    token = secrets.token_urlsafe(32)
    session.execute(sa.delete(LogIn).where(LogIn.account_id == account.id, LogIn.created_at < now - ABSOLUTE))
    session.add(LogIn(account_id=account.id, token_hash=hash_secret(token), created_at=now, last_seen_at=now))
    return token


def find_log_in(session: Session, token: str | None, *, now: datetime) -> LogIn | None:
    """The valid log-in of a cookie's secret: at most 24 hours old, and used within the last 2 hours."""
    if not token:
        return None
    log_in = session.scalar(sa.select(LogIn).where(LogIn.token_hash == hash_secret(token)))
    if log_in is None or now - log_in.created_at > ABSOLUTE or now - log_in.last_seen_at > IDLE:
        return None
    return log_in


def record_seen(session: Session, log_in_id: int, *, now: datetime) -> None:
    """Record a use of the log-in: its idle time starts again."""
    session.execute(sa.update(LogIn).where(LogIn.id == log_in_id).values(last_seen_at=now))


def end_log_in(session: Session, token: str | None) -> None:
    """Log out: delete the log-in of a cookie's secret."""
    if token:
        session.execute(sa.delete(LogIn).where(LogIn.token_hash == hash_secret(token)))


def hash_secret(secret: str) -> str:
    """The SHA-256 of a random secret: what is stored of one that a browser keeps."""
    return hashlib.sha256(secret.encode()).hexdigest()
