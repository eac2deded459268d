"""Creates accounts, checks passwords, starts and ends log-ins."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from functools import lru_cache

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from email_validator import EmailNotValidError, validate_email
from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account, LogIn
from bookingapp.core.errors import Invalid
from bookingapp.core.i18n import gettext, ngettext
from bookingapp.text import printable

ABSOLUTE = timedelta(hours=24)
IDLE = timedelta(hours=2)
SEEN_EVERY = timedelta(minutes=5)
SHORTEST_PASSWORD = 10
LONGEST_ADDRESS = 254

_hasher = PasswordHasher()


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


def authenticate(session: Session, *, email: str, password: str) -> Account | None:
    """The account with that address and password, else None. A wrong address takes as long as a wrong password."""
    account = session.scalar(sa.select(Account).where(Account.email == printable(email).lower()))
    # Before the branch, so that the first log-in of a process takes equally long for both.
    fallback = _fallback_hash()
    try:
        _hasher.verify(account.password_hash if account else fallback, password)
    except (VerificationError, InvalidHashError):
        return None
    if account is not None and _hasher.check_needs_rehash(account.password_hash):
        account.password_hash = _hasher.hash(password)
    return account


def start_log_in(session: Session, account: Account, *, now: datetime) -> str:
    """Log the account in, in the caller's transaction. Returns the secret for the browser's cookie."""
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
