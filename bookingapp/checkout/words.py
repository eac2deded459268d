"""What clients read about a booking: one place for the labels, headlines and sentences of its pages.

What is true and which actions there are is decided in :mod:`bookingapp.checkout.presenter`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bookingapp.bookings.attention import is_flagged
from bookingapp.bookings.codes import ATTENDANCE_FLAGS, RELEASE_FLAGS, FlagCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.states import Status
from bookingapp.checkout.refund_words import say_unpaid_voucher
from bookingapp.core import clock
from bookingapp.core.i18n import gettext as _
from bookingapp.core.i18n import lazy_gettext, translated
from bookingapp.core.money import format_money
from bookingapp.payments.models import PaymentStatus
from bookingapp.payments.service import MoneySummary

STATUS_LABELS: Final[Mapping[Status, str]] = {
    Status.PENDING: lazy_gettext("Waiting for a time"),
    Status.SCHEDULED: lazy_gettext("Time reserved"),
    Status.PAID: lazy_gettext("Paid"),
    Status.CONFIRMED: lazy_gettext("Confirmed"),
    Status.COMPLETED: lazy_gettext("Completed"),
    Status.CANCELED: lazy_gettext("Canceled"),
    Status.EXPIRED: lazy_gettext("Expired"),
}
PAYMENT_LABELS: Final[Mapping[PaymentStatus, str]] = {
    PaymentStatus.NONE: lazy_gettext("No payment"),
    PaymentStatus.OPEN: lazy_gettext("Not paid yet"),
    PaymentStatus.AUTHORIZED: lazy_gettext("Authorized, nothing charged yet"),
    PaymentStatus.PROCESSING: lazy_gettext("Payment processing"),
    PaymentStatus.PAID: lazy_gettext("Paid"),
    PaymentStatus.FAILED: lazy_gettext("Payment failed"),
    PaymentStatus.EXPIRED: lazy_gettext("Payment page expired"),
    PaymentStatus.PARTIALLY_REFUNDED: lazy_gettext("Partly refunded"),
    PaymentStatus.REFUNDED: lazy_gettext("Refunded"),
    PaymentStatus.DISPUTED: lazy_gettext("Disputed"),
}

_NOTHING_PAID = (PaymentStatus.NONE, PaymentStatus.OPEN, PaymentStatus.FAILED, PaymentStatus.EXPIRED)

Words = tuple[str, str]
"""A headline and a sentence."""


def payment_label(
    status: PaymentStatus, *, is_free: bool, was_released: bool = False, in_calendly: bool = False
) -> str:
    """The label of a payment status; ``Free`` for a free session without a payment. ``was_released``: the money was
    authorized, so more happened than that a page expired. ``in_calendly``: Calendly took a payment, and we took none.
    """
    if in_calendly and not is_free and status in _NOTHING_PAID:
        return _("Paid in Calendly")
    if was_released and status is PaymentStatus.EXPIRED:
        return _("Released, nothing was charged")
    return _("Free") if is_free and status is PaymentStatus.NONE else translated(PAYMENT_LABELS)[status]


def chosen_label(*, is_asked: bool) -> str:
    """The label of a pending booking for which a time was chosen on our list."""
    return _("Time is being booked") if is_asked else _("Time not reserved yet")


def chosen_note(*, is_asked: bool) -> str:
    """How far such a time is, below it."""
    return _("This time is being booked.") if is_asked else _("This time is not reserved yet.")


def checking() -> Words:
    """The client is back from Stripe, and the outcome of the payment is not known yet."""
    return _("Checking your payment"), _("Stripe is confirming your payment. Please don't pay again.")


def pay_first(booking: Booking, when: str, *, is_declined: bool) -> Words:
    """A time was chosen on our list: it is paid first, and charged once it is the client's."""
    price = format_money(booking.price_minor, booking.currency)
    sentence = _(
        "Pay %(price)s to book %(time)s. You are charged only once the time is yours.", price=price, time=when
    )
    if is_declined:
        return _("Your last try to pay did not go through"), sentence
    return _("One step is left"), sentence


