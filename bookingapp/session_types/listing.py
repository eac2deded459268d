"""Whether a session type can be booked by Calendly's API, from our own list of times.

A type that cannot is booked on Calendly's own page. ``words.py`` has the sentences for builders.
"""

from __future__ import annotations

import enum

from bookingapp.integrations.calendly import EventType, PlaceKind, Question, QuestionType

LONGEST_WAIT_SECONDS = 60.0
"""While Calendly accepts no new invitee for longer than that, the list is not offered; the worker waits out less."""
_KINDS = frozenset(("solo", "group"))
_POOLINGS = frozenset((None, "round_robin", "collective"))
_PLACES, _QUESTIONS = frozenset(PlaceKind), frozenset(QuestionType)
_CHOICES = frozenset((QuestionType.SINGLE_SELECT, QuestionType.MULTI_SELECT))


class NotListed(enum.StrEnum):
    """Why our own list of times cannot book a session type."""

    SWITCHED_OFF = "switched_off"  # Or deleted.
    NOT_INSTANT = "not_instant"  # A meeting poll.
    PAID_IN_CALENDLY = "paid_in_calendly"  # The API takes no payment.
    ONE_OFF = "one_off"  # Made for one meeting with one person.
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_PLACE = "unknown_place"
    UNKNOWN_QUESTION = "unknown_question"  # Or one with no answer to choose.


def why_not_listed(event_type: EventType) -> NotListed | None:
    """Why ``POST /invitees`` cannot book a type, None where it can: also one that is secret in Calendly, because who
    may see it is decided elsewhere. Source: Calendly API reference, Create Event Invitee, Event Type.
    """
    # The host that Calendly picks for a round robin has a place of their own, so none is sent.
    places = () if event_type.pooling_type == "round_robin" else event_type.locations or ()
    questions = [one for one in event_type.custom_questions if one.enabled]
    reasons = {
        NotListed.SWITCHED_OFF: not event_type.active or event_type.deleted_at is not None,
        NotListed.NOT_INSTANT: event_type.booking_method != "instant",
        NotListed.PAID_IN_CALENDLY: event_type.is_paid,
        NotListed.ONE_OFF: event_type.type == "AdhocEventType",
        NotListed.UNKNOWN_KIND: not _is_known_kind(event_type),
        NotListed.UNKNOWN_PLACE: any(place.kind not in _PLACES for place in places),
        NotListed.UNKNOWN_QUESTION: not all(_can_be_asked(one) for one in questions),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _is_known_kind(event_type: EventType) -> bool:
    is_standard = event_type.type == "StandardEventType" and event_type.kind in _KINDS
    return is_standard and event_type.pooling_type in _POOLINGS


def _can_be_asked(question: Question) -> bool:
    if question.type in _CHOICES:
        return bool(question.answer_choices) or question.include_other
    return question.type in _QUESTIONS
