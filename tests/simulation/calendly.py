"""Calendly as its documentation describes it, with books of its own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bookingapp.integrations.calendly import (
    AvailableTime,
    CalendlyClient,
    CalendlyNotFound,
    CalendlyRejected,
    CalendlyUnavailable,
    Cancellation,
    EventType,
    Fetched,
    Invitee,
    NewInvitee,
    Purpose,
    ScheduledEvent,
    User,
)
from bookingapp.integrations.calendly.addresses import Addresses
from bookingapp.integrations.calendly.seen_events import SeenEvents
from bookingapp.integrations.calendly.types import read_resource
from bookingapp.webhooks.models import Provider
from tests.factories import published
from tests.simulation.machines import Machines
from tests.simulation.network import Api, Network

API = "https://api.calendly.com"
Object = dict[str, Any]
STEP = timedelta(minutes=30)
ADDRESSES = ("grace@example.org", "grace.hall@example.net")
PAYMENT = {"external_id": "ch", "provider": "stripe", "amount": 60, "currency": "GBP", "successful": True}


@dataclass(frozen=True)
class Kind:
    uri: str
    minutes: int
    seats: int = 1


class SimulatedCalendly(CalendlyClient):
    """One Calendly organization with one host, whose event types are ``kinds``."""

    def __init__(self, machines: Machines, network: Network, *, user: str, kinds: tuple[Kind, ...]) -> None:
        # Not the client's own: it would make an HTTP client.
        self._addresses, self.seen = Addresses(API), SeenEvents(None)
        self._world = machines.world
        self._network = network
        self._api = Api(machines, "calendly", CalendlyUnavailable)
        self._user = user
        self._kinds = {kind.uri: kind for kind in kinds}
        self._made = 0
        # Whether a rescheduled invitee keeps its tracking values is not documented: it differs from seed to seed.
        self._keeps_tracking = self._world.chance(0.5)
        self.events: dict[str, Object] = {}
        self.people: dict[str, Object] = {}
        # When we first recorded each invitee.
        self.known_at: dict[str, datetime] = {}
        # Who hears of an invitee that we create, with our reference; and when each reference was refused a time.
        self.invited: Callable[[str, Object], None] = lambda _reference, _person: None
        self.refused_at: dict[str, datetime] = {}

    def patient(self, **_: Any) -> CalendlyClient:
        return self

    def for_purpose(self, _purpose: Purpose) -> CalendlyClient:
        """The same: its rate limit is not simulated."""
        return self

    # What our client asks

    def budget_left(self, tenant: str) -> float:
        """Calendly's limits are no part of the simulation."""
        return 1.0

    def seconds_until_bookable(self, tenant: str) -> float:
        """The same."""
        return 0.0

    def available_times(
        self,
        tenant: str,
        event_type_uri: str,
        start: datetime,
        end: datetime,
        *,
        at_most: timedelta | None = None,
    ) -> Fetched[tuple[AvailableTime, ...]]:
        """Free starts: each half hour, and those that anybody ever had. Nothing is cached."""

        def those() -> list[Object]:
            free = sorted({one for one in self._starts(start, end) if self._is_free(event_type_uri, one)})
            return [{"start_time": _wire(one), "scheduling_url": "https://calendly.com/x"} for one in free]

        found = self._api.call("list free times", those)
        times = tuple(read_resource(AvailableTime, one, what="a time") for one in found)
        return Fetched(times, self._world.now, stale=False)

    def create_invitee(
        self, tenant: str, event_type_uri: str, start: datetime, person: NewInvitee
    ) -> Invitee:
        """As the client's: at a free start only."""

        def create() -> Object:
            if not self._is_free(event_type_uri, start):
                self.refused_at[person.utm_content] = self._world.now
                raise CalendlyRejected("not free", status=400, code="slot_taken")
            tracking = {"utm_content": person.utm_content, "utm_source": "bookingapp"}
            made = self._sit(self._event_at(event_type_uri, start), tracking, email=person.email)
            self.note_known(made["uri"])
            self.invited(person.utm_content, made)
            return copy.deepcopy(made)

        found = self._api.call(f"create an invitee at {_wire(start)[:16]}", create)
        return read_resource(Invitee, found, what="an invitee")

    def account_of(self, tenant: str) -> str:
        return "account"

    def known_user(self, tenant: str) -> Fetched[User]:
        return Fetched(self.current_user(tenant), self._world.now, stale=False)

    def current_user(self, tenant: str) -> User:
        data = {**published("calendly/user.json")["resource"], "uri": self._user}
        return read_resource(User, self._api.call("read the user", lambda: data), what="a user")

    def event_type(self, tenant: str, uri: str) -> EventType:
        kind = self._kinds[uri]
        shape = published("calendly/event_types.page1.json")["collection"][0]
        group = "group" if kind.seats > 1 else "solo"
        data = {**shape, "uri": uri, "duration": kind.minutes, "kind": group}
        return read_resource(
            EventType, self._api.call("read an event type", lambda: data), what="an event type"
        )

    def scheduled_event(self, tenant: str, uri: str) -> ScheduledEvent:
        found = self._api.call(f"read an event [{_name(uri)}]", lambda: self._get(self.events, uri))
        return read_resource(ScheduledEvent, found, what="an event")

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
        """As the client's: by start, oldest first."""

        def those() -> list[Object]:
            first, last = _wire(min_start), _wire(max_start)
            found = [
                one
                for one in self.events.values()
                if first <= one["start_time"] <= last and status in (None, one["status"])
            ]
            return copy.deepcopy(sorted(found, key=lambda one: str(one["start_time"])))

        found = self._api.call("list events", those)
        return tuple(read_resource(ScheduledEvent, one, what="an event") for one in found)

    def invitee(self, tenant: str, uri: str) -> Invitee:
        found = self._api.call(f"read an invitee [{_name(uri)}]", lambda: self._get(self.people, uri))
        return read_resource(Invitee, found, what="an invitee")

    def invitees(self, tenant: str, event_uri: str) -> tuple[Invitee, ...]:
        """As the client's: canceled ones included."""

        def those() -> list[Object]:
            self._get(self.events, event_uri)
            return copy.deepcopy([one for one in self.people.values() if one["event"] == event_uri])

        found = self._api.call("list invitees", those)
        return tuple(read_resource(Invitee, one, what="an invitee") for one in found)

    def cancel_event(self, tenant: str, uri: str, reason: str) -> Cancellation:
        """As the client's: for every invitee of it, and once more is no error."""

        def cancel() -> Object:
            event = self._get(self.events, uri)
            if event["status"] == "canceled":
                return dict(event["cancellation"])
            if event["start_time"] <= _wire(self._world.now):
                raise CalendlyRejected("Event in the past", status=403, code="event_in_past")
            said = self._said("host", reason)
            for person in self.sitting(uri):
                self._leave(person, said)
            return said

        return read_resource(
            Cancellation, self._api.call(f"cancel an event [{_name(uri)}]", cancel), what="a cancellation"
        )

    # What people do

    def book(self, kind: str, utm_content: str | None, start: datetime, *, paid: bool = False) -> Object:
        """A client schedules a time; in a group, a seat in the event of that time."""
        event = self._event_at(kind, start)
        return self._sit(event, {"utm_content": utm_content, "utm_source": "bookingapp"}, paid=paid)

    def book_elsewhere(self, kind: str, start: datetime) -> bool:
        """Somebody who is no client of ours books that time, with all its seats. False where it is not free."""
        taken = False
        while self._is_free(kind, start):
            self._sit(self._event_at(kind, start), {})
            taken = True
        return taken

    def cancel(self, invitee_uri: str, by: str) -> bool:
        """Cancel on Calendly's own pages: the ``invitee`` their seat, the ``host`` the whole event."""
        person = self.people[invitee_uri]
        if person["status"] != "active" or self._has_begun(person):
            return False
        said = self._said(by, "Something came up.")
        leaving = [person] if by == "invitee" else self.sitting(person["event"])
        for one in leaving:
            self._leave(one, said)
        return True

    def reschedule(self, invitee_uri: str, start: datetime, by: str) -> Object | None:
        old = self.people[invitee_uri]
        if old["status"] != "active" or self._has_begun(old):
            return None
        event = self._event_at(self.events[old["event"]]["event_type"], start)
        tracking = dict(old["tracking"]) if self._keeps_tracking else {}
        new = self._sit(event, tracking, replaces=old["uri"], paid=old["payment"] is not None)
        self._leave(old, self._said(by, "Moved."), replaced_by=new["uri"])
        return new

    def sitting(self, event_uri: str) -> list[Object]:
        return [
            one for one in self.people.values() if one["event"] == event_uri and one["status"] == "active"
        ]

    def start_of(self, person: Object) -> datetime:
        return datetime.fromisoformat(self.events[person["event"]]["start_time"])

    def end_of(self, person: Object) -> datetime:
        return datetime.fromisoformat(self.events[person["event"]]["end_time"])

    # How it works inside

    def _starts(self, first: datetime, last: datetime) -> Iterator[datetime]:
        at = first.replace(minute=0, second=0, microsecond=0)
        while at <= last:
            if at >= first:
                yield at
            at += STEP
        for event in self.events.values():
            at = datetime.fromisoformat(event["start_time"])
            if first <= at <= last:
                yield at

    def _is_free(self, kind: str, start: datetime) -> bool:
        """The host has one session at a time; in a group there may be seats left."""
        if start <= self._world.now:
            return False
        end, seats = start + timedelta(minutes=self._kinds[kind].minutes), self._kinds[kind].seats
        for event in self.events.values():
            if event["status"] != "active" or event["start_time"] >= _wire(end):
                continue
            if event["end_time"] <= _wire(start):
                continue
            is_same = event["event_type"] == kind and event["start_time"] == _wire(start)
            if not (seats > 1 and is_same and len(self.sitting(event["uri"])) < seats):
                return False
        return True

    def _event_at(self, kind: str, start: datetime) -> Object:
        seats = self._kinds[kind].seats
        for event in self.events.values():
            shared = event["event_type"] == kind and event["start_time"] == _wire(start)
            if (
                seats > 1
                and shared
                and event["status"] == "active"
                and len(self.sitting(event["uri"])) < seats
            ):
                return event
        self._made += 1
        uri = f"{API}/scheduled_events/EV{self._made:08}"
        end = start + timedelta(minutes=self._kinds[kind].minutes)
        event = self.events[uri] = {
            **published("calendly/scheduled_event.json")["resource"],
            "uri": uri,
            "start_time": _wire(start),
            "end_time": _wire(end),
            "event_type": kind,
            "invitees_counter": {"total": 0, "active": 0, "limit": seats},
            "created_at": _wire(self._world.now),
            "updated_at": _wire(self._world.now),
            "event_memberships": [{"user": self._user}],
        }
        return event

    def _sit(
        self,
        event: Object,
        tracking: Object,
        *,
        replaces: str | None = None,
        paid: bool = False,
        email: str | None = None,
    ) -> Object:
        self._made += 1
        now = _wire(self._world.now)
        person = {
            **published("calendly/invitee.json")["resource"],
            "uri": f"{event['uri']}/invitees/IN{self._made:08}",
            "event": event["uri"],
            # One invitee in ten corrects the address, and keeps it when they reschedule.
            "email": email
            or (self.people[replaces]["email"] if replaces else ADDRESSES[self._made % 10 == 0]),
            "tracking": tracking,
            "old_invitee": replaces,
            "payment": PAYMENT if paid else None,
            "created_at": now,
            "updated_at": now,
        }
        self.people[person["uri"]] = person
        event["invitees_counter"]["total"] += 1
        event["invitees_counter"]["active"] += 1
        self._emit("invitee.created", person)
        return person

    def _leave(self, person: Object, said: Object, *, replaced_by: str | None = None) -> None:
        event = self.events[person["event"]]
        person.update(status="canceled", cancellation=said, updated_at=_wire(self._world.now))
        if replaced_by is not None:
            person.update(rescheduled=True, new_invitee=replaced_by)
        event["invitees_counter"]["active"] -= 1
        if not self.sitting(event["uri"]):
            event.update(status="canceled", cancellation=said, updated_at=_wire(self._world.now))
        self._emit("invitee.canceled", person)

    def _said(self, by: str, reason: str) -> Object:
        return {
            "canceled_by": "Ada" if by == "host" else "Grace Hall",
            "reason": reason,
            "canceler_type": by,
            "created_at": _wire(self._world.now),
        }

    def _has_begun(self, person: Object) -> bool:
        return self.start_of(person) <= self._world.now

    def _emit(self, event: str, person: Object) -> None:
        body = {
            "event": event,
            "created_at": _wire(self._world.now.replace(microsecond=0)),
            "created_by": self._user,
            "payload": {
                **copy.deepcopy(person),
                "scheduled_event": copy.deepcopy(self.events[person["event"]]),
            },
        }
        what = f"{event} [{_name(person['uri'])}]"
        self._network.send(Provider.CALENDLY, body, what, then=lambda: self.note_known(person["uri"]))

    def note_known(self, invitee_uri: str) -> None:
        self.known_at.setdefault(invitee_uri, self._world.now)

    def _get(self, shelf: dict[str, Object], uri: str) -> Object:
        if uri not in shelf:
            raise CalendlyNotFound("no such object", status=404)
        return copy.deepcopy(shelf[uri])


def _wire(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _name(uri: str) -> str:
    return uri.rsplit("/", 1)[-1]
