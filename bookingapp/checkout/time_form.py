"""What an event type asks of a client who books it by our list (its questions, the place, guests): as fields of a page,
and as Calendly's API takes the answers.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bookingapp.accounts.service import normalize_email
from bookingapp.bookings.places import describe_offered_place
from bookingapp.bookings.slot_requests import Choice
from bookingapp.core.errors import Invalid
from bookingapp.core.i18n import gettext, ngettext
from bookingapp.integrations.calendly import MOST_GUESTS, EventType, Place, PlaceKind, Question, QuestionType
from bookingapp.text import one_line, printable

LONGEST_LINE, LONGEST_TEXT = 255, 4_000
"""How many characters an answer of one line, and one of several lines, may have. A character of some scripts takes nine
bytes of a form, which may have 64 KB."""
OTHER = "-other-"
"""The value of the radio button for an answer of one's own."""
PLACE, GUESTS = "location", "guests"
_NAMED_BY_CLIENT = (PlaceKind.ASK_INVITEE, PlaceKind.OUTBOUND_CALL)
# As numbers are dialed from other countries (ITU-T E.164): no country's code begins with 0.
_PHONE_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_BETWEEN_DIGITS = re.compile(r"[\s().\-/\N{NON-BREAKING HYPHEN}\N{EN DASH}]")
_BETWEEN_ADDRESSES = re.compile(r"[\s,;]+")

Typed = Mapping[str, Sequence[str]]
"""What was typed, by the names of fields."""


class Kind(enum.StrEnum):
    """How a field is filled in."""

    LINE = "line"
    TEXT = "text"
    PHONE = "phone"
    ONE = "one"  # One of its choices.
    SEVERAL = "several"
    GUESTS = "guests"


@dataclass
class AskedField:
    """One field. ``choices`` are pairs of value and words; ``inner`` are the fields that belong to a choice, by its
    value. ``typed`` is what was typed, ``answer`` what it means once it has been checked.
    """

    name: str
    label: str
    kind: Kind
    required: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    inner: dict[str, AskedField] = field(default_factory=dict)
    typed: tuple[str, ...] = ()
    error: str | None = None
    answer: str = ""

    @property
    def text(self) -> str:
        """What was typed into a field of one text."""
        return self.typed[0] if self.typed else ""

    @property
    def values(self) -> list[str]:
        """The values of its choices."""
        return [value for value, _ in self.choices]

    @property
    def longest(self) -> int:
        """How many characters it takes."""
        is_long = self.kind in (Kind.TEXT, Kind.SEVERAL, Kind.GUESTS)
        return LONGEST_TEXT if is_long else LONGEST_LINE

    def all(self) -> Iterator[AskedField]:
        """Itself and its inner fields."""
        yield self
        yield from self.inner.values()

    def check(self) -> None:
        """Set ``answer``, and ``error`` where what was typed cannot be used."""
        try:
            self.answer = _READERS[self.kind](self)
        except Invalid as problem:
            self.error = problem.message
            return
        if self.required and not self.answer:
            self.error = gettext("Please answer this.")
        elif len(self.answer) > self.longest:
            self.error = ngettext(
                "Please write at most %(num)s character.",
                "Please write at most %(num)s characters.",
                self.longest,
            )


