"""Resource URIs: from what a browser or a payload says to an id, and from an id to Calendly's address.

No request ever goes to an address that came from outside. Only the ids are read from it, and the address is built
anew on the configured API.
"""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import urlsplit

from bookingapp.integrations.calendly.errors import CalendlyRejected

Kind = Literal[
    "user", "organization", "event_type", "scheduled_event", "invitee", "no_show", "webhook_subscription"
]

_PATHS: Final[dict[Kind, str]] = {
    "user": "users/{}",
    "organization": "organizations/{}",
    "event_type": "event_types/{}",
    "scheduled_event": "scheduled_events/{}",
    "invitee": "scheduled_events/{}/invitees/{}",
    "no_show": "invitee_no_shows/{}",
    "webhook_subscription": "webhook_subscriptions/{}",
}
# Calendly has two shapes of ids, sixteen capitals and digits or a lower-case UUID; they are opaque to us.
_SHAPES: Final = {
    kind: re.compile("(.*)/" + path.replace("{}", "([A-Za-z0-9-]{1,64})")) for kind, path in _PATHS.items()
}
# Besides the API's own host, Calendly's documentation and older widgets use its public one.
_CALENDLY_HOSTS: Final = frozenset({"api.calendly.com", "calendly.com"})
_CALENDLY_PREFIXES: Final = frozenset({"", "/api/v2"})
_LONGEST_URI: Final = 500


class Addresses:
    """The resource addresses of one API, whose ``api_url`` may carry a path prefix."""

    def __init__(self, api_url: str) -> None:
        self.api_url = api_url.rstrip("/")
        self._own = urlsplit(self.api_url)

    def ids(self, uri: str, kind: Kind) -> tuple[str, ...]:
        """The ids in ``uri``, which must have the shape of ``kind`` on this API or Calendly's public hosts.

        Raises CalendlyRejected with code ``foreign_address`` for everything else.
        """
        if len(uri) > _LONGEST_URI or not uri.isascii() or not uri.isprintable() or set(uri) & set(" @\\?#"):
            raise _foreign_address_error(kind)
        try:
            split = urlsplit(uri)
        except ValueError:
            raise _foreign_address_error(kind) from None
        match = _SHAPES[kind].fullmatch(split.path)
        if match is None:
            raise _foreign_address_error(kind)
        prefix, *ids = match.groups()
        if (split.scheme, split.netloc) == (self._own.scheme, self._own.netloc):
            known = prefix in ("", self._own.path)
        else:
            known = (
                split.scheme == "https" and split.netloc in _CALENDLY_HOSTS and prefix in _CALENDLY_PREFIXES
            )
        if not known:
            raise _foreign_address_error(kind)
        return tuple(ids)

    def path(self, uri: str, kind: Kind) -> str:
        """The resource's path below the API's root, without a leading slash. Raises as ``ids`` does."""
        return _PATHS[kind].format(*self.ids(uri, kind))

    def uri(self, uri: str, kind: Kind) -> str:
        """The resource's canonical URI on this API: equal for every spelling. Raises as ``ids`` does."""
        return f"{self.api_url}/{self.path(uri, kind)}"

    def parameter(self, uri: str, kind: Kind) -> str:
        """The URI as a parameter of a request: checked, and spelled as the provider spelled it.

        Only the documentation's host ``calendly.com`` is replaced: the API knows its resources by their own
        URIs, and those need not have the host through which we reach it.
        """
        canonical = self.uri(uri, kind)
        return canonical if urlsplit(uri).netloc == "calendly.com" else uri


def _foreign_address_error(kind: Kind) -> CalendlyRejected:
    return CalendlyRejected(f"not the address of a Calendly {kind}", code="foreign_address")
