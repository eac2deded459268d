"""From Calendly to a booking's slot: whose is an invitee, and is it the time that was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from bookingapp.bookings import attention, lookup, moves
from bookingapp.bookings import service as bookings
from bookingapp.bookings.facts import SlotFacts
from bookingapp.bookings.models import Actor, Booking, Slot
from bookingapp.bookings.service import Cause
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.core.db import end_reading, transaction
from bookingapp.core.errors import Conflict, Invalid
from bookingapp.core.queue import enqueue
from bookingapp.integrations.calendly import CalendlyClient, Invitee, NotFound, Rejected, ScheduledEvent
from bookingapp.payments import service as payments
from bookingapp.payments.models import PaymentState

LONGEST_CHAIN = 20
CLOSE_CHECKOUT_JOB = "payments.close"
CLOSE_FOR_BOOKING_JOB = "payments.close_for_booking"
LONGEST_LINK = 500
PAID_IN_CALENDLY = (
    "Calendly itself has taken a payment for this session; nothing is charged here. Please settle it."
)
UNKNOWN_EVENT_TYPE = (
    "Calendly does not say which session type this time is for; please see that it is the right one."
)


@dataclass(frozen=True)
class Timers:
    """How long a booking keeps what it has: ``pending`` without a slot, ``hold`` with an unpaid one."""

    pending: timedelta
    hold: timedelta


def facts_of(invitee: Invitee, event: ScheduledEvent) -> SlotFacts:
    """What a booking keeps of an invitee and its event."""
    return SlotFacts(
        event_uri=invitee.event,
        invitee_uri=invitee.uri,
        event_type_uri=event.event_type or "",
        since=invitee.created_at,
        starts_at=event.start_time,
        ends_at=event.end_time,
        join_url=_link(event.location.join_url) if event.location else None,
        cancel_url=_link(invitee.cancel_url),
        reschedule_url=_link(invitee.reschedule_url),
        replaces=invitee.old_invitee,
        paid_in_calendly=invitee.payment is not None and invitee.payment.successful,
    )


def _link(address: str | None) -> str | None:
    """An address that can be kept and clicked on. One that cannot is left out: it must not cost a booking its time."""
    if address is None or len(address) > LONGEST_LINK or not address.isprintable():
        return None
    return address if address.startswith(("https://", "http://")) else None


def take(
    session: Session, booking: Booking, facts: SlotFacts, cause: Cause, *, hold: timedelta, now: datetime
) -> bool:
    """Record what Calendly says of an invitee, and that it has taken a payment itself where it has: then nothing is
    charged here, and no hold runs out. In the caller's transaction; returns whether the slot was news.
    """
    before = booking.starts_at if booking.slot is Slot.ACTIVE else None
    news = bookings.take_slot(session, booking, facts, cause, hold=hold, now=now)
    if news and before is not None:
        retire_checkout(session, booking, now=now)
    is_ours = booking.invitee_uri == facts.invitee_uri
    if is_ours and facts.paid_in_calendly and not booking.paid_in_calendly:
        booking.paid_in_calendly = True
        attention.flag(booking, PAID_IN_CALENDLY)
        key, args = f"close-for:{booking.id}:paid-in-calendly", {"booking_id": booking.id}
        enqueue(session, CLOSE_FOR_BOOKING_JOB, key=key, args=args, run_at=now, now=now)
    elif news and not facts.event_type_uri:
        attention.flag(booking, UNKNOWN_EVENT_TYPE)
    if booking.paid_in_calendly:
        booking.hold_expires_at = None
    return news


def leave(
    session: Session, booking: Booking, *, old: str, new: str | None, cause: Cause, now: datetime
) -> bool:
    """The old half of a reschedule, in the caller's transaction. Returns whether it was news."""
    news = moves.begin(session, booking, old=old, new=new, cause=cause, now=now)
    if news:
        retire_checkout(session, booking, now=now)
    return news


def retire_checkout(session: Session, booking: Booking, *, now: datetime) -> None:
    """Let go of the open Checkout Session, which names a time that is over. Its address is given to nobody any more,
    and the worker ends it; whoever presses Pay next gets a new one with the new time. A payment that is on its way
    through it counts all the same: the price and the booking are the same.
    """
    payment = payments.live(session, booking.id)
    if payment is None or payment.state is PaymentState.PROCESSING:
        return
    payment.checkout_url = None
    key, args = f"close:{payment.id}:moved", {"payment_id": payment.id}
    enqueue(session, CLOSE_CHECKOUT_JOB, key=key, args=args, run_at=now, now=now)


