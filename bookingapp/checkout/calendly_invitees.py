"""Reads Calendly invitees for a booking: whose they are, where a chain of reschedules ends, their facts."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from bookingapp.accounts.names import normalize_name
from bookingapp.accounts.service import normalize_email
from bookingapp.bookings import lookup
from bookingapp.bookings import service as bookings
from bookingapp.bookings.models import Booking
from bookingapp.bookings.slot import Person, Seats, SlotFacts
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.builders.models import Builder
from bookingapp.core.clock import is_zone
from bookingapp.core.errors import Invalid
from bookingapp.integrations.calendly import (
    CalendlyClient,
    CalendlyForbidden,
    CalendlyNotFound,
    Invitee,
    ScheduledEvent,
)
from bookingapp.text import one_line

LONGEST_LINK = 500
LONGEST_CHAIN = 20
LONGEST_NAME, LONGEST_PLACE, LONGEST_KIND = 120, 500, 40
# The states of a conference that has no link of its own yet.
PENDING = frozenset(("initiated", "processing"))


def slot_facts(invitee: Invitee, event: ScheduledEvent) -> SlotFacts:
    """The facts that a booking keeps of an invitee and its event."""
    return SlotFacts(
        event_uri=invitee.event,
        invitee_uri=invitee.uri,
        since=invitee.created_at,
        cancel_url=_link(invitee.cancel_url),
        reschedule_url=_link(invitee.reschedule_url),
        replaces=invitee.old_invitee,
        answers=tuple(
            (one.question, one.answer) for one in invitee.questions_and_answers if one.answer.strip()
        ),
        paid_in_calendly=invitee.payment is not None and invitee.payment.successful,
        person=Person(
            _name(invitee.name),
            _email(invitee.email),
            invitee.timezone if is_zone(invitee.timezone) else None,
        ),
        **_event_facts(event),
    )


def known_slot_facts(booking: Booking, event: ScheduledEvent) -> SlotFacts | None:
    """The facts of the booking's own invitee with those of its event as it is now. None for a booking without one."""
    if booking.event_uri is None or booking.invitee_uri is None or booking.invitee_since is None:
        return None
    return SlotFacts(
        event_uri=booking.event_uri,
        invitee_uri=booking.invitee_uri,
        since=booking.invitee_since,
        **_event_facts(event),
    )


def _event_facts(event: ScheduledEvent) -> dict[str, Any]:
    where = event.location
    text = one_line(where.location or "", longest=LONGEST_PLACE) or None if where else None
    # A place of one's own words may be a link, or have one.
    parts = (text or "").split() if where and where.type == "custom" else (text,)
    return {
        "event_type_uri": event.event_type or "",
        "starts_at": event.start_time,
        "ends_at": event.end_time,
        "join_url": next(filter(None, map(_link, (where.join_url, *parts))), None) if where else None,
        "place_kind": one_line(where.type, longest=LONGEST_KIND) or None if where else None,
        "place": text,
        "is_link_pending": where is not None and where.status in PENDING,
        "hosts": event.hosts,
        "host_names": tuple(filter(None, map(_name, event.host_names))),
        "seats": seats_of(event),
    }


def seats_of(event: ScheduledEvent) -> Seats | None:
    """The seats of a group event; None for an event with one seat."""
    counter = event.invitees_counter
    limit = max(counter.active, counter.limit or 1) if counter is not None else 1
    return Seats(counter.active, limit) if counter is not None and limit > 1 else None


def _name(text: str | None) -> str | None:
    """The name, if our form would accept it, else None."""
    try:
        name = normalize_name(text or "")
    except Invalid:
        return None
    return name if len(name) <= LONGEST_NAME else None


def _email(text: str) -> str | None:
    try:
        return normalize_email(text)
    except Invalid:
        return None


def _link(address: str | None) -> str | None:
    """The link if it is a printable http(s) URL that fits the column, else None: a bad link must not lose the
    booking.
    """
    if address is None or len(address) > LONGEST_LINK or not address.isprintable() or " " in address:
        return None
    return address if address.startswith(("https://", "http://")) else None


def canceled_by_host(invitee: Invitee) -> tuple[bool, datetime]:
    """Whether the host canceled this invitee, and when. Bodies from before 2022 do not say who; they count as the
    host's, in favor of the client.
    """
    said = invitee.cancellation
    at = said.created_at if said is not None and said.created_at is not None else invitee.updated_at
    return said is None or said.canceler_type != "invitee", at


