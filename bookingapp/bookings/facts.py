"""What Calendly says of a booking's time, and how it is written down: who said it, and when it was said last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bookingapp.bookings.models import Booking, Slot, Source


@dataclass(frozen=True)
class SlotFacts:
    """What Calendly says of one invitee: canonical URIs, aware UTC times, links that only the client may see.

    ``since`` is when the invitee was made; ``replaces`` is the invitee whose place it took in a reschedule.
    """

    event_uri: str
    invitee_uri: str
    event_type_uri: str
    since: datetime
    starts_at: datetime
    ends_at: datetime
    join_url: str | None = None
    cancel_url: str | None = None
    reschedule_url: str | None = None
    replaces: str | None = None
    paid_in_calendly: bool = False


def is_older(booking: Booking, facts: SlotFacts) -> bool:
    """Whether these facts are of an invitee that was replaced before we heard of it."""
    since = booking.invitee_since
    if booking.slot is not Slot.ACTIVE or since is None or facts.replaces == booking.invitee_uri:
        return False
    return facts.since <= since


def note_source(booking: Booking, *, told: bool, now: datetime) -> None:
    """Note who said it: a delivery (``told``), or Calendly's API when we asked."""
    booking.slot_source = Source.WEBHOOK if told else Source.ASKED
    booking.slot_checked_at = now


def write_slot(booking: Booking, facts: SlotFacts) -> None:
    """The booking has this time now; whatever was said of another one is over."""
    booking.slot = Slot.ACTIVE
    booking.event_uri = facts.event_uri
    booking.invitee_uri = facts.invitee_uri
    booking.invitee_since = facts.since
    booking.starts_at = facts.starts_at
    booking.ends_at = facts.ends_at
    booking.join_url, booking.cancel_url, booking.reschedule_url = None, None, None
    booking.moving_since, booking.moving_to, booking.restoring_since = None, None, None
    booking.no_show_at, booking.no_show_uri = None, None
    if facts.replaces is not None and facts.replaces not in booking.canceled_invitees:
        booking.canceled_invitees = [*booking.canceled_invitees, facts.replaces]
    refresh_slot(booking, facts)


def hear_again(booking: Booking, facts: SlotFacts, *, told: bool, now: datetime) -> None:
    """The time that is known already. An answer to our asking is of this moment; a delivery that comes again may be
    of any, and proves nothing newer.
    """
    refresh_slot(booking, facts)
    if not told:
        note_source(booking, told=False, now=now)


def refresh_slot(booking: Booking, facts: SlotFacts) -> None:
    """Take over what may come later or change without a reschedule, like the address of the video call."""
    booking.join_url = facts.join_url or booking.join_url
    booking.cancel_url = facts.cancel_url or booking.cancel_url
    booking.reschedule_url = facts.reschedule_url or booking.reschedule_url
