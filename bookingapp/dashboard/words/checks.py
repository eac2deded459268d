"""What builders read about their session types in Calendly and about the checks of their connection."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bookingapp.core.clock import clock, day, zone
from bookingapp.core.i18n import N_, gettext
from bookingapp.dashboard.connection_checks import Check, CheckLevel, CheckResult, Subject
from bookingapp.dashboard.words.outcomes import describe_outcome
from bookingapp.session_types.models import PriceState, SessionType
from bookingapp.session_types.words import describe_refusal

_PRICE_STATES = {
    PriceState.INACTIVE: N_("Off in Calendly"),
    PriceState.POLL: N_("Meeting poll"),
    PriceState.UNPRICED: N_("No price yet"),
    PriceState.HIDDEN: N_("Hidden"),
    PriceState.PUBLISHED: N_("Published"),
}
_SUBJECTS = {
    Subject.CALENDLY: N_("Calendly"),
    Subject.WEBHOOKS: N_("Webhooks"),
    Subject.SUBSCRIPTION: N_("New bookings from Calendly"),
}
_RESULTS = {
    CheckResult.LISTS_TYPES: N_("Calendly answers. Your active event types: %(number)s."),
    CheckResult.NO_TYPES: N_("Calendly answers, but lists no active event type of yours."),
    CheckResult.STALE: N_("Calendly is not answering right now; we use its last good answer."),
    CheckResult.REFUSED: N_("We cannot read your Calendly. %(failure)s."),
    CheckResult.LACKS_SCOPES: N_(
        "Our access to your Calendly lacks a permission: %(scopes)s. Please connect your account again and allow it."
    ),
    CheckResult.ALL_APPLIED: N_("Every event from Calendly and Stripe is applied."),
    CheckResult.WAITING: N_("Events that wait to be applied: %(number)s. You don't need to do anything."),
    CheckResult.DEAD: N_("Events that could not be applied and need the operator: %(number)s."),
    CheckResult.SUBSCRIBED: N_("Calendly sends us every booking. Last checked at %(at)s."),
    CheckResult.NEVER_CHECKED: N_(
        "Not checked yet whether Calendly sends us new bookings. We check every hour."
    ),
    CheckResult.LATE: N_(
        "Not checked since %(at)s whether Calendly sends us new bookings. It should be every hour."
    ),
    CheckResult.UNKNOWN: N_(
        "At %(at)s we could not check whether Calendly sends us new bookings. %(failure)s."
    ),
    CheckResult.RETRYING: N_(
        "Calendly has had trouble reaching this site since %(since)s, and keeps trying."
    ),
    CheckResult.CREATED: N_("Calendly was not set up to send us new bookings; it is since %(at)s."),
    CheckResult.COMPLETED: N_(
        "Calendly did not send us everything; repaired at %(at)s. We are fetching what was missed."
    ),
    CheckResult.REPAIRED_MISSING: N_(
        "Calendly stopped sending us bookings some time after %(since)s; repaired at %(at)s. We are fetching "
        "what was missed."
    ),
    CheckResult.REPAIRED_DISABLED: N_(
        "Calendly stopped sending us bookings at %(since)s; repaired at %(at)s. We are fetching what was missed."
    ),
}


def price_state(state: PriceState) -> str:
    """How an event type is in the price list, on its badge."""
    return gettext(_PRICE_STATES[state])


def session_type_note(
    state: PriceState, row: SessionType | None, *, secret: bool, is_paid: bool
) -> str | None:
    """What the builder should know of an event type; ``row`` is its row of the price list."""
    if state is PriceState.INACTIVE:
        return gettext("Switched off in Calendly: it cannot be booked, whatever you set here.")
    if state is PriceState.POLL:
        return gettext("A meeting poll in Calendly: clients cannot book it directly, so they do not see it.")
    if row is not None and row.refusal is not None:
        why = describe_refusal(row.refusal, row.price_minor, row.currency)
        return gettext("%(why)s Clients cannot book it until you change it.", why=why)
    if secret and state is PriceState.PUBLISHED:
        return gettext(
            "Secret in Calendly: your profile does not list it. Anyone with this link can book it:"
        )
    if is_paid:
        return gettext(
            "Calendly asks for a payment here. Switch that off there, so that clients do not pay twice."
        )
    return gettext("Secret in Calendly, so your profile does not list it.") if secret else None


def check_line(check: Check, timezone: str, *, now: datetime) -> tuple[str, CheckLevel, str]:
    """Subject, level and sentence of a check of the connection; times are in ``timezone``."""
    facts = {name: _fact(name, fact, timezone, now) for name, fact in check.facts.items()}
    return gettext(_SUBJECTS[check.subject]), check.level, gettext(_RESULTS[check.result], **facts)


def _fact(name: str, fact: Any, timezone: str, now: datetime) -> str:
    """A time is ``10:42 GMT`` today, and has its day on another day."""
    if name == "failure":
        return describe_outcome(fact, {})
    if not isinstance(fact, datetime):
        return str(fact)
    shown, here = clock(fact, timezone), zone(timezone)
    if fact.astimezone(here).date() == now.astimezone(here).date():
        return shown
    return gettext("%(time)s on %(day)s", time=shown, day=day(fact, timezone))