class DetailsForm:
    """Everything that one event type asks, with what was typed."""

    def __init__(
        self, event_type: EventType, *, builder_name: str, allows_guests: bool, typed: Typed | None = None
    ) -> None:
        self._places = _offered_places(event_type)
        self._questions = _asked_questions(event_type)
        self._place = _place_field(self._places, builder_name)
        asked = {name: _question_field(name, question) for name, question in self._questions.items()}
        self._answers = asked
        self._guests = (
            AskedField(GUESTS, gettext("Guests' e-mail addresses"), Kind.GUESTS) if allows_guests else None
        )
        parts = (self._place, *asked.values(), self._guests)
        self.fields: list[AskedField] = [one for one in parts if one is not None]
        self.is_typed = typed is not None and any(one.name in typed for one in self._all())
        for one in self._all():
            one.typed = tuple((typed or {}).get(one.name, ()))

    @property
    def first_error(self) -> str | None:
        """The name of the first field with something that cannot be used."""
        return next((one.name for one in self.fields if any(part.error for part in one.all())), None)

    @property
    def focus(self) -> str | None:
        """The name of the field to look at first; of a choice whose own field has an error, that one."""
        for one in self.fields:
            wrong = [part.name for part in one.all() if part.error]
            if wrong:
                return wrong[-1]
        return None

    @property
    def has_errors(self) -> bool:
        """Whether something that was typed cannot be used."""
        return self.first_error is not None

    @property
    def typed(self) -> list[tuple[str, str]]:
        """What was typed, as pairs of a field's name and a value, for hidden fields."""
        return [(one.name, text) for one in self._all() for text in one.typed if text]

    def check(self) -> bool:
        """Check every field. Returns whether the event type can be booked with what was typed."""
        for one in self.fields:
            one.check()
        return not self.has_errors

    def forget_errors(self) -> None:
        """Show the form as one that was not sent yet."""
        for one in self._all():
            one.error = None

    def choice(self, start: datetime) -> Choice:
        """The client's choice, once it has been checked."""
        answers: list[Mapping[str, Any]] = [
            {"question": question.name, "answer": self._answers[name].answer, "position": question.position}
            for name, question in self._questions.items()
            if self._answers[name].answer
        ]
        guests = tuple(self._guests.answer.split()) if self._guests else ()
        return Choice(start, self._chosen_place(), tuple(answers), guests)

    def from_details(self, details: Mapping[str, Any]) -> Typed:
        """What would have been typed for details that a :class:`Choice` of this event type has kept."""
        given = {one["question"]: str(one["answer"]) for one in details.get("answers") or ()}
        typed: dict[str, Sequence[str]] = {GUESTS: ["\n".join(details.get("guests") or ())]}
        for name, question in self._questions.items():
            if question.name in given:
                typed.update(_type_answer(self._answers[name], given[question.name]))
        place = details.get("place") or {}
        for token, offered in self._places.items():
            if self._place and place.get("kind") == offered.kind:
                typed.update(_type_place(self._place, token, str(place.get("location") or "")))
        return typed

    def _all(self) -> Iterator[AskedField]:
        for one in self.fields:
            yield from one.all()

    def _chosen_place(self) -> dict[str, str] | None:
        if not self._places:
            return None
        asked = self._place
        token = asked.text if asked is not None and asked.choices else next(iter(self._places))
        place = self._places[token]
        named = asked.inner.get(token, asked) if asked is not None else None
        is_named = named is not None and place.kind in _NAMED_BY_CLIENT
        location = named.answer if named is not None and is_named else place.location
        return {"kind": place.kind, **({"location": location} if location else {})}


def _offered_places(event_type: EventType) -> dict[str, Place]:
    """The places that a client may have, by the value of their radio button. The host whom Calendly picks for a round
    robin has a place of their own.
    """
    if event_type.pooling_type == "round_robin":
        return {}
    places: dict[str, Place] = {}
    for number, place in enumerate(event_type.locations or ()):
        places[place.kind if place.kind not in places else f"{place.kind}-{number}"] = place
    return places


def _asked_questions(event_type: EventType) -> dict[str, Question]:
    """The questions that are asked, in order, by the name of their field."""
    asked = sorted((one for one in event_type.custom_questions if one.enabled), key=lambda one: one.position)
    is_known_by_position = len({one.position for one in asked}) == len(asked)
    return {
        f"answer-{question.position if is_known_by_position else number}": question
        for number, question in enumerate(asked)
    }


def _place_field(places: Mapping[str, Place], builder_name: str) -> AskedField | None:
    if len(places) == 1:
        return _named_place_field(PLACE, next(iter(places.values())))
    if not places:
        return None
    choices = [
        (token, describe_offered_place(one.kind, one.location, builder_name=builder_name))
        for token, one in places.items()
    ]
    named = {token: one for token, one in places.items() if one.kind in _NAMED_BY_CLIENT}
    asked = AskedField(PLACE, gettext("Where"), Kind.ONE, required=True, choices=tuple(choices))
    for token, one in named.items():
        name = _name_part(PLACE, "value") if len(named) == 1 else _name_part(PLACE, "value", token)
        if inner := _named_place_field(name, one):
            asked.inner[token] = inner
    return asked


def _named_place_field(name: str, place: Place) -> AskedField | None:
    """The field of a place that the client names; None for any other."""
    if place.kind == PlaceKind.OUTBOUND_CALL:
        return AskedField(name, gettext("Your phone number"), Kind.PHONE, required=True)
    if place.kind == PlaceKind.ASK_INVITEE:
        return AskedField(name, gettext("The place where you want to meet"), Kind.LINE, required=True)
    return None


