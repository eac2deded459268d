"""What mails around the hour itself say: reminders before it.

The others, and the table of all, are in :mod:`bookingapp.notifications.mails`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bookingapp.bookings.models import Booking
from bookingapp.bookings.reminders import Step, is_reminder_true
from bookingapp.builders.policy import policy_sentences
from bookingapp.core import clock
from bookingapp.core.i18n import gettext as _
from bookingapp.notifications.content import (
    MailContent,
    MailLinks,
    link_to_booking,
    mail_to_builder,
    mail_to_client,
)

Said = Mapping[str, Any]


def compose_day_reminder(b: Booking, said: Said, links: MailLinks, now: datetime) -> MailContent | None:
    """A day before, to the client."""
    if not is_reminder_true(b, str(said.get("about")), Step.DAY, now=now):
        return None
    return mail_to_client(
        b,
        _which_day(b, now),
        _("Your session is coming up"),
        _("This is a reminder of your session with %(builder)s.", builder=b.builder.display_name),
        action=link_to_booking(links),
        notes=(_change_note(), *_who_refunds(b), *policy_sentences(b.policy, is_free=b.is_free)),
    )


def compose_hour_reminder(b: Booking, said: Said, links: MailLinks, now: datetime) -> MailContent | None:
    """An hour before, to the client."""
    if not is_reminder_true(b, str(said.get("about")), Step.HOUR, now=now):
        return None
    return mail_to_client(
        b,
        _("Starts at %(time)s", time=clock.clock(b.starts_at, b.client_timezone)) if b.starts_at else "",
        _("Your session starts soon"),
        _("Your session with %(builder)s is about to start.", builder=b.builder.display_name),
        action=link_to_booking(links),
        notes=(_change_note(),),
    )


def compose_day_reminder_for_builder(
    b: Booking, said: Said, links: MailLinks, now: datetime
) -> MailContent | None:
    """A day before, to the builder."""
    if not is_reminder_true(b, str(said.get("about")), Step.DAY, now=now):
        return None
    what = _("This is a reminder of your session with %(client)s.", client=b.client_name)
    return mail_to_builder(b, links, _("Reminder"), _("Your session is coming up"), what, _cancel_note(b))


def compose_hour_reminder_for_builder(
    b: Booking, said: Said, links: MailLinks, now: datetime
) -> MailContent | None:
    """An hour before, to the builder."""
    if not is_reminder_true(b, str(said.get("about")), Step.HOUR, now=now):
        return None
    what = _("Your session with %(client)s is about to start.", client=b.client_name)
    return mail_to_builder(b, links, _("Starting soon"), _("Your session starts soon"), what, _cancel_note(b))


def _which_day(b: Booking, now: datetime) -> str:
    """``Tomorrow at 15:00 CET``: by the client's calendar, whose days have 23 to 25 hours."""
    if b.starts_at is None:
        return ""
    zone = b.client_timezone
    local = clock.zone(zone)
    days = (b.starts_at.astimezone(local).date() - now.astimezone(local).date()).days
    at = clock.clock(b.starts_at, zone)
    if days == 0:
        return _("Today at %(time)s", time=at)
    if days == 1:
        return _("Tomorrow at %(time)s", time=at)
    return clock.day_time(b.starts_at, zone)


def _who_refunds(b: Booking) -> tuple[str, ...]:
    """Before the sentences of the policy, which promise a refund."""
    if b.is_free or not b.is_paid_in_calendly_alone:
        return ()
    who = b.builder.display_name
    return (_("You paid in Calendly, so only %(builder)s can refund you, there.", builder=who),)


def _change_note() -> str:
    return _("If your plans change, you can reschedule or cancel on your booking's page.")


def _cancel_note(b: Booking) -> str:
    return _(
        "If you cannot come, please cancel it on your dashboard, or reschedule it in Calendly: %(client)s gets an "
        "e-mail.",
        client=b.client_name,
    )
