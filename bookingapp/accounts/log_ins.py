"""Log-ins: started, found by the secret of a browser's cookie, ended by either side. Ended ones stay as a record."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts.codes import LogInEnd, SecondStep
from bookingapp.accounts.models import Account, LogIn
from bookingapp.accounts.origins import Origin
from bookingapp.core.db import changed_rows, table_of
from bookingapp.core.encryption import hash_secret

ABSOLUTE = timedelta(hours=24)
IDLE = timedelta(hours=2)
SEEN_EVERY = timedelta(minutes=5)
SECOND_STEP_WITHIN = timedelta(minutes=10)
SHOWN = 20


class CurrentAccount(NamedTuple):
    """The account of a log-in."""

    id: int
    email: str
    name: str
    password_hash: str
    is_operator: bool
    two_step_since: datetime | None
    language: str | None


class CurrentLogIn(NamedTuple):
    """A valid log-in. Plain values, because each private page begins with it, and the ORM needs three times as long."""

    id: int
    second_step: SecondStep
    created_at: datetime
    last_seen_at: datetime
    account: CurrentAccount

    @property
    def account_id(self) -> int:
        """The account's id."""
        return self.account.id


_L = table_of(LogIn).c
_A = table_of(Account).c
_CURRENT = (
    sa.select(
        *(_L[name] for name in CurrentLogIn._fields[:-1]), *(_A[name] for name in CurrentAccount._fields)
    )
    .join_from(_L.id.table, _A.id.table, _A.id == _L.account_id)
    .where(_L.token_hash == sa.bindparam("token_hash"), _L.ended_at.is_(None))
)


def add_log_in(session: Session, account: Account, origin: Origin, *, now: datetime) -> tuple[LogIn, str]:
    """Log in an account whose password was verified. Returns the row and the secret for the browser's cookie. Where the
    account has a second step, it opens nothing before :func:`pass_second_step`.
    """
    token = secrets.token_urlsafe(32)
    log_in = LogIn(
        account_id=account.id,
        token_hash=hash_secret(token),
        second_step=SecondStep.DUE if account.two_step_since else SecondStep.NOT_NEEDED,
        created_at=now,
        last_seen_at=now,
        browser_hash=origin.browser_hash,
        network=origin.network,
        user_agent=origin.user_agent,
    )
    session.add(log_in)
    session.flush()
    return log_in, token


def find_log_in(session: Session, token: str | None, *, now: datetime) -> CurrentLogIn | None:
    """The valid log-in of a cookie's secret: not ended, at most 24 hours old, and used within the last 2 hours."""
    row = session.execute(_CURRENT, {"token_hash": hash_secret(token)}).one_or_none() if token else None
    if row is None:
        return None
    log_in = CurrentLogIn(row[0], row[1], row[2], row[3], CurrentAccount(*row[4:]))
    if log_in.second_step is SecondStep.DUE:
        return None
    return log_in if _is_young(log_in, now) else None


def find_waiting_log_in(session: Session, token: str | None, *, now: datetime) -> LogIn | None:
    """The log-in of a cookie's secret that waits for its second step, for ten minutes."""
    log_in = _find_open(session, token)
    if log_in is None or log_in.second_step is not SecondStep.DUE:
        return None
    return log_in if now - log_in.created_at <= SECOND_STEP_WITHIN else None


def _is_young(log_in: LogIn | CurrentLogIn, now: datetime) -> bool:
    return now - log_in.created_at <= ABSOLUTE and now - log_in.last_seen_at <= IDLE


def pass_second_step(session: Session, log_in: LogIn, *, now: datetime) -> str:
    """Record that the second step was passed. Returns another secret for the browser's cookie."""
    token = secrets.token_urlsafe(32)
    log_in.second_step, log_in.token_hash, log_in.last_seen_at = SecondStep.PASSED, hash_secret(token), now
    session.flush()
    return token


def record_seen(session: Session, log_in_id: int, *, now: datetime) -> None:
    """Record a use of the log-in: its idle time starts again."""
    session.execute(sa.update(LogIn).where(LogIn.id == log_in_id).values(last_seen_at=now))


