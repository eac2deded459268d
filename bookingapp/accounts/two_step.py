"""Two-step log-in: the secret of an authenticator app (TOTP, RFC 6238), its codes, and the recovery codes."""

from __future__ import annotations

import base64
import enum
import hmac
import re
import secrets
from datetime import datetime, timedelta

import pyotp
import segno
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts import log_ins
from bookingapp.accounts.codes import LogInEnd, SecondStep
from bookingapp.accounts.models import Account, LogIn, RecoveryCode, TwoStep
from bookingapp.core.db import changed_rows
from bookingapp.core.encryption import hash_secret

PERIOD_SECONDS = 30
# The app's clock may be a little off: the code before and the one after are accepted too.
PERIODS_ASIDE = 1
RECOVERY_CODES = 10
SET_UP_WITHIN = timedelta(hours=1)
SAME_PRESS = timedelta(minutes=1)
_RECOVERY_BYTES, _RECOVERY_GROUP = 15, 4


class Passed(enum.StrEnum):
    """By what a second step was passed."""

    APP = "app"
    RECOVERY_CODE = "recovery_code"


def begin_set_up(session: Session, account: Account, *, now: datetime) -> None:
    """Make a secret for an app, to be confirmed within an hour. One that is in use stays so until then."""
    row = _find(session, account.id)
    if row is None:
        row = TwoStep(account_id=account.id, last_period=0, created_at=now)
        session.add(row)
    row.new_secret, row.created_at = pyotp.random_base32(), now
    session.flush()


def find_new_secret(session: Session, account_id: int, *, now: datetime) -> str | None:
    """The secret (base32) that is shown and waits for its first code."""
    return _new_secret_of(_find(session, account_id), now)


def confirm_set_up(
    session: Session, account: Account, log_in: LogIn, code: str, *, now: datetime
) -> tuple[list[str], bool] | None:
    """Turn two-step log-in on by the first code of the new secret, for the log-in that passes its second step by this.
    The account, which the caller has locked, is logged out elsewhere. Returns the new recovery codes, and whether it
    was turned on now; None where the code is wrong.

    A button that is pressed twice sends the code twice, and the browser shows the answer to the second: that gets
    recovery codes as well, which replace those that nobody has seen.
    """
    row = _find(session, account.id)
    secret = _new_secret_of(row, now)
    if row is not None and secret is None and _is_same_press(row, account, log_in, code, now):
        return make_recovery_codes(session, account), False
    period = _period_of(secret, code, now=now)
    if row is None or period is None:
        return None
    row.secret, row.new_secret, row.last_period = secret, None, period
    account.two_step_since = now
    log_in.second_step = SecondStep.PASSED
    session.flush()
    log_ins.end_all(session, account.id, how=LogInEnd.TWO_STEP_ON, kept=log_in.id, now=now)
    return make_recovery_codes(session, account), True


def _new_secret_of(row: TwoStep | None, now: datetime) -> str | None:
    return row.new_secret if row and now - row.created_at <= SET_UP_WITHIN else None


def _is_same_press(row: TwoStep, account: Account, log_in: LogIn, code: str, now: datetime) -> bool:
    is_recent = account.two_step_since is not None and now - account.two_step_since <= SAME_PRESS
    is_same_browser = log_in.second_step is SecondStep.PASSED and log_in.ended_at is None
    return is_recent and is_same_browser and _period_of(row.secret, code, now=now) == row.last_period


def turn_off(session: Session, account: Account) -> None:
    """Forget the secret and the recovery codes: the password alone is enough again. No log-in counts as one with a
    second step any more.
    """
    account.two_step_since = None
    session.flush()
    passed = sa.update(LogIn).where(LogIn.account_id == account.id, LogIn.second_step == SecondStep.PASSED)
    session.execute(passed.values(second_step=SecondStep.NOT_NEEDED))
    session.execute(sa.delete(TwoStep).where(TwoStep.account_id == account.id))
    session.execute(sa.delete(RecoveryCode).where(RecoveryCode.account_id == account.id))


def use_code(session: Session, account: Account, code: str, *, now: datetime) -> Passed | None:
    """Use a code of the app or a recovery code: each works once. Returns which it was; None where it is wrong."""
    row = _find(session, account.id)
    period = _period_of(row.secret, code, now=now) if row and row.secret else None
    if row is not None and period is not None:
        statement = sa.update(TwoStep).where(TwoStep.id == row.id, TwoStep.last_period < period)
        statement = statement.values(last_period=period).execution_options(synchronize_session=False)
        return Passed.APP if changed_rows(session, statement) == 1 else None
    used = sa.update(RecoveryCode).where(
        RecoveryCode.account_id == account.id,
        RecoveryCode.code_hash == hash_secret(_normalize(code)),
        RecoveryCode.used_at.is_(None),
    )
    used = used.values(used_at=now).execution_options(synchronize_session=False)
    return Passed.RECOVERY_CODE if changed_rows(session, used) == 1 else None


def make_recovery_codes(session: Session, account: Account) -> list[str]:
    """Replace the account's recovery codes. Returns the new ones, which are stored as hashes only."""
    session.execute(sa.delete(RecoveryCode).where(RecoveryCode.account_id == account.id))
    codes = [_new_recovery_code() for _ in range(RECOVERY_CODES)]
    session.add_all(
        RecoveryCode(account_id=account.id, code_hash=hash_secret(_normalize(code))) for code in codes
    )
    return codes


def recovery_codes_left(session: Session, account_id: int) -> int:
    """How many recovery codes are not used yet."""
    query = sa.select(sa.func.count(RecoveryCode.id)).where(
        RecoveryCode.account_id == account_id, RecoveryCode.used_at.is_(None)
    )
    return session.scalars(query).one()


def set_up_address(secret: str, *, email: str, issuer: str) -> str:
    """The ``otpauth://`` address of a secret, which authenticator apps read."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)


def qr_code(text: str) -> tuple[int, str]:
    """A text as a QR code: the width of its square, with its quiet zone, and the dark modules as the path of an SVG."""
    rows = segno.make(text, error="m", micro=False).matrix_iter(border=4)
    lines = ["".join("1" if dark else "0" for dark in row) for row in rows]
    runs = (
        f"M{run.start()} {y}h{len(run.group())}v1h-{len(run.group())}z"
        for y, line in enumerate(lines)
        for run in re.finditer("1+", line)
    )
    return len(lines), "".join(runs)


def _find(session: Session, account_id: int) -> TwoStep | None:
    return session.scalar(sa.select(TwoStep).where(TwoStep.account_id == account_id))


def _period_of(secret: str | None, code: str, *, now: datetime) -> int | None:
    """The period (of 30 seconds) whose code it is, among the present one and its neighbors."""
    digits, present = "".join(code.split()), int(now.timestamp()) // PERIOD_SECONDS
    if secret is None or not digits.isdecimal() or not digits.isascii():
        return None
    for period in range(present - PERIODS_ASIDE, present + PERIODS_ASIDE + 1):
        if hmac.compare_digest(pyotp.TOTP(secret).at(period * PERIOD_SECONDS), digits):
            return period
    return None


def _new_recovery_code() -> str:
    """120 random bits, as in ``abcd-efgh-ijkl-mnop-qrst-uvwx``: enough that a plain hash of it can be stored."""
    letters = base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower()
    return "-".join(re.findall(f".{{{_RECOVERY_GROUP}}}", letters))


def _normalize(code: str) -> str:
    """A recovery code as its letters and digits, in one spelling."""
    return re.sub(r"[^a-z2-7]", "", code.lower())