def _question_field(name: str, question: Question) -> AskedField:
    kind = {
        QuestionType.TEXT: Kind.TEXT,
        QuestionType.PHONE_NUMBER: Kind.PHONE,
        QuestionType.SINGLE_SELECT: Kind.ONE,
        QuestionType.MULTI_SELECT: Kind.SEVERAL,
    }.get(QuestionType(question.type), Kind.LINE)
    asked = AskedField(name, question.name, kind, question.required)
    if kind not in (Kind.ONE, Kind.SEVERAL):
        return asked
    asked.choices = tuple((choice, choice) for choice in question.answer_choices)
    if question.include_other:
        asked.inner[OTHER] = AskedField(_name_part(name, "other"), gettext("Another answer"), Kind.LINE)
        asked.choices += ((OTHER, gettext("Something else")),) if kind is Kind.ONE else ()
    return asked


def _name_part(*parts: str) -> str:
    """The name of a field that belongs to another one."""
    return "-".join(parts)


# Reading what was typed; each raises Invalid with a sentence for the field.


def _read_line(asked: AskedField) -> str:
    return one_line(asked.text)


def _read_text(asked: AskedField) -> str:
    return "\n".join(printable(line) for line in asked.text.splitlines()).strip()


def _read_phone(asked: AskedField) -> str:
    number = _BETWEEN_DIGITS.sub("", printable(asked.text))
    number = f"+{number[2:]}" if number.startswith("00") else number
    if number and not _PHONE_NUMBER.fullmatch(number):
        raise Invalid(
            gettext("Please enter the whole number with its country code, such as +44 20 7946 0123.")
        )
    return number


def _read_one(asked: AskedField) -> str:
    offered = dict(asked.choices)
    chosen = asked.text
    other = asked.inner.get(OTHER)
    if other is not None:
        return _read_one_or_other(asked, other)
    if chosen and chosen not in offered:
        raise Invalid(gettext("Please choose one of these."))
    if inner := asked.inner.get(chosen):
        inner.check()
    return chosen


def _read_one_or_other(asked: AskedField, other: AskedField) -> str:
    other.check()
    chosen, own = asked.text, other.answer
    if chosen and chosen != OTHER and chosen not in dict(asked.choices):
        # A program need not know that there are two fields.
        return one_line(chosen)
    if chosen and chosen != OTHER:
        if own:
            raise Invalid(gettext("Please choose one of these, or write another answer: not both."))
        return chosen
    if chosen == OTHER and not own:
        raise Invalid(gettext("Please write your answer."))
    return own


def _read_several(asked: AskedField) -> str:
    offered, other = dict(asked.choices), asked.inner.get(OTHER)
    unknown = [one_line(text) for text in asked.typed if text and text not in offered]
    if unknown and other is None:
        raise Invalid(gettext("Please choose from these."))
    chosen = [one for one in offered if one in asked.typed] + unknown
    if other is not None:
        other.check()
        chosen += [other.answer] if other.answer else []
    return "\n".join(chosen)


def _read_guests(asked: AskedField) -> str:
    found: dict[str, None] = {}
    for text in filter(printable, _BETWEEN_ADDRESSES.split(asked.text)):
        try:
            found[normalize_email(text)] = None
        except Invalid:
            raise Invalid(
                gettext("“%(text)s” is not an e-mail address.", text=one_line(text, longest=80))
            ) from None
    if len(found) > MOST_GUESTS:
        raise Invalid(
            ngettext(
                "You can bring at most %(num)s guest.", "You can bring at most %(num)s guests.", MOST_GUESTS
            )
        )
    return "\n".join(found)


_READERS = {
    Kind.LINE: _read_line,
    Kind.TEXT: _read_text,
    Kind.PHONE: _read_phone,
    Kind.ONE: _read_one,
    Kind.SEVERAL: _read_several,
    Kind.GUESTS: _read_guests,
}


# The other way: from a kept answer to what is typed for it.


def _type_answer(asked: AskedField, answer: str) -> dict[str, Sequence[str]]:
    offered, other = dict(asked.choices), asked.inner.get(OTHER)
    if asked.kind is Kind.ONE and answer not in offered and other is not None:
        return {asked.name: [OTHER], other.name: [answer]}
    if asked.kind is not Kind.SEVERAL:
        return {asked.name: [answer]}
    parts = answer.split("\n")
    own = ", ".join(part for part in parts if part not in offered)
    typed: dict[str, Sequence[str]] = {asked.name: [part for part in parts if part in offered]}
    return typed | ({other.name: [own]} if other is not None and own else {})


def _type_place(asked: AskedField, token: str, location: str) -> dict[str, Sequence[str]]:
    if not asked.choices:
        return {asked.name: [location]}
    typed: dict[str, Sequence[str]] = {asked.name: [token]}
    inner = asked.inner.get(token)
    return typed | ({inner.name: [location]} if inner is not None else {})
