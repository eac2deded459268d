"""What operators read about what needs a person: a sentence for each code, and which act settles it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bookingapp.bookings.codes import FlagCode
from bookingapp.console.attention import Item, Source, Topic
from bookingapp.console.models import ActCode
from bookingapp.core.clock import day
from bookingapp.core.i18n import N_, gettext, lazy_gettext
from bookingapp.core.jobs import REGISTRY
from bookingapp.dashboard.words.bookings import with_details
from bookingapp.operations.words import describe
from bookingapp.session_types.words import describe_refusal

TOPIC_LABELS: Final[Mapping[Topic, str]] = {
    Topic.MONEY: lazy_gettext("Money"),
    Topic.TIMES: lazy_gettext("Times"),
    Topic.OTHER: lazy_gettext("Other"),
}
FLAG_SENTENCES: Final[Mapping[FlagCode, str]] = {
    FlagCode.PAID_WITHOUT_TIME: N_(
        "Paid, and Calendly has no time for it. Ask both providers; if there is still none, cancel it with a refund."
    ),
    FlagCode.RESCHEDULED_UNKNOWN: N_(
        "Rescheduled in Calendly, and Calendly does not say to when. Ask it again."
    ),
    FlagCode.WRONG_EVENT_TYPE: N_("The client picked a time of another session type. We are releasing it."),
    FlagCode.UNKNOWN_EVENT_TYPE: N_(
        "Calendly does not say which session type this time is for. Check with the builder that it is the right one."
    ),
    FlagCode.OTHER_HOST: N_(
        "Calendly gave this session to another host. Ask the builder whether that is right."
    ),
    FlagCode.TIME_NOT_READABLE: N_(
        "The client chose a time that Calendly does not let us read. The builder has to connect an account that may."
    ),
    FlagCode.TIME_CANCELED_LATE: N_(
        "The time was canceled in Calendly after it was paid, or after its end. Decide about a refund."
    ),
    FlagCode.NO_SHOW_WITHOUT_TIME: N_("Calendly reports a no-show, but this booking has no session."),
    FlagCode.NO_SHOW_NOT_SENT: N_(
        "Calendly did not accept the no-show mark. The builder has to set it there."
    ),
    FlagCode.TYPE_WITHDRAWN: N_("Calendly no longer offers this session type. The booking stays as it is."),
    FlagCode.OVERLAP: N_("Another session of this builder is at the same time. One of the two has to move."),
    FlagCode.SEAT_NOT_RELEASED: N_(
        "The builder has to remove this client from the group session in Calendly."
    ),
    FlagCode.TIME_NOT_RELEASED: N_(
        "We could not cancel this time in Calendly. The builder has to cancel it there."
    ),
    FlagCode.RELEASE_REFUSED: N_(
        "Calendly refused to cancel the time of this expired booking. The builder has to cancel it there."
    ),
    FlagCode.PAID_IN_CALENDLY: N_(
        "Calendly took a payment for this session, so we charge nothing. Any refund is made in Calendly."
    ),
    FlagCode.LATE_PAYMENT_CHECKED: N_(
        "Paid after the hold had ended. We are asking Calendly whether the time is still available."
    ),
    FlagCode.LATE_PAYMENT: N_(
        "Paid after the booking had ended. We refund it in full; ask Stripe how far that is."
    ),
    FlagCode.PAYMENT_PROCESSING: N_("The bank has neither sent nor refused this payment. Ask Stripe again."),
    FlagCode.PAYMENT_REFUSED: N_(
        "The client could not pay, because Stripe does not accept the details of this payment."
    ),
    FlagCode.PAYMENT_UNEXPECTED: N_(
        "Stripe has a payment that we did not ask for. Look it up there, and refund it."
    ),
    FlagCode.WRONG_AMOUNT: N_("The client paid another amount or currency than the price of this booking."),
    FlagCode.WRONG_REFERENCE: N_("A payment arrived whose reference does not match this booking."),
    FlagCode.REFUND_DELAYED: N_(
        "A refund has not reached Stripe yet. We keep retrying; ask Stripe how far it is."
    ),
    FlagCode.REFUND_REFUSED: N_("Stripe refused a refund. Make it in Stripe, or pay the client another way."),
    FlagCode.REFUND_WAITS_FOR_CLIENT: N_(
        "Stripe has asked the client by e-mail where to send a refund, and waits for the answer."
    ),
    FlagCode.REFUND_UNDELIVERED: N_("A refund could not be delivered. Pay the client another way."),
    FlagCode.REFUNDED_OUTSIDE: N_(
        "Somebody refunded this payment in Stripe, and the session is still on. Ask the builder whether it is."
    ),
    FlagCode.FRAUD_WARNING: N_(
        "The card network reports this payment as fraud. A full refund before it becomes a dispute saves the fee."
    ),
    FlagCode.DISPUTE_OPEN: N_(
        "The client disputes the payment with their bank. It has to be answered in Stripe."
    ),
    FlagCode.DISPUTE_LOST: N_("The dispute is lost: the bank has returned the money to the client."),
    FlagCode.ABSENCE_CLAIMED: N_(
        "The client says that the builder did not come. The builder has a day to answer; then we refund everything."
    ),
    FlagCode.ABSENCE_DENIED: N_(
        "The client says that the builder did not come, and the builder says the opposite. Ask both, and decide."
    ),
    FlagCode.NO_SHOW_DENIED: N_(
        "The client was marked as a no-show, and says that they were there. Ask both, and decide."
    ),
    FlagCode.MAIL_NOT_SENT: N_("We could not deliver an e-mail about this booking. Check the address first."),
    FlagCode.ERASE_IN_CALENDLY: N_(
        "The client asked us to erase their data. The builder has to delete it in Calendly, by hand: Calendly does not "
        "let us."
    ),
    FlagCode.ERASE_IN_STRIPE: N_(
        "The client asked us to erase their data. Redact it in Stripe: the customer and the Checkout Session of each "
        "payment."
    ),
}
# The act that settles each, or the decisions between which a person chooses. A dispute is settled by the bank: its
# booking shows what to answer.
SETTLED_BY: Final[Mapping[FlagCode | Source, ActCode | tuple[ActCode, ...]]] = {
    FlagCode.PAID_WITHOUT_TIME: ActCode.PROVIDERS_ASKED,
    FlagCode.TIME_CANCELED_LATE: (ActCode.AMOUNT_REFUNDED, ActCode.FLAGS_RESOLVED),
    FlagCode.OVERLAP: (ActCode.BOOKING_CANCELED, ActCode.FLAGS_RESOLVED),
    FlagCode.PAYMENT_UNEXPECTED: ActCode.FLAGS_RESOLVED,
    FlagCode.WRONG_AMOUNT: (ActCode.AMOUNT_REFUNDED, ActCode.FLAGS_RESOLVED),
    FlagCode.REFUNDED_OUTSIDE: (ActCode.BOOKING_CANCELED, ActCode.FLAGS_RESOLVED),
    FlagCode.RESCHEDULED_UNKNOWN: ActCode.PROVIDERS_ASKED,
    FlagCode.WRONG_EVENT_TYPE: ActCode.PROVIDERS_ASKED,
    FlagCode.UNKNOWN_EVENT_TYPE: ActCode.FLAGS_RESOLVED,
    FlagCode.OTHER_HOST: ActCode.FLAGS_RESOLVED,
    FlagCode.TIME_NOT_READABLE: ActCode.PROVIDERS_ASKED,
    FlagCode.NO_SHOW_WITHOUT_TIME: ActCode.FLAGS_RESOLVED,
    FlagCode.NO_SHOW_NOT_SENT: ActCode.FLAGS_RESOLVED,
    FlagCode.TYPE_WITHDRAWN: ActCode.FLAGS_RESOLVED,
    FlagCode.SEAT_NOT_RELEASED: ActCode.FLAGS_RESOLVED,
    FlagCode.TIME_NOT_RELEASED: ActCode.FLAGS_RESOLVED,
    FlagCode.RELEASE_REFUSED: ActCode.FLAGS_RESOLVED,
    FlagCode.PAID_IN_CALENDLY: ActCode.FLAGS_RESOLVED,
    FlagCode.LATE_PAYMENT_CHECKED: ActCode.PROVIDERS_ASKED,
    FlagCode.LATE_PAYMENT: ActCode.PROVIDERS_ASKED,
    FlagCode.PAYMENT_PROCESSING: ActCode.PROVIDERS_ASKED,
    FlagCode.PAYMENT_REFUSED: ActCode.FLAGS_RESOLVED,
    FlagCode.WRONG_REFERENCE: ActCode.PROVIDERS_ASKED,
    FlagCode.REFUND_DELAYED: ActCode.PROVIDERS_ASKED,
    FlagCode.REFUND_REFUSED: ActCode.FLAGS_RESOLVED,
    FlagCode.REFUND_WAITS_FOR_CLIENT: ActCode.PROVIDERS_ASKED,
    FlagCode.REFUND_UNDELIVERED: ActCode.FLAGS_RESOLVED,
    FlagCode.FRAUD_WARNING: ActCode.WARNED_REFUNDED,
    FlagCode.DISPUTE_LOST: ActCode.FLAGS_RESOLVED,
    FlagCode.ABSENCE_CLAIMED: (ActCode.ABSENCE_REPORTED, ActCode.ABSENCE_DISMISSED),
    FlagCode.ABSENCE_DENIED: (ActCode.ABSENCE_REPORTED, ActCode.ABSENCE_DISMISSED),
    FlagCode.NO_SHOW_DENIED: (ActCode.CAME_MARKED, ActCode.NO_SHOW_KEPT),
    FlagCode.MAIL_NOT_SENT: ActCode.MAILS_SENT_AGAIN,
    FlagCode.ERASE_IN_CALENDLY: ActCode.FLAGS_RESOLVED,
    FlagCode.ERASE_IN_STRIPE: ActCode.FLAGS_RESOLVED,
    FlagCode.OTHER: ActCode.FLAGS_RESOLVED,
    Source.DELIVERY: (ActCode.DELIVERY_REPLAYED, ActCode.DELIVERY_SET_ASIDE),
    Source.JOB: ActCode.JOB_RETRIED,
    Source.UNATTACHED: ActCode.UNATTACHED_KEPT,
}


def settling_acts(item: Item) -> tuple[ActCode, ...]:
    """The acts whose buttons an item has; none where its own page has to be read first."""
    return acts_for(FlagCode(item.code) if item.source is Source.FLAG else item.source)


def acts_for(what: FlagCode | Source) -> tuple[ActCode, ...]:
    """The acts that settle a flag, or another source's items."""
    acts = SETTLED_BY.get(what, ())
    return acts if isinstance(acts, tuple) else (acts,)


