"""The client of Calendly's API: typed calls, one method per endpoint.

``tenant`` comes first in each call and says whose account it is made with: ``platform`` or ``builder:<id>``. Every
method raises a CalendlyError; CalendlyRejected with code ``foreign_address``, before anything is sent, when a URI is
not Calendly's. Source: Calendly API v2 reference.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from bookingapp.integrations.calendly.addresses import Addresses, Kind
from bookingapp.integrations.calendly.cache import AnswerCache, Backend
from bookingapp.integrations.calendly.errors import CalendlyForbidden, CalendlyRejected
from bookingapp.integrations.calendly.invitee_limits import InviteeLimits, SharedInviteeLimits
from bookingapp.integrations.calendly.ratelimits import Purpose, RateLimits, SharedRateLimits
from bookingapp.integrations.calendly.reader import Freshness, Reader
from bookingapp.integrations.calendly.recent_views import RecentViews
from bookingapp.integrations.calendly.seen_events import SeenEvents
from bookingapp.integrations.calendly.single_flight import SharedFlight
from bookingapp.integrations.calendly.tokens import TokenProvider
from bookingapp.integrations.calendly.transport import Timeouts, Transport
from bookingapp.integrations.calendly.types import (
    AvailableTime,
    Cancellation,
    EventType,
    Fetched,
    Invitee,
    Membership,
    NewInvitee,
    NoShow,
    ScheduledEvent,
    SingleUseLink,
    User,
    WebhookSubscription,
    read_resource,
)
from bookingapp.integrations.calendly.windows import future_window, window_name, wire_time
from bookingapp.integrations.circuit_breaker import BreakerState, CircuitBreaker
from bookingapp.integrations.concurrency import BackgroundWork, Bulkhead
from bookingapp.integrations.redis_breaker import SharedBreaker
from bookingapp.integrations.redis_link import RedisLink

EVENT_TYPES: Final = Freshness(fresh=timedelta(minutes=5), background=timedelta(hours=1))
AVAILABLE_TIMES: Final = Freshness(fresh=timedelta(minutes=1), background=timedelta(minutes=5))
USER: Final = Freshness(fresh=timedelta(hours=1), background=timedelta(hours=2))
_LONGEST_REASON: Final = 10_000
_PAGE_SIZE: Final = "100"


class CalendlyClient:
    """A client for one Calendly API. Create one per process and share it between threads.

    ``api_url`` may have a path prefix. ``before_call`` runs before each real HTTP request (not before an answer from
    the cache); what it raises comes through unchanged. ``page_timeout`` is (connect, read) in seconds for one GET,
    ``total_timeout`` the seconds for all GETs of one page view, and ``left_of_page`` gets that number and returns
    what the present page view has left of it. ``places`` is how many threads may wait for Calendly at once.
    What a call may use of the rate limit depends on its :class:`Purpose`: everything, until :meth:`for_purpose`.
    ``around`` is entered around each background refresh. With a ``link`` all processes that have the same Redis
    share the cache, the breaker, the rate limits and the requests under way; without one, each has its own.
    ``seen`` is where a caller notes which events it has read whole. ``note_time`` gets Calendly's time.
    """

    def __init__(
        self,
        *,
        api_url: str,
        tokens: TokenProvider,
        user_agent: str,
        cache_backend: Backend = "memory",
        page_timeout: tuple[float, float] = (1.0, 2.5),
        total_timeout: float = 3.0,
        breaker: CircuitBreaker | None = None,
        before_call: Callable[[], None] = lambda: None,
        note_time: Callable[[datetime], object] = lambda _at: None,
        link: RedisLink | None = None,
        places: int | None = None,
        left_of_page: Callable[[float], float] = float,
        around: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._addresses = Addresses(api_url)
        self._breaker = breaker or (CircuitBreaker() if link is None else SharedBreaker(link, "calendly"))
        self._views = RecentViews(link)
        self.seen = SeenEvents(link)
        self._background = BackgroundWork(around=around)
        self._transport = Transport(
            api_url=api_url,
            tokens=tokens,
            user_agent=user_agent,
            timeouts=Timeouts(page=page_timeout, page_total=total_timeout),
            breaker=self._breaker,
            before_call=before_call,
            note_time=note_time,
            limits=RateLimits() if link is None else SharedRateLimits(link),
            invitee_limits=InviteeLimits() if link is None else SharedInviteeLimits(link),
            places=None if places is None else Bulkhead(places),
            left_of_page=left_of_page,
        )
        cache = AnswerCache(cache_backend, link)
        self._reader = Reader(self._transport, cache, SharedFlight(link), self._background)

    def patient(
        self, *, page_timeout: tuple[float, float] = (3.0, 10.0), total_timeout: float = 25.0
    ) -> CalendlyClient:
        """The worker's client: longer timeouts, no bulkhead; the same tokens, cache, breaker and rate limits."""
        timeouts = Timeouts(page=page_timeout, page_total=total_timeout)
        return self._through(self._transport.with_patience(timeouts))

    def for_purpose(self, purpose: Purpose) -> CalendlyClient:
        """This client for calls of that purpose, which stop where the rest is kept for more urgent ones."""
        return self._through(self._transport.for_purpose(purpose))

    def _through(self, transport: Transport) -> CalendlyClient:
        other = copy.copy(self)
        other._transport = transport  # noqa: SLF001 - it is one of us.
        other._reader = self._reader.through(transport)  # noqa: SLF001
        return other

    @property
    def breaker_state(self) -> BreakerState:
        """The state of the circuit breaker as the next call would find it."""
        return self._breaker.state

    # Keeping cached answers fresh

    def note_interest(self, name: str) -> None:
        """Record that the cards of ``name`` are viewed now; goes to Redis at most once a minute for each name."""
        self._views.note(name)

    def interesting(self, *, within: timedelta, most: int) -> tuple[str, ...]:
        """At most ``most`` names viewed ``within`` that time by any process with the same Redis; the latest first."""
        return self._views.names(within=within, most=most)

    def budget_left(self, tenant: str) -> float:
        """Which share of the tenant's requests of this minute is left: 0.0 to 1.0, and 1.0 where that is not known."""
        return self._transport.budget_left(tenant)

    def may_send(self, tenant: str) -> bool:
        """Whether a call of this client's purpose would be sent now: not while Calendly fails, nor into a reserve."""
        return self._transport.may_send(tenant)

    def account_of(self, tenant: str) -> str:
        """A name of the account whose token the tenant has: Calendly's limits are counted by it."""
        return self._transport.account_of(tenant)

    def settle(self, seconds: float = 5.0) -> bool:
        """Wait until no background refresh is under way. False where that needs longer than ``seconds``."""
        return self._background.settle(seconds)

    def seconds_until_bookable(self, tenant: str) -> float:
        """For how many seconds :meth:`create_invitee` will be refused because Calendly limits it; 0.0 means none."""
        return self._transport.seconds_until_bookable(tenant)

    # Addresses

    def scheduled_event_id(self, uri: str) -> str:
        """The id in a scheduled event's URI on this API or Calendly's own hosts. Raises CalendlyRejected."""
        return self._addresses.ids(uri, "scheduled_event")[0]

    def invitee_ids(self, uri: str) -> tuple[str, str]:
        """Event id and invitee id in an invitee's URI on this API or Calendly's own hosts. Raises CalendlyRejected."""
        event_id, invitee_id = self._addresses.ids(uri, "invitee")
        return event_id, invitee_id

    def canonical_event_uri(self, uri: str) -> str:
        """The scheduled event's URI rebuilt on this API: equal for every spelling. Raises CalendlyRejected."""
        return self._addresses.uri(uri, "scheduled_event")

    def canonical_invitee_uri(self, uri: str) -> str:
        """The invitee's URI rebuilt on this API: equal for every spelling. Raises CalendlyRejected."""
        return self._addresses.uri(uri, "invitee")

    def checked_user_uri(self, uri: str) -> str:
        """A user's URI as Calendly spells it. Raises CalendlyRejected for anything else."""
        return self._addresses.parameter(uri, "user")

    def canonical_event_type_uri(self, uri: str) -> str:
        """The event type's URI rebuilt on this API: equal for every spelling. Raises CalendlyRejected."""
        return self._addresses.uri(uri, "event_type")

    def canonical_no_show_uri(self, uri: str) -> str:
        """The no-show's URI rebuilt on this API: equal for every spelling. Raises CalendlyRejected."""
        return self._addresses.uri(uri, "no_show")

    # Users and event types

    def current_user(self, tenant: str) -> User:
        """The account that the tenant's token belongs to, never cached."""
        return self._reader.resource(User, tenant, "users/me")

    def user(self, tenant: str, uri: str) -> User:
        """Another user, as the tenant's token may see them, never cached. Raises CalendlyNotFound where Calendly knows
        none. Source: Calendly API reference, Get user.
        """
        return self._reader.resource(User, tenant, self._addresses.path(uri, "user"))

    def known_user(self, tenant: str) -> Fetched[User]:
        """The account that the tenant's token belongs to, cached as USER says in this process's memory."""
        return self._reader.cached_resource(User, tenant, "users/me", USER)

    def organization_members(self, tenant: str, organization: str) -> tuple[User, ...]:
        """The users of an organization, for its owner or an administrator (Calendly API reference, List Organization
        Memberships).
        """
        params = {"organization": organization, "count": _PAGE_SIZE}
        found = self._reader.collection(Membership, tenant, "organization_memberships", params)
        return tuple(one.user for one in found)

    def list_event_types(
        self, tenant: str, user_uri: str, *, at_most: timedelta | None = None
    ) -> Fetched[tuple[EventType, ...]]:
        """All event types of a user, active or not, in Calendly's order by name.

        Without ``at_most`` it is for showing: cached as EVENT_TYPES says. With it, it is for a decision: Calendly is
        asked where the cached answer is older than that. Either way, when Calendly fails, the last good answer up to
        24 hours old is returned with ``stale`` set; a 401, 403 or 404 is raised.
        """
        params = {"user": self._addresses.parameter(user_uri, "user"), "count": _PAGE_SIZE}
        freshness = EVENT_TYPES if at_most is None else Freshness(fresh=at_most, background=at_most)
        return self._reader.cached_collection(EventType, tenant, "event_types", params, freshness)

    def event_type(self, tenant: str, uri: str) -> EventType:
        """One event type as it is now, deleted ones included."""
        return self._reader.resource(EventType, tenant, self._addresses.path(uri, "event_type"))

    def available_times(
        self,
        tenant: str,
        event_type_uri: str,
        start: datetime,
        end: datetime,
        *,
        at_most: timedelta | None = None,
    ) -> Fetched[tuple[AvailableTime, ...]]:
        """The times that can be booked between two aware datetimes, at most 31 days apart.

        Cached as AVAILABLE_TIMES says, or for a decision with ``at_most``, as :meth:`list_event_types`. ``start`` is
        moved to the next even minute that is safely in the future, because Calendly refuses a past one and so that
        readers share an answer; windows of one length that begin now share theirs from minute to minute. Times that
        are over are omitted. Raises ValueError for an empty or too long window.
        """
        first, last = future_window(start, end)
        params = {
            "event_type": self._addresses.parameter(event_type_uri, "event_type"),
            "start_time": wire_time(first),
            "end_time": wire_time(last),
        }
        key = {"event_type": params["event_type"], **window_name(start, end)}
        fetched = self._reader.cached_collection(
            AvailableTime,
            tenant,
            "event_type_available_times",
            params,
            AVAILABLE_TIMES if at_most is None else Freshness(fresh=at_most, background=at_most),
            key_params=key,
        )
        now = datetime.now(UTC)
        return replace(fetched, value=tuple(time for time in fetched.value if time.start_time > now))

    def invalidate(self, tenant: str) -> None:
        """Forget every cached answer of this tenant, those of requests under way included."""
        self._reader.invalidate(tenant)

    # Scheduled events and invitees: personal data, never cached

    def scheduled_event(self, tenant: str, uri: str) -> ScheduledEvent:
        """One scheduled event as it is now."""
        return self._reader.resource(ScheduledEvent, tenant, self._addresses.path(uri, "scheduled_event"))

    def scheduled_events(
        self,
        tenant: str,
        user_uri: str,
        min_start: datetime,
        max_start: datetime,
        status: str | None = None,
        *,
        organization: str | None = None,
    ) -> tuple[ScheduledEvent, ...]:
        """A user's events that start within a window, oldest first; ``status`` is active or canceled.

        ``organization`` (a URI) is needed where the token belongs to another user of that organization.
        """
        params = {
            "user": self._addresses.parameter(user_uri, "user"),
            "min_start_time": wire_time(min_start),
            "max_start_time": wire_time(max_start),
            "sort": "start_time:asc",
            "count": _PAGE_SIZE,
        }
        if status is not None:
            params["status"] = status
        if organization is not None:
            params["organization"] = self._addresses.parameter(organization, "organization")
        return self._reader.collection(ScheduledEvent, tenant, "scheduled_events", params)

    def invitee(self, tenant: str, uri: str) -> Invitee:
        """One invitee as it is now."""
        return self._reader.resource(Invitee, tenant, self._addresses.path(uri, "invitee"))

    def invitees(self, tenant: str, event_uri: str) -> tuple[Invitee, ...]:
        """All invitees of a scheduled event, canceled ones included."""
        path = f"{self._addresses.path(event_uri, 'scheduled_event')}/invitees"
        return self._reader.collection(Invitee, tenant, path, {"count": _PAGE_SIZE})

    def create_invitee(
        self, tenant: str, event_type_uri: str, start: datetime, person: NewInvitee
    ) -> Invitee:
        """Book a time for a person, who gets Calendly's own invitation.

        Raises CalendlyRejected with code ``slot_taken`` where the start is not free, else ``invalid`` with the
        ``parameters`` that Calendly refuses (``location``, ``questions_and_answers``); and CalendlyRateLimited with
        ``retry_after``, without sending anything while :meth:`seconds_until_bookable`. Never repeated here: Calendly
        has no idempotency keys, so a caller that tries again first checks what the first try has created.
        Source: Calendly API reference, Create Event Invitee.
        """
        body: dict[str, object] = {
            "event_type": self._addresses.parameter(event_type_uri, "event_type"),
            "start_time": wire_time(start),
            **person.body(),
        }
        return self._reader.create(Invitee, tenant, "invitees", body)

    def cancel_event(self, tenant: str, uri: str, reason: str) -> Cancellation:
        """Cancel a scheduled event for all its invitees. One that is canceled already is a success.

        Raises CalendlyRejected with code ``event_in_past`` or ``not_allowed`` where Calendly says so.
        """
        path = self._addresses.path(uri, "scheduled_event")
        body = {"reason": reason[:_LONGEST_REASON]} if reason else {}
        try:
            reply = self._transport.post(tenant, f"{path}/cancellation", body)
        except (CalendlyRejected, CalendlyForbidden):
            # The wording of this refusal has changed before; the event's own status is what counts.
            event = self._reader.resource(ScheduledEvent, tenant, path)
            if event.status != "canceled":
                raise
            return event.cancellation or Cancellation()
        return read_resource(Cancellation, reply.data.get("resource"), what="a cancellation")

    def create_no_show(self, tenant: str, invitee_uri: str) -> NoShow:
        """Mark an invitee as a no-show."""
        invitee = self._addresses.parameter(invitee_uri, "invitee")
        return self._reader.create(NoShow, tenant, "invitee_no_shows", {"invitee": invitee})

    def delete_no_show(self, tenant: str, uri: str) -> None:
        """Remove the mark; ``uri`` is the no-show's own."""
        self._transport.delete(tenant, self._addresses.path(uri, "no_show"))

    def erase_invitees(self, tenant: str, emails: Sequence[str]) -> None:
        """Let Calendly erase these people in the account's organization, within seven days (Enterprise plan only)."""
        self._transport.post(tenant, "data_compliance/deletion/invitees", {"emails": list(emails)})

    def create_single_use_link(self, tenant: str, event_type_uri: str) -> SingleUseLink:
        """Create a booking page that is good for one booking of an event type."""
        owner = self._addresses.parameter(event_type_uri, "event_type")
        body = {"max_event_count": 1, "owner": owner, "owner_type": "EventType"}
        return self._reader.create(SingleUseLink, tenant, "scheduling_links", body)

    # Webhook subscriptions

    def webhook_subscriptions(
        self, tenant: str, organization: str, scope: str, user: str | None = None
    ) -> tuple[WebhookSubscription, ...]:
        """All subscriptions of a scope (``organization`` or ``user``, which needs ``user``)."""
        params = {**self._subscriber(organization, scope, user), "count": _PAGE_SIZE}
        return self._reader.collection(WebhookSubscription, tenant, "webhook_subscriptions", params)

    def create_webhook_subscription(
        self,
        tenant: str,
        *,
        url: str,
        events: Sequence[str],
        organization: str,
        scope: str,
        user: str | None = None,
        signing_key: str | None = None,
    ) -> WebhookSubscription:
        """Subscribe ``url``. Raises CalendlyRejected with code ``already_exists`` when it is subscribed already."""
        body: dict[str, object] = {"url": url, "events": list(events)}
        body.update(self._subscriber(organization, scope, user))
        if signing_key is not None:
            body["signing_key"] = signing_key
        return self._reader.create(WebhookSubscription, tenant, "webhook_subscriptions", body)

    def delete_webhook_subscription(self, tenant: str, uri: str) -> None:
        """Unsubscribe."""
        self._transport.delete(tenant, self._addresses.path(uri, "webhook_subscription"))

    def _subscriber(self, organization: str, scope: str, user: str | None) -> dict[str, str]:
        known: list[tuple[Kind, str | None]] = [("organization", organization), ("user", user)]
        uris = {str(kind): self._addresses.parameter(uri, kind) for kind, uri in known if uri is not None}
        return {**uris, "scope": scope}
