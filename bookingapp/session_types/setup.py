"""Checks whether a session type is ready for clients. ``dashboard/words/setup.py`` has the sentences."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bookingapp.core.i18n import N_, gettext
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, EventType
from bookingapp.session_types.listing import LONGEST_WAIT_SECONDS, NotListed, why_not_listed
from bookingapp.session_types.models import SessionType, Ways
from bookingapp.session_types.service import is_offered
from bookingapp.session_types.times import fetch_free_times

SHORTEST_MINUTES = 5
LONGEST_MINUTES = 12 * 60  # Calendly's own limit.


class SetupLevel(enum.StrEnum):
    """How much a finding matters."""

    GREEN = "green"  # All is well.
    NOTE = "note"  # Calendly's API does not say it: the builder has to check.
    AMBER = "amber"  # Clients can book it, but something may be wrong.
    RED = "red"  # Clients cannot book it.

    @property
    def label(self) -> str:
        """The words on the badge."""
        return gettext(_BADGES[self])


_BADGES = {
    SetupLevel.GREEN: N_("Ready"),
    SetupLevel.NOTE: N_("Please check"),
    SetupLevel.AMBER: N_("Needs attention"),
    SetupLevel.RED: N_("Cannot be booked"),
}


class SetupResult(enum.StrEnum):
    """What one check found. Behind each result are its facts."""

    NO_PRICE = "no_price"
    FREE = "free"
    PRICED = "priced"  # price: minor units and currency
    REFUSED_BY_STRIPE = "refused_by_stripe"  # price, refusal: a SaleRefusal
    PUBLISHED = "published"
    HIDDEN = "hidden"
    DELETED = "deleted"
    SWITCHED_OFF = "switched_off"
    POLL = "poll"
    SWITCHED_ON = "switched_on"
    PAID_IN_CALENDLY = "paid_in_calendly"
    NOT_PAID_IN_CALENDLY = "not_paid_in_calendly"
    SECRET = "secret"  # noqa: S105 - no password.
    SEVERAL_LENGTHS = "several_lengths"  # lengths: in minutes, sorted
    ODD_LENGTH = "odd_length"  # length: in minutes
    LENGTH = "length"  # length: in minutes
    PLACE_UNKNOWN = "place_unknown"
    NO_PLACE = "no_place"
    PLACE = "place"
    ROUND_ROBIN = "round_robin"
    COLLECTIVE = "collective"
    OTHER_OWNER = "other_owner"
    OWN_HOST = "own_host"
    TIMES_UNKNOWN = "times_unknown"  # failure: the error's category
    NO_TIMES = "no_times"
    TIMES = "times"  # number
    LISTED = "listed"
    LIST_NOT_WANTED = "list_not_wanted"
    NOT_LISTED = "not_listed"  # reason: a NotListed
    LIST_REFUSED = "list_refused"  # refusal: the category of Calendly's error
    LIST_LIMITED = "list_limited"  # wait: in seconds
    # The same where the builder wants the list only: clients have Calendly's calendar meanwhile.
    ONLY_NOT_LISTED = "only_not_listed"
    ONLY_LIST_REFUSED = "only_list_refused"
    REDIRECT_UNKNOWN = (
        "redirect_unknown"  # address: where Calendly may send clients after they have scheduled
    )


_RED = (
    SetupResult.NO_PRICE,
    SetupResult.REFUSED_BY_STRIPE,
    SetupResult.DELETED,
    SetupResult.SWITCHED_OFF,
    SetupResult.POLL,
    SetupResult.PAID_IN_CALENDLY,
)
_AMBER = (
    SetupResult.HIDDEN,
    SetupResult.SEVERAL_LENGTHS,
    SetupResult.ODD_LENGTH,
    SetupResult.NO_PLACE,
    SetupResult.ROUND_ROBIN,
    SetupResult.COLLECTIVE,
    SetupResult.OTHER_OWNER,
    SetupResult.TIMES_UNKNOWN,
    SetupResult.LIST_REFUSED,
    SetupResult.LIST_LIMITED,
    SetupResult.ONLY_NOT_LISTED,
    SetupResult.ONLY_LIST_REFUSED,
)
_NOTE = (
    SetupResult.SECRET,
    SetupResult.PLACE_UNKNOWN,
    SetupResult.NOT_LISTED,
    SetupResult.REDIRECT_UNKNOWN,
)
# Said by other checks: nobody can book such a type at all.
_CANNOT_BE_BOOKED = (NotListed.SWITCHED_OFF, NotListed.NOT_INSTANT, NotListed.PAID_IN_CALENDLY)
_LEVELS = {
    **dict.fromkeys(_RED, SetupLevel.RED),
    **dict.fromkeys((*_AMBER, SetupResult.NO_TIMES), SetupLevel.AMBER),
    **dict.fromkeys(_NOTE, SetupLevel.NOTE),
}


@dataclass(frozen=True)
class SetupFinding:
    """What one check found, with its facts."""

    result: SetupResult
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def level(self) -> SetupLevel:
        """How much it matters."""
        return _LEVELS.get(self.result, SetupLevel.GREEN)


@dataclass(frozen=True)
class Setup:
    """All findings on one session type."""

    findings: Sequence[SetupFinding]

    @property
    def faults(self) -> list[SetupFinding]:
        """The red findings, then the amber ones."""
        return [f for level in (SetupLevel.RED, SetupLevel.AMBER) for f in self.findings if f.level is level]

    @property
    def level(self) -> SetupLevel:
        """Red where a finding is red, else amber where one is, else green."""
        return self.faults[0].level if self.faults else SetupLevel.GREEN


def check_setup(
    calendly: CalendlyClient,
    tenant: str,
    event_type: EventType,
    row: SessionType | None,
    *,
    host: str,
    redirect_to: str,
    now: datetime,
) -> Setup:
    """Check one event type and its row of the price list; fetches its free times where it is offered. ``host`` is the
    builder's URI in Calendly; ``redirect_to`` is the address of ours to which Calendly may send clients after they
    have scheduled.
    """
    found = [*_check_row(row), *_check_event_type(event_type), _check_host(event_type, host)]
    if is_offered(event_type):
        found.append(_check_times(calendly, tenant, event_type, now))
        found.extend(_check_list(calendly, tenant, event_type, row))
    return Setup([*found, SetupFinding(SetupResult.REDIRECT_UNKNOWN, {"address": redirect_to})])


def _check_row(row: SessionType | None) -> Iterator[SetupFinding]:
    if row is None:
        yield SetupFinding(SetupResult.NO_PRICE)
        return
    price = (row.price_minor, row.currency)
    if row.refusal is not None:
        yield SetupFinding(SetupResult.REFUSED_BY_STRIPE, {"refusal": row.refusal, "price": price})
    elif row.price_minor:
        yield SetupFinding(SetupResult.PRICED, {"price": price})
    else:
        yield SetupFinding(SetupResult.FREE)
    yield SetupFinding(SetupResult.PUBLISHED if row.published else SetupResult.HIDDEN)


def _check_event_type(event_type: EventType) -> Iterator[SetupFinding]:
    if event_type.deleted_at is not None:
        yield SetupFinding(SetupResult.DELETED)
    elif not event_type.active:
        yield SetupFinding(SetupResult.SWITCHED_OFF)
    else:
        yield SetupFinding(SetupResult.SWITCHED_ON if is_offered(event_type) else SetupResult.POLL)
    yield SetupFinding(
        SetupResult.PAID_IN_CALENDLY if event_type.is_paid else SetupResult.NOT_PAID_IN_CALENDLY
    )
    if event_type.secret:
        yield SetupFinding(SetupResult.SECRET)
    yield _check_length(event_type)
    if event_type.locations is None:
        yield SetupFinding(SetupResult.PLACE_UNKNOWN)
    else:
        yield SetupFinding(SetupResult.PLACE if event_type.locations else SetupResult.NO_PLACE)


def _check_host(event_type: EventType, host: str) -> SetupFinding:
    """Whether the builder is the one who holds the sessions, as clients are told."""
    owner = event_type.owner
    if event_type.pooling_type == "collective":
        return SetupFinding(SetupResult.COLLECTIVE)
    if event_type.pooling_type is not None:
        return SetupFinding(SetupResult.ROUND_ROBIN)
    is_own = owner is None or owner.rpartition("/")[2] == host.rpartition("/")[2]
    return SetupFinding(SetupResult.OWN_HOST if is_own else SetupResult.OTHER_OWNER)


def _check_length(event_type: EventType) -> SetupFinding:
    options = sorted(set(event_type.duration_options or ()))
    if len(options) > 1:
        return SetupFinding(SetupResult.SEVERAL_LENGTHS, {"lengths": options})
    is_odd = not SHORTEST_MINUTES <= event_type.duration <= LONGEST_MINUTES
    return SetupFinding(
        SetupResult.ODD_LENGTH if is_odd else SetupResult.LENGTH, {"length": event_type.duration}
    )


def _check_times(calendly: CalendlyClient, tenant: str, event_type: EventType, now: datetime) -> SetupFinding:
    try:
        found = fetch_free_times(calendly, tenant, event_type.uri, now=now)
    except CalendlyError as error:
        return SetupFinding(SetupResult.TIMES_UNKNOWN, {"failure": error.category})
    if not found.starts:
        return SetupFinding(SetupResult.NO_TIMES)
    return SetupFinding(SetupResult.TIMES, {"number": len(found.starts)})


def _check_list(
    calendly: CalendlyClient, tenant: str, event_type: EventType, row: SessionType | None
) -> Iterator[SetupFinding]:
    """Whether our own list of times can book it."""
    ways = row.ways if row is not None else Ways.BOTH
    reason, is_only = why_not_listed(event_type), ways is Ways.TIMES
    if reason in _CANNOT_BE_BOOKED:
        return
    wait = calendly.seconds_until_bookable(tenant)
    if ways is Ways.WIDGET:
        yield SetupFinding(SetupResult.LIST_NOT_WANTED)
    elif reason is not None:
        result = SetupResult.ONLY_NOT_LISTED if is_only else SetupResult.NOT_LISTED
        yield SetupFinding(result, {"reason": reason})
    elif row is not None and row.list_refusal is not None:
        result = SetupResult.ONLY_LIST_REFUSED if is_only else SetupResult.LIST_REFUSED
        yield SetupFinding(result, {"refusal": row.list_refusal})
    elif wait > LONGEST_WAIT_SECONDS:
        yield SetupFinding(SetupResult.LIST_LIMITED, {"wait": round(wait)})
    else:
        yield SetupFinding(SetupResult.LISTED)
