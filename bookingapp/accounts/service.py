"""Creates accounts, finds them, gives them another password. Which passwords are accepted, and how they are verified,
is in :mod:`bookingapp.accounts.passwords`; log-ins are in :mod:`bookingapp.accounts.log_ins`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email
from sqlalchemy.orm import Session

from bookingapp.accounts import links, log_ins
from bookingapp.accounts.codes import LinkPurpose, LogInEnd
from bookingapp.accounts.mail_jobs import enqueue_link
from bookingapp.accounts.models import Account
from bookingapp.accounts.origins import Origin
from bookingapp.accounts.passwords import Credentials, PasswordHash
from bookingapp.core.errors import Invalid, refusing_twins
from bookingapp.core.i18n import gettext, language
from bookingapp.text import printable

LONGEST_ADDRESS = 254
LINKS_OF_ACCOUNT = (
    LinkPurpose.RESET_PASSWORD,
    LinkPurpose.CONFIRM_NEW_ADDRESS,
    LinkPurpose.CONFIRM_OLD_ADDRESS,
)
RESET_WITHIN = timedelta(hours=1)


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


def spell_as_stored(text: str) -> str:
    """An address that somebody typed to log in, as accounts have it: every spelling of one is the same. What is no
    address is returned as it may have been meant, and finds nothing.
    """
    try:
        return normalize_email(text)
    except Invalid:
        return printable(text).lower()


def create_account(
    session: Session,
    *,
    email: str,
    name: str,
    password_hash: PasswordHash,
    now: datetime,
    is_operator: bool = False,
) -> Account:
    """Add an account. The hash comes from :func:`~bookingapp.accounts.passwords.hash_new_password`, which is called
    before the transaction. Raises :class:`Invalid` for a bad address or one that has an account, and
    :class:`~bookingapp.core.errors.Conflict` where somebody else uses it at the same moment.
    """
    address, taken = normalize_email(email), gettext("There is an account with that e-mail address already.")
    if find_account(session, address) is not None:
        raise Invalid(taken)
    account = Account(
        email=address,
        name=name.strip(),
        password_hash=password_hash,
        is_operator=is_operator,
        created_at=now,
    )
    session.add(account)
    with refusing_twins(taken):
        session.flush()
    return account


def find_account(session: Session, email: str) -> Account | None:
    """The account of a normalized address."""
    return session.scalar(sa.select(Account).where(Account.email == email))


def lock_account_of(session: Session, email: str) -> Account | None:
    """The account of a normalized address, for a change: one that gets another address at this moment is not found."""
    return session.scalar(sa.select(Account).where(Account.email == email).with_for_update())


def list_operators(session: Session) -> Sequence[Account]:
    """The accounts of operators, by name."""
    return session.scalars(sa.select(Account).where(Account.is_operator).order_by(Account.name)).all()


def lock_account(session: Session, account_id: int) -> Account:
    """The account, for a change: others that change it wait."""
    return session.scalars(sa.select(Account).where(Account.id == account_id).with_for_update()).one()


def set_password(
    session: Session,
    account: Account,
    password_hash: PasswordHash,
    *,
    now: datetime,
    how: LogInEnd = LogInEnd.PASSWORD_CHANGED,
    kept_log_in: int | None = None,
) -> None:
    """Give the account another password, and end its log-ins (but ``kept_log_in``) and its links: those that reset the
    password, and those of a change of address that waits.

    The hash comes from :func:`~bookingapp.accounts.passwords.hash_new_password`, called before the transaction.
    """
    account.password_hash = password_hash
    log_ins.end_all(session, account.id, how=how, kept=kept_log_in, now=now)
    links.end_links(session, LINKS_OF_ACCOUNT, account_id=account.id, now=now)


def find_credentials(session: Session, email: str) -> Credentials | None:
    """What a password for that address (as :func:`spell_as_stored` writes it) is verified against."""
    query = sa.select(Account.id, Account.password_hash).where(Account.email == email)
    found = session.execute(query).one_or_none()
    return Credentials(*found) if found else None


def find_verified(session: Session, verified: Credentials) -> Account | None:
    """The account whose password was verified, locked, so that a change of the password or the second step also ends
    the log-in that is made now; None where it has another password since. A hash that was made with weaker parameters
    than ours are now is replaced.
    """
    query = sa.select(Account).where(
        Account.id == verified.account_id, Account.password_hash == verified.password_hash
    )
    account = session.scalar(query.with_for_update())
    if account is not None:
        account.password_hash = verified.new_hash or account.password_hash
    return account


def ask_for_reset(session: Session, email: str, origin: Origin, *, now: datetime) -> None:
    """Mail a link that resets the password to a normalized address. The job finds out whether it has an account, so
    that asking takes equally long for every address.
    """
    facts = {"network": origin.network, "user_agent": origin.user_agent, "language": language()}
    link = links.create_link(
        session, LinkPurpose.RESET_PASSWORD, email=email, valid_for=RESET_WITHIN, facts=facts, now=now
    )
    enqueue_link(session, link, now=now)


def find_account_to_reset(session: Session, token: str, *, now: datetime) -> Account | None:
    """The account whose password a link resets; None where the link does not work (any more)."""
    link = links.find_link(session, LinkPurpose.RESET_PASSWORD, token, now=now)
    return session.get(Account, link.account_id) if link and link.account_id else None


def reset_password(
    session: Session, token: str, password_hash: PasswordHash, *, now: datetime
) -> Account | None:
    """Use a link that resets the password, and set another one. None where the link does not work (any more)."""
    link = links.find_link(session, LinkPurpose.RESET_PASSWORD, token, now=now)
    if link is None or link.account_id is None:
        return None
    # The account before its links, as who changes the password does it: in another order each could wait for the other.
    account = lock_account(session, link.account_id)
    if links.use_link(session, LinkPurpose.RESET_PASSWORD, token, now=now) is None:
        return None
    set_password(session, account, password_hash, now=now)
    return account
