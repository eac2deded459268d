"""Webhook deliveries: reading their bodies, and the identity that Calendly does not give them.

Source: Calendly API reference (webhook payload).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from bookingapp.integrations.calendly.errors import CalendlyBadReply
from bookingapp.integrations.calendly.fields import Moment
from bookingapp.integrations.calendly.types import EventType, Invitee, Resource, read_resource

# Beyond this an inbox key is replaced by its digest, so that it always fits its column.
_LONGEST_KEY: Final = 200


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
