"""A booking as its pages show it: what is true now, and what the client can do next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bookingapp.bookings import policy
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Booking, Slot
from bookingapp.bookings.restore import is_restoring
from bookingapp.bookings.states import Status
from bookingapp.checkout.cancellation import can_cancel
from bookingapp.core import clock
from bookingapp.core.money import format_money
from bookingapp.payments.models import PaymentStatus, RefundState
from bookingapp.payments.service import MoneySummary

STATUS_LABELS = {
    Status.PENDING: "Waiting for a time",
    Status.SCHEDULED: "Time reserved",
    Status.PAID: "Paid",
    Status.CONFIRMED: "Confirmed",
    Status.COMPLETED: "Completed",
    Status.CANCELED: "Canceled",
    Status.EXPIRED: "Expired",
}
PAYMENT_LABELS = {
    PaymentStatus.NONE: "No payment yet",
    PaymentStatus.OPEN: "Payment open",
    PaymentStatus.PROCESSING: "Payment on its way",
    PaymentStatus.PAID: "Paid",
    PaymentStatus.FAILED: "Payment failed",
    PaymentStatus.EXPIRED: "Payment page expired",
    PaymentStatus.PARTIALLY_REFUNDED: "Partly refunded",
    PaymentStatus.REFUNDED: "Refunded",
    PaymentStatus.DISPUTED: "Disputed",
}

# The page asks often at first, when the webhook is on its way, and ever less often later; after the last it
# stops and offers a link.
POLL_SECONDS = (0.3, 0.3, 0.3, 0.5, 0.5, 1, 1, 1, 2, 2, 2, 3, 3, 5, 5, 5, 10, 10, 10, 15, 15, 30, 30, 60)


@dataclass(frozen=True)
class BookingView:
    """Everything that the booking's pages show. Times are aware UTC, money is in minor units."""

    ref: str
    status: Status
    status_label: str
    headline: str
    sentence: str
    payment_status: PaymentStatus
    payment_label: str
    attention: str | None
    attention_words: tuple[str, str] | None
    title: str
    duration_minutes: int
    builder_name: str
    builder_slug: str
    client_name: str
    price_minor: int
    currency: str
    is_free: bool
    starts_at: datetime | None
    ends_at: datetime | None
    moving: bool
    no_show: bool
    timezone: str
    timezone_note: str | None
    hold_expires_at: datetime | None
    join_url: str | None
    steps: list[tuple[str, str]]
    can_schedule: bool
    can_pay: bool
    can_cancel: bool
    can_check: bool
    reschedule_url: str | None
    checking: bool
    live: bool
    next_poll_seconds: float | None
    next_poll_url: str | None
    policy: list[str]
    refund: tuple[int, RefundState] | None
    refund_currency: str


def payment_label(status: PaymentStatus, *, is_free: bool) -> str:
    """The words of a payment status; a free session has nothing to say of money."""
    return "Free" if is_free and status is PaymentStatus.NONE else PAYMENT_LABELS[status]


def present_booking(
    booking: Booking,
    money: MoneySummary,
    *,
    now: datetime,
    poll: int = 0,
    status_url: str = "",
    checking: bool = False,
    withdrawn: bool = False,
) -> BookingView:
    """How the booking looks at ``now``. ``poll`` is how often the page has asked already; ``checking`` says that
    the client is back from Stripe, which has not told us yet how the payment ended; ``withdrawn`` says that the
    booking ended because its session type did.
    """
    status, zone = booking.status, booking.client_timezone
    has_slot = booking.slot is Slot.ACTIVE
    # A hold that has run out is over for the client, even before the worker has come by.
    over = status in (Status.PENDING, Status.SCHEDULED) and bool(
        booking.hold_expires_at and booking.hold_expires_at <= now
    )
    can_pay = status is Status.SCHEDULED and has_slot and not booking.is_free and not over
    moving = booking.moving_since is not None and not status.is_final
    can_pay = can_pay and not booking.paid_in_calendly and not moving
    can_pay = (
        can_pay
        and booking.paid_at is None
        and money.status is not PaymentStatus.PROCESSING
        and not money.is_here
        and not checking
    )
    headline, sentence = _words(booking, money, over=over, checking=checking)
    if withdrawn:
        headline, sentence = _words_when_withdrawn(booking)
    elif moving and not over and not checking:
        headline, sentence = _words_when_moving(booking)
    if restoring := is_restoring(booking):
        headline, sentence = _words_when_restoring()
    live = status in (Status.PENDING, Status.SCHEDULED, Status.PAID) or moving or restoring
    live = live or (
        money.refund is not None and money.refund[1] in (RefundState.ENQUEUED, RefundState.PENDING)
    )
    polls = live and poll < len(POLL_SECONDS)
    return BookingView(
        ref=booking.ref,
        status=status,
        status_label=STATUS_LABELS[status],
        headline=headline,
        sentence=sentence,
        payment_status=money.status,
        payment_label=payment_label(money.status, is_free=booking.is_free),
        attention=booking.attention,
        attention_words=_attention_words(booking, money),
        title=booking.title,
        duration_minutes=booking.duration_minutes,
        builder_name=booking.builder.display_name,
        builder_slug=booking.builder.slug,
        client_name=booking.client_name,
        price_minor=booking.price_minor,
        currency=booking.currency,
        is_free=booking.is_free,
        starts_at=booking.starts_at,
        ends_at=booking.ends_at,
        moving=moving,
        no_show=booking.no_show_at is not None,
        timezone=zone,
        timezone_note=None if moving else _zone_note(booking),
        hold_expires_at=booking.hold_expires_at
        if status is Status.SCHEDULED and not booking.is_free
        else None,
        join_url=booking.join_url if status is Status.CONFIRMED and not moving else None,
        steps=_steps(booking),
        can_schedule=status is Status.PENDING and not over,
        can_pay=can_pay,
        can_cancel=can_cancel(
            booking, now=now, processing=money.status is PaymentStatus.PROCESSING or checking
        )
        and not over,
        can_check=_can_check(booking, money, checking=checking),
        reschedule_url=booking.reschedule_url if _can_move(booking, now=now) and not checking else None,
        checking=checking,
        live=live,
        next_poll_seconds=POLL_SECONDS[poll] if polls else None,
        next_poll_url=status_url if polls else None,
        policy=policy.policy_sentences(booking.policy, is_free=booking.is_free),
        # While the bank has the money, no refund of ours is on its way.
        refund=None if money.taken_back_minor else money.refund,
        refund_currency=money.refund_currency or booking.currency,
    )


