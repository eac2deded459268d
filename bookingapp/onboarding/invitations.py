"""Invitations to become a builder: links that work once, for seven days, and what using one makes."""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts import links
from bookingapp.accounts.codes import LinkPurpose
from bookingapp.accounts.models import Account, AccountLink
from bookingapp.accounts.names import normalize_name
from bookingapp.accounts.passwords import PasswordHash
from bookingapp.accounts.service import create_account, find_account, normalize_email
from bookingapp.builders.models import LONGEST_SLUG, Builder
from bookingapp.builders.service import create_builder, find_by_account
from bookingapp.core import i18n
from bookingapp.core.errors import Conflict, Invalid, NotFound
from bookingapp.core.i18n import gettext
from bookingapp.core.queue import enqueue

SEND_INVITATION_JOB = "onboarding.send_invitation"
VALID_FOR = timedelta(days=7)
SHOWN = 50
CURRENCY = "GBP"


class InvitationState(enum.StrEnum):
    """How an invitation is."""

    OPEN = "open"
    USED = "used"
    EXPIRED = "expired"
    ENDED = "ended"  # By an operator, or by a newer one to the same address.


@dataclass(frozen=True)
class Invitation:
    """An invitation as operators see it. ``is_sent``: its mail has left."""

    id: int
    email: str
    name: str
    state: InvitationState
    is_sent: bool
    created_at: datetime
    expires_at: datetime


def invite(
    session: Session, *, email: str, name: str, language: str | None = None, now: datetime
) -> AccountLink:
    """Invite an address; its earlier invitations end. Enqueues the mail, in the language with that code, else in that
    of the inviting page. An account with that address, an operator's for example, gets a builder's page by it. Raises
    :class:`Invalid` for a bad address or name, and :class:`Conflict` where it is a builder's.
    """
    address = normalize_email(email)
    account = find_account(session, address)
    builder = find_by_account(session, account.id) if account is not None else None
    if builder is not None:
        raise Conflict(
            gettext("%(name)s logs in with this address and is a builder already.", name=builder.display_name)
        )
    facts = {"name": normalize_name(name), "language": language or i18n.language()}
    link = links.create_link(
        session, LinkPurpose.INVITATION, email=address, valid_for=VALID_FOR, facts=facts, now=now
    )
    key, args = f"invitation:{link.id}", {"link_id": link.id}
    enqueue(session, SEND_INVITATION_JOB, key=key, args=args, run_at=now, now=now)
    return link


def list_invitations(session: Session, *, now: datetime) -> list[Invitation]:
    """The latest 50 invitations, the newest first."""
    query = sa.select(AccountLink).where(AccountLink.purpose == LinkPurpose.INVITATION)
    found = session.scalars(query.order_by(AccountLink.id.desc()).limit(SHOWN))
    return [_describe(link, now) for link in found]


def get_invitation(session: Session, link_id: int, *, now: datetime) -> Invitation:
    """One invitation. Raises :class:`NotFound`."""
    link = session.get(AccountLink, link_id)
    if link is None or link.purpose is not LinkPurpose.INVITATION:
        raise NotFound
    return _describe(link, now)


def end_invitation(session: Session, invitation: Invitation, *, now: datetime) -> None:
    """Let an invitation work no more. Raises :class:`Conflict` where it does not anyway."""
    # A newer one to the same address is another invitation, which its own act ends.
    is_open = invitation.state is InvitationState.OPEN
    if not is_open or not links.end_links(session, [LinkPurpose.INVITATION], email=invitation.email, now=now):
        raise Conflict(gettext("This invitation is not open any more."))


def accept_invitation(
    session: Session,
    token: str,
    *,
    name: str,
    password_hash: PasswordHash | None,
    timezone: str,
    now: datetime,
) -> Account | None:
    """Use an invitation: a builder's profile that is not listed and has no Calendly user yet, for the account of the
    address, which is made with the password where there is none. None where the link does not work any more. Raises
    :class:`Conflict` where the account has a profile by now.
    """
    link = links.use_link(session, LinkPurpose.INVITATION, token, now=now)
    if link is None:
        return None
    account = find_account(session, link.email)
    if account is None:
        if password_hash is None:
            raise Invalid(gettext("Please choose a password."))
        account = create_account(session, email=link.email, name=name, password_hash=password_hash, now=now)
    elif find_by_account(session, account.id) is not None:
        raise Conflict(gettext("You are a builder already. Please log in."))
    create_builder(
        session,
        account=account,
        slug=_find_free_slug(session, name),
        name=name,
        calendly_user_uri=None,
        timezone=timezone,
        currency=CURRENCY,
        listed=False,
        now=now,
    )
    return account


def _describe(link: AccountLink, now: datetime) -> Invitation:
    state = InvitationState.OPEN if link.expires_at > now else InvitationState.EXPIRED
    if link.used_at is not None:
        state = InvitationState.USED
    elif link.ended_at is not None:
        state = InvitationState.ENDED
    return Invitation(
        link.id,
        link.email,
        str(link.facts.get("name", "")),
        state,
        is_sent=link.token is None,
        created_at=link.created_at,
        expires_at=link.expires_at,
    )


def _find_free_slug(session: Session, name: str) -> str:
    """The address of a new builder's page, made of their name: with a number where others have that name."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    # Names in other scripts leave nothing.
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[: LONGEST_SLUG - 8].strip("-") or "builder"
    query = sa.select(Builder.slug).where(Builder.slug.startswith(slug, autoescape=True))
    taken: Sequence[str] = session.scalars(query).all()
    number = 1
    while (slug if number == 1 else f"{slug}-{number}") in taken:
        number += 1
    return slug if number == 1 else f"{slug}-{number}"
