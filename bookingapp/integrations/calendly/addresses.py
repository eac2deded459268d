"""Resource URIs: from whatever a browser or a payload says to an id, and from an id to Calendly's address.

No request ever goes to an address that somebody gave us. Only the ids are taken out of it, and the address
is built anew on the configured API.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from bookingapp.integrations.calendly.errors import CalendlyRejected

Kind = Literal[
    "user", "organization", "event_type", "scheduled_event", "invitee", "no_show", "webhook_subscription"
]

# Calendly has two shapes of ids, sixteen capitals and digits or a lower-case UUID; they are opaque to us.
_ID: Final = r"([A-Za-z0-9-]{1,64})"
_SHAPES: Final[dict[Kind, re.Pattern[str]]] = {
    "user": re.compile(rf"(.*)/users/{_ID}"),
    "organization": re.compile(rf"(.*)/organizations/{_ID}"),
    "event_type": re.compile(rf"(.*)/event_types/{_ID}"),
    "scheduled_event": re.compile(rf"(.*)/scheduled_events/{_ID}"),
    "invitee": re.compile(rf"(.*)/scheduled_events/{_ID}/invitees/{_ID}"),
    "no_show": re.compile(rf"(.*)/invitee_no_shows/{_ID}"),
    "webhook_subscription": re.compile(rf"(.*)/webhook_subscriptions/{_ID}"),
}
_PATHS: Final[dict[Kind, str]] = {
    "user": "users/{}",
    "organization": "organizations/{}",
    "event_type": "event_types/{}",
    "scheduled_event": "scheduled_events/{}",
    "invitee": "scheduled_events/{}/invitees/{}",
    "no_show": "invitee_no_shows/{}",
    "webhook_subscription": "webhook_subscriptions/{}",
}
# Besides the API's own host, Calendly's documentation and older widgets use its public one.
_CALENDLY_HOSTS: Final = frozenset({"api.calendly.com", "calendly.com"})
_CALENDLY_PREFIXES: Final = frozenset({"", "/api/v2"})
_LONGEST_URI: Final = 500


def scheduled_event_id(uri: str) -> str:
    """The id in a scheduled event's URI, whatever its host. Raises Rejected for any other shape."""
    return _parse(uri, "scheduled_event").ids[0]


def invitee_ids(uri: str) -> tuple[str, str]:
    """Event id and invitee id in an invitee's URI, whatever its host. Raises Rejected for other shapes."""
    event_id, invitee_id = _parse(uri, "invitee").ids
    return event_id, invitee_id


class Addresses:
    """The resource addresses of one API, whose ``api_url`` may carry a path prefix."""

    def __init__(self, api_url: str) -> None:
        self.api_url = api_url.rstrip("/")
        self._own = urlsplit(self.api_url)

    def ids(self, uri: str, kind: Kind) -> tuple[str, ...]:
        """The ids in ``uri``, which must have the shape of ``kind`` on this API or Calendly's public hosts.

        Raises Rejected with code ``foreign_address`` for everything else.
        """
        found = _parse(uri, kind)
        if (found.scheme, found.netloc) == (self._own.scheme, self._own.netloc):
            known = found.prefix in ("", self._own.path)
        else:
            known = (
                found.scheme == "https"
                and found.netloc in _CALENDLY_HOSTS
                and found.prefix in _CALENDLY_PREFIXES
            )
        if not known:
            raise _foreign(kind)
        return found.ids

    def path(self, uri: str, kind: Kind) -> str:
        """The resource's path below the API's root, without a leading slash. Raises as ``ids`` does."""
        return _PATHS[kind].format(*self.ids(uri, kind))

    def uri(self, uri: str, kind: Kind) -> str:
        """The same resource's canonical URI on this API. Raises as ``ids`` does."""
        return f"{self.api_url}/{self.path(uri, kind)}"

    def parameter(self, uri: str, kind: Kind) -> str:
        """The URI as a parameter of a request: checked, and spelled as the provider spelled it.

        Only the documentation's host ``calendly.com`` is replaced: the API knows its resources by their own
        URIs, and those need not have the host through which we reach it.
        """
        canonical = self.uri(uri, kind)
        return canonical if urlsplit(uri).netloc == "calendly.com" else uri


class _Parsed(NamedTuple):
    scheme: str
    netloc: str
    prefix: str
    ids: tuple[str, ...]


def _parse(uri: str, kind: Kind) -> _Parsed:
    """Take a URI apart; ``prefix`` is the path in front of the resource. Raises Rejected."""
    if len(uri) > _LONGEST_URI or not uri.isascii() or not uri.isprintable() or set(uri) & set(" @\\?#"):
        raise _foreign(kind)
    try:
        split = urlsplit(uri)
    except ValueError:
        raise _foreign(kind) from None
    match = _SHAPES[kind].fullmatch(split.path)
    if split.scheme not in ("http", "https") or not split.netloc or match is None:
        raise _foreign(kind)
    prefix, *ids = match.groups()
    return _Parsed(split.scheme, split.netloc, prefix, tuple(ids))


def _foreign(kind: Kind) -> CalendlyRejected:
    return CalendlyRejected(f"not the address of a Calendly {kind}", code="foreign_address")
