"""Calendly's resources as we read them, and the one that we create. Deliveries are in ``deliveries.py``.

All models are frozen and ignore fields that they do not name: Calendly adds fields and event families without notice.
What older or real deliveries lack (``tracking``, an invitee's ``name``, a location, the canceler's type) is optional
here. All times are aware UTC datetimes.

Source: Calendly API reference (users, event types, scheduled events, invitees, webhook payload).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bookingapp.integrations.calendly.errors import CalendlyBadReply
from bookingapp.integrations.calendly.fields import (
    IF_READABLE,
    Choices,
    Flag,
    Minutes,
    Moment,
    Name,
    Readable,
    ReadableText,
    Text,
    Title,
    Word,
)

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound="Resource")

# Source: Calendly API reference, Create Event Invitee, ``event_guests``.
MOST_GUESTS: Final = 10


class Resource(BaseModel):
    """Base of all models: immutable, unknown fields ignored, wrong input never echoed in error messages."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class User(Resource):
    """A Calendly user: the account behind a token, or a builder. ``timezone`` is an IANA name."""

    uri: str
    name: Name
    slug: str
    email: str
    scheduling_url: str
    timezone: str
    current_organization: str | None = None


class Membership(Resource):
    """A user's place in an organization. ``user`` has no organization of its own there."""

    user: User


class PlaceKind(enum.StrEnum):
    """The kinds of places that Calendly has. ``Place.kind`` may be another one, of a later time."""

    ASK_INVITEE = "ask_invitee"  # The invitee names the place.
    CUSTOM = "custom"
    GOOGLE_CONFERENCE = "google_conference"
    GOTOMEETING_CONFERENCE = "gotomeeting_conference"
    INBOUND_CALL = "inbound_call"  # The invitee calls the host.
    MICROSOFT_TEAMS_CONFERENCE = "microsoft_teams_conference"
    OUTBOUND_CALL = "outbound_call"  # The host calls the invitee, who gives a number.
    PHYSICAL = "physical"
    WEBEX_CONFERENCE = "webex_conference"
    ZOOM_CONFERENCE = "zoom_conference"


class QuestionType(enum.StrEnum):
    """How a question is answered. ``Question.type`` may be another one, of a later time."""

    STRING = "string"  # One line.
    TEXT = "text"  # Several lines.
    PHONE_NUMBER = "phone_number"
    SINGLE_SELECT = "single_select"
    MULTI_SELECT = "multi_select"  # Several choices, each on a line of the answer.


class Place(Resource):
    """One place that an event type offers. ``location`` is the address or text of a kind that has one set."""

    kind: str
    location: Text | None = None


class Question(Resource):
    """One of an event type's own questions; Calendly knows it by its exact text, ``name``.

    ``type`` is a :class:`QuestionType` or one that we do not know. ``include_other`` allows an answer that is none of
    the ``answer_choices``. Only an ``enabled`` question is asked.
    """

    name: str
    type: Word = ""
    position: int = 0
    enabled: Flag = True
    required: Flag = False
    answer_choices: Choices = ()
    include_other: Flag = False