def item_sentence(item: Item, timezone: str) -> str:
    """What an item means, and what to do."""
    match item.source:
        case Source.DELIVERY:
            why = describe(item.outcome, item.facts) or gettext("the reason is not known")
            return gettext("%(type)s could not be applied: %(why)s.", type=item.what, why=why)
        case Source.JOB:
            why = describe(item.outcome, item.facts) or gettext("the reason is not known")
            return gettext("Given up: %(job)s. The last reason: %(why)s.", job=job_label(item.what), why=why)
        case Source.UNATTACHED:
            return gettext(
                "Calendly has a time of a priced session for which we know of no booking and no payment."
            )
        case Source.CONNECTION:
            return gettext(
                "Calendly no longer accepts this builder's connection, so clients cannot book them."
            )
        case Source.FLAG:
            return _item_of_flag(item, timezone)


def _item_of_flag(item: Item, timezone: str) -> str:
    sentence = flag_sentence(FlagCode(item.code), item.facts)
    if item.due_by is not None:
        last = day(item.due_by, timezone)
        return gettext("%(sentence)s The last day is %(day)s.", sentence=sentence, day=last)
    return sentence


def flag_sentence(code: FlagCode, facts: Mapping[str, Any]) -> str:
    """What a flag means for operators, and what to do."""
    if code is FlagCode.OTHER:
        return str(facts["text"])
    sentence = with_details(gettext(FLAG_SENTENCES[code]), facts)
    if code is FlagCode.PAYMENT_REFUSED and facts.get("refusal"):
        why = describe_refusal(facts["refusal"], facts["amount_minor"], facts["currency"])
        return gettext("%(sentence)s %(why)s", sentence=sentence, why=why)
    return sentence


def item_title(item: Item) -> str:
    """Whom or what an item is about."""
    if item.client_name is not None and item.source is not Source.JOB:
        return gettext("%(client)s with %(builder)s", client=item.client_name, builder=item.builder_name)
    if item.source is Source.JOB:
        return job_title(item.what)
    if item.source is Source.DELIVERY:
        return gettext("%(provider)s sent %(type)s", provider=(item.provider or "").title(), type=item.what)
    return str(item.builder_name)


def job_title(name: str | None) -> str:
    """What a job does, as the beginning of a line."""
    label = job_label(name)
    return label[:1].upper() + label[1:]


def job_label(name: str | None) -> str:
    """What a job does, by the name of its type."""
    return str(REGISTRY[name].label) if name in REGISTRY else str(name)
