"""Who holds a booking's session, by Calendly: the builder, or (round robin, a changed host) somebody else. Each
function is part of its caller's transaction and commits nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from bookingapp.bookings.attention import flag, resolve
from bookingapp.bookings.calendar_revision import revising
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.slot import SlotFacts

LONGEST_NAMES = 160


def is_host(user_uri: str | None, hosts: Iterable[str]) -> bool:
    """Whether a user is among the hosts. One user's URI is spelled with several of Calendly's addresses."""
    return user_uri is not None and user_uri.rpartition("/")[2] in {host.rpartition("/")[2] for host in hosts}


def other_hosts(booking: Booking, facts: SlotFacts) -> tuple[bool, str | None]:
    """Whether somebody else than the builder holds the session, and their names."""
    if not facts.hosts or is_host(booking.builder.calendly_user_uri, facts.hosts):
        return False, None
    return True, ", ".join(facts.host_names)[:LONGEST_NAMES] or None


def flag_other_host(booking: Booking, *, now: datetime) -> None:
    """Flag that the builder does not hold the session, unless a person has resolved that about the same host."""
    about = {"host": booking.host_name} if booking.host_name else {}
    if not any(
        one.code is FlagCode.OTHER_HOST and one.resolved_by not in (None, Actor.SYSTEM) and one.facts == about
        for one in booking.flags
    ):
        flag(booking, FlagCode.OTHER_HOST, now=now, **about)


def record_hosts(booking: Booking, facts: SlotFacts, *, now: datetime) -> None:
    """Record the hosts where the builder is none of them, and flag it: the client booked the builder."""
    if not facts.hosts:
        return
    with revising(booking, now=now):
        is_other, booking.host_name = other_hosts(booking, facts)
    if is_other:
        flag_other_host(booking, now=now)
    else:
        resolve(booking, FlagCode.OTHER_HOST, now=now)
