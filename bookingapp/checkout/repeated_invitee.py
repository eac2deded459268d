"""The invitee that takes a released time again: who the first one was, with their place and their answers.

Calendly's booking page asked the client for them, and its API demands them again. They are kept in Calendly alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from bookingapp.bookings.addresses import contact_address
from bookingapp.bookings.models import Booking
from bookingapp.integrations.calendly import (
    Answer,
    CalendlyClient,
    CalendlyNotFound,
    EventType,
    Invitee,
    NewInvitee,
    Place,
    ScheduledEvent,
)

# Kinds of places whose address or number the invitee gives.
GIVEN_BY_INVITEE = frozenset(("ask_invitee", "outbound_call"))


def repeat_invitee(
    calendly: CalendlyClient, tenant: str, booking: Booking, first: Invitee | None, *, utm_content: str
) -> NewInvitee | None:
    """The booking's invitee once more, by what ``first`` chose. None where their place is not offered any more: we do
    not send a client to another one.
    """
    event_type = calendly.event_type(tenant, booking.event_type_uri)
    event = _find_event(calendly, tenant, first) if first is not None else None
    place = None
    if event_type.locations and event_type.pooling_type != "round_robin":
        place = _same_place(event_type.locations, event)
        if place is None:
            return None
    return NewInvitee(
        name=booking.client_name,
        email=contact_address(booking),
        timezone=booking.client_timezone,
        utm_content=utm_content,
        place=place,
        answers=_same_answers(event_type, first.questions_and_answers if first is not None else ()),
        text_reminder_number=first.text_reminder_number if first is not None else None,
    )


def _find_event(calendly: CalendlyClient, tenant: str, invitee: Invitee) -> ScheduledEvent | None:
    try:
        return calendly.scheduled_event(tenant, invitee.event)
    except CalendlyNotFound:
        return None


def _same_place(offered: Sequence[Place], event: ScheduledEvent | None) -> Place | None:
    """The offered place at which the event was. The only one that is offered now needs no comparison, unless the
    client has to say where.
    """
    was = event.location if event is not None else None
    alike = [
        place
        for place in offered
        if was is not None and _kind(place.kind) == _kind(was.type) and place.location in (None, was.location)
    ]
    found = next(iter(alike), offered[0] if len(offered) == 1 else None)
    if found is None or found.kind not in GIVEN_BY_INVITEE:
        return found
    given = was.location if was is not None and alike else None
    return found.model_copy(update={"location": given}) if given else None


def _kind(name: str) -> str:
    """Calendly names some kinds in two ways: ``zoom`` and ``zoom_conference``."""
    return name.removesuffix("_conference")


def _same_answers(event_type: EventType, given: Sequence[Answer]) -> tuple[Answer, ...]:
    """The answers to what the event type still asks, at its present positions: Calendly refuses any other."""
    by_text = {one.question: one.answer for one in given if one.answer}
    asked = (question for question in event_type.custom_questions if question.enabled)
    return tuple(
        Answer(question=question.name, answer=by_text[question.name], position=question.position)
        for question in asked
        if question.name in by_text
    )
