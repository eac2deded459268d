"""Which passwords are accepted (long enough, not among the first that somebody would guess), and how they are hashed
(Argon2id) and verified.

zxcvbn brings lists of common and breached passwords, names and words, and estimates how many guesses a password takes.
Its 15 MB are read when the first password is chosen in a process, not when the application starts.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NewType

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from bookingapp.core.errors import Invalid, Unavailable
from bookingapp.core.i18n import gettext, ngettext
from bookingapp.integrations.concurrency import Bulkhead, BulkheadFull

PasswordHash = NewType("PasswordHash", str)
"""The hash of a password that was checked: only :func:`hash_new_password` makes one."""

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 200
FEWEST_GUESSES = 10**8
"""Below that, zxcvbn calls a password somewhat guessable: safe at our form, but not where its hash was stolen."""

# What zxcvbn reads: its time grows with the length.
_LONGEST_READ = 72
# What somebody tries first on this site, beside zxcvbn's lists.
SITE_WORDS = ("bookingapp", "booking", "builder", "calendly", "stripe", "operator", "session", "dashboard")
# Shorter parts of a name are in many good passwords.
_SHORTEST_PART = 4
_lock = threading.Lock()

# In one process. Those who verify and those who wait for it together are half of its threads (cli/servers.py).
VERIFIED_AT_ONCE = 3
WAITING_OR_VERIFIED = 8
PATIENCE_SECONDS = 2.0
RETRY_AFTER_SECONDS = 5

_hasher = PasswordHasher()
_verifying, _entering = Bulkhead(VERIFIED_AT_ONCE), Bulkhead(WAITING_OR_VERIFIED)


@dataclass(frozen=True)
class Credentials:
    """An account's id and the hash of its password, as they were read. ``new_hash`` takes the hash's place where that
    was made with weaker parameters than ours are now.
    """

    account_id: int
    password_hash: str
    new_hash: str | None = None


def hash_new_password(password: str, *, name: str, email: str) -> PasswordHash:
    """Check a new password for the person of that name and address, and hash it: for :func:`create_account` and
    :func:`set_password` of :mod:`bookingapp.accounts.service`.

    It takes a core and 64 MB for a good while, so it is never called inside of a transaction. Raises :class:`Invalid`
    with what to do instead, and :class:`Unavailable` where too many passwords are hashed right now.
    """
    check_password(password, name=name, email=email)
    with _place():
        return PasswordHash(_hasher.hash(password))


def verify_password(credentials: Credentials | None, password: str) -> Credentials | None:
    """The credentials where it is the account's password, else None. A wrong address takes as long as a wrong password.

    It takes a core and 64 MB for a good while, so it is never called inside of a transaction, and few threads do it at
    a time. Others wait up to two seconds; then, or where many wait already, it raises :class:`Unavailable`.
    """
    try:
        with _place():
            # Before the branch, so that the first log-in of a process takes equally long for both.
            fallback = _fallback_hash()
            _hasher.verify(credentials.password_hash if credentials else fallback, password)
            if credentials is None or not _hasher.check_needs_rehash(credentials.password_hash):
                return credentials
            return replace(credentials, new_hash=_hasher.hash(password))
    except (VerificationError, InvalidHashError):
        return None


@lru_cache(maxsize=1)
def _fallback_hash() -> str:
    """Verified where there is no account, so that the answer takes equally long. Made once, because that is slow."""
    return _hasher.hash(secrets.token_urlsafe(16))


@contextmanager
def _place() -> Iterator[None]:
    """One of the few places for hashing. Raises :class:`Unavailable`."""
    try:
        with _entering.place(0), _verifying.place(PATIENCE_SECONDS):
            yield
    except BulkheadFull:
        message = gettext("Many people are logging in right now. Please try again in a moment.")
        raise Unavailable(message, retry_after=RETRY_AFTER_SECONDS) from None


def check_password(password: str, *, name: str, email: str) -> None:
    """Accept a password for the person of that name and address. Raises :class:`Invalid`, with what to do instead."""
    if len(password) < SHORTEST_PASSWORD:
        raise Invalid(
            ngettext(
                "The password needs at least %(num)s character.",
                "The password needs at least %(num)s characters.",
                SHORTEST_PASSWORD,
            )
        )
    if len(password) > LONGEST_PASSWORD:
        raise Invalid(
            ngettext(
                "The password may have at most %(num)s character.",
                "The password may have at most %(num)s characters.",
                LONGEST_PASSWORD,
            )
        )
    own = _own_words(name, email)
    rest = password.lower()
    for word in own:
        rest = rest.replace(word, "")
    if len(rest) < SHORTEST_PASSWORD and rest != password.lower():
        raise Invalid(
            gettext("Your name or e-mail address is easy to guess. Please choose a password without it.")
        )
    if _guesses(password, own) < FEWEST_GUESSES:
        raise Invalid(
            gettext(
                "This password is easy to guess. Three or four unrelated words, or a password manager, make a good one."
            )
        )


def _own_words(name: str, email: str) -> list[str]:
    """The words of a name and an address, the longest first."""
    parts = {part.lower() for part in re.split(r"[\W_]+", f"{name} {email}")}
    return sorted((part for part in parts if len(part) >= _SHORTEST_PART), key=len, reverse=True)


def _guesses(password: str, own: list[str]) -> float:
    # Imported here: see above.
    from zxcvbn import zxcvbn  # noqa: PLC0415 - it takes 15 MB.

    # It keeps the words of the person in a table of its module.
    with _lock:
        return float(zxcvbn(password[:_LONGEST_READ], user_inputs=[*own, *SITE_WORDS])["guesses"])
