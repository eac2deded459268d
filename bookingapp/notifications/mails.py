"""What mails say: each is composed from the booking as it is when it is sent, and None where it is not true any more.

Times are in the reader's zone, with its name. Sending is in :mod:`bookingapp.notifications.service`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from bookingapp.bookings.attention import is_flagged
from bookingapp.bookings.calendar_file import was_confirmed
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.mail_triggers import Mail
from bookingapp.bookings.models import Booking, Slot
from bookingapp.bookings.states import Status
from bookingapp.builders.policy import policy_sentences
from bookingapp.core import clock
from bookingapp.core.i18n import gettext as _
from bookingapp.core.money import format_money
from bookingapp.notifications import attendance_mails, money_mails, session_mails
from bookingapp.notifications.content import (
    MailContent,
    MailLinks,
    facts_for_client,
    link_to_booking,
    mail_to_builder,
    mail_to_client,
    moved_fact,
    price_fact,
    refund_amount,
)

CONFIRMED = (Status.CONFIRMED, Status.COMPLETED)


def compose_mail(
    mail: Mail, booking: Booking, said: Mapping[str, Any], links: MailLinks, *, now: datetime
) -> MailContent | None:
    """The mail, or None where it is not true any more. ``said`` are the amounts it was enqueued with."""
    content = _WRITERS[mail](booking, said, links, now)
    if content is None or mail.to_builder or links.booking is not None:
        return content
    # See bookings/addresses.py: this address may be a mistake, so its reader cannot open the booking.
    return replace(content, notes=(*content.notes, _without_link(booking)))


def _without_link(b: Booking) -> str:
    if b.email_proof is not None:
        return _("The link to your booking is in the mail to your other address.")
    return _(
        "Calendly has a different e-mail address for you than you gave us, so we wrote to both, without the link to "
        "your booking. To get it, open the page where you booked and choose your address there."
    )


def compose_sign_in_mail(link: str, *, minutes: int, for_booking: bool) -> MailContent:
    """The link that verifies an address; good for ``minutes``."""
    subject = _("Your link to continue booking") if for_booking else _("Your link to see your bookings")
    return MailContent(
        subject=subject,
        heading=subject,
        greeting=_("Hello,"),
        paragraphs=(
            _(
                "Open this link and press the button there. It works once, for %(minutes)s minutes.",
                minutes=minutes,
            ),
        ),
        action=(_("Open the link"), link),
        notes=(_("If you did not ask for this link, you can ignore this mail. Signing in takes the link."),),
    )


def _confirmed_client(
    b: Booking, _said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent | None:
    if b.status not in CONFIRMED:
        return None
    private = (
        _("Anyone with the link to your booking can see and change it, so please keep it to yourself."),
    )
    return mail_to_client(
        b,
        _("You are booked"),
        _("You are booked"),
        _("Your session with %(builder)s is confirmed.", builder=b.builder.display_name),
        facts=(*facts_for_client(b), (_("Price"), price_fact(b))),
        action=link_to_booking(links),
        notes=(
            _("If your plans change, you can reschedule or cancel on your booking's page."),
            *policy_sentences(b.policy, is_free=b.is_free),
            *(private if links.booking is not None else ()),
        ),
        calendar=True,
    )


def _confirmed_builder(
    b: Booking, _said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent | None:
    if b.status not in CONFIRMED:
        return None
    booked = _("%(client)s has booked a session with you.", client=b.client_name)
    return mail_to_builder(b, links, _("New booking"), _("You have a new booking"), booked, is_new=True)


def _moved_client(
    b: Booking, said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent | None:
    if b.status not in CONFIRMED or not _is_newest(b, said):
        return None
    return mail_to_client(
        b,
        _("New time"),
        _("Your session has a new time"),
        _("Your session was rescheduled. Nothing else changes, and there is nothing more to pay."),
        facts=(*facts_for_client(b), *moved_fact(said, b.client_timezone)),
        action=link_to_booking(links),
        notes=(_("If the new time does not suit you, you can reschedule or cancel on your booking's page."),),
        calendar=True,
    )


def _place_changed(
    b: Booking, _said: Mapping[str, Any], links: MailLinks, now: datetime
) -> MailContent | None:
    if b.status is not Status.CONFIRMED or b.starts_at is None or b.starts_at <= now:
        return None
    return mail_to_client(
        b,
        _("Where to meet"),
        _("How to join your session"),
        _("The time stays as it is. Please use the details below from now on."),
        action=link_to_booking(links),
        calendar=True,
    )


def _moved_builder(
    b: Booking, said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent | None:
    if b.status not in CONFIRMED or not _is_newest(b, said):
        return None
    moved = _("The session with %(client)s was rescheduled.", client=b.client_name)
    more = moved_fact(said, b.builder.timezone)
    return mail_to_builder(b, links, _("New time"), _("A session has a new time"), moved, more=more)


def _canceled_client(
    b: Booking, said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent | None:
    if b.status is not Status.CANCELED:
        return None
    who = b.builder.display_name
    if said.get("builder_absent"):
        return _missed_client(b, said, links)
    if said.get("by_operator"):
        opening = _("We had to cancel your session with %(builder)s. We're sorry.", builder=who)
    elif not said.get("by_builder"):
        opening = _("Your session with %(builder)s is canceled, as you asked.", builder=who)
    elif said.get("others_stay"):
        opening = _("%(builder)s had to cancel your place in this group session. We're sorry.", builder=who)
    else:
        opening = _("%(builder)s had to cancel your session. We're sorry.", builder=who)
    again = _("You are welcome to book another time.")
    return mail_to_client(
        b,
        _("Canceled"),
        _("Your session is canceled"),
        opening,
        _refund_for_client(b, said),
        again,
        action=link_to_booking(links),
        calendar=was_confirmed(b),
    )


def _missed_client(b: Booking, said: Mapping[str, Any], links: MailLinks) -> MailContent:
    """The builder did not come."""
    who = b.builder.display_name
    if said.get("unanswered"):
        opening = _("%(builder)s did not answer when we asked about your session. We're sorry.", builder=who)
    else:
        opening = _("%(builder)s could not come to your session. We're sorry that you waited.", builder=who)
    return mail_to_client(
        b,
        _("We're sorry"),
        _("Your session did not take place"),
        opening,
        _refund_for_client(b, said),
        _("If you would like another time with %(builder)s, you can book one now.", builder=who),
        action=(_("Book another time"), links.again),
        notes=()
        if links.booking is None
        else (_("Your booking's page shows your refund: %(link)s", link=links.booking),),
        calendar=was_confirmed(b),
    )


def _canceled_builder(
    b: Booking, said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent | None:
    if b.status is not Status.CANCELED:
        return None
    if said.get("others_stay"):
        what = _(
            "%(client)s is no longer in the group session below; the others stay booked. If Calendly still lists "
            "%(client)s, please remove them there.",
            client=b.client_name,
        )
    elif said.get("unanswered"):
        what = _(
            "%(client)s told us that you did not come, and we had no answer from you within a day. So we refund the "
            "session below.",
            client=b.client_name,
        )
    elif said.get("builder_absent"):
        what = _(
            "You did not come to the session below. We have apologized to %(client)s.", client=b.client_name
        )
    elif said.get("by_operator"):
        what = _("We canceled the session below, and its time is available again.")
    elif said.get("by_builder"):
        what = _("You canceled the session below, and its time is available again.")
    else:
        what = _("The session below was canceled, and its time is available again.")
    return mail_to_builder(
        b, links, _("Canceled"), _("A session is canceled"), what, _refund_for_builder(b, said)
    )


def _refund_for_builder(b: Booking, said: Mapping[str, Any]) -> str:
    who, refund = b.client_name, said.get("refund_minor")
    if b.is_paid_in_calendly_alone:
        return _("%(client)s had paid in Calendly. Please refund them there.", client=who)
    if refund:
        amount = refund_amount(b, said)
        by_policy = _(
            "We are refunding %(amount)s to %(client)s, by your cancellation policy.",
            amount=amount,
            client=who,
        )
        in_full = _("We are refunding %(amount)s to %(client)s.", amount=amount, client=who)
        return in_full if said.get("by_builder") else by_policy
    if b.paid_at is None:
        return _("Nothing was charged.")
    return _("Your dashboard shows the refund.") if refund is None else _no_refund_for_builder(b, said)


def _no_refund_for_builder(b: Booking, said: Mapping[str, Any]) -> str:
    who = b.client_name
    if said.get("with_bank"):
        return _(
            "The bank of %(client)s has taken this payment back for a dispute. We refund it if you win the dispute.",
            client=who,
        )
    if said.get("by_builder"):
        return _("There was nothing left to refund to %(client)s.", client=who)
    return _("Your cancellation policy gives %(client)s no refund.", client=who)


def _expired_client(
    b: Booking, said: Mapping[str, Any], links: MailLinks, _now: datetime
) -> MailContent | None:
    if b.status is not Status.EXPIRED:
        return None
    if said.get("refund_minor"):
        released = _(
            "The amount paid did not match the price, so we released your time and are refunding %(amount)s in full.",
            amount=refund_amount(b, said),
        )
    elif is_flagged(b, FlagCode.PAYMENT_REFUSED):
        released = _("Stripe did not accept the payment, so we released your time. Nothing was charged.")
    else:
        released = _("Your booking was not completed in time, so we released your time. Nothing was charged.")
    return mail_to_client(
        b,
        _("Your hold has ended"),
        _("Your hold has ended"),
        released,
        _("You are welcome to choose another time with %(builder)s.", builder=b.builder.display_name),
        action=(_("Choose a time"), links.again),
    )


def _pay_reminder(
    b: Booking, _said: Mapping[str, Any], links: MailLinks, now: datetime
) -> MailContent | None:
    until = b.hold_expires_at
    waits = b.status is Status.SCHEDULED and b.slot is Slot.ACTIVE and b.paid_at is None
    waits = waits and not b.paid_in_calendly and b.moving_since is None
    waits = waits and not is_flagged(b, FlagCode.PAYMENT_REFUSED)
    if not waits or until is None or until <= now:
        return None
    held, zone = clock.clock(until, b.client_timezone), clock.zone_time(b.client_timezone)
    return mail_to_client(
        b,
        _("Your time is held until %(time)s", time=held),
        _("Your time is held: finish here"),
        _(
            "We are holding your time until %(time)s (%(zone)s). Nothing has been charged yet.",
            time=held,
            zone=zone,
        ),
        _("One step is left: paying %(price)s.", price=format_money(b.price_minor, b.currency)),
        _("If you have changed your mind, you don't need to do anything: we release the time then."),
        action=link_to_booking(links, _("Finish your booking")),
    )


_Writer = Callable[[Booking, Mapping[str, Any], MailLinks, datetime], MailContent | None]
_WRITERS: Mapping[Mail, _Writer] = MappingProxyType(
    {
        Mail.PAY_REMINDER: _pay_reminder,
        Mail.CONFIRMED_CLIENT: _confirmed_client,
        Mail.CONFIRMED_BUILDER: _confirmed_builder,
        Mail.MOVED_CLIENT: _moved_client,
        Mail.PLACE_CLIENT: _place_changed,
        Mail.MOVED_BUILDER: _moved_builder,
        **attendance_mails.WRITERS,
        Mail.REMINDER_DAY: session_mails.compose_day_reminder,
        Mail.REMINDER_DAY_BUILDER: session_mails.compose_day_reminder_for_builder,
        Mail.REMINDER_HOUR: session_mails.compose_hour_reminder,
        Mail.REMINDER_HOUR_BUILDER: session_mails.compose_hour_reminder_for_builder,
        Mail.CANCELED_CLIENT: _canceled_client,
        Mail.CANCELED_BUILDER: _canceled_builder,
        Mail.EXPIRED_CLIENT: _expired_client,
        Mail.AMOUNT_REFUNDED: money_mails.compose_amount_refunded,
        Mail.PAYMENT_RETURNED: money_mails.compose_payment_returned,
        Mail.PAYMENT_FAILED: money_mails.compose_payment_failed,
        Mail.PAYMENT_RELEASED: money_mails.compose_payment_released,
        Mail.TIME_GONE: money_mails.compose_time_gone,
        Mail.PAYMENT_REFUSED_BUILDER: money_mails.compose_payment_refused,
        Mail.REFUNDED_OUTSIDE_BUILDER: money_mails.compose_refunded_outside,
        Mail.REFUNDED_BUILDER: money_mails.compose_refunded_by_operator,
        Mail.REFUND_WAITS: money_mails.compose_refund_waits,
        Mail.REFUND_REFUSED_BUILDER: money_mails.compose_refund_refused_builder,
        Mail.REFUND_FAILED: money_mails.compose_refund_failed,
        Mail.REFUND_FAILED_BUILDER: money_mails.compose_refund_failed_builder,
        Mail.FRAUD_WARNING_BUILDER: money_mails.compose_fraud_warning,
        Mail.DISPUTED_BUILDER: money_mails.compose_disputed,
        Mail.DISPUTE_CLOSED_BUILDER: money_mails.compose_dispute_closed,
    }
)


def _refund_for_client(b: Booking, said: Mapping[str, Any]) -> str:
    refund = said.get("refund_minor")
    if b.is_paid_in_calendly_alone:
        return _(
            "You paid in Calendly, so only %(builder)s can refund you, there.", builder=b.builder.display_name
        )
    if b.paid_at is None and not refund:
        return _("Nothing was charged.")
    if refund is None:
        return _("Your booking's page shows your refund.")
    if refund:
        return _(
            "We are refunding %(amount)s the way you paid. Banks usually take 5 to 10 days to show it.",
            amount=refund_amount(b, said),
        )
    return _no_refund_for_client(said)


def _no_refund_for_client(said: Mapping[str, Any]) -> str:
    if said.get("with_bank"):
        return _(
            "Your bank has taken this payment back already, so there is no refund from us while it decides."
        )
    if said.get("by_builder"):
        return _("There is nothing left to refund: your booking's page shows what you got back.")
    return _("By the policy you agreed to, there is no refund.")


def _is_newest(b: Booking, said: Mapping[str, Any]) -> bool:
    """Whether the time that the mail is about is still the booking's."""
    return (b.invitee_uri or "").rsplit("/", 1)[-1] == said.get("about")