def _can_move(booking: Booking, *, now: datetime) -> bool:
    """Whether Calendly's own page would still move it: not once it has begun, nor while it is being moved."""
    is_held = booking.status in (Status.SCHEDULED, Status.CONFIRMED) and booking.slot is Slot.ACTIVE
    ahead = booking.starts_at is not None and booking.starts_at > now
    return is_held and ahead and booking.moving_since is None


def _can_check(booking: Booking, money: MoneySummary, *, checking: bool) -> bool:
    """Whether Stripe may know more than we do: then the client can have it asked now."""
    under_way = (
        checking
        or money.status in (PaymentStatus.OPEN, PaymentStatus.PROCESSING)
        or booking.status is Status.PAID
    )
    under_way = under_way and not booking.status.is_final
    return under_way or (
        money.refund is not None and money.refund[1] in (RefundState.ENQUEUED, RefundState.PENDING)
    )


def _words(booking: Booking, money: MoneySummary, *, over: bool, checking: bool) -> tuple[str, str]:
    who = booking.builder.display_name
    if checking:
        return (
            "Checking your payment",
            "You are back from Stripe, and we are waiting for its word. Please do not pay again.",
        )
    if over:
        return (
            "The hold on this booking has ended",
            f"{_charged(money)} You are welcome to choose a time again.",
        )
    if booking.status is Status.SCHEDULED:
        return _words_while_unpaid(booking, money)
    return {
        Status.PENDING: (
            "Choose your time",
            f"Pick a time with {who}. If you have just picked one, it will show here in a moment.",
        ),
        Status.PAID: (
            "Your payment has arrived",
            "We are waiting for Calendly to tell us your time. There is nothing more to pay.",
        ),
        Status.CONFIRMED: (
            "You are booked",
            f"{who} is looking forward to it. Calendly has sent you an invitation for your calendar.",
        ),
        Status.COMPLETED: (
            "This session is over",
            "" if booking.no_show_at else f"We hope that your time with {who} was worth it.",
        ),
        Status.CANCELED: ("This booking was canceled", _after_cancel(booking, money)),
        Status.EXPIRED: (
            "This booking has expired",
            f"It was not paid in time, so its time was given back. {_charged(money)}"
            if booking.starts_at
            else f"No time was chosen. {_charged(money)}",
        ),
    }[booking.status]


def _words_when_withdrawn(booking: Booking) -> tuple[str, str]:
    who = booking.builder.display_name
    sentence = f"{who} stopped offering it before you had chosen a time. Nothing was charged."
    return "This session is not offered any more", f"{sentence} You are welcome to choose another."


def _words_when_restoring() -> tuple[str, str]:
    return (
        "Your payment came after the hold had ended",
        "We are asking Calendly whether your time can still be had. If it cannot, all of it goes back to you.",
    )


def _words_when_moving(booking: Booking) -> tuple[str, str]:
    due = "" if booking.is_free or booking.paid_at is not None else " You can pay as soon as it is here."
    return (
        "Your session is being moved",
        f"The old time is over, and we are waiting for Calendly to tell us the new one.{due}",
    )


