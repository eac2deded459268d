"""What builders and operators read about the set-up of a session type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bookingapp.core.clock import duration, wait
from bookingapp.core.i18n import N_, gettext, ngettext
from bookingapp.core.money import format_money
from bookingapp.dashboard.words.outcomes import describe_outcome
from bookingapp.session_types.setup import Setup, SetupFinding, SetupResult
from bookingapp.session_types.words import describe_list_refusal, describe_not_listed, describe_refusal

_SUBJECTS = (
    (
        N_("Price"),
        (
            SetupResult.NO_PRICE,
            SetupResult.REFUSED_BY_STRIPE,
            SetupResult.FREE,
            SetupResult.PRICED,
        ),
    ),
    (N_("Published"), (SetupResult.PUBLISHED, SetupResult.HIDDEN)),
    (
        N_("In Calendly"),
        (SetupResult.DELETED, SetupResult.SWITCHED_OFF, SetupResult.POLL, SetupResult.SWITCHED_ON),
    ),
    (N_("Calendly's payment"), (SetupResult.PAID_IN_CALENDLY, SetupResult.NOT_PAID_IN_CALENDLY)),
    (N_("Secret"), (SetupResult.SECRET,)),
    (N_("Length"), (SetupResult.SEVERAL_LENGTHS, SetupResult.ODD_LENGTH, SetupResult.LENGTH)),
    (N_("Place"), (SetupResult.PLACE_UNKNOWN, SetupResult.NO_PLACE, SetupResult.PLACE)),
    (
        N_("Host"),
        (
            SetupResult.ROUND_ROBIN,
            SetupResult.COLLECTIVE,
            SetupResult.OTHER_OWNER,
            SetupResult.OWN_HOST,
        ),
    ),
    (N_("Free times"), (SetupResult.TIMES_UNKNOWN, SetupResult.NO_TIMES, SetupResult.TIMES)),
    (
        N_("List of times"),
        (
            SetupResult.LISTED,
            SetupResult.LIST_NOT_WANTED,
            SetupResult.NOT_LISTED,
            SetupResult.LIST_REFUSED,
            SetupResult.LIST_LIMITED,
            SetupResult.ONLY_NOT_LISTED,
            SetupResult.ONLY_LIST_REFUSED,
        ),
    ),
    (N_("Redirect"), (SetupResult.REDIRECT_UNKNOWN,)),
)
_SENTENCES = {
    SetupResult.NO_PRICE: N_("It has no price yet; a price of 0 makes it free."),
    SetupResult.FREE: N_("It is free."),
    SetupResult.PRICED: N_("It costs %(price)s."),
    SetupResult.PUBLISHED: N_("It is published."),
    SetupResult.HIDDEN: N_("You have hidden it: it is not published, so clients cannot book it."),
    SetupResult.DELETED: N_("It was deleted in Calendly."),
    SetupResult.SWITCHED_OFF: N_("It is switched off in Calendly."),
    SetupResult.POLL: N_("It is a meeting poll in Calendly, which clients cannot book at once."),
    SetupResult.SWITCHED_ON: N_("It is switched on in Calendly."),
    SetupResult.PAID_IN_CALENDLY: N_(
        "Calendly itself asks for a payment; switch that off there, so that clients do not pay twice."
    ),
    SetupResult.NOT_PAID_IN_CALENDLY: N_("Calendly itself asks for no payment."),
    SetupResult.SECRET: N_(
        "It is secret in Calendly: your profile does not list it, and only clients with its link can book it."
    ),
    SetupResult.SEVERAL_LENGTHS: N_("Clients may choose between %(lengths)s, all for one price."),
    SetupResult.ODD_LENGTH: N_("It takes %(length)s; is that intended?"),
    SetupResult.LENGTH: N_("It takes %(length)s."),
    SetupResult.PLACE_UNKNOWN: N_("Calendly does not say where it takes place."),
    SetupResult.NO_PLACE: N_("It has no place in Calendly, so clients will not know where to go or call."),
    SetupResult.PLACE: N_("Clients learn from Calendly where it takes place."),
    SetupResult.ROUND_ROBIN: N_(
        "It is a round robin: Calendly may give a session to another host, while clients book you here. We flag each "
        "booking that you do not hold."
    ),
    SetupResult.COLLECTIVE: N_(
        "It has several hosts who all take part, while clients book you here. Canceling it cancels for all of them."
    ),
    SetupResult.OTHER_OWNER: N_(
        "It belongs to somebody else in Calendly, so we may not be able to read or cancel its sessions. Please publish "
        "a session type of your own, or connect the account that it belongs to."
    ),
    SetupResult.OWN_HOST: N_("You hold its sessions."),
    SetupResult.TIMES_UNKNOWN: N_("We could not fetch them. %(failure)s."),
    SetupResult.NO_TIMES: N_("It has no free time in the next 31 days."),
    SetupResult.LISTED: N_("Clients can book it on our list of times."),
    SetupResult.LIST_NOT_WANTED: N_("You offer it in Calendly's calendar only."),
    SetupResult.NOT_LISTED: N_("Our list cannot book it, so clients use Calendly's calendar. %(reason)s"),
    SetupResult.LIST_REFUSED: N_(
        "Calendly refused a booking from our list, so clients use Calendly's calendar. %(refusal)s"
    ),
    SetupResult.LIST_LIMITED: N_(
        "Calendly accepts no new bookings from our list for %(wait)s, because a limit of your plan is reached. Clients "
        "use Calendly's calendar meanwhile."
    ),
    SetupResult.ONLY_NOT_LISTED: N_(
        "You want bookings on our list only, but it cannot book this type, so clients use Calendly's calendar. "
        "%(reason)s"
    ),
    SetupResult.ONLY_LIST_REFUSED: N_(
        "You want bookings on our list only, but Calendly refused one, so clients use Calendly's calendar. %(refusal)s"
    ),
    SetupResult.REDIRECT_UNKNOWN: N_(
        "Calendly does not say whether it sends clients to another page after booking. None is needed; if you set one, "
        "use %(address)s and pass the event details on."
    ),
}
# How the facts in the sentences' gaps are written.
_FACTS: Mapping[str, Callable[[Any], str]] = {
    "price": lambda price: format_money(*price),
    "lengths": lambda lengths: ", ".join(map(duration, lengths)),
    "length": duration,
    "failure": lambda category: describe_outcome(category, {}),
    "reason": describe_not_listed,
    "refusal": describe_list_refusal,
    "wait": wait,
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
    if finding.result is SetupResult.TIMES:
        return ngettext(
            "It has one free time in the next 31 days.",
            "It has %(num)s free times in the next 31 days.",
            finding.facts["number"],
        )
    if finding.result is SetupResult.REFUSED_BY_STRIPE:
        why = describe_refusal(finding.facts["refusal"], *finding.facts["price"])
        return gettext(
            "%(why)s Change its price or currency, or save it again once Stripe accepts it.", why=why
        )
    facts = {name: _FACTS[name](value) for name, value in finding.facts.items()}
    return gettext(_SENTENCES[finding.result], **facts)
