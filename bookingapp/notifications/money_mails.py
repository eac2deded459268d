"""What mails about money say: payments that fail or go back, refunds that fail, disputes, fraud warnings.

The others, and the table of all, are in :mod:`bookingapp.notifications.mails`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from bookingapp.bookings.attention import is_flagged, list_refunds
from bookingapp.bookings.codes import FlagCode, RefundReason
from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.core import clock
from bookingapp.core.i18n import N_
from bookingapp.core.i18n import gettext as _
from bookingapp.core.money import format_money
from bookingapp.notifications.content import (
    MailContent,
    MailLinks,
    link_to_booking,
    mail_to_builder,
    mail_to_client,
    refund_amount,
)
from bookingapp.session_types.words import describe_refusal


def compose_payment_returned(
    b: Booking, said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent:
    """A payment that the booking cannot use, or that its builder gives back."""
    amount, action = refund_amount(b, said), link_to_booking(links)
    again: tuple[str, ...] = ()
    if said.get("by_builder"):
        reason = _("%(builder)s refunds your payment.", builder=b.builder.display_name)
    elif said.get("after_start"):
        reason = _("Your payment arrived after the session had started, so we could not accept it.")
    elif b.paid_at is None:
        reason = _("The amount paid did not match the price, so we could not confirm your booking.")
    elif b.status in (Status.EXPIRED, Status.CANCELED):
        reason = _(
            "Your payment arrived after this booking had ended, and its time is not available any more."
        )
    else:
        reason = _("We received a second payment for this booking, which was paid already.")
    if b.status is Status.EXPIRED:
        again = (
            _("You are welcome to choose another time with %(builder)s.", builder=b.builder.display_name),
        )
        action = (_("Choose another time"), links.again)
    return mail_to_client(
        b,
        _("We are refunding %(amount)s to you", amount=amount),
        _("Your payment is on its way back"),
        reason,
        _(
            "We are refunding %(amount)s in full to where it came from. Banks usually take 5 to 10 days to show it.",
            amount=amount,
        ),
        *again,
        action=action,
    )


def compose_amount_refunded(
    b: Booking, said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent | None:
    """An amount that a person gives back, once Stripe has accepted it."""
    refund_id = int(said["about"])
    if refund_id in list_refunds(b, FlagCode.REFUND_UNDELIVERED):
        return None
    amount = refund_amount(b, said)
    stays = (_("Your session stays booked."),) if b.status is Status.CONFIRMED else ()
    how = (
        _(
            "Stripe has sent you an e-mail that asks where to send it. Please answer it. Not there? Check spam."
        )
        if refund_id in list_refunds(b, FlagCode.REFUND_WAITS_FOR_CLIENT)
        else _("It goes back the way you paid. Banks usually take 5 to 10 days to show it.")
    )
    return mail_to_client(
        b,
        _("You get %(amount)s back", amount=amount),
        _("You get %(amount)s back", amount=amount),
        _("We are refunding %(amount)s of what you paid for this session.", amount=amount),
        _(_CHOSEN[RefundReason(said["reason"])], builder=b.builder.display_name),
        how,
        *stays,
        action=link_to_booking(links),
    )


_CHOSEN: Mapping[RefundReason, str] = MappingProxyType(
    {
        RefundReason.SHORTER_SESSION: N_("The reason: your session was shorter than planned."),
        RefundReason.TROUBLE: N_("The reason: something went wrong with your session. We're sorry."),
        RefundReason.TOO_EXPENSIVE: N_("The reason: the price was too high."),
        RefundReason.COURTESY: N_("It is a courtesy of %(builder)s."),
    }
)
"""Why an amount is given back, as a sentence."""


def compose_payment_failed(
    b: Booking, _said: Mapping[str, Any], links: MailLinks, now: datetime
) -> MailContent | None:
    """A delayed payment failed, or authorized money was released; the time is held once more. What is said is true of
    both.
    """
    until = b.hold_expires_at
    if b.status is not Status.SCHEDULED or b.paid_at is not None or until is None:
        return None
    kept = (
        _(
            "We are holding your time until %(time)s (%(zone)s), so you can pay in another way until then.",
            time=clock.clock(until, b.client_timezone),
            zone=clock.zone_time(b.client_timezone),
        )
        if until > now
        else _("We cannot hold your time any longer without a payment, so we are releasing it.")
    )
    return mail_to_client(
        b,
        _("Your payment did not go through"),
        _("Your payment did not go through"),
        _("Your payment could not be completed, so nothing was charged."),
        kept,
        action=link_to_booking(links),
    )


def compose_time_gone(
    b: Booking, said: Mapping[str, Any], links: MailLinks, now: datetime
) -> MailContent | None:
    """The chosen time is gone (``is_gone``), or could not be booked for another reason; the payment is authorized, and
    another time can be chosen. ``start`` is the time that was chosen, in ISO 8601.
    """
    until = b.hold_expires_at
    if b.status is not Status.PENDING or until is None or until <= now:
        return None
    subject, heading = (
        _("Your time could not be booked: please choose another"),
        _("This time could not be booked"),
    )
    if said.get("is_gone"):
        subject, heading = _("Your time was taken: please choose another"), _("Your time was just taken")
    return mail_to_client(
        b,
        subject,
        heading,
        _say_lost(b, said),
        _(
            "Until %(time)s (%(zone)s) you can choose another time without paying again. If you don't, we release "
            "your payment and nothing is charged.",
            time=clock.clock(until, b.client_timezone),
            zone=clock.zone_time(b.client_timezone),
        ),
        action=link_to_booking(links, _("Choose another time")),
    )


def _say_lost(b: Booking, said: Mapping[str, Any]) -> str:
    start = said.get("start")
    if not start:
        return _("The time that you chose could not be booked. Nothing was charged.")
    time = clock.day_time(datetime.fromisoformat(start), b.client_timezone)
    if said.get("is_gone"):
        return _("Somebody else was faster for %(time)s. Nothing was charged.", time=time)
    return _("We could not book %(time)s. Nothing was charged.", time=time)


def compose_payment_released(
    b: Booking, _said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent:
    """Authorized money was released without a charge."""
    return mail_to_client(
        b,
        _("Nothing was charged"),
        _("We have released your payment"),
        _(
            "Your session was not booked, so nothing was charged. Your bank may show %(price)s as reserved for a few "
            "more days; it is not taken from your account.",
            price=format_money(b.price_minor, b.currency),
        ),
        _("You are welcome to choose another time with %(builder)s.", builder=b.builder.display_name),
        action=(_("Choose a time"), links.again),
    )


def compose_payment_refused(
    b: Booking, said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent:
    """Stripe refuses the payment: of this type's price, or of this one booking."""
    what = _("%(client)s could not pay for the session below. Nothing was charged.", client=b.client_name)
    why = _("Stripe does not accept the details of this payment. Other clients can book as before.")
    if said["refusal"] is not None:
        why = describe_refusal(said["refusal"], said["amount_minor"], said["currency"])
        what_now = _(
            "Clients cannot book this session type until you change its price or currency, or save it again once "
            "Stripe accepts it."
        )
        why = f"{why} {what_now}"
    return mail_to_builder(b, links, _("A payment is refused"), _("A session cannot be paid"), what, why)