def organization_filter(calendly: CalendlyClient, tenant: str, user_uri: str) -> str | None:
    """The organization to name when listing a user's events with another member's token; None for one's own token."""
    me = calendly.known_user(tenant).value
    return None if me.uri.rpartition("/")[2] == user_uri.rpartition("/")[2] else me.current_organization


def find_created_invitee(
    calendly: CalendlyClient, signer: TrackingSigner, booking: Booking, builder: Builder, start: datetime
) -> Invitee | None:
    """An active invitee at that start with the booking's reference: created by us, and the answer was lost."""
    tenant, user = builder.tenant, builder.calendly_user
    organization = organization_filter(calendly, tenant, user)
    events = calendly.scheduled_events(tenant, user, start, start, "active", organization=organization)
    for event in events:
        for invitee in calendly.invitees(tenant, event.uri):
            is_ours = signer.read(invitee.tracking.utm_content) == booking.tracking_id
            if is_ours and invitee.status == "active":
                return invitee
    return None


def fetch_latest_invitee(
    calendly: CalendlyClient, tenant: str, old: str, new: str | None
) -> tuple[Invitee, ScheduledEvent] | None:
    """Fetch the last invitee of the chain of reschedules that starts at ``old``, with its event. None where Calendly
    does not know it. ``new`` is the next invitee by the webhook, used where Calendly's API names none.
    """
    try:
        invitee = canonical_invitee(calendly, calendly.invitee(tenant, old))
        following = invitee.new_invitee or (new if invitee.status != "active" else None)
        for _ in range(LONGEST_CHAIN):
            if following is None:
                event = calendly.scheduled_event(tenant, invitee.event)
                return invitee, canonical_event(calendly, event)
            invitee = canonical_invitee(calendly, calendly.invitee(tenant, following))
            following = invitee.new_invitee
    except CalendlyNotFound:
        pass
    return None


def with_reference(
    calendly: CalendlyClient, signer: TrackingSigner, tenant: str, invitee: Invitee
) -> Invitee:
    """The invitee with our signed reference, which a reschedule need not carry: then an older invitee of its chain has
    it. As it is where none has, or Calendly does not show them to us.
    """
    older = invitee
    with suppress(CalendlyNotFound, CalendlyForbidden):
        for _ in range(LONGEST_CHAIN):
            if signer.read(older.tracking.utm_content) is not None:
                return invitee.model_copy(update={"tracking": older.tracking})
            if older.old_invitee is None:
                break
            older = canonical_invitee(calendly, calendly.invitee(tenant, older.old_invitee))
    return invitee


def canonical_invitee(calendly: CalendlyClient, invitee: Invitee) -> Invitee:
    """The invitee with canonical URIs, as they are stored and compared."""
    event = invitee.scheduled_event
    return invitee.model_copy(
        update={
            "uri": calendly.canonical_invitee_uri(invitee.uri),
            "event": calendly.canonical_event_uri(invitee.event),
            "old_invitee": calendly.canonical_invitee_uri(invitee.old_invitee)
            if invitee.old_invitee
            else None,
            "new_invitee": calendly.canonical_invitee_uri(invitee.new_invitee)
            if invitee.new_invitee
            else None,
            "scheduled_event": canonical_event(calendly, event) if event else None,
        }
    )


def canonical_event(calendly: CalendlyClient, event: ScheduledEvent) -> ScheduledEvent:
    """The event with a canonical event type URI."""
    kind = calendly.canonical_event_type_uri(event.event_type) if event.event_type else None
    return event.model_copy(update={"event_type": kind})


def lock_booking_of(session: Session, signer: TrackingSigner, invitee: Invitee) -> Booking | None:
    """Lock the booking that an invitee belongs to: by our signed reference, else by the invitee that it replaces. None
    for an invitee that was not booked through this site.
    """
    booking_id = None
    tracking_id = signer.read(invitee.tracking.utm_content)
    if tracking_id is not None:
        booking_id = lookup.find_id_by_tracking(session, tracking_id)
    for known in (invitee.uri, invitee.old_invitee):
        if booking_id is None and known:
            booking_id = lookup.find_id_by_invitee(session, known)
    return None if booking_id is None else bookings.lock_booking(session, booking_id)
