"""What builders read about a booking: flags, causes, history, money and mails, made from codes and facts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from bookingapp.bookings.attention import sum_of_refunds
from bookingapp.bookings.codes import CauseCode, FlagCode, RefundReason
from bookingapp.bookings.mail_triggers import Mail
from bookingapp.bookings.models import (
    Actor,
    Booking,
    HistoryEntry,
    Move,
    RequestState,
    Slot,
    SlotRequest,
    Source,
)
from bookingapp.bookings.states import Event
from bookingapp.checkout.refund_words import CHOICES
from bookingapp.checkout.words import STATUS_LABELS
from bookingapp.core.clock import day_time
from bookingapp.core.i18n import N_, gettext, lazy_gettext
from bookingapp.core.money import format_money
from bookingapp.dashboard.words.erasure import with_elsewhere
from bookingapp.dashboard.words.mails import mail_label
from bookingapp.dashboard.words.outcomes import describe_outcome
from bookingapp.payments.models import Dispute, EntryKind, LedgerEntry, Payment, RefundState
from bookingapp.session_types.words import describe_refusal

FLAGS: Final[Mapping[FlagCode, str]] = {
    FlagCode.PAID_WITHOUT_TIME: lazy_gettext("Paid, but Calendly has no time for it yet."),
    FlagCode.RESCHEDULED_UNKNOWN: lazy_gettext(
        "The time was rescheduled in Calendly, and Calendly does not say to when. Nothing was refunded."
    ),
    FlagCode.WRONG_EVENT_TYPE: lazy_gettext(
        "A time of a different session type was picked in Calendly. We are releasing it."
    ),
    FlagCode.UNKNOWN_EVENT_TYPE: lazy_gettext(
        "Calendly does not say which session type this time is for. Please check that it is the right one."
    ),
    FlagCode.OTHER_HOST: lazy_gettext(
        "Calendly gave this session to another host. Please check who holds it, and cancel it if it should have been "
        "you."
    ),
    FlagCode.TIME_NOT_READABLE: lazy_gettext(
        "This client chose a time that Calendly does not let us read, so the booking cannot go on. The time may belong "
        "to another host. Please check it in Calendly, and connect an account here that may see it."
    ),
    FlagCode.TIME_CANCELED_LATE: lazy_gettext(
        "The time was canceled in Calendly after it was paid, or after its end."
    ),
    FlagCode.NO_SHOW_WITHOUT_TIME: lazy_gettext(
        "Calendly reports that the client did not come, but this booking has no session."
    ),
    FlagCode.NO_SHOW_NOT_SENT: lazy_gettext(
        "Calendly did not accept your note on who came. Please mark it in Calendly."
    ),
    FlagCode.TYPE_WITHDRAWN: lazy_gettext(
        "Calendly no longer offers this session type. This booking stays as it is."
    ),
    FlagCode.OVERLAP: lazy_gettext(
        "Another session of yours is at the same time. Please move or cancel one of the two, then mark this as "
        "resolved."
    ),
    FlagCode.SEAT_NOT_RELEASED: lazy_gettext(
        "Please remove this client from the group session in Calendly. The others stay booked."
    ),
    FlagCode.TIME_NOT_RELEASED: lazy_gettext(
        "We could not cancel this time in Calendly. Please cancel it there."
    ),
    FlagCode.RELEASE_REFUSED: lazy_gettext(
        "Calendly refused to cancel the time of this expired booking. Please cancel it there."
    ),
    FlagCode.PAID_IN_CALENDLY: lazy_gettext(
        "Calendly has taken a payment for this session, so we charge nothing. Please settle it in Calendly."
    ),
    FlagCode.LATE_PAYMENT_CHECKED: lazy_gettext(
        "Paid after the hold had ended. We are asking Calendly whether the time is still available."
    ),
    FlagCode.LATE_PAYMENT: lazy_gettext("Paid after the booking had ended. We refund the payment in full."),
    FlagCode.PAYMENT_PROCESSING: lazy_gettext(
        "The payment has neither arrived nor failed. We keep the time meanwhile, until the session begins."
    ),
    FlagCode.PAYMENT_REFUSED: lazy_gettext(
        "The client could not pay, because Stripe does not accept the details of this payment."
    ),
    FlagCode.PAYMENT_UNEXPECTED: lazy_gettext(
        "Stripe has a payment for this booking that we did not ask for. Please check it in Stripe."
    ),
    FlagCode.WRONG_AMOUNT: lazy_gettext(
        "The client paid another amount or currency than the price of this booking."
    ),
    FlagCode.WRONG_REFERENCE: lazy_gettext("A payment arrived whose reference does not match this booking."),
    FlagCode.ABSENCE_CLAIMED: lazy_gettext("Your client says that you did not come. Were you there?"),
    FlagCode.ABSENCE_DENIED: lazy_gettext(
        "Your client says that you did not come, and you say that you were there. A person of our team looks at it."
    ),
    FlagCode.NO_SHOW_DENIED: lazy_gettext(
        "You marked this client as a no-show, and they say that they were there. A person of our team looks at it. If "
        "it was a mistake, please undo the mark."
    ),
    FlagCode.REFUND_DELAYED: lazy_gettext("A refund has not reached Stripe yet. We keep retrying."),
    FlagCode.REFUND_REFUSED: lazy_gettext("Stripe refused a refund. Please refund it in Stripe."),
    FlagCode.REFUND_WAITS_FOR_CLIENT: lazy_gettext(
        "Stripe has asked the client by e-mail where to send a refund, and waits for the answer."
    ),
    FlagCode.REFUND_UNDELIVERED: lazy_gettext(
        "A refund could not be delivered. Please pay it out another way."
    ),
    FlagCode.REFUNDED_OUTSIDE: lazy_gettext(
        "You refunded this client in Stripe. Is the session still on? If not, please cancel it."
    ),
    FlagCode.FRAUD_WARNING: lazy_gettext(
        "The card network reports this payment as fraud. If you refund it in full before it becomes a dispute, you pay "
        "no dispute fee."
    ),
    FlagCode.DISPUTE_OPEN: lazy_gettext(
        "The client disputes the payment with their bank. Please answer in Stripe in time."
    ),
    FlagCode.DISPUTE_LOST: lazy_gettext(
        "You lost the dispute. The client's bank has returned the money to them."
    ),
    FlagCode.MAIL_NOT_SENT: lazy_gettext(
        "We could not deliver an e-mail about this booking. Please check the address, then send it again."
    ),
    FlagCode.ERASE_IN_CALENDLY: lazy_gettext(
        "This client asked us to erase their data. Please delete it in Calendly too, in your calendar and in your "
        "mails, then mark this as resolved."
    ),
    FlagCode.ERASE_IN_STRIPE: lazy_gettext(
        "This client asked us to erase their data. This site's operator redacts it in Stripe, then marks this as "
        "resolved."
    ),
}

CAUSES: Final[Mapping[CauseCode, str]] = {
    CauseCode.SESSION_TYPE_PICKED: lazy_gettext("picked a session type"),
    CauseCode.TIME_REPORTED: lazy_gettext("chose a time; confirmed by Calendly"),
    CauseCode.TIME_BOOKED_HERE: lazy_gettext("chose a time on our list; booked in Calendly"),
    CauseCode.PAYMENT_CAPTURED: lazy_gettext("charged the authorized payment"),
    CauseCode.AUTHORIZATION_RELEASED: lazy_gettext("released the authorized payment; nothing was charged"),
    CauseCode.RESCHEDULE_FETCHED: lazy_gettext("asked Calendly for the new time"),
    CauseCode.MISSED_TIMES_FETCHED: lazy_gettext("asked Calendly for missed changes"),
    CauseCode.TIME_REQUESTED_AGAIN: lazy_gettext("booked the time again, because the payment arrived late"),
    CauseCode.STRIPE_FETCHED: lazy_gettext("asked Stripe"),
    CauseCode.MISSED_MONEY_FETCHED: lazy_gettext("asked Stripe for missed changes"),
    CauseCode.MISSED_EVENTS_FETCHED: lazy_gettext("asked Stripe for missed events"),
    CauseCode.CHECKOUT_EXPIRED_BY_HOLD: lazy_gettext("closed the payment page at the end of the hold"),
    CauseCode.CHECKOUT_EXPIRED_UNWANTED: lazy_gettext("closed a payment page that is no longer needed"),
    CauseCode.CHECKOUT_REPLACED: lazy_gettext("closed an old payment page"),
    CauseCode.CHECKOUT_EXPIRED: lazy_gettext("closed the payment page"),
    CauseCode.CHECKOUT_WAS_OVER: lazy_gettext("the payment page had already ended"),
    CauseCode.ORPHAN_EXPIRED: lazy_gettext("closed a payment page that was never shown"),
    CauseCode.HOLD_ENDED: lazy_gettext("the hold ended"),
    CauseCode.SESSION_ENDED: lazy_gettext("the session ended"),
    CauseCode.CANCELED_ON_PAGE: lazy_gettext("canceled on the booking page"),
    CauseCode.CANCELED_ON_DASHBOARD: lazy_gettext("canceled on the dashboard"),
    CauseCode.NO_SHOW_MARKED: lazy_gettext("marked the client as a no-show"),
    CauseCode.ABSENCE_REPORTED: lazy_gettext("could not come"),
    CauseCode.ABSENCE_CLAIMED: lazy_gettext("says that the builder did not come"),
    CauseCode.ABSENCE_WITHDRAWN: lazy_gettext("says that the builder came after all"),
    CauseCode.ABSENCE_DENIED: lazy_gettext("says that they were there"),
    CauseCode.ABSENCE_DISMISSED: lazy_gettext("decided that the session took place"),
    CauseCode.ABSENCE_UNANSWERED: lazy_gettext("refunds everything, because the builder did not answer"),
    CauseCode.NO_SHOW_DENIED: lazy_gettext("says that they were there"),
    CauseCode.NO_SHOW_KEPT: lazy_gettext("decided that the mark stays"),
    CauseCode.CHECK_REQUESTED: lazy_gettext("asked Stripe and Calendly"),
    CauseCode.ATTENDANCE_MARKED: lazy_gettext("noted that the client came"),
    CauseCode.TYPE_WITHDRAWN: lazy_gettext("the session type is no longer offered in Calendly"),
    CauseCode.PAYMENT_DECLINED: lazy_gettext("a try to pay failed; the client can try again"),
    CauseCode.WITHHELD_FOR_DISPUTE: lazy_gettext("the client's bank has the money for a dispute"),
    CauseCode.MADE_IN_STRIPE: lazy_gettext("made in Stripe's dashboard"),
    CauseCode.DATA_ERASED: lazy_gettext("name, addresses, answers, notes and deliveries were deleted"),
    CauseCode.ERASURE_SENT: lazy_gettext("Calendly deletes it within seven days"),
}


_ACTORS = {
    Actor.CLIENT: N_("the client"),
    Actor.BUILDER: N_("the builder"),
    Actor.OPERATOR: N_("the operator"),
    Actor.CALENDLY: N_("Calendly"),
    Actor.STRIPE: N_("Stripe"),
    Actor.SYSTEM: N_("this site"),
}
_EVENTS = {
    Event.SLOT_TAKEN: N_("%(client)s chose a time"),
    Event.SLOT_MOVED: N_("Moved to another time"),
    Event.MOVE_BEGUN: N_("Being moved to another time"),
    Event.SLOT_LOST: N_("The time was canceled in Calendly"),
    Event.PAYMENT_RECEIVED: N_("%(client)s paid"),
    Event.SETTLED: N_("Everything is in place"),
    Event.CANCEL: N_("The session was canceled"),
    Event.EXPIRE: N_("The hold ended"),
    Event.COMPLETE: N_("The session ended"),
    Event.RESTORED: N_("Paid after the hold, and the time was still available"),
    Event.NO_SHOW: N_("%(client)s did not come"),
    Event.NO_SHOW_UNDONE: N_("%(client)s is no longer marked as a no-show"),
    Event.BUILDER_ABSENT: N_("The builder did not come"),
}
# What a person did that left the status as it is.
_ACTS = {
    CauseCode.FLAG_RESOLVED: N_("Marked as resolved"),
    CauseCode.REFUND_DECIDED: N_("A refund was decided"),
    CauseCode.MAIL_REPEATED: N_("An e-mail was sent again"),
    CauseCode.CHECK_REQUESTED: N_("Checked again"),
    CauseCode.DATA_ERASED: N_("The client's data was erased"),
    CauseCode.ERASURE_SENT: N_("Calendly was asked to erase the client's data"),
    CauseCode.ABSENCE_CLAIMED: N_("Somebody did not come"),
    CauseCode.ABSENCE_WITHDRAWN: N_("The builder came after all"),
    CauseCode.ABSENCE_DENIED: N_("It is disputed who came"),
    CauseCode.ABSENCE_DISMISSED: N_("It was decided who came"),
    CauseCode.NO_SHOW_DENIED: N_("It is disputed who came"),
    CauseCode.NO_SHOW_KEPT: N_("It was decided who came"),
}
_SOURCES = {
    Source.WEBHOOK: N_("Calendly sent us this time, last on %(at)s."),
    Source.FETCHED: N_("We checked this time with Calendly, last on %(at)s."),
}
# By kind of entry, and whether the amount is positive.
_MOVEMENTS = {
    (EntryKind.CHARGE, True): N_("Paid"),
    (EntryKind.REFUND, False): N_("Refunded"),
    (EntryKind.REFUND, True): N_("A refund came back"),
    (EntryKind.DISPUTE, False): N_("Taken back by the client's bank"),
    (EntryKind.DISPUTE, True): N_("Returned by the client's bank"),
    (EntryKind.FEE, False): N_("Kept by Stripe"),
    (EntryKind.FEE, True): N_("Returned by Stripe"),
}
_REFUNDS = {
    RefundState.ENQUEUED: N_("being made"),
    RefundState.PENDING: N_("on its way"),
    RefundState.SUCCEEDED: N_("done"),
    RefundState.FAILED: N_("failed"),
    RefundState.DROPPED: N_("not needed"),
}
# By Stripe's status of a dispute. The bank's inquiry ("warning") comes before a dispute and moves no money.
DISPUTES = {
    "needs_response": N_("A dispute over %(amount)s has to be answered"),
    "under_review": N_("The client's bank is reviewing a dispute over %(amount)s"),
    "won": N_("You won a dispute over %(amount)s"),
    "lost": N_("You lost a dispute over %(amount)s"),
    "warning_needs_response": N_("The client's bank inquires about %(amount)s and has to be answered"),
    "warning_under_review": N_("The client's bank is reviewing its inquiry about %(amount)s"),
    "warning_closed": N_("The client's bank closed its inquiry about %(amount)s and took nothing"),
    "prevented": N_("A dispute over %(amount)s was prevented"),
}


def flag_sentence(code: FlagCode, facts: Mapping[str, Any]) -> str:
    """What the flag means for the builder, and what to do."""
    if code is FlagCode.PAYMENT_REFUSED and facts.get("refusal"):
        why = describe_refusal(facts["refusal"], facts["amount_minor"], facts["currency"])
        return gettext(
            "The client could not pay. %(why)s Clients cannot book this type until you change it.", why=why
        )
    if code is FlagCode.TIME_NOT_READABLE and "scope" in facts:
        return gettext(
            "This client chose a time that Calendly does not let us read: our access lacks the permission %(scope)s. "
            "Please connect your account again and allow it.",
            scope=facts["scope"],
        )
    return str(facts["text"]) if code is FlagCode.OTHER else with_details(str(FLAGS[code]), facts)


def with_details(sentence: str, facts: Mapping[str, Any]) -> str:
    """The sentence of a flag, with the amount of the refunds that it is about and what is to be erased elsewhere."""
    sums = sum_of_refunds(facts)
    if sums:
        amount = ", ".join(format_money(minor, currency) for currency, minor in sums.items())
        return gettext("%(sentence)s Amount: %(amount)s.", sentence=sentence, amount=amount)
    return with_elsewhere(sentence, facts)


def cause_words(code: CauseCode, facts: Mapping[str, Any]) -> str:
    """What brought a change about, in a few words."""
    if code is CauseCode.WEBHOOK:
        return gettext("webhook %(type)s", type=facts["type"])
    if code is CauseCode.FLAG_RESOLVED:
        return gettext("resolved: %(flag)s", flag=flag_sentence(FlagCode(facts["flag"]), facts))
    if code is CauseCode.REFUND_DECIDED:
        amount = format_money(facts["amount_minor"], facts["currency"])
        why = gettext(CHOICES[RefundReason(facts["reason"])])
        return gettext("refunds %(amount)s. %(why)s", amount=amount, why=why)
    if code is CauseCode.MAIL_REPEATED:
        return gettext("sent again: %(mail)s", mail=mail_label(Mail(facts["mail"])))
    if code is CauseCode.REFUSED_BY_STRIPE:
        return gettext("refused by Stripe: %(reason)s", reason=describe_outcome(facts["category"], {}))
    return str(facts["text"]) if code is CauseCode.OTHER else str(CAUSES[code])


def history_line(entry: HistoryEntry, client: str, *, names_delivery: bool = True) -> tuple[str, str]:
    """One change of a booking: what changed (``Paid → Confirmed``), and why and by whom. ``client`` is a name;
    ``names_delivery`` adds the type of the delivery that reported it.
    """
    event = gettext(_EVENTS[entry.event], client=client) if entry.event else ""
    why = [gettext(_ACTORS[entry.actor])]
    if names_delivery or entry.cause is not CauseCode.WEBHOOK:
        why.append(cause_words(entry.cause, entry.cause_facts))
    if entry.from_status is entry.to_status:
        return event or gettext(_ACTS[entry.cause]), " · ".join(why)
    # Our own causes say what happened; a provider's say only how we know.
    if event and entry.actor in (Actor.CALENDLY, Actor.STRIPE):
        why.insert(0, event)
    before = f"{STATUS_LABELS[entry.from_status]} → " if entry.from_status else ""
    return f"{before}{STATUS_LABELS[entry.to_status]}", " · ".join(why)


def move_line(move: Move, timezone: str) -> str:
    """Who rescheduled, and from when to when."""
    times = {
        "old": day_time(move.from_start, timezone),
        "new": day_time(move.to_start, timezone) if move.to_start else gettext("a time not known yet"),
    }
    if move.by is None:
        return gettext("Rescheduled from %(old)s to %(new)s.", **times)
    return gettext("Rescheduled by %(who)s from %(old)s to %(new)s.", who=gettext(_ACTORS[move.by]), **times)


def slot_source(source: Source, at: datetime, timezone: str) -> str:
    """Where a booking's time is known from, and when it was last confirmed."""
    return gettext(_SOURCES[source], at=day_time(at, timezone))