def _attention_words(booking: Booking, money: MoneySummary) -> tuple[str, str] | None:
    """What the client is told of the reason for which a person has to look; None where there is none, or where the
    page says all there is to it in any case.
    """
    who = booking.builder.display_name
    codes = {flag.code for flag in booking.open_flags} - {
        FlagCode.REFUND_DELAYED,
        FlagCode.LATE_PAYMENT_CHECKED,
    }
    disputed = {FlagCode.DISPUTE_OPEN, FlagCode.DISPUTE_LOST}
    if not codes:
        return None
    if codes - disputed - {FlagCode.REFUNDED_OUTSIDE, FlagCode.TYPE_WITHDRAWN}:
        return _words_for_a_doubt(booking, money)
    if codes & disputed:
        return (
            "Your payment is with your bank",
            "You have asked your bank about it, and it decides what happens.",
        )
    if FlagCode.REFUNDED_OUTSIDE in codes:
        words = f"{who} has paid money back to you. Your booking stays as it is until you hear otherwise."
        return "Your booking stands", words
    return (
        "Your booking stands",
        f"{who} does not offer this session to others any more; yours stays as it is.",
    )


def _words_for_a_doubt(booking: Booking, money: MoneySummary) -> tuple[str, str]:
    if booking.paid_in_calendly:
        who = booking.builder.display_name
        words = f"There is nothing to pay here, and {who} has been told. Please do not pay a second time."
        return "You have paid in Calendly", words
    words = "Something about this booking does not add up yet, and we are sorting it out."
    if money.status in (PaymentStatus.PAID, PaymentStatus.PROCESSING):
        words += " You need not do anything; please do not pay a second time."
    return "A person is looking at this", words


def _charged(money: MoneySummary) -> str:
    """Said only where it is true: money may come in after the end, and is then on its way back or looked into."""
    return "Nothing was charged." if not money.charged_minor else "Your payment came too late for it."


def _words_while_unpaid(booking: Booking, money: MoneySummary) -> tuple[str, str]:
    if booking.is_free:
        return "Your time is reserved", "We are about to confirm it."
    if booking.paid_in_calendly:
        return (
            "Your time is reserved",
            f"You have paid in Calendly, and {booking.builder.display_name} has been told. Your time is kept.",
        )
    if money.is_here:
        return (
            "Your payment is not what this booking costs",
            "So it could not be confirmed. All of it goes back to you when the booking ends: please do not pay again.",
        )
    until = booking.hold_expires_at
    held = f"until {clock.clock(until, booking.client_timezone)}" if until else "for a while"
    if money.status is PaymentStatus.PROCESSING:
        return (
            "Your payment is on its way",
            "Your bank needs a while to send it. Your time is kept, and we confirm it when the money arrives.",
        )
    if money.status is PaymentStatus.FAILED:
        return (
            "The payment did not go through",
            f"Nothing was charged. Your time is kept {held}; you can try again.",
        )
    price = format_money(booking.price_minor, booking.currency)
    went_back = (
        "What you paid was not what this booking costs, and went back to you. " if money.charged_minor else ""
    )
    return "Your time is reserved", f"{went_back}Pay {price} to confirm it."


def _after_cancel(booking: Booking, money: MoneySummary) -> str:
    if not money.charged_minor and booking.paid_in_calendly:
        return f"You have paid in Calendly and not here: {booking.builder.display_name} has to pay that back to you."
    if not money.charged_minor:
        return "Nothing was charged."
    if money.taken_back_minor:
        return "Your bank has taken the payment back."
    if money.refund is None:
        return "By the policy you agreed to, there is no refund this close to the start."
    return "The time is free again for somebody else."


def _steps(booking: Booking) -> list[tuple[str, str]]:
    labels = ["Pick", "Time", "Confirmed"] if booking.is_free else ["Pick", "Time", "Pay", "Confirmed"]
    done = {"Pick": True, "Time": booking.slot is Slot.ACTIVE, "Pay": booking.paid_at is not None}
    done["Confirmed"] = booking.status in (Status.CONFIRMED, Status.COMPLETED)
    steps, current_seen = [], booking.status in (Status.CANCELED, Status.EXPIRED)
    for label in labels:
        if done[label]:
            state = "done"
        else:
            state, current_seen = ("todo", True) if current_seen else ("current", True)
        steps.append((label, state))
    return steps


def _zone_note(booking: Booking) -> str | None:
    """The builder's own time, where it reads differently from the client's."""
    if booking.starts_at is None or booking.ends_at is None:
        return None
    theirs, ours = booking.builder.timezone, booking.client_timezone
    if clock.clock(booking.starts_at, theirs) == clock.clock(booking.starts_at, ours):
        return None
    shown = clock.time_range(booking.starts_at, booking.ends_at, theirs)
    return f"For {booking.builder.display_name} in {clock.zone_city(theirs)} that is {shown}."