def end_log_in(session: Session, token: str | None, *, now: datetime) -> LogIn | None:
    """Log out: end the log-in of a cookie's secret. The browser stays known. Returns the row that was ended."""
    log_in = _find_open(session, token)
    if log_in is not None:
        log_in.ended_at, log_in.ended_how = now, LogInEnd.LOGGED_OUT
    return log_in


def end_one(session: Session, account_id: int, log_in_id: int, *, now: datetime) -> bool:
    """End one log-in of the account from another browser; its browser is not known any more. Returns whether it was
    open.
    """
    statement = _ending(account_id, LogInEnd.BY_OWNER, now).where(LogIn.id == log_in_id)
    return changed_rows(session, statement) == 1


def find_own(session: Session, account_id: int, log_in_id: int) -> LogIn | None:
    """A log-in of this account, open or ended."""
    return session.scalar(sa.select(LogIn).where(LogIn.account_id == account_id, LogIn.id == log_in_id))


def end_all(
    session: Session, account_id: int, *, how: LogInEnd, now: datetime, kept: int | None = None
) -> int:
    """End every log-in of the account but ``kept``; their browsers are not known any more. Returns how many were
    open.
    """
    statement = _ending(account_id, how, now)
    forgetting = sa.update(LogIn).where(LogIn.account_id == account_id).values(browser_hash=None)
    if kept is not None:
        browser = sa.select(LogIn.browser_hash).where(LogIn.id == kept).scalar_subquery()
        kept_too = sa.func.coalesce(LogIn.browser_hash, "") == sa.func.coalesce(browser, "")
        statement, forgetting = statement.where(LogIn.id != kept), forgetting.where(sa.not_(kept_too))
    session.execute(forgetting.execution_options(synchronize_session=False))
    return changed_rows(session, statement)


def knows_browser(session: Session, account_id: int, browser_hash: str | None) -> bool:
    """Whether this browser has logged in to the account before, and no other browser has ended that since."""
    query = _complete(account_id).where(LogIn.browser_hash == browser_hash)
    return browser_hash is not None and session.scalar(query.limit(1)) is not None


def find_known_browser(session: Session, account_id: int | None, browser_hash: str | None) -> str | None:
    """The browser's hash where it is known to the account (:func:`knows_browser`), else None."""
    if account_id is None or not knows_browser(session, account_id, browser_hash):
        return None
    return browser_hash


def has_logged_in(session: Session, account_id: int) -> bool:
    """Whether there is a log-in of the account, of this year."""
    return session.scalar(_complete(account_id).limit(1)) is not None


def list_current(session: Session, account_id: int, *, now: datetime) -> list[LogIn]:
    """The open log-ins of an account, the newest first."""
    query = _of(account_id).where(
        LogIn.ended_at.is_(None), LogIn.created_at > now - ABSOLUTE, LogIn.second_step != SecondStep.DUE
    )
    return [one for one in session.scalars(query) if _is_young(one, now)]


def recent_log_ins(session: Session, account_id: int, *, now: datetime) -> tuple[list[LogIn], list[LogIn]]:
    """The open log-ins of an account, and the latest of the others, each the newest first."""
    query, current = _of(account_id), list_current(session, account_id, now=now)
    past = query.where(LogIn.id.not_in([one.id for one in current])).limit(SHOWN)
    return current, list(session.scalars(past))


def _of(account_id: int) -> sa.Select[LogIn]:
    return sa.select(LogIn).where(LogIn.account_id == account_id).order_by(LogIn.id.desc())


def _find_open(session: Session, token: str | None) -> LogIn | None:
    if not token:
        return None
    return session.scalar(
        sa.select(LogIn).where(LogIn.token_hash == hash_secret(token), LogIn.ended_at.is_(None))
    )


def _complete(account_id: int) -> sa.Select[int]:
    return sa.select(LogIn.id).where(LogIn.account_id == account_id, LogIn.second_step != SecondStep.DUE)


def _ending(account_id: int, how: LogInEnd, now: datetime) -> sa.Update:
    statement = sa.update(LogIn).where(LogIn.account_id == account_id, LogIn.ended_at.is_(None))
    statement = statement.values(ended_at=now, ended_how=how, browser_hash=None)
    return statement.execution_options(synchronize_session=False)
