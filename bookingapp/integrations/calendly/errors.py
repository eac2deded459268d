"""What can go wrong with Calendly. Which HTTP status becomes which error is in ``replies``.

``str()`` of these never contains a token, a person's data or an invitee's id (which lets its holder cancel the
booking), so they may be logged as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from bookingapp.integrations.errors import ProviderError
from bookingapp.marking import N_
from bookingapp.outcomes import Awaited, Failure

RejectedCode = Literal[
    "invalid",
    "already_exists",
    "already_canceled",
    "event_in_past",
    "not_allowed",
    "slot_taken",
    "foreign_address",
]


class CalendlyError(ProviderError):
    """Base of all Calendly errors."""


class CalendlyUnavailable(CalendlyError):
    """No answer, a 5xx, or nothing was sent because Calendly has just failed too often."""

    category = Failure.UNAVAILABLE
    retryable = True
    user_message = N_("The calendar is not answering right now. Please try again in a moment.")


class CalendlyRateLimited(CalendlyError):
    """Too many requests in this minute, by Calendly's count (429) or ours. ``retry_after`` is when it ends."""

    category = Failure.RATE_LIMITED
    retryable = True
    user_message = N_("The calendar is very busy right now. Please try again in a minute.")


class CalendlyUnauthorized(CalendlyError):
    """The token is missing, wrong, expired or revoked (401): only another token helps."""

    category = Failure.UNAUTHORIZED
    user_message = N_("The connection to the calendar needs to be renewed. Please come back a little later.")
    awaits: ClassVar[Awaited] = Awaited.CONNECTION


class InvalidGrant(CalendlyError):
    """OAuth: the code or the refresh token is used, too old, revoked, or not ours. Its owner has to consent again."""

    category = Failure.INVALID_GRANT
    user_message = N_("Calendly does not accept this permission any more. Please connect the account again.")


class InvalidClient(CalendlyError):
    """OAuth: there is no app, or Calendly refuses its id or secret. Only the operator can change that."""

    category = Failure.INVALID_CLIENT
    user_message = N_("This site's own access to Calendly has to be renewed by the people who run it.")
    awaits: ClassVar[Awaited] = Awaited.CONNECTION


@dataclass(eq=False, repr=False)
class CalendlyForbidden(CalendlyError):
    """The token is good but may not do this (403). ``missing_scopes`` are those that Calendly names."""

    category = Failure.FORBIDDEN
    user_message = N_("The calendar does not allow this. Please contact the person you want to book.")

    missing_scopes: tuple[str, ...] = field(default=(), kw_only=True)


class CalendlyNotFound(CalendlyError):
    """The object does not exist (404, 410), or not for this token."""

    category = Failure.NOT_FOUND
    user_message = N_("The calendar does not know this any more. It may have been removed.")


@dataclass(eq=False, repr=False)
class CalendlyRejected(CalendlyError):
    """Calendly understood the request and refuses it, or we refuse to send it (``foreign_address``).

    ``slot_taken``: the start of a new invitee is not free. ``parameters`` are the names of the parameters that Calendly
    complains about.
    """

    category = Failure.REJECTED
    user_message = N_("The calendar did not accept this. Please check the details and try again.")

    code: RejectedCode = field(default="invalid", kw_only=True)
    parameters: tuple[str, ...] = field(default=(), kw_only=True)


class CalendlyBadReply(CalendlyError):
    """An answer or a delivery that is not in Calendly's published format: not JSON, a redirect, a retired shape."""

    category = Failure.BAD_REPLY
    user_message = N_("The calendar gave an answer that we could not read. Please try again later.")