def way_line(booking: Booking, request: SlotRequest | None, timezone: str) -> str | None:
    """In which way the client chose the time; None where they have not chosen one. ``request`` is their choice on our
    list.
    """
    if request is None or request.state is RequestState.DROPPED:
        return gettext("Chosen in Calendly's calendar.") if booking.slot is not Slot.NONE else None
    if request.state is RequestState.TAKEN:
        if booking.is_free:
            return gettext("Chosen on our list of times.")
        return gettext(
            "Chosen on our list of times: the payment was authorized first, then the time was booked."
        )
    when = day_time(request.starts_at, timezone)
    if request.state is RequestState.GONE:
        return gettext("Chose %(time)s on our list of times, but the time was taken by then.", time=when)
    if request.state is RequestState.REFUSED:
        why = describe_outcome(request.refusal, {})
        return gettext(
            "Chose %(time)s on our list of times, but Calendly refused it. %(why)s.", time=when, why=why
        )
    return gettext("Chose %(time)s on our list of times. It is not booked yet.", time=when)


def authorized_line(payment: Payment) -> str:
    """What becomes of money that is authorized."""
    return gettext(
        "%(amount)s is authorized and not charged. We charge it once the time is booked, else we release it; you don't "
        "need to do anything.",
        amount=format_money(payment.amount_minor, payment.currency),
    )


def overlap_line(other: Booking, timezone: str) -> str:
    """The other session of two that are at the same time."""
    when = day_time(other.starts_at, timezone) if other.starts_at else gettext("a time not known yet")
    return gettext("%(title)s, %(client)s, %(time)s", title=other.title, client=other.client_name, time=when)


def movement_label(entry: LedgerEntry) -> str:
    """One entry of the ledger, without its amount."""
    return gettext(_MOVEMENTS[entry.kind, entry.amount_minor > 0])


def refund_line(minor: int, state: RefundState, currency: str) -> str:
    """A refund's amount and how far it is."""
    amount, label = format_money(minor, currency), gettext(_REFUNDS[state])
    return f"{amount} ({label})"


def dispute_sentence(dispute: Dispute, sentences: Mapping[str, str] = DISPUTES) -> str:
    """The state of a dispute, by Stripe's status of it. ``sentences`` are its builder's, or those of another reader."""
    status, amount = dispute.status, format_money(dispute.amount_minor, dispute.currency)
    if status not in sentences:
        return gettext(
            "A dispute over %(amount)s: %(status)s", amount=amount, status=status.replace("_", " ")
        )
    return gettext(sentences[status], amount=amount)