def ended_by(invitee: Invitee) -> tuple[bool, datetime]:
    """Whether the host canceled this invitee, and when. Bodies from before 2022 do not say who; then the client gets
    the benefit of the doubt.
    """
    said = invitee.cancellation
    at = said.created_at if said is not None and said.created_at is not None else invitee.updated_at
    return said is None or said.canceler_type != "invitee", at


def organization_of(calendly: CalendlyClient, tenant: str, user_uri: str) -> str | None:
    """The organization that a list of a user's events has to name: where the token is somebody else's in it."""
    me = calendly.known_user(tenant).value
    return None if me.uri.rpartition("/")[2] == user_uri.rpartition("/")[2] else me.current_organization


def end_of_chain(
    calendly: CalendlyClient, tenant: str, old: str, new: str | None
) -> tuple[Invitee, ScheduledEvent] | None:
    """The last invitee of a chain of reschedules that begins with ``old``. Calendly's own word of where the old one
    went is asked for first; ``new`` is what the delivery said.
    """
    try:
        invitee = canonical(calendly, calendly.invitee(tenant, old))
        following = invitee.new_invitee or (new if invitee.status != "active" else None)
        for _ in range(LONGEST_CHAIN):
            if following is None:
                event = calendly.scheduled_event(tenant, invitee.event)
                return invitee, canonical_event(calendly, event)
            invitee = canonical(calendly, calendly.invitee(tenant, following))
            following = invitee.new_invitee
    except NotFound:
        pass
    return None


def canonical(calendly: CalendlyClient, invitee: Invitee) -> Invitee:
    """The invitee with every address spelled in the one way in which we store and compare it."""
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
    """The event, likewise."""
    kind = calendly.canonical_event_type_uri(event.event_type) if event.event_type else None
    return event.model_copy(update={"event_type": kind})


def verify_claim(
    session: Session,
    calendly: CalendlyClient,
    signer: TrackingSigner,
    *,
    ref: str,
    event_uri: str,
    invitee_uri: str,
    timers: Timers,
    now: datetime,
) -> None:
    """A browser says that it has scheduled. Only the two ids of its claim are used: invitee and event are read
    back from Calendly, and have to be active, of this booking's event type, and to carry its signed reference.

    Raises :class:`Invalid` for addresses that are none of Calendly's, :class:`Conflict` for somebody else's
    invitee, and the client's errors where Calendly does not answer.
    """
    booking = bookings.find(session, ref)
    tenant = booking.builder.tenant
    end_reading()
    try:
        event_uri, invitee_uri = _same_event(calendly, event_uri, invitee_uri)
    except Rejected:
        raise Invalid(
            "Calendly's answer could not be read. Your time is safe; this page will find it by itself."
        ) from None
    invitee = canonical(calendly, calendly.invitee(tenant, invitee_uri))
    event = canonical_event(calendly, calendly.scheduled_event(tenant, event_uri))
    if (
        signer.read(invitee.tracking.utm_content) != booking.tracking_id
        or event.event_type not in (None, booking.event_type_uri)
        or invitee.status != "active"
    ):
        raise Conflict("That time does not belong to this booking.")
    with transaction(session):
        locked = bookings.lock(session, booking.id)
        cause = Cause(Actor.CLIENT, "browser reported the scheduled time; read back from Calendly")
        take(session, locked, facts_of(invitee, event), cause, hold=timers.hold, now=now)


def _same_event(calendly: CalendlyClient, event_uri: str, invitee_uri: str) -> tuple[str, str]:
    event_id = calendly.scheduled_event_id(event_uri)
    of_event, _ = calendly.invitee_ids(invitee_uri)
    if of_event != event_id:
        raise Invalid("These two addresses do not belong together.")
    return calendly.canonical_event_uri(event_uri), calendly.canonical_invitee_uri(invitee_uri)


def booking_of(session: Session, signer: TrackingSigner, invitee: Invitee) -> Booking | None:
    """The booking an invitee belongs to, locked: by our signed reference, else by the invitee it replaces.

    A booking made outside the application has neither, and is none of ours.
    """
    booking_id = None
    tracking_id = signer.read(invitee.tracking.utm_content)
    if tracking_id is not None:
        booking_id = lookup.id_by_tracking(session, tracking_id)
    for known in (invitee.uri, invitee.old_invitee):
        if booking_id is None and known:
            booking_id = lookup.id_by_invitee(session, known)
    return None if booking_id is None else bookings.lock(session, booking_id)
