"""Is a session type ready for clients: one finding for each thing that has to be right, in words.

Red means that clients cannot book it, amber that they can and somebody should look, green that all is well. What
Calendly's API does not tell is a note for the builder's own eyes, and colors nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bookingapp.core.clock import duration
from bookingapp.core.money import format_money
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, EventType
from bookingapp.session_types.models import SessionType
from bookingapp.session_types.service import is_offered
from bookingapp.session_types.times import fetch_free_times

SHORTEST_MINUTES = 5
LONGEST_MINUTES = 12 * 60  # Calendly's own limit.


class Level(enum.StrEnum):
    """How much a finding matters."""

    GREEN = "green"
    NOTE = "note"
    AMBER = "amber"
    RED = "red"

    @property
    def label(self) -> str:
        """The words on the badge."""
        return {
            "green": "Ready",
            "note": "To see for yourself",
            "amber": "Have a look",
            "red": "Cannot be booked",
        }[self.value]


@dataclass(frozen=True)
class SetupFinding:
    """One thing that was looked at, and a whole sentence that says how it is."""

    level: Level
    subject: str
    sentence: str


@dataclass(frozen=True)
class Setup:
    """All findings on one session type."""

    findings: Sequence[SetupFinding]

    @property
    def level(self) -> Level:
        """Red where one thing is red, else amber where one is, else green."""
        found = {finding.level for finding in self.findings}
        return next((level for level in (Level.RED, Level.AMBER) if level in found), Level.GREEN)

    @property
    def sentence(self) -> str:
        """What matters most, and how many more things there are to look at."""
        mine = [finding for finding in self.findings if finding.level is self.level]
        if self.level is Level.GREEN:
            return "Everything is in place."
        rest = sum(f.level in (Level.AMBER, Level.RED) for f in self.findings) - 1
        more = f" ({rest} more)" if rest else ""
        return f"{mine[0].sentence}{more}"


def check_setup(
    calendly: CalendlyClient,
    tenant: str,
    event_type: EventType,
    row: SessionType | None,
    *,
    redirect_to: str,
    now: datetime,
) -> Setup:
    """Look at one event type and its price; asks Calendly for its free times where it is on offer.

    ``redirect_to`` is where Calendly may send clients after they have scheduled.
    """
    found = [_price(row), *_published(row), _active(event_type), _payment(event_type)]
    found += [*_secret(event_type), _duration(event_type), _location(event_type)]
    if is_offered(event_type):
        found.append(_free(calendly, tenant, event_type, now))
    found.append(_redirect(redirect_to))
    return Setup(found)


def _price(row: SessionType | None) -> SetupFinding:
    if row is None:
        return SetupFinding(Level.RED, "Price", "It has no price yet; a price of 0 makes it free.")
    words = f"It costs {format_money(row.price_minor, row.currency)}." if row.price_minor else "It is free."
    return SetupFinding(Level.GREEN, "Price", words)


def _published(row: SessionType | None) -> list[SetupFinding]:
    if row is None:
        return []
    if row.published:
        return [SetupFinding(Level.GREEN, "Published", "It is published.")]
    return [
        SetupFinding(
            Level.AMBER, "Published", "You have hidden it: it is not published, so nobody can book it."
        )
    ]


def _active(event_type: EventType) -> SetupFinding:
    if event_type.deleted_at is not None:
        return SetupFinding(Level.RED, "In Calendly", "It was deleted in Calendly.")
    if not event_type.active:
        return SetupFinding(Level.RED, "In Calendly", "It is switched off in Calendly.")
    if not is_offered(event_type):
        return SetupFinding(
            Level.RED, "In Calendly", "It is a meeting poll in Calendly, which nobody can book on the spot."
        )
    return SetupFinding(Level.GREEN, "In Calendly", "It is switched on in Calendly.")


def _payment(event_type: EventType) -> SetupFinding:
    if event_type.is_paid:
        return SetupFinding(
            Level.RED,
            "Calendly's payment",
            "Calendly itself asks for a payment; switch that off there, so that nobody pays twice.",
        )
    return SetupFinding(Level.GREEN, "Calendly's payment", "Calendly itself asks for no payment.")


def _secret(event_type: EventType) -> list[SetupFinding]:
    if not event_type.secret:
        return []
    words = "It is secret in Calendly: your profile does not list it, and only who has its link can book it."
    return [SetupFinding(Level.NOTE, "Secret", words)]


def _duration(event_type: EventType) -> SetupFinding:
    options = event_type.duration_options or ()
    if len(set(options)) > 1:
        words = ", ".join(duration(minutes) for minutes in sorted(set(options)))
        return SetupFinding(Level.AMBER, "Length", f"Clients may choose between {words}, all for one price.")
    if not SHORTEST_MINUTES <= event_type.duration <= LONGEST_MINUTES:
        return SetupFinding(
            Level.AMBER, "Length", f"It takes {duration(event_type.duration)}; is that meant so?"
        )
    return SetupFinding(Level.GREEN, "Length", f"It takes {duration(event_type.duration)}.")


def _location(event_type: EventType) -> SetupFinding:
    if event_type.location_kinds is None:
        return SetupFinding(Level.NOTE, "Place", "Calendly does not tell us where it takes place.")
    if not event_type.location_kinds:
        return SetupFinding(
            Level.AMBER, "Place", "It has no place in Calendly, so clients will not know where to go or call."
        )
    return SetupFinding(Level.GREEN, "Place", "Clients are told where it takes place.")


def _free(calendly: CalendlyClient, tenant: str, event_type: EventType, now: datetime) -> SetupFinding:
    try:
        found = fetch_free_times(calendly, tenant, event_type.uri, now=now)
    except CalendlyError as error:
        return SetupFinding(Level.AMBER, "Free times", f"They could not be looked up. {error.user_message}")
    if not found.starts:
        return SetupFinding(Level.AMBER, "Free times", "It has no free time in the next 31 days.")
    number = len(found.starts)
    words = "one free time" if number == 1 else f"{number} free times"
    return SetupFinding(Level.GREEN, "Free times", f"It has {words} in the next 31 days.")


def _redirect(redirect_to: str) -> SetupFinding:
    words = (
        "Calendly does not tell us whether it sends clients to another page after booking. None is needed; if one "
        f"is set, let it be {redirect_to} with the details passed on."
    )
    return SetupFinding(Level.NOTE, "Redirect", words)