def taking(when: str) -> Words:
    """The chosen time is being booked."""
    return _("We are booking your time"), _(
        "We are booking %(time)s for you. You don't need to do anything.", time=when
    )


def time_lost(booking: Booking, when: str, *, is_gone: bool, is_authorized: bool) -> Words:
    """The chosen time is gone, or Calendly refused it."""
    headline = _("Your time was just taken") if is_gone else _("This time could not be booked")
    happened = (
        _("Somebody else was faster for %(time)s.", time=when)
        if is_gone
        else _("We could not book %(time)s.", time=when)
    )
    if not is_authorized or booking.hold_expires_at is None:
        again = _("Nothing was charged. Please choose another time.")
    else:
        again = _(
            "Nothing was charged. Until %(until)s you can choose another time without paying again; after that we "
            "release your payment.",
            until=clock.clock(booking.hold_expires_at, booking.client_timezone),
        )
    return headline, f"{happened} {again}"


def hold_ended(money: MoneySummary) -> Words:
    """The hold has ended, and the booking is not expired yet."""
    sentence = (
        _("Your payment arrived too late for it. You are welcome to choose a time again.")
        if money.charged_minor
        else _("Nothing was charged. You are welcome to choose a time again.")
    )
    return _("The hold on this booking has ended"), sentence


def withdrawn(booking: Booking) -> Words:
    """The session type was withdrawn before a time was chosen."""
    return _("This session is no longer offered"), _(
        "%(builder)s stopped offering it before you had chosen a time. Nothing was charged. "
        "You are welcome to choose another session.",
        builder=booking.builder.display_name,
    )


def payment_refused(booking: Booking) -> Words:
    """Stripe refuses the payment for good."""
    return _("This session cannot be paid"), _(
        "Stripe does not accept a payment of %(price)s here. Nothing was charged, and %(builder)s knows about it. "
        "Please choose another session, or ask %(builder)s.",
        price=format_money(booking.price_minor, booking.currency),
        builder=booking.builder.display_name,
    )


def rescheduling(booking: Booking) -> Words:
    """The old time is gone and the new one is not known yet."""
    headline = _("Your session is being rescheduled")
    if booking.is_free or booking.paid_at is not None or booking.paid_in_calendly:
        return headline, _("We are waiting for your new time from Calendly.")
    return headline, _("We are waiting for your new time from Calendly. You can pay as soon as it is here.")


def restoring() -> Words:
    """The payment arrived late, and Calendly is asked for the time again."""
    return (
        _("Your payment arrived after the hold had ended"),
        _(
            "We are asking Calendly whether your time is still available. If it is not, we refund you in full."
        ),
    )


def begun(booking: Booking, *, has_ended: bool) -> Words:
    """A confirmed session from its start until it is completed, which takes a moment after its end."""
    if has_ended:
        return _("This session is over"), _thanks(booking)
    return _("It's time for your session"), _(
        "Your session with %(builder)s has started.", builder=booking.builder.display_name
    )


def _thanks(booking: Booking) -> str:
    """Nothing where one side says that the other did not come."""
    if booking.no_show_at is not None or booking.absence_claim is not None:
        return ""
    return _("We hope your time with %(builder)s was worth it.", builder=booking.builder.display_name)


def by_status(booking: Booking, money: MoneySummary) -> Words:
    """The booking by its status."""
    who = booking.builder.display_name
    pick = _(
        "Pick a time with %(builder)s. If you have just picked one, it appears here in a moment.", builder=who
    )
    confirmed = _(
        "Your session with %(builder)s is confirmed. Calendly has sent you an invitation for your calendar.",
        builder=who,
    )
    paid = _("We are waiting for your time from Calendly. There is nothing more to pay.")
    if booking.status is Status.SCHEDULED and is_flagged(booking, FlagCode.PAYMENT_REFUSED):
        return payment_refused(booking)
    if booking.status is Status.SCHEDULED:
        return _say_unpaid(booking, money)
    return {
        Status.PENDING: (_("Choose your time"), pick),
        Status.PAID: (_("Your payment has arrived"), paid),
        Status.CONFIRMED: (_("You are booked"), confirmed),
        Status.COMPLETED: (_("This session is over"), _thanks(booking)),
        Status.CANCELED: (
            _("Your session did not take place")
            if booking.builder_absent_at
            else _("Your session is canceled"),
            _say_canceled(booking, money),
        ),
        Status.EXPIRED: (_("This booking has expired"), _say_expired(booking, money)),
    }[booking.status]


