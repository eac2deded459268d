"""The flow of a log-in: after the password, after the second step, and after the password was reset."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.accounts import log_ins, two_step
from bookingapp.accounts.codes import SecondStep, SecurityCode
from bookingapp.accounts.events import record_event
from bookingapp.accounts.models import Account, LogIn
from bookingapp.accounts.origins import Origin
from bookingapp.core.encryption import hash_secret
from bookingapp.core.i18n import chosen, language


@dataclass(frozen=True)
class Entry:
    """A log-in for the browser's cookies: its own secret, ``browser``, a new one by which the browser is known from now
    on (None where it has one), and the account's language. ``is_complete`` is False where the second step is due.
    """

    token: str
    browser: str | None
    language: str
    is_complete: bool


def enter(session: Session, account: Account, origin: Origin, *, now: datetime) -> Entry:
    """Log in an account whose password was verified, or was reset by a link. It keeps the language that was chosen in
    this browser; without a choice its own, and without that what the browser prefers.
    """
    account.language = chosen() or account.language or language()
    browser = None
    if origin.browser_hash is None:
        browser = secrets.token_urlsafe(32)
        origin = replace(origin, browser_hash=hash_secret(browser))
    code = _code(session, account, origin)
    log_in, token = log_ins.add_log_in(session, account, origin, now=now)
    is_complete = log_in.second_step is not SecondStep.DUE
    if is_complete:
        record_event(session, code, account_id=account.id, origin=origin, now=now, log_in=log_in.id)
    return Entry(token, browser, account.language, is_complete)


def pass_second_step(
    session: Session, log_in: LogIn, code: str, origin: Origin, *, now: datetime
) -> str | None:
    """Complete a log-in by a code of the app, or a recovery code. Returns the new secret of its cookie; None where the
    code is wrong or was used, which is recorded.
    """
    account = log_in.account
    passed = two_step.use_code(session, account, code, now=now)
    if passed is None:
        record_event(
            session,
            SecurityCode.SECOND_STEP_FAILED,
            account_id=account.id,
            origin=origin,
            now=now,
            log_in=log_in.id,
        )
        return None
    event = _code(session, account, replace(origin, browser_hash=log_in.browser_hash))
    token = log_ins.pass_second_step(session, log_in, now=now)
    record_event(session, event, account_id=account.id, origin=origin, now=now, log_in=log_in.id)
    if passed is two_step.Passed.RECOVERY_CODE:
        record_event(session, SecurityCode.RECOVERY_CODE_USED, account_id=account.id, origin=origin, now=now)
    return token


def _code(session: Session, account: Account, origin: Origin) -> SecurityCode:
    """Whether it is a browser that was not seen before; of the first log-in of all that is not worth a word."""
    is_known = log_ins.knows_browser(session, account.id, origin.browser_hash)
    is_usual = is_known or not log_ins.has_logged_in(session, account.id)
    return SecurityCode.LOGGED_IN if is_usual else SecurityCode.NEW_BROWSER
