"""Links that work once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts import links
from bookingapp.accounts.codes import LinkPurpose
from bookingapp.accounts.models import AccountLink
from bookingapp.core.db import transaction

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
RESET, INVITE = LinkPurpose.RESET_PASSWORD, LinkPurpose.INVITATION


def new_token(session: Session, purpose: LinkPurpose = RESET, email: str = "ada@example.com") -> str:
    """Make a link, and return what its address contains."""
    with transaction(session):
        token = links.create_link(session, purpose, email=email, valid_for=HOUR, now=NOW).token
    assert token is not None
    return token


def use(
    session: Session, token: str, purpose: LinkPurpose = RESET, *, after: timedelta = timedelta()
) -> bool:
    with transaction(session):
        return links.use_link(session, purpose, token, now=NOW + after) is not None


def stored(session: Session) -> str:
    """Everything that the table has, as it is stored."""
    return str(session.execute(sa.text("SELECT * FROM account_links")).all())


@pytest.mark.any_database
def test_a_link_works_once(session: Session) -> None:
    """Looking at it changes nothing."""
    token = new_token(session)
    for _ in range(2):
        assert links.find_link(session, RESET, token, now=NOW) is not None
    assert use(session, token)
    assert not use(session, token)
    assert links.find_link(session, RESET, token, now=NOW) is None


@pytest.mark.parametrize(("after", "works"), [(HOUR - timedelta(seconds=1), True), (HOUR, False)])
def test_a_link_expires(session: Session, after: timedelta, works: bool) -> None:
    assert use(session, new_token(session), after=after) is works


def test_a_newer_link_ends_the_older_one(session: Session) -> None:
    """Of the same purpose and address alone."""
    first, invitation, other = (
        new_token(session),
        new_token(session, INVITE),
        new_token(session, email="b@example.com"),
    )
    second = new_token(session)
    assert [use(session, token) for token in (first, second, other)] == [False, True, True]
    assert use(session, invitation, INVITE)


def test_a_link_is_for_one_purpose(session: Session) -> None:
    token = new_token(session)
    assert not use(session, token, INVITE)
    assert use(session, token)


def test_the_token_is_not_stored(session: Session) -> None:
    """Only its hash, and until it was sent the token under the encryption key."""
    token = new_token(session)
    assert token not in stored(session)
    link = session.scalars(sa.select(AccountLink)).one()
    assert link.token == token
    with transaction(session):
        links.record_sent(session, link)
    session.expire_all()
    assert session.scalars(sa.select(AccountLink.token)).one() is None
    assert use(session, token)