class EventType(Resource):
    """A kind of session that can be booked. ``duration`` and ``duration_options`` are in minutes."""

    uri: str
    name: Title | None = None
    active: bool
    slug: str | None = None
    scheduling_url: str
    duration: Minutes
    duration_options: tuple[Minutes, ...] | None = None
    kind: str = "solo"
    pooling_type: str | None = None
    type: str = "StandardEventType"
    color: str | None = None
    booking_method: str = "instant"
    secret: Flag = False
    is_paid: Flag = False
    description_plain: str | None = None
    description_html: str | None = None
    deleted_at: Moment | None = None
    position: int | None = None
    owner: str | None = None
    # Empty where its owner has set none, None where Calendly does not say.
    locations: tuple[Place, ...] | None = None
    custom_questions: tuple[Question, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _owner_from_profile(cls, data: object) -> object:
        if isinstance(data, Mapping) and isinstance(data.get("profile"), Mapping):
            return {**data, "owner": data["profile"].get("owner")}
        return data

    @model_validator(mode="before")
    @classmethod
    def _only_readable_parts(cls, data: object) -> object:
        return _readable(_readable(data, "locations", "kind"), "custom_questions", "name")

    @property
    def id(self) -> str:
        """The last segment of the URI."""
        return self.uri.rstrip("/").rpartition("/")[2]

    @property
    def is_group(self) -> bool:
        """Whether several invitees share one scheduled event."""
        return self.kind == "group"

    @property
    def listed(self) -> bool:
        """Whether its owner shows it to the public and it can be booked on the spot (polls cannot)."""
        return (
            self.active and self.deleted_at is None and not self.secret and self.booking_method == "instant"
        )


class Location(Resource):
    """Where a session happens. ``join_url`` may be a placeholder while ``status`` is ``processing``."""

    type: Word = ""
    location: ReadableText = None
    join_url: Readable = None
    status: Readable = None


class InviteesCounter(Resource):
    """How many people have ever booked, how many still do, and how many may."""

    total: int = 0
    active: int = 0
    limit: int | None = None


class Cancellation(Resource):
    """Who canceled and why. Bodies from before 2023 lack ``created_at``, older ones ``canceler_type`` too."""

    canceled_by: str | None = None
    reason: str | None = None
    canceler_type: str | None = None
    created_at: Moment | None = None


class ScheduledEvent(Resource):
    """An appointment. ``hosts`` are user URIs, ``host_names`` their names where Calendly says them; ``event_type`` is a
    URI and may be missing.

    ``end_time`` is authoritative: an invitee may have picked another duration than the event type's.
    """

    uri: str
    name: Title | None = None
    status: str
    start_time: Moment
    end_time: Moment
    event_type: str | None = None
    location: Annotated[Location | None, IF_READABLE] = None
    invitees_counter: Annotated[InviteesCounter | None, IF_READABLE] = None
    hosts: tuple[str, ...] = ()
    host_names: tuple[str, ...] = ()
    cancellation: Cancellation | None = None

    @model_validator(mode="before")
    @classmethod
    def _hosts_from_memberships(cls, data: object) -> object:
        if isinstance(data, Mapping) and isinstance(data.get("event_memberships"), list):
            members = [member for member in data["event_memberships"] if isinstance(member, Mapping)]
            hosts, names = (
                tuple(member[key] for member in members if isinstance(member.get(key), str))
                for key in ("user", "user_name")
            )
            return {**data, "hosts": hosts, "host_names": names}
        return data


class Tracking(Resource):
    """The tracking values of the booking page's address. Visitors can change them: check them."""

    utm_source: Readable = None
    utm_medium: Readable = None
    utm_campaign: Readable = None
    utm_content: Readable = None
    utm_term: Readable = None
    salesforce_uuid: Readable = None


class InviteePayment(Resource):
    """A payment that Calendly itself collected. ``amount`` is in major units, as Calendly sends it."""

    external_id: Readable = None
    provider: Readable = None
    amount: Annotated[float | None, IF_READABLE] = None
    currency: Readable = None
    successful: Flag = False


class NoShow(Resource):
    """The mark that an invitee did not come; its URI is needed to remove the mark."""

    uri: str
    invitee: str | None = None
    created_at: Moment | None = None


class Answer(Resource):
    """What an invitee answered to a question of the event type, which is known by its text. ``position`` is from 0."""

    question: Text
    answer: Text
    position: int | None = None


class Invitee(Resource):
    """One person's booking of one scheduled event; its ``uri`` is the identity of the booking.

    ``event`` is the scheduled event's URI. On a reschedule the old invitee is canceled and has ``new_invitee``, the
    new one has ``old_invitee``: decide by these, not by ``rescheduled`` alone. ``cancel_url`` and ``reschedule_url``
    let their holder act: never log them. Webhook bodies have ``scheduled_event`` since 2023, answers of the API never.
    """

    uri: str
    event: str
    email: str
    name: Name | None = None
    status: str
    timezone: str | None = None
    tracking: Tracking = Field(default_factory=Tracking)
    questions_and_answers: tuple[Answer, ...] = ()
    text_reminder_number: ReadableText = None
    rescheduled: Flag = False
    old_invitee: str | None = None
    new_invitee: str | None = None
    cancel_url: Word = ""
    reschedule_url: Word = ""
    payment: InviteePayment | None = None
    no_show: NoShow | None = None
    cancellation: Cancellation | None = None
    created_at: Moment
    updated_at: Moment
    scheduled_event: ScheduledEvent | None = None

    @model_validator(mode="before")
    @classmethod
    def _absent_parts(cls, data: object) -> object:
        if isinstance(data, Mapping) and not isinstance(data.get("tracking"), Mapping | Tracking):
            data = {key: value for key, value in data.items() if key != "tracking"}
        return _readable(data, "questions_and_answers", "question", "answer")


@dataclass(frozen=True)
class NewInvitee:
    """A person to book a time for. ``place`` is one of the event type's, with the invitee's own address or number where
    its kind asks for one; None where the type has none. ``guests`` are e-mail addresses, at most MOST_GUESTS.
    """

    name: str
    email: str
    timezone: str
    utm_content: str
    place: Place | None = None
    answers: tuple[Answer, ...] = ()
    text_reminder_number: str | None = None
    guests: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse more guests than Calendly takes. Raises ValueError."""
        if len(self.guests) > MOST_GUESTS:
            raise ValueError(f"Calendly takes {MOST_GUESTS} guests at most")

    def body(self) -> dict[str, object]:
        """Its part of the request. Source: Calendly API reference, Create Event Invitee."""
        person = {"name": self.name, "email": self.email, "timezone": self.timezone}
        if self.text_reminder_number:
            person["text_reminder_number"] = self.text_reminder_number
        tracking: dict[str, str | None] = dict.fromkeys(Tracking.model_fields)
        body: dict[str, object] = {
            "invitee": person,
            "tracking": {**tracking, "utm_source": "bookingapp", "utm_content": self.utm_content},
        }
        if self.place is not None:
            body["location"] = self.place.model_dump(exclude_none=True)
        if self.answers:
            body["questions_and_answers"] = [answer.model_dump() for answer in self.answers]
        if self.guests:
            body["event_guests"] = list(self.guests)
        return body


class AvailableTime(Resource):
    """A time that could be booked when we asked. Opening its address does not reserve it."""

    start_time: Moment
    scheduling_url: str
    invitees_remaining: int | None = None
    status: str = "available"


class SingleUseLink(Resource):
    """A booking page that is good for one booking. ``owner`` is the event type's URI."""

    booking_url: str
    owner: str | None = None


class WebhookSubscription(Resource):
    """Where Calendly sends which events. A ``disabled`` one stays so: delete it and create a new one."""

    uri: str
    callback_url: str
    state: str
    events: tuple[str, ...] = ()
    scope: str | None = None
    organization: str | None = None
    user: str | None = None
    created_at: Moment | None = None
    retry_started_at: Moment | None = None


@dataclass(frozen=True)
class Fetched(Generic[T]):
    """A value that may come from the cache: as Calendly gave it at ``as_of`` (aware UTC).

    ``stale`` says that Calendly is not answering: the value is the last good one, and no decision may rest on it.
    """

    value: T
    as_of: datetime
    stale: bool


def read_resource(model: type[ModelT], data: object, *, what: str) -> ModelT:
    """Validate ``data`` as ``model``. Raises CalendlyBadReply, which names fields and never their values."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(map(str, e["loc"])) or "(all)" for e in error.errors()}))
        raise CalendlyBadReply(f"{what} is not in Calendly's format: {fields}") from None


def _readable(data: object, key: str, *texts: str) -> object:
    """``data`` with only those parts of its list ``key`` that have all ``texts``; a list that is null is empty."""
    if not isinstance(data, Mapping) or key not in data:
        return data
    parts = data[key] if isinstance(data[key], list) else []
    kept = [part for part in parts if isinstance(part, Mapping)]
    return {**data, key: [part for part in kept if all(isinstance(part.get(name), str) for name in texts)]}
