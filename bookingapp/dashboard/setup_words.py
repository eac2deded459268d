"""What builders and operators read about the set-up of a session type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bookingapp.core.clock import duration
from bookingapp.core.i18n import N_, gettext, ngettext
from bookingapp.core.money import format_money
from bookingapp.session_types.setup import Result, Setup, SetupFinding

_SUBJECTS = (
    (N_("Price"), (Result.NO_PRICE, Result.FREE, Result.PRICED)),
    (N_("Published"), (Result.PUBLISHED, Result.HIDDEN)),
    (N_("In Calendly"), (Result.DELETED, Result.SWITCHED_OFF, Result.POLL, Result.SWITCHED_ON)),
    (N_("Calendly's payment"), (Result.PAID_IN_CALENDLY, Result.NOT_PAID_IN_CALENDLY)),
    (N_("Secret"), (Result.SECRET,)),
    (N_("Length"), (Result.SEVERAL_LENGTHS, Result.ODD_LENGTH, Result.LENGTH)),
    (N_("Place"), (Result.PLACE_UNKNOWN, Result.NO_PLACE, Result.PLACE)),
    (N_("Free times"), (Result.TIMES_UNKNOWN, Result.NO_TIMES, Result.TIMES)),
    (N_("Redirect"), (Result.REDIRECT_UNKNOWN,)),
)
_SENTENCES = {
    Result.NO_PRICE: N_("It has no price yet; a price of 0 makes it free."),
    Result.FREE: N_("It is free."),
    Result.PRICED: N_("It costs %(price)s."),
    Result.PUBLISHED: N_("It is published."),
    Result.HIDDEN: N_("You have hidden it: it is not published, so clients cannot book it."),
    Result.DELETED: N_("It was deleted in Calendly."),
    Result.SWITCHED_OFF: N_("It is switched off in Calendly."),
    Result.POLL: N_("It is a meeting poll in Calendly, which clients cannot book at once."),
    Result.SWITCHED_ON: N_("It is switched on in Calendly."),
    Result.PAID_IN_CALENDLY: N_(
        "Calendly itself asks for a payment; switch that off there, so that clients do not pay twice."
    ),
    Result.NOT_PAID_IN_CALENDLY: N_("Calendly itself asks for no payment."),
    Result.SECRET: N_(
        "It is secret in Calendly: your profile does not list it, and only clients with its link can book it."
    ),
    Result.SEVERAL_LENGTHS: N_("Clients may choose between %(lengths)s, all for one price."),
    Result.ODD_LENGTH: N_("It takes %(length)s; is that intended?"),
    Result.LENGTH: N_("It takes %(length)s."),
    Result.PLACE_UNKNOWN: N_("Calendly does not say where it takes place."),
    Result.NO_PLACE: N_("It has no place in Calendly, so clients will not know where to go or call."),
    Result.PLACE: N_("Clients learn from Calendly where it takes place."),
    Result.TIMES_UNKNOWN: N_("We could not fetch them. %(why)s"),
    Result.NO_TIMES: N_("It has no free time in the next 31 days."),
    Result.REDIRECT_UNKNOWN: N_(
        "Calendly does not say whether it sends clients to another page after booking. None is needed; if you set one, "
        "use %(address)s and pass the event details on."
    ),
}
# How the facts in the sentences' gaps are written.
_FACTS: Mapping[str, Callable[[Any], str]] = {
    "price": lambda price: format_money(*price),
    "lengths": lambda lengths: ", ".join(map(duration, lengths)),
    "length": duration,
    "why": gettext,
    "address": str,
}


def name_subject(finding: SetupFinding) -> str:
    """What was checked."""
    return next(gettext(label) for label, results in _SUBJECTS if finding.result in results)


def summarize_setup(setup: Setup) -> str:
    """The worst fault, and how many others there are."""
    if not setup.faults:
        return gettext("Everything is in place.")
    worst, others = describe_finding(setup.faults[0]), len(setup.faults) - 1
    return gettext("%(fault)s (%(num)s more)", fault=worst, num=others) if others else worst


def describe_finding(finding: SetupFinding) -> str:
    """What one check found, in a sentence."""
    if finding.result is Result.TIMES:
        return ngettext(
            "It has one free time in the next 31 days.",
            "It has %(num)s free times in the next 31 days.",
            finding.facts["number"],
        )
    facts = {name: _FACTS[name](value) for name, value in finding.facts.items()}
    return gettext(_SENTENCES[finding.result], **facts)
