"""Calendly's resources as we read them, and webhook deliveries with their identity.

All models are frozen and ignore fields that they do not name: Calendly adds fields and event families without notice.
What older or real deliveries lack (``tracking``, an invitee's ``name``, a location, the canceler's type) is optional
here. All times are aware UTC datetimes.

Source: Calendly API reference (users, event types, scheduled events, invitees, webhook payload).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bookingapp.integrations.calendly.errors import CalendlyBadReply
from bookingapp.integrations.calendly.fields import Flag, Minutes, Moment, Name, Text, Title

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound="Resource")

# Beyond this an inbox key is replaced by its digest, so that it always fits its column.
_LONGEST_KEY: Final = 200


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
    # The kinds of places that are offered; empty where its owner has set none, None where Calendly does not say.
    location_kinds: tuple[str, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _owner_from_profile(cls, data: object) -> object:
        if isinstance(data, Mapping) and isinstance(data.get("profile"), Mapping):
            return {**data, "owner": data["profile"].get("owner")}
        return data

    @model_validator(mode="before")
    @classmethod
    def _kinds_of_locations(cls, data: object) -> object:
        if not isinstance(data, Mapping) or "locations" not in data:
            return data
        places = data["locations"] if isinstance(data["locations"], list) else []
        kinds = (place.get("kind") for place in places if isinstance(place, Mapping))
        return {**data, "location_kinds": tuple(kind for kind in kinds if isinstance(kind, str))}

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

    type: str = ""
    location: Text | None = None
    join_url: str | None = None
    status: str | None = None


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
    """An appointment. ``hosts`` are user URIs; ``event_type`` is a URI and may be missing.

    ``end_time`` is authoritative: an invitee may have picked another duration than the event type's.
    """

    uri: str
    name: Title | None = None
    status: str
    start_time: Moment
    end_time: Moment
    event_type: str | None = None
    location: Location | None = None
    invitees_counter: InviteesCounter | None = None
    hosts: tuple[str, ...] = ()
    cancellation: Cancellation | None = None

    @model_validator(mode="before")
    @classmethod
    def _hosts_from_memberships(cls, data: object) -> object:
        if isinstance(data, Mapping) and isinstance(data.get("event_memberships"), list):
            members = [member for member in data["event_memberships"] if isinstance(member, Mapping)]
            return {**data, "hosts": tuple(m["user"] for m in members if isinstance(m.get("user"), str))}
        return data


class Tracking(Resource):
    """The tracking values of the booking page's address. Visitors can change them: check them."""

    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_content: str | None = None
    utm_term: str | None = None
    salesforce_uuid: str | None = None


class InviteePayment(Resource):
    """A payment that Calendly itself collected. ``amount`` is in major units, as Calendly sends it."""

    external_id: str | None = None
    provider: str | None = None
    amount: float | None = None
    currency: str | None = None
    successful: Flag = False


class NoShow(Resource):
    """The mark that an invitee did not come; its URI is needed to remove the mark."""

    uri: str
    invitee: str | None = None
    created_at: Moment | None = None


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
    rescheduled: Flag = False
    old_invitee: str | None = None
    new_invitee: str | None = None
    cancel_url: str = ""
    reschedule_url: str = ""
    payment: InviteePayment | None = None
    no_show: NoShow | None = None
    cancellation: Cancellation | None = None
    created_at: Moment
    updated_at: Moment
    scheduled_event: ScheduledEvent | None = None

    @model_validator(mode="before")
    @classmethod
    def _absent_tracking(cls, data: object) -> object:
        if isinstance(data, Mapping) and data.get("tracking", ...) is None:
            return {key: value for key, value in data.items() if key != "tracking"}
        return data


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


class WebhookDelivery(Resource):
    """The envelope of one webhook: which ``event``, when, by whose subscription, and the resource itself."""

    event: str
    created_at: Moment
    created_by: str | None = None
    payload: dict[str, Any]

    def invitee(self) -> Invitee:
        """The payload of ``invitee.*`` and ``invitee_no_show.*``. Raises CalendlyBadReply."""
        return read_resource(Invitee, self.payload, what=f"the payload of {_family(self.event)}")

    def event_type(self) -> EventType:
        """The payload of ``event_type.*``. Raises CalendlyBadReply."""
        return read_resource(EventType, self.payload, what=f"the payload of {_family(self.event)}")


def parse_delivery(body: bytes) -> WebhookDelivery:
    """Read the raw body of a delivery. Unknown events pass; what is not a v2 envelope raises CalendlyBadReply.

    The retired v1 shape (``payload.event`` and ``payload.invitee`` as objects, ``time`` instead of
    ``created_at``) is refused by name, because read as v2 it would be a booking without an identity.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise CalendlyBadReply("the delivery is not JSON") from None
    if not isinstance(data, dict):
        raise CalendlyBadReply("the delivery is not a JSON object")
    event, payload = data.get("event"), data.get("payload")
    is_about_invitee = isinstance(event, str) and _family(event) in ("invitee", "invitee_no_show")
    if is_about_invitee and isinstance(payload, dict) and _is_v1(payload):
        raise CalendlyBadReply("the delivery has the retired v1 shape")
    delivery = read_resource(WebhookDelivery, data, what="the delivery")
    if is_about_invitee:
        _require_text(delivery.payload, "uri", "event")
    elif _family(delivery.event) == "event_type":
        _require_text(delivery.payload, "uri")
    return delivery


def delivery_key(body: bytes, delivery: WebhookDelivery | None) -> str:
    """The identity of a delivery (Calendly sends none): equal for repeats, different for new events.

    It is the event's name, the resource's path, the no-show's path where there is one, and ``updated_at``.
    Where the first or the last is missing (or there is no readable delivery) it is the SHA-256 digest of the
    raw body. At most 200 ASCII characters; case matters.
    """
    if delivery is not None:
        uri, updated_at = delivery.payload.get("uri"), delivery.payload.get("updated_at")
        if isinstance(uri, str) and uri and isinstance(updated_at, str) and updated_at:
            parts = [delivery.event, _path(uri)]
            no_show = delivery.payload.get("no_show")
            if isinstance(no_show, dict) and isinstance(no_show.get("uri"), str):
                parts.append(_path(no_show["uri"]))
            key = " ".join([*parts, updated_at])
            if len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable():
                return key
            return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return "sha256:" + hashlib.sha256(body).hexdigest()


def _is_v1(payload: Mapping[str, object]) -> bool:
    return any(isinstance(payload.get(key), dict) for key in ("event", "invitee", "event_type"))


def _family(event: str) -> str:
    """The part of an event's name before the dot; a foreign name is not repeated in a message."""
    family = event.partition(".")[0]
    return family if re.fullmatch(r"[a-z_]{1,40}", family) else "an unknown event"


def _path(uri: str) -> str:
    # The same resource is spelled with the hosts api.calendly.com and calendly.com: the path identifies it.
    try:
        return urlsplit(uri).path or uri
    except ValueError:
        return uri


def _require_text(payload: Mapping[str, object], *names: str) -> None:
    missing = [name for name in names if not isinstance(payload.get(name), str) or not payload[name]]
    if missing:
        raise CalendlyBadReply(f"the delivery's payload lacks {', '.join(missing)}")