def _say_expired(booking: Booking, money: MoneySummary) -> str:
    if money.voucher_url:
        return say_unpaid_voucher()
    if money.charged_minor:
        return _("It was not paid in time, so we released the time. Your payment arrived too late for it.")
    if is_flagged(booking, FlagCode.PAYMENT_REFUSED):
        return _("Stripe did not accept the payment, so we released the time. Nothing was charged.")
    if booking.starts_at:
        return _("It was not paid in time, so we released the time. Nothing was charged.")
    return _("No time was chosen. Nothing was charged.")


def _say_unpaid(booking: Booking, money: MoneySummary) -> Words:
    reserved = _("Your time is reserved")
    if booking.is_free:
        return reserved, _("We are about to confirm it.")
    if booking.paid_in_calendly:
        return reserved, _(
            "You have paid in Calendly, and %(builder)s knows about it. Your time is kept.",
            builder=booking.builder.display_name,
        )
    if money.is_here:
        return (
            _("Your payment does not match the price"),
            _(
                "So we could not confirm the booking, and we refund you in full when it ends. Please don't pay again."
            ),
        )
    return _say_under_way(money) or _ask_to_pay(booking, money)


def _say_under_way(money: MoneySummary) -> Words | None:
    """A payment that the client has made and that has not arrived; None where there is none."""
    if money.voucher_url:
        return _("Please pay your voucher"), _(
            "Your payment is not made yet. We hold your time and confirm it when the money arrives. If you have paid, "
            "you don't need to do anything."
        )
    if money.status is PaymentStatus.AUTHORIZED:
        return _("Your time is yours"), _("We are completing your payment. You don't need to do anything.")
    if money.status is PaymentStatus.PROCESSING:
        return (
            _("Your payment is processing"),
            _("The money takes a while to arrive. We hold your time and confirm it when it is here."),
        )
    return None


def _ask_to_pay(booking: Booking, money: MoneySummary) -> Words:
    if money.status is PaymentStatus.FAILED:
        until = booking.hold_expires_at
        held = clock.clock(until, booking.client_timezone) if until else ""
        kept = _("Nothing was charged. Your time is held until %(time)s; you can try again.", time=held)
        return _("The payment did not go through"), kept if held else _(
            "Nothing was charged. You can try again."
        )
    price = format_money(booking.price_minor, booking.currency)
    if money.is_declined:
        return _("Your last try to pay did not go through"), _(
            "Nothing was charged. Pay %(price)s to confirm your time, by another way if you like.",
            price=price,
        )
    again = _(
        "The amount you paid did not match the price, so we refunded it. Pay %(price)s to confirm.",
        price=price,
    )
    return _("Your time is reserved"), again if money.charged_minor else _(
        "Pay %(price)s to confirm it.", price=price
    )


def again_label(booking: Booking) -> str | None:
    """The button that books the same session once more; None while this booking is open."""
    if booking.status is Status.COMPLETED:
        return _("Book the next hour")
    return _("Book this session again") if booking.status.is_final and booking.erased_at is None else None


def _say_canceled(booking: Booking, money: MoneySummary) -> str:
    money_words, sorry = _say_canceled_money(booking, money), _say_sorry(booking)
    return money_words if sorry is None else f"{sorry} {money_words}"


def _say_sorry(booking: Booking) -> str | None:
    """The apology to a client who did not cancel; None for one who did."""
    who = booking.builder.display_name
    if booking.canceled_by is Actor.SYSTEM:
        return _("%(builder)s did not answer when we asked about your session. We're sorry.", builder=who)
    if booking.builder_absent_at is not None:
        return _("%(builder)s could not come. We're sorry.", builder=who)
    if booking.canceled_by is Actor.BUILDER:
        return _("%(builder)s had to cancel. We're sorry.", builder=who)
    return _("We had to cancel it. We're sorry.") if booking.canceled_by is Actor.OPERATOR else None


