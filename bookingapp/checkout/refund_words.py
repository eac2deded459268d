"""What clients and builders read about cancellations and refunds. The other sentences of a booking's pages are in
:mod:`bookingapp.checkout.words`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bookingapp.bookings.codes import CHOSEN_REASONS, RefundReason
from bookingapp.bookings.models import Booking
from bookingapp.core.i18n import N_
from bookingapp.core.i18n import gettext as _

Words = tuple[str, str]
"""A headline and a sentence."""

# Why money goes back, for the client: after "Why:", as half a sentence.
_REASONS: Final[Mapping[RefundReason, str]] = {
    RefundReason.CANCELED_BY_CLIENT: N_("you canceled"),
    RefundReason.CANCELED_BY_BUILDER: N_("your session was canceled"),
    RefundReason.CANCELED_IN_CALENDLY: N_("your session was canceled"),
    RefundReason.HOLD_ENDED: N_("the amount did not match the price"),
    RefundReason.PAID_AFTER_END: N_("your payment arrived too late"),
    RefundReason.PAID_TWICE: N_("you had paid already"),
    RefundReason.PAID_IN_CALENDLY: N_("you had paid in Calendly"),
    RefundReason.WRONG_AMOUNT: N_("the amount did not match the price"),
    RefundReason.MADE_IN_STRIPE: N_("%(builder)s refunded it"),
    RefundReason.FRAUD_WARNING: N_("%(builder)s refunded it"),
    RefundReason.BUILDER_ABSENT: N_("%(builder)s could not come"),
    RefundReason.SHORTER_SESSION: N_("the session was shorter than planned"),
    RefundReason.TROUBLE: N_("something went wrong with the session"),
    RefundReason.TOO_EXPENSIVE: N_("the price was too high"),
    RefundReason.COURTESY: N_("a courtesy of %(builder)s"),
    RefundReason.OTHER: N_("we corrected your payment"),
}
# The same for the person who chooses it.
CHOICES: Final[Mapping[RefundReason, str]] = {
    RefundReason.SHORTER_SESSION: N_("The session was shorter than planned"),
    RefundReason.TROUBLE: N_("Something went wrong with the session"),
    RefundReason.TOO_EXPENSIVE: N_("The price was too high"),
    RefundReason.COURTESY: N_("A courtesy to the client"),
}


def refund_reason(reason: RefundReason, booking: Booking) -> str:
    """Why money goes back, as half a sentence for the client."""
    return _(_REASONS[reason], builder=booking.builder.display_name)


def refund_choices() -> list[tuple[RefundReason, str]]:
    """The reasons of which a person chooses one for an amount that they give back, with labels for them."""
    return [(reason, _(CHOICES[reason])) for reason in CHOSEN_REASONS]


def refund_state(tone: str) -> str:
    """How far a refund is, in a few words; ``tone`` as in :func:`refund_notice`."""
    if tone == "warning":
        return _("did not arrive")
    return _("refunded") if tone == "ok" else _("on its way")


def refund_notice(state: str, amount: str) -> Words:
    """How far the newest refund is; ``state`` is ``ok`` (arrived), ``warning`` (rejected) or ``info`` (under way)."""
    if state == "warning":
        return _("Your refund of %(amount)s needs a second try", amount=amount), _(
            "It could not be delivered. We know about it and will get it to you another way."
        )
    sentence = _("It goes back the way you paid. Banks usually take 5 to 10 days to show it.")
    if state == "ok":
        return _("%(amount)s has been refunded", amount=amount), sentence
    return _("Your refund of %(amount)s is on its way", amount=amount), sentence


def refund_waits(amount: str) -> Words:
    """Stripe has asked the client where to send the refund."""
    return _("Your refund of %(amount)s waits for your answer", amount=amount), _(
        "Stripe has sent you an e-mail that asks where to send it. Please answer that e-mail. Not there? Check spam."
    )


def cancellation(booking: Booking, *, refund: str | None, is_disputed: bool, is_refunded: bool) -> str:
    """What canceling means for the client; ``refund`` is the amount as text, if any."""
    if refund:
        return _("You get %(amount)s back, the way you paid.", amount=refund)
    if is_disputed:
        return _("Your bank has taken this payment back already, so there is nothing more to refund.")
    if is_refunded:
        return _("Your refund has been made already.")
    if booking.is_paid_in_calendly_alone:
        return _("You paid in Calendly, so only your builder can refund you, there.")
    if booking.paid_at is None:
        return _("Nothing was charged, so there is nothing to refund.")
    return _no_refund(booking)


def _no_refund(booking: Booking) -> str:
    if booking.policy["client_cancels"]:
        return _("It starts too soon for a refund.")
    return _("By the policy you agreed to, there is no refund.")


def say_unpaid_voucher() -> str:
    """What becomes of a voucher that is not paid and not needed any more."""
    return _("Please don't pay your voucher any more. If you have paid it, we refund you in full.")


def canceled_with_voucher(*, by_builder: bool) -> str:
    """What canceling means for a voucher that is not paid yet."""
    if by_builder:
        return _("The client has not paid the voucher yet. If they do, we refund them in full.")
    return say_unpaid_voucher()


def canceled_after_moving() -> str:
    """Why a cancellation long before the start gives nothing back."""
    return _("You rescheduled this session shortly before its start, so there is no refund.")


def refund_for_builder(
    booking: Booking, *, refund: str | None, is_disputed: bool, is_refunded: bool, is_absent: bool = False
) -> str:
    """The same for the builder who cancels, or who did not come (``is_absent``)."""
    who = booking.client_name
    if refund and is_absent:
        return _(
            "%(client)s gets %(amount)s back: everything, because you did not come.",
            client=who,
            amount=refund,
        )
    if refund:
        return _(
            "%(client)s gets %(amount)s back: everything, because you cancel.", client=who, amount=refund
        )
    if is_disputed:
        return _("The client's bank has taken this payment back already, so there is nothing more to refund.")
    if is_refunded:
        return _("%(client)s has been refunded already.", client=who)
    if booking.is_paid_in_calendly_alone:
        return _("%(client)s paid in Calendly, so please refund them there.", client=who)
    return _("Nothing was charged, so there is nothing to refund.")
