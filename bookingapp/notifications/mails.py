"""What mails say. Each is put together from the booking as it is when it is sent, and is not sent at all where it
is not true any more. Times are in the reader's zone, with the zone's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from bookingapp.bookings import policy
from bookingapp.bookings.mail_triggers import Mail
from bookingapp.bookings.models import Booking, Slot
from bookingapp.bookings.states import Status
from bookingapp.core import clock
from bookingapp.core.money import format_money

NOT_YOU = (
    "If you did not ask for this, somebody may have mistyped their address. You need not do anything: without the "
    "link nobody gets in."
)
GIVEN_BACK = (
    "We had kept this time for you, but the booking was not completed before the hold ended. So the time was given "
    "back, and nothing was charged."
)
WRONGLY_PAID = (
    "We had kept this time for you, but what was paid is not what the booking costs. So the time was given back, and "
    "all that was paid, {}, goes back to you."
)
BANKS = "Banks usually take 5 to 10 days to show it."
CONFIRMED = (Status.CONFIRMED, Status.COMPLETED)


@dataclass(frozen=True)
class MailContent:
    """One mail in parts, from which its text and its HTML are made. ``facts`` are labels with values, ``action``
    is a label with an address, ``calendar`` says that the session's calendar file goes with it.
    """

    subject: str
    heading: str
    greeting: str
    paragraphs: tuple[str, ...]
    facts: tuple[tuple[str, str], ...] = ()
    action: tuple[str, str] | None = None
    notes: tuple[str, ...] = ()
    calendar: bool = False


@dataclass(frozen=True)
class MailLinks:
    """The absolute addresses that a mail about one booking leads to."""

    booking: str
    dashboard: str
    profile: str


def compose_mail(
    mail: Mail, booking: Booking, said: Mapping[str, Any], addresses: MailLinks, *, now: datetime
) -> MailContent | None:
    """The mail, or None where things have moved on since it was asked for."""
    return _WRITERS[mail](booking, said, addresses, now)


def compose_sign_in_mail(link: str, *, minutes: int, for_booking: bool) -> MailContent:
    """The link that verifies an address."""
    purpose = "go on with your booking" if for_booking else "see your bookings"
    return MailContent(
        subject=f"Your link to {purpose}",
        heading=f"Your link to {purpose}",
        greeting="Hello,",
        paragraphs=(
            f"Open this link and press the button there to {purpose}. It works once, for {minutes} minutes.",
        ),
        action=("Open the link", link),
        notes=(NOT_YOU,),
    )


def _confirmed_client(b: Booking, _: Mapping[str, Any], at: MailLinks, __: datetime) -> MailContent | None:
    if b.status not in CONFIRMED:
        return None
    join = (("Join the call", b.join_url),) if b.join_url else ()
    return MailContent(
        subject=f"You are booked: {b.title} with {b.builder.display_name}",
        heading="You are booked",
        greeting=f"Hello {b.client_name},",
        paragraphs=(f"{b.builder.display_name} is looking forward to it.",),
        facts=(*_facts_for_client(b), ("Price", _price(b)), *join),
        action=("See your booking", at.booking),
        notes=(
            *_policy(b),
            "Whoever has the link to your booking can see and change it: keep it to yourself.",
        ),
        calendar=True,
    )


def _confirmed_builder(b: Booking, _: Mapping[str, Any], at: MailLinks, __: datetime) -> MailContent | None:
    if b.status not in CONFIRMED:
        return None
    return MailContent(
        subject=f"New booking: {b.title}, {_short(b, b.builder.timezone)}",
        heading="You have a new booking",
        greeting=f"Hello {b.builder.display_name},",
        paragraphs=(f"{b.client_name} has booked a session with you.",),
        facts=(*_facts_for_builder(b), ("Price", _price(b))),
        action=("See it on your dashboard", at.dashboard),
    )


def _moved_client(b: Booking, said: Mapping[str, Any], at: MailLinks, _: datetime) -> MailContent | None:
    if b.status not in CONFIRMED or not _is_newest(b, said):
        return None
    return MailContent(
        subject=f"New time: {b.title} with {b.builder.display_name}",
        heading="Your session has a new time",
        greeting=f"Hello {b.client_name},",
        paragraphs=("Your session was moved. Nothing else changes, and there is nothing more to pay.",),
        facts=_facts_for_client(b),
        action=("See your booking", at.booking),
        calendar=True,
    )


def _moved_builder(b: Booking, said: Mapping[str, Any], at: MailLinks, _: datetime) -> MailContent | None:
    if b.status not in CONFIRMED or not _is_newest(b, said):
        return None
    return MailContent(
        subject=f"New time: {b.title}, {_short(b, b.builder.timezone)}",
        heading="A session has a new time",
        greeting=f"Hello {b.builder.display_name},",
        paragraphs=(f"The session with {b.client_name} was moved.",),
        facts=_facts_for_builder(b),
        action=("See it on your dashboard", at.dashboard),
    )


def _canceled_client(b: Booking, said: Mapping[str, Any], at: MailLinks, _: datetime) -> MailContent | None:
    if b.status is not Status.CANCELED:
        return None
    who = b.builder.display_name
    if said.get("by_builder"):
        opening = f"We are sorry: {who} cannot make it, and had to cancel your session."
        again = f"{who} would be glad to see you at another time."
    else:
        opening = f"Your session with {who} is canceled, as asked for."
        again = "You are welcome back at any time."
    return MailContent(
        subject=f"Canceled: {b.title} with {who}",
        heading="Your session is canceled",
        greeting=f"Hello {b.client_name},",
        paragraphs=(opening, _refund_for_client(b, said), again),
        facts=_facts_for_client(b),
        action=("See your booking", at.booking),
    )


def _canceled_builder(b: Booking, said: Mapping[str, Any], at: MailLinks, _: datetime) -> MailContent | None:
    if b.status is not Status.CANCELED:
        return None
    what = "You canceled the session below" if said.get("by_builder") else "The session below was canceled"
    refund = said.get("refund_minor")
    if b.paid_at is None and b.paid_in_calendly:
        money = f"{b.client_name} had paid in Calendly, so what goes back has to be paid back from there."
    elif refund:
        money = f"{_amount(b, said)} goes back to {b.client_name}, by the policy that was agreed."
    elif b.paid_at is None:
        money = "Nothing had been charged."
    elif refund is None:
        money = "Your dashboard shows what goes back."
    elif said.get("with_bank"):
        money = f"The bank of {b.client_name} has taken this payment back; if it decides for you, the refund goes out."
    else:
        money = f"By the policy that was agreed, nothing goes back to {b.client_name}."
    return MailContent(
        subject=f"Canceled: {b.title}, {_short(b, b.builder.timezone)}",
        heading="A session is canceled",
        greeting=f"Hello {b.builder.display_name},",
        paragraphs=(f"{what}. It will not take place, and its time is free again.", money),
        facts=_facts_for_builder(b),
        action=("See it on your dashboard", at.dashboard),
    )


def _expired_client(b: Booking, said: Mapping[str, Any], at: MailLinks, __: datetime) -> MailContent | None:
    if b.status is not Status.EXPIRED:
        return None
    who = b.builder.display_name
    return MailContent(
        subject=f"Your hold has ended: {b.title} with {who}",
        heading="Your hold has ended",
        greeting=f"Hello {b.client_name},",
        paragraphs=(
            WRONGLY_PAID.format(_amount(b, said)) if said.get("refund_minor") else GIVEN_BACK,
            f"If you would still like to see {who}, you are very welcome to choose a time again.",
        ),
        facts=_facts_for_client(b),
        action=("Choose a time again", at.profile),
    )


def _pay_reminder(b: Booking, _: Mapping[str, Any], at: MailLinks, now: datetime) -> MailContent | None:
    until = b.hold_expires_at
    waits = b.status is Status.SCHEDULED and b.slot is Slot.ACTIVE and b.paid_at is None
    waits = waits and not b.paid_in_calendly and b.moving_since is None
    if not waits or until is None or until <= now:
        return None
    held, city = clock.clock(until, b.client_timezone), clock.zone_city(b.client_timezone)
    return MailContent(
        subject=f"Your time is held until {held}: {b.title} with {b.builder.display_name}",
        heading="Your time is held: finish here",
        greeting=f"Hello {b.client_name},",
        paragraphs=(
            f"Your time is kept for you until {held} ({city} time). Nothing has been charged yet.",
            f"One step is left: paying {format_money(b.price_minor, b.currency)}.",
            "If you have changed your mind you need not do anything; the time is then given back by itself.",
        ),
        facts=_facts_for_client(b),
        action=("Finish your booking", at.booking),
    )


def _payment_returned(b: Booking, said: Mapping[str, Any], at: MailLinks, _: datetime) -> MailContent:
    amount = _amount(b, said)
    who, action = b.builder.display_name, ("See your booking", at.booking)
    paragraphs = [f"All of it, {amount}, goes back to where it came from. {BANKS}"]
    if b.paid_at is None:
        reason = "What was paid is not what this booking costs, so it could not be confirmed."
    elif b.status in (Status.EXPIRED, Status.CANCELED):
        reason = "Your payment reached us after this booking had ended, and its time cannot be had any more."
    else:
        reason = "We received a second payment for this booking, which was paid already."
    if b.status is Status.EXPIRED:
        paragraphs.append(
            f"If you would still like to see {who}, you are very welcome to choose another time. Otherwise there is "
            "nothing for you to do."
        )
        action = ("Choose another time", at.profile)
    return MailContent(
        subject=f"{amount} goes back to you: {b.title} with {who}",
        heading="Your payment is on its way back",
        greeting=f"Hello {b.client_name},",
        paragraphs=(reason, *paragraphs),
        facts=_facts_for_client(b),
        action=action,
    )


def _payment_failed(b: Booking, _: Mapping[str, Any], at: MailLinks, now: datetime) -> MailContent | None:
    until = b.hold_expires_at
    if b.status is not Status.SCHEDULED or b.paid_at is not None or until is None:
        return None
    held = f"until {clock.clock(until, b.client_timezone)} ({clock.zone_city(b.client_timezone)} time)"
    kept = (
        f"Your time is kept {held}: until then you can pay in another way. After that it is given back by itself."
        if until > now
        else "Your time is given back, as it cannot be kept any longer without a payment."
    )
    return MailContent(
        subject=f"Your payment did not go through: {b.title} with {b.builder.display_name}",
        heading="Your payment did not go through",
        greeting=f"Hello {b.client_name},",
        paragraphs=("Your bank did not send the money, so nothing was charged.", kept),
        facts=_facts_for_client(b),
        action=("See your booking", at.booking),
    )


def _refunded_outside(b: Booking, said: Mapping[str, Any], at: MailLinks, _: datetime) -> MailContent | None:
    if b.status.is_final:
        return None
    return MailContent(
        subject=f"Do you keep it? {b.title}, {_short(b, b.builder.timezone)}",
        heading="Money went back, and the booking still stands",
        greeting=f"Hello {b.builder.display_name},",
        paragraphs=(
            f"In Stripe's dashboard, {_amount(b, said)} was paid back to {b.client_name}.",
            "The session itself is not canceled by that. If it is not to take place, please cancel it in Calendly.",
        ),
        facts=_facts_for_builder(b),
        action=("See it on your dashboard", at.dashboard),
    )


def _disputed(b: Booking, said: Mapping[str, Any], at: MailLinks, _: datetime) -> MailContent:
    amount = format_money(int(said["disputed_minor"]), str(said.get("currency") or b.currency))
    due = said.get("due_by")
    until = clock.day(datetime.fromtimestamp(int(due), UTC), b.builder.timezone) if due else "the bank's date"
    return MailContent(
        subject=f"A payment is disputed: {b.title}, {_short(b, b.builder.timezone)}",
        heading="A payment is disputed",
        greeting=f"Hello {b.builder.display_name},",
        paragraphs=(
            f"{b.client_name} has asked their bank to take {amount} back for the session below.",
            f"It has to be answered in Stripe by {until}. The evidence that we have is on your dashboard.",
        ),
        facts=_facts_for_builder(b),
        action=("See it on your dashboard", at.dashboard),
    )


def _amount(b: Booking, said: Mapping[str, Any]) -> str:
    """What goes back, in the currency in which it came."""
    return format_money(int(said["refund_minor"]), str(said.get("currency") or b.currency))


_Writer = Callable[[Booking, Mapping[str, Any], MailLinks, datetime], MailContent | None]
_WRITERS: Mapping[Mail, _Writer] = MappingProxyType(
    {
        Mail.PAY_REMINDER: _pay_reminder,
        Mail.CONFIRMED_CLIENT: _confirmed_client,
        Mail.CONFIRMED_BUILDER: _confirmed_builder,
        Mail.MOVED_CLIENT: _moved_client,
        Mail.MOVED_BUILDER: _moved_builder,
        Mail.CANCELED_CLIENT: _canceled_client,
        Mail.CANCELED_BUILDER: _canceled_builder,
        Mail.EXPIRED_CLIENT: _expired_client,
        Mail.PAYMENT_RETURNED: _payment_returned,
        Mail.PAYMENT_FAILED: _payment_failed,
        Mail.REFUNDED_OUTSIDE_BUILDER: _refunded_outside,
        Mail.DISPUTED_BUILDER: _disputed,
    }
)


def _facts_for_client(b: Booking) -> tuple[tuple[str, str], ...]:
    facts = [("What", f"{b.title}, {clock.duration(b.duration_minutes)}"), ("With", b.builder.display_name)]
    if b.starts_at is not None:
        facts.insert(0, ("When", _when(b, b.client_timezone)))
        if _clock(b, b.client_timezone) != _clock(b, b.builder.timezone):
            facts.append((f"For {b.builder.display_name}", _when(b, b.builder.timezone)))
    return tuple(facts)


def _facts_for_builder(b: Booking) -> tuple[tuple[str, str], ...]:
    facts = [
        ("What", f"{b.title}, {clock.duration(b.duration_minutes)}"),
        ("Client", f"{b.client_name}, {b.client_email}"),
    ]
    if b.starts_at is not None:
        facts.insert(0, ("When", _when(b, b.builder.timezone)))
        if _clock(b, b.client_timezone) != _clock(b, b.builder.timezone):
            facts.append(("For your client", _when(b, b.client_timezone)))
    return tuple(facts)


def _when(b: Booking, zone: str) -> str:
    """The day, the hours and the zone, as in ``Tuesday 1 December 2026, 15:00 CET (Berlin time)``."""
    return (
        f"{clock.day(b.starts_at, zone)}, {_clock(b, zone)} ({clock.zone_city(zone)} time)"
        if b.starts_at
        else ""
    )


def _clock(b: Booking, zone: str) -> str:
    if b.starts_at is None:
        return ""
    return clock.time_range(b.starts_at, b.ends_at, zone) if b.ends_at else clock.clock(b.starts_at, zone)


def _short(b: Booking, zone: str) -> str:
    return clock.day_time(b.starts_at, zone) if b.starts_at else ""


def _price(b: Booking) -> str:
    return "Free" if b.is_free else f"{format_money(b.price_minor, b.currency)}, paid"


def _policy(b: Booking) -> tuple[str, ...]:
    return (
        "If your plans change, you can move or cancel on your booking's page.",
        *policy.policy_sentences(b.policy, is_free=b.is_free),
    )


def _refund_for_client(b: Booking, said: Mapping[str, Any]) -> str:
    refund = said.get("refund_minor")
    if b.paid_at is None and b.paid_in_calendly:
        return f"You paid in Calendly and not here, so {b.builder.display_name} pays you back from there."
    if b.paid_at is None and not refund:
        return "Nothing was charged."
    if refund is None:
        return "Your booking's page shows what goes back to you."
    if said.get("with_bank") and not refund:
        return (
            "Your bank has taken this payment back already, so nothing goes back from here while it decides."
        )
    if not refund:
        return "By the policy that you agreed to, there is no refund this close to the start."
    return f"{_amount(b, said)} goes back to the card that you paid with. {BANKS}"


def _is_newest(b: Booking, said: Mapping[str, Any]) -> bool:
    """Whether the time that this mail is about is still the booking's."""
    return (b.invitee_uri or "").rsplit("/", 1)[-1] == said.get("about")