def _say_canceled_money(booking: Booking, money: MoneySummary) -> str:
    if money.voucher_url:
        return say_unpaid_voucher()
    if not money.charged_minor and booking.paid_in_calendly:
        return _(
            "You paid in Calendly, so only %(builder)s can refund you, there.",
            builder=booking.builder.display_name,
        )
    if not money.charged_minor:
        return _("Nothing was charged.")
    if money.taken_back_minor:
        return _("Your bank has taken the payment back.")
    if money.refund is None:
        return _("By the policy you agreed to, there is no refund.")
    return _("Your refund is shown below.")


def attention(booking: Booking, money: MoneySummary) -> Words | None:
    """What the client reads about the open flags; None where the page says everything already."""
    who = booking.builder.display_name
    codes = {flag.code for flag in booking.open_flags} - {
        FlagCode.REFUND_DELAYED,
        FlagCode.LATE_PAYMENT_CHECKED,
        FlagCode.PAYMENT_REFUSED,
        FlagCode.REFUND_WAITS_FOR_CLIENT,
        # For the builder alone.
        *RELEASE_FLAGS,
        FlagCode.FRAUD_WARNING,
        FlagCode.MAIL_NOT_SENT,
        FlagCode.NO_SHOW_NOT_SENT,
        FlagCode.ERASE_IN_CALENDLY,
        FlagCode.ERASE_IN_STRIPE,
        FlagCode.OTHER_HOST,
        FlagCode.OVERLAP,
        *ATTENDANCE_FLAGS,
    }
    disputed = {FlagCode.DISPUTE_OPEN, FlagCode.DISPUTE_LOST}
    if booking.is_paid_in_calendly_alone and not booking.is_free:
        # The headline and the payment's label say it.
        codes.discard(FlagCode.PAID_IN_CALENDLY)
    if not codes:
        return None
    if codes - disputed - {FlagCode.REFUNDED_OUTSIDE, FlagCode.TYPE_WITHDRAWN}:
        return _say_in_question(booking, money)
    if FlagCode.DISPUTE_LOST in codes and FlagCode.DISPUTE_OPEN not in codes:
        return _("Your bank has returned the payment to you"), _(
            "It decided your dispute for you. Please ask %(builder)s about the session.", builder=who
        )
    if codes & disputed:
        return _("Your payment is with your bank"), _(
            "You disputed it with your bank, which decides what happens."
        )
    if FlagCode.REFUNDED_OUTSIDE in codes:
        return _("You are still booked"), _(
            "%(builder)s refunded you. Your session stays booked; if that changes, we send you an e-mail.",
            builder=who,
        )
    return _("You are still booked"), _(
        "%(builder)s no longer offers this session to others. Yours stays as it is.", builder=who
    )


def _say_in_question(booking: Booking, money: MoneySummary) -> Words:
    if booking.paid_in_calendly:
        return _("You have paid in Calendly"), _(
            "There is nothing to pay here, and %(builder)s knows about it. Please don't pay a second time.",
            builder=booking.builder.display_name,
        )
    if money.status in (PaymentStatus.PAID, PaymentStatus.PROCESSING):
        return _("We're checking a detail"), _(
            "You don't need to do anything. Please don't pay a second time."
        )
    return _("We're checking a detail"), _("You don't need to do anything.")


def time_in_builders_zone(booking: Booking) -> str | None:
    """The builder's own time, where it reads differently from the client's."""
    if booking.starts_at is None or booking.ends_at is None:
        return None
    theirs, ours = booking.builder.timezone, booking.client_timezone
    if clock.clock(booking.starts_at, theirs) == clock.clock(booking.starts_at, ours):
        return None
    return _(
        "For %(builder)s in %(city)s that is %(time)s.",
        builder=booking.builder.display_name,
        city=clock.zone_city(theirs),
        time=clock.time_range(booking.starts_at, booking.ends_at, theirs),
    )
