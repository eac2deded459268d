"""How many unpaid bookings one visitor may have open with one builder: each keeps a time that others could pay for.

They are counted in the database, under a lock of the builder, because a booking ends: it is paid, canceled or expired.
How often a visitor books is counted by :mod:`bookingapp.core.quotas`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking, EmailProof, HistoryEntry
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.core import clock, quotas
from bookingapp.core.errors import TooOften
from bookingapp.core.i18n import gettext
from bookingapp.core.visitors import Visitor, mailbox


@dataclass(frozen=True)
class Allowance:
    """How many open unpaid bookings with one builder may be, in all, and how many of them with a time."""

    open: int
    held: int


# For one mailbox or browser. A booking without a time holds nothing yet, and many people begin anew.
UNVERIFIED, VERIFIED = Allowance(open=3, held=1), Allowance(open=6, held=3)
# For all unverified who share an address: an office, a mobile network.
MOST_OF_ADDRESS = Allowance(open=100, held=12)
SHORT_HOLD = timedelta(minutes=5)
"""How long a time is held beyond these numbers. Calendly gives it away before we know whose it is, so somebody may take
more times than they may hold, with bookings that they made before.
"""
_SHORTEST_WAIT = timedelta(minutes=1)


class AddressUnverified(TooOften):
    """Possible at once with a confirmed e-mail address, otherwise later."""


@dataclass(frozen=True)
class Booker:
    """Who books: a mailbox, which ``is_verified`` in this browser or not, and the visitor who enters it."""

    mailbox: str
    visitor: Visitor
    is_verified: bool

    @classmethod
    def of(cls, email: str, visitor: Visitor, *, verified_address: str | None) -> Booker:
        """The booker with that e-mail address, in a browser where ``verified_address`` is verified."""
        name = mailbox(email)
        return cls(name, visitor, verified_address is not None and mailbox(verified_address) == name)

    @property
    def facts(self) -> dict[str, str]:
        """What the history of the new booking keeps of it; the mailbox is the booking's own."""
        return {"address": self.visitor.address, "browser": self.visitor.browser or ""}


@dataclass(frozen=True)
class _Open:
    booking_id: int
    mailbox: str
    address: str
    browser: str
    holds_time: bool
    until: datetime


def limit_unverified(booker: Booker) -> None:
    """Count a booking of an address that is not verified: its mails may go to somebody who never asked for them. Raises
    :class:`AddressUnverified` above the quota. Not inside of a transaction.
    """
    if booker.is_verified:
        return
    uses = [
        (quotas.UNVERIFIED_MAILBOX, booker.mailbox),
        (quotas.UNVERIFIED_ADDRESS, booker.visitor.address),
    ]
    if booker.visitor.browser is not None:
        uses.append((quotas.UNVERIFIED_BROWSER, booker.visitor.browser))
    wait = quotas.try_spend_each(*uses)
    if wait:
        raise AddressUnverified(
            gettext(
                "You have booked several times in a short time. To book again now, please confirm your e-mail address "
                "by a link that we send you. Or try again in %(wait)s.",
                wait=clock.wait(wait),
            ),
            retry_after=wait,
        )


def check_holds(session: Session, builder: Builder, booker: Booker, *, is_free: bool, now: datetime) -> None:
    """Check that the booker may have one more open booking with this builder. Raises :class:`TooOften`. Decides in a
    transaction that has locked the builder against other bookings.
    """
    found = _list_open(session, builder.id, now)
    own = [one for one in found if _is_of(one, booker.mailbox, booker.visitor.browser)]
    held = [one for one in own if one.holds_time]
    allowed = VERIFIED if booker.is_verified else UNVERIFIED
    if len(own) >= allowed.open or (len(held) >= allowed.held and not is_free):
        raise _refusal(builder, booker, _seconds_until_one_ends(own, now))
    if booker.is_verified or is_free:
        return
    beside = [one for one in found if one.address == booker.visitor.address]
    if len(beside) >= MOST_OF_ADDRESS.open or sum(one.holds_time for one in beside) >= MOST_OF_ADDRESS.held:
        wait = _seconds_until_one_ends(beside, now)
        raise AddressUnverified(
            gettext(
                "Several people on your internet connection have not paid for their sessions with %(name)s yet. To "
                "book now, please confirm your e-mail address by a link that we send you. Or try again in %(wait)s.",
                name=builder.display_name,
                wait=clock.wait(wait),
            ),
            retry_after=wait,
        )


def limit_hold_of_client(session: Session, booking: Booking, hold: timedelta, *, now: datetime) -> timedelta:
    """How long a booking that gets a time now may keep it unpaid: ``hold``, or ``SHORT_HOLD`` where its client, or the
    unverified of their address, hold as many already as they may.
    """
    if booking.is_free or booking.paid_at is not None:
        return hold
    found = _list_open(session, booking.builder_id, now)
    mine = next((one for one in found if one.booking_id == booking.id), None)
    if mine is None:
        return hold
    held = [one for one in found if one.holds_time and one is not mine]
    own = [one for one in held if _is_of(one, mine.mailbox, mine.browser)]
    is_verified = booking.email_proof is EmailProof.LINK
    beside = [] if is_verified else [one for one in held if mine.address and one.address == mine.address]
    is_over = len(own) >= (VERIFIED if is_verified else UNVERIFIED).held
    return min(hold, SHORT_HOLD) if is_over or len(beside) >= MOST_OF_ADDRESS.held else hold


def _refusal(builder: Builder, booker: Booker, wait: int) -> TooOften:
    facts = {"name": builder.display_name, "wait": clock.wait(wait)}
    if booker.is_verified:
        message = gettext(
            "You have as many unpaid bookings with %(name)s as one person may have. Please pay for one or cancel it, "
            "or try again in %(wait)s.",
            **facts,
        )
        return TooOften(message, retry_after=wait)
    message = gettext(
        "There is an unpaid booking with %(name)s already. To make another one, please confirm your e-mail address "
        "by a link that we send you. Or pay for that booking or cancel it, or try again in %(wait)s.",
        **facts,
    )
    return AddressUnverified(message, retry_after=wait)


def _is_of(one: _Open, mailbox: str, browser: str | None) -> bool:
    """Whether it is of that mailbox or that browser, where there is one."""
    return one.mailbox == mailbox or bool(browser and one.browser == browser)


def _seconds_until_one_ends(found: Sequence[_Open], now: datetime) -> int:
    first = min(one.until for one in found)
    return int(max(first - now, _SHORTEST_WAIT).total_seconds())


def _list_open(session: Session, builder_id: int, now: datetime) -> list[_Open]:
    query = (
        sa.select(
            Booking.id,
            Booking.client_email,
            Booking.status,
            Booking.hold_expires_at,
            HistoryEntry.cause_facts.label("facts"),
        )
        .join(HistoryEntry, (HistoryEntry.booking_id == Booking.id) & HistoryEntry.from_status.is_(None))
        .where(
            Booking.builder_id == builder_id,
            Booking.status.in_((Status.PENDING, Status.SCHEDULED)),
            Booking.paid_at.is_(None),
            Booking.paid_in_calendly.is_(False),
        )
    )
    return [
        _Open(
            booking_id=row.id,
            mailbox=mailbox(row.client_email),
            address=row.facts.get("address", ""),
            browser=row.facts.get("browser", ""),
            holds_time=row.status is Status.SCHEDULED,
            until=row.hold_expires_at or now,
        )
        for row in session.execute(query)
    ]
