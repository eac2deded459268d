"""The parts of a mail, and the two frames that every mail about a booking has: one for clients, one for builders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bookingapp.bookings.addresses import mail_addresses
from bookingapp.bookings.models import Booking
from bookingapp.bookings.places import describe_place
from bookingapp.bookings.states import Status
from bookingapp.core import clock
from bookingapp.core.i18n import gettext as _
from bookingapp.core.money import format_money
from bookingapp.text import one_line


@dataclass(frozen=True)
class MailContent:
    """One mail in parts, for its text and its HTML. ``facts`` are labels with values, ``action`` is a label with a URL,
    ``calendar`` attaches the session's calendar file.
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
    """The absolute URLs of a mail about one booking. ``booking`` is None where the reader may not have it; ``again`` is
    the form that books the same session once more, and the builder's page for such a reader.
    """

    booking: str | None
    dashboard: str
    profile: str
    again: str


def mail_to_client(
    b: Booking, subject: str, heading: str, *paragraphs: str, action: tuple[str, str], **more: Any
) -> MailContent:
    """A mail to the client about the booking; ``subject`` is completed with its title and builder."""
    about = _("%(title)s with %(builder)s", title=b.title, builder=b.builder.display_name)
    more.setdefault("facts", facts_for_client(b))
    return MailContent(
        subject=f"{subject}: {about}",
        heading=heading,
        greeting=_("Hello %(name)s,", name=b.client_name),
        paragraphs=paragraphs,
        action=action,
        **more,
    )


def mail_to_builder(
    b: Booking,
    links: MailLinks,
    subject: str,
    heading: str,
    *paragraphs: str,
    is_new: bool = False,
    label: str | None = None,
    more: tuple[tuple[str, str], ...] = (),
) -> MailContent:
    """A mail to the builder about the booking; ``subject`` is completed with its title and time. One about a new
    booking has the price and what the client answered; ``more`` are other facts, ``label`` is that of
    the button.
    """
    if is_new:
        more = ((_("Price"), price_fact(b)), *_answer_facts(b))
    when = clock.day_time(b.starts_at, b.builder.timezone) if b.starts_at else ""
    return MailContent(
        subject=f"{subject}: {b.title}, {when}",
        heading=heading,
        greeting=_("Hello %(name)s,", name=b.builder.display_name),
        paragraphs=paragraphs,
        facts=(*_facts_for_builder(b), *more),
        action=(label or _("See it on your dashboard"), links.dashboard),
    )


def link_to_booking(links: MailLinks, label: str | None = None) -> tuple[str, str]:
    """The action that opens the booking's page; the builder's public page where the reader may not have its link."""
    if links.booking is None:
        return _("See the builder's page"), links.profile
    return label or _("See your booking"), links.booking


def facts_for_client(b: Booking) -> tuple[tuple[str, str], ...]:
    """Time, title and builder, with the builder's own time where it reads differently."""
    theirs = (_("For %(name)s", name=b.builder.display_name), _when(b, b.builder.timezone))
    return (
        *_time_fact(b, b.client_timezone),
        _title_fact(b),
        (_("With"), b.builder.display_name),
        *_where_facts(b),
        *((theirs,) if _zones_differ(b) else ()),
    )


def _facts_for_builder(b: Booking) -> tuple[tuple[str, str], ...]:
    theirs = (_("For your client"), _when(b, b.client_timezone))
    return (
        *_time_fact(b, b.builder.timezone),
        _title_fact(b),
        (_("Client"), ", ".join(filter(None, (b.client_name, *(one.email for one in mail_addresses(b)))))),
        *(((_("Pathway"), b.pathway.label),) if b.pathway else ()),
        *((theirs,) if _zones_differ(b) else ()),
        *_where_facts(b),
    )


def _where_facts(b: Booking) -> tuple[tuple[str, str], ...]:
    """Who holds the session where it is not the builder; of a confirmed one also the place and the link."""
    is_confirmed = b.status in (Status.CONFIRMED, Status.COMPLETED)
    place = describe_place(b) if is_confirmed else None
    link = b.join_url if is_confirmed else None
    return (
        *(((_("Host"), b.host_name),) if b.host_name else ()),
        *(((_("Where"), place),) if place and place != link else ()),
        *(((_("Join the call"), link),) if link else ()),
    )


def _answer_facts(b: Booking) -> tuple[tuple[str, str], ...]:
    """Each answer in one line, so that none looks like another fact of ours."""
    return tuple((one_line(str(one["question"])), one_line(str(one["answer"]))) for one in b.answers)


def moved_fact(said: Mapping[str, Any], zone: str) -> tuple[tuple[str, str], ...]:
    """The time before a reschedule, where it is known."""
    before: datetime | None = said.get("moved_from")
    return ((_("Before"), clock.day_time(before, zone)),) if before is not None else ()


def _time_fact(b: Booking, zone: str) -> tuple[tuple[str, str], ...]:
    return ((_("When"), _when(b, zone)),) if b.starts_at else ()


def _title_fact(b: Booking) -> tuple[str, str]:
    return _("What"), f"{b.title}, {clock.duration(b.duration_minutes)}"


def _zones_differ(b: Booking) -> bool:
    """Whether the session's time reads differently in both zones."""
    return b.starts_at is not None and _clock(b, b.client_timezone) != _clock(b, b.builder.timezone)


def _when(b: Booking, zone: str) -> str:
    """The day, the hours and the zone, as in ``Tuesday 1 December 2026, 15:00 CET (Berlin time)``."""
    if b.starts_at is None:
        return ""
    day, hours = clock.day(b.starts_at, zone), _clock(b, zone)
    return _("%(day)s, %(hours)s (%(zone)s)", day=day, hours=hours, zone=clock.zone_time(zone))


def _clock(b: Booking, zone: str) -> str:
    if b.starts_at is None:
        return ""
    return clock.time_range(b.starts_at, b.ends_at, zone) if b.ends_at else clock.clock(b.starts_at, zone)


def price_fact(b: Booking) -> str:
    """The price that was paid, or ``Free``."""
    return _("Free") if b.is_free else _("%(price)s, paid", price=format_money(b.price_minor, b.currency))


def refund_amount(b: Booking, said: Mapping[str, Any]) -> str:
    """The refund, in the currency that was paid."""
    return format_money(int(said["refund_minor"]), str(said.get("currency") or b.currency))