def compose_refunded_outside(
    b: Booking, said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent | None:
    """The builder refunded in Stripe's dashboard, and the booking is still on."""
    if b.status.is_final:
        return None
    return mail_to_builder(
        b,
        links,
        _("Is the session still on?"),
        _("You refunded %(client)s. Is the session still on?", client=b.client_name),
        _(
            "%(amount)s was refunded to %(client)s in Stripe.",
            amount=refund_amount(b, said),
            client=b.client_name,
        ),
        _("That does not cancel the session. If it is not taking place, please cancel it on your dashboard."),
    )


def compose_refunded_by_operator(
    b: Booking, said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent:
    """An operator refunded an amount, or a payment that the card network reports as fraud."""
    amount, client = refund_amount(b, said), b.client_name
    stays = (_("The session stays booked."),) if b.status is Status.CONFIRMED else ()
    return mail_to_builder(
        b,
        links,
        _("We refunded your client"),
        _("We refunded your client"),
        _(
            "An operator of this site has decided to refund %(amount)s to %(client)s. You do not need to do anything.",
            amount=amount,
            client=client,
        ),
        _(_DECIDED[RefundReason(said["reason"])]),
        *stays,
    )


_DECIDED: Mapping[RefundReason, str] = MappingProxyType(
    {
        RefundReason.SHORTER_SESSION: N_("The reason: the session was shorter than planned."),
        RefundReason.TROUBLE: N_("The reason: something went wrong with the session."),
        RefundReason.TOO_EXPENSIVE: N_("The reason: the price was too high."),
        RefundReason.COURTESY: N_("It is a courtesy to the client."),
        RefundReason.FRAUD_WARNING: N_("The card network had reported this payment as fraud."),
    }
)


def compose_disputed(b: Booking, said: Mapping[str, Any], links: MailLinks, _now: datetime) -> MailContent:
    """A dispute is open, with its last day to answer."""
    amount = format_money(int(said["disputed_minor"]), str(said.get("currency") or b.currency))
    due = said.get("due_by")
    answer = (
        _(
            "Please answer in Stripe by %(day)s. The evidence that we have is on your dashboard.",
            day=clock.day(datetime.fromtimestamp(int(due), UTC), b.builder.timezone),
        )
        if due
        else _("Please answer in Stripe. The evidence that we have is on your dashboard.")
    )
    asked = _(
        "%(client)s has asked their bank to take %(amount)s back for the session below.",
        client=b.client_name,
        amount=amount,
    )
    return mail_to_builder(b, links, _("A payment is disputed"), _("A payment is disputed"), asked, answer)


def compose_dispute_closed(
    b: Booking, said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent:
    """The bank has decided: lost, won, or an inquiry that took nothing."""
    amount = format_money(int(said["disputed_minor"]), str(said.get("currency") or b.currency))
    who = {"client": b.client_name, "amount": amount}
    if said["status"] == "lost":
        subject, heading = _("A dispute is lost"), _("You lost a dispute")
        what = _("The bank of %(client)s decided against you and has returned %(amount)s to them.", **who)
        now_what = _("If the session is not taking place, please cancel it on your dashboard.")
        now_what = now_what if not b.status.is_final else _("There is nothing more to do.")
    elif said["status"] == "won":
        subject, heading = _("A dispute is won"), _("You won a dispute")
        what = _("The bank of %(client)s decided for you, and %(amount)s comes back to you.", **who)
        now_what = _("There is nothing more to do.")
    else:
        subject, heading = _("An inquiry is closed"), _("A bank has closed its inquiry")
        what = _("The bank of %(client)s asked about %(amount)s and has taken nothing.", **who)
        now_what = _("There is nothing more to do.")
    return mail_to_builder(b, links, subject, heading, what, now_what)


def compose_fraud_warning(
    b: Booking, said: Mapping[str, Any], links: MailLinks, now: datetime
) -> MailContent | None:
    """An early fraud warning, with what prevents a dispute."""
    if not is_flagged(b, FlagCode.FRAUD_WARNING):
        return None
    ahead = not b.status.is_final and b.starts_at is not None and b.starts_at > now
    return mail_to_builder(
        b,
        links,
        _("A payment may be fraud"),
        _("A payment may be fraud"),
        _(
            "The card network reports the payment of %(amount)s by %(client)s as fraud. It may become a dispute, which "
            "costs you a fee.",
            amount=refund_amount(b, said),
            client=b.client_name,
        ),
        _("If you cancel the session, we refund it in full, and that prevents the dispute.")
        if ahead
        else _("On your dashboard you can refund it in full, and that prevents the dispute."),
    )


def compose_refund_waits(
    b: Booking, said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent | None:
    """Stripe asks the client where to send a refund."""
    if not is_flagged(b, FlagCode.REFUND_WAITS_FOR_CLIENT):
        return None
    return mail_to_client(
        b,
        _("Your refund waits for your answer"),
        _("Your refund waits for your answer"),
        _(
            "Stripe has sent you an e-mail that asks where to send your refund of %(amount)s. Please answer it.",
            amount=refund_amount(b, said),
        ),
        _("Not there? Check spam."),
        action=link_to_booking(links),
    )


def compose_refund_failed(
    b: Booking, said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent | None:
    """A refund could not be delivered, for the client."""
    if not is_flagged(b, FlagCode.REFUND_UNDELIVERED):
        return None
    return mail_to_client(
        b,
        _("Your refund did not arrive"),
        _("Your refund needs a second try"),
        _(
            "Your refund of %(amount)s could not be delivered, so you do not have it.",
            amount=refund_amount(b, said),
        ),
        _("%(builder)s knows about it and has to pay it out another way.", builder=b.builder.display_name),
        action=link_to_booking(links),
    )


def compose_refund_failed_builder(
    b: Booking, said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent | None:
    """The same for the builder, who has to pay it out."""
    if not is_flagged(b, FlagCode.REFUND_UNDELIVERED):
        return None
    words = N_("A refund of %(amount)s to %(client)s could not be delivered. The money is back in Stripe.")
    return _to_pay_out(b, said, links, _("A refund did not arrive"), words)


def compose_refund_refused_builder(
    b: Booking, said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent | None:
    """Stripe refused to make a refund."""
    if int(said["about"]) not in list_refunds(b, FlagCode.REFUND_REFUSED):
        return None
    words = N_("Stripe refused a refund of %(amount)s to %(client)s.")
    return _to_pay_out(b, said, links, _("Stripe refused a refund"), words)


def _to_pay_out(b: Booking, said: Mapping[str, Any], links: MailLinks, title: str, words: str) -> MailContent:
    return mail_to_builder(
        b,
        links,
        title,
        title,
        _(words, client=b.client_name, amount=refund_amount(b, said)),
        _("Please pay it out another way, then mark the booking as resolved on your dashboard."),
    )
