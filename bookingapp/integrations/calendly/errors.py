"""What can go wrong with Calendly, in the words a caller decides by.

    CalendlyError
    │                 category        retryable   what it means
    ├── Unavailable   unavailable     yes         no answer, a 5xx, or our circuit breaker is open
    ├── RateLimited   rate_limited    yes         429, or our budget for this minute is spent
    ├── Unauthorized  unauthorized    no          401: the token is missing, expired or revoked
    ├── InvalidGrant  invalid_grant   no          OAuth: the code or refresh token is spent, old or revoked
    ├── InvalidClient invalid_client  no          OAuth: our app's id or secret is missing or refused
    ├── Forbidden     forbidden       no          403: the token may not do this (``missing_scope``)
    ├── NotFound      not_found       no          404: gone, or never ours
    ├── Rejected      rejected        no          400, 409, a refused cancellation, or an address that is
    │                                             not Calendly's (``code`` says which)
    └── BadReply      bad_reply       no          an answer or a delivery that is not in Calendly's format

``str()`` of these never contains a token, a person's data or an address with an invitee's id in it (such an
id lets its holder cancel the booking), so they may be logged as they are.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from bookingapp.awaited import Awaited

Category = Literal[
    "unavailable",
    "rate_limited",
    "unauthorized",
    "invalid_grant",
    "invalid_client",
    "forbidden",
    "not_found",
    "rejected",
    "bad_reply",
]
RejectedCode = Literal[
    "invalid", "already_exists", "already_canceled", "event_in_past", "not_allowed", "foreign_address"
]


class CalendlyError(Exception):
    """Base of all Calendly errors.

    ``category`` and ``retryable`` are for decisions, ``user_message`` is a sentence for the person in front
    of the page, ``str()`` is for the log. ``status`` is the HTTP status where there was one; ``retry_after``
    is in seconds and only a hint.
    """

    category: ClassVar[Category]
    retryable: ClassVar[bool] = False
    user_message: ClassVar[str]

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class CalendlyUnavailable(CalendlyError):
    """Calendly did not answer, answered with a 5xx, or is left alone because it has just failed too often."""

    category = "unavailable"
    retryable = True
    user_message = "The calendar is not answering right now. Please try again in a moment."


class CalendlyRateLimited(CalendlyError):
    """Too many requests in this minute; ``retry_after`` says in how many seconds there is room again."""

    category = "rate_limited"
    retryable = True
    user_message = "The calendar is very busy right now. Please try again in a minute."


class CalendlyUnauthorized(CalendlyError):
    """The token is missing, wrong, expired or revoked. Trying again with the same token changes nothing.

    ``awaits`` tells a queue that the work is to be kept until a person has renewed the connection.
    """

    category = "unauthorized"
    user_message = "The connection to the calendar needs to be renewed. Please come back a little later."
    awaits: ClassVar[Awaited] = Awaited.CONNECTION


class InvalidGrant(CalendlyError):
    """OAuth: the code or the refresh token is spent, too old, revoked, or not ours. Its person has to consent
    once more.
    """

    category = "invalid_grant"
    user_message = "Calendly does not accept this permission any more. Please connect the account again."


class InvalidClient(CalendlyError):
    """OAuth: there is no app, or Calendly refuses its id or secret. Only the operator can change that."""

    category = "invalid_client"
    user_message = "This site's own access to Calendly has to be renewed by the people who run it."
    awaits: ClassVar[Awaited] = Awaited.CONNECTION


class CalendlyForbidden(CalendlyError):
    """The token is good, but may not do this. ``missing_scope`` names the scope where Calendly does."""

    category = "forbidden"
    user_message = "The calendar does not allow this. Please contact the person you want to book."

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        missing_scope: str | None = None,
    ) -> None:
        super().__init__(message, status=status, retry_after=retry_after)
        self.missing_scope = missing_scope


class CalendlyNotFound(CalendlyError):
    """The object does not exist, or not for this token."""

    category = "not_found"
    user_message = "The calendar does not know this any more. It may have been removed."


class CalendlyRejected(CalendlyError):
    """Calendly understood the request and refuses it, or we refuse to send it (``foreign_address``).

    ``parameters`` are the names of the parameters that Calendly complains about, where it says so.
    """

    category = "rejected"
    user_message = "The calendar did not accept this. Please check the details and try again."

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        code: RejectedCode = "invalid",
        parameters: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, status=status, retry_after=retry_after)
        self.code: RejectedCode = code
        self.parameters = parameters


class CalendlyBadReply(CalendlyError):
    """What came is not in Calendly's published format: not JSON, a redirect, a retired shape."""

    category = "bad_reply"
    user_message = "The calendar gave an answer that we could not read. Please try again later."
