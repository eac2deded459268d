"""What mails about who came to a session say. The others, and the table of all, are in
:mod:`bookingapp.notifications.mails`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from bookingapp.bookings.absence_claims import answer_by, claim_stamp, took_place
from bookingapp.bookings.attendance import no_show_stamp
from bookingapp.bookings.codes import AbsenceClaim
from bookingapp.bookings.mail_triggers import Mail
from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
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
Writer = Callable[[Booking, Said, MailLinks, datetime], MailContent | None]


def _is_claim(b: Booking, said: Said, claim: AbsenceClaim) -> bool:
    """Whether the client's claim is so far, and is the one that the mail is about."""
    return took_place(b) and b.absence_claim is claim and claim_stamp(b) == said.get("about")


def _is_mark(b: Booking, said: Said) -> bool:
    """Whether the client is marked as a no-show, by the mark that the mail is about."""
    is_over = b.status in (Status.CANCELED, Status.EXPIRED)
    return b.no_show_at is not None and not is_over and no_show_stamp(b) == said.get("about")


def _absence_asked(b: Booking, said: Said, links: MailLinks, now: datetime) -> MailContent | None:
    until = answer_by(b)
    if until is None or until <= now or not _is_claim(b, said, AbsenceClaim.ASKED):
        return None
    end = clock.day_time(until, b.builder.timezone)
    if b.is_paid_in_calendly_alone:
        deadline = _(
            "Please answer on your dashboard until %(time)s. Without an answer, we end the booking. %(client)s paid in "
            "Calendly, so only you can refund them, there.",
            time=end,
            client=b.client_name,
        )
    else:
        deadline = _(
            "Please answer on your dashboard until %(time)s. Without an answer, %(client)s gets everything back.",
            time=end,
            client=b.client_name,
        )
    return mail_to_builder(
        b,
        links,
        _("Please answer"),
        _("Your client says that you did not come"),
        _(
            "%(client)s told us that you did not come to the session below. Were you there?",
            client=b.client_name,
        ),
        deadline,
        label=_("Answer now"),
    )


def _absence_withdrawn(b: Booking, _said: Said, links: MailLinks, _now: datetime) -> MailContent | None:
    if not took_place(b) or b.absence_claim is not None:
        return None
    return mail_to_builder(
        b,
        links,
        _("Nothing to do"),
        _("Your client says that you came after all"),
        _("%(client)s told us that you came. You don't need to do anything.", client=b.client_name),
    )


def _absence_denied(b: Booking, said: Said, links: MailLinks, _now: datetime) -> MailContent | None:
    if not _is_claim(b, said, AbsenceClaim.DENIED):
        return None
    return mail_to_client(
        b,
        _("We're looking at it"),
        _("%(builder)s says that they were there", builder=b.builder.display_name),
        _(
            "You told us that %(builder)s did not come, and they say that they were there. A person of our team looks "
            "at it and writes to you.",
            builder=b.builder.display_name,
        ),
        _("Until then, your payment stays where it is."),
        action=link_to_booking(links),
    )


def _absence_denied_builder(b: Booking, said: Said, links: MailLinks, _now: datetime) -> MailContent | None:
    if not _is_claim(b, said, AbsenceClaim.DENIED):
        return None
    return mail_to_builder(
        b,
        links,
        _("We're looking at it"),
        _("Your client says that you did not come"),
        _(
            "%(client)s told us that you did not come to the session below, and you say that you were there. A person "
            "of our team looks at it and writes to you both.",
            client=b.client_name,
        ),
        _("Until then, the payment stays where it is."),
    )


def _absence_dismissed(b: Booking, said: Said, links: MailLinks, _now: datetime) -> MailContent | None:
    if not _is_claim(b, said, AbsenceClaim.DISMISSED):
        return None
    return mail_to_client(
        b,
        _("Our decision"),
        _("We looked at what you told us"),
        _("You told us that %(builder)s did not come to your session.", builder=b.builder.display_name),
        _(
            "We decided that your session took place, so there is no refund. If you see it differently, please write "
            "to us."
        ),
        action=link_to_booking(links),
    )


def _absence_dismissed_builder(
    b: Booking, said: Said, links: MailLinks, _now: datetime
) -> MailContent | None:
    if not _is_claim(b, said, AbsenceClaim.DISMISSED):
        return None
    return mail_to_builder(
        b,
        links,
        _("Our decision"),
        _("Your session counts as held"),
        _("%(client)s had told us that you did not come to the session below.", client=b.client_name),
        _("We decided that it took place, and the payment stays with you."),
    )


def _no_show(b: Booking, said: Said, links: MailLinks, _now: datetime) -> MailContent | None:
    if not _is_mark(b, said):
        return None
    return mail_to_client(
        b,
        _("About your session"),
        _("You were marked as a no-show"),
        _("%(builder)s says that you did not come to your session.", builder=b.builder.display_name),
        _(
            "There is no refund for a session that you missed. If you were there, please tell us on your booking's "
            "page: a person of our team looks at it."
        ),
        action=link_to_booking(links),
    )


def _no_show_denied(b: Booking, said: Said, links: MailLinks, _now: datetime) -> MailContent | None:
    if not _is_mark(b, said) or b.no_show_denied_at is None:
        return None
    return mail_to_builder(
        b,
        links,
        _("We're looking at it"),
        _("Your client says that they were there"),
        _(
            "%(client)s was marked as a no-show for the session below, and told us that they were there. A person of "
            "our team looks at it and writes to you both.",
            client=b.client_name,
        ),
        _("If the mark was a mistake, please undo it on your dashboard."),
    )


def _no_show_kept(b: Booking, said: Said, links: MailLinks, _now: datetime) -> MailContent | None:
    if not _is_mark(b, said):
        return None
    return mail_to_client(
        b,
        _("Our decision"),
        _("We looked at what you told us"),
        _("You told us that you were there, although %(builder)s says no.", builder=b.builder.display_name),
        _(
            "We decided that the no-show stays, so there is no refund. If you see it differently, please write to us."
        ),
        action=link_to_booking(links),
    )


def _no_show_kept_builder(b: Booking, said: Said, links: MailLinks, _now: datetime) -> MailContent | None:
    if not _is_mark(b, said):
        return None
    return mail_to_builder(
        b,
        links,
        _("Our decision"),
        _("The no-show stays"),
        _(
            "%(client)s had told us that they were there. We decided that your mark stays.",
            client=b.client_name,
        ),
    )


def _no_show_removed(b: Booking, _said: Said, links: MailLinks, _now: datetime) -> MailContent | None:
    if b.status not in (Status.CONFIRMED, Status.COMPLETED) or b.no_show_at is not None:
        return None
    return mail_to_client(
        b,
        _("All is well"),
        _("You are no longer marked as a no-show"),
        _("You told us that you were there, and the mark is removed. There is nothing more to do."),
        action=link_to_booking(links),
    )


WRITERS: Final[Mapping[Mail, Writer]] = MappingProxyType(
    {
        Mail.ABSENCE_ASKED_BUILDER: _absence_asked,
        Mail.ABSENCE_WITHDRAWN_BUILDER: _absence_withdrawn,
        Mail.ABSENCE_DENIED: _absence_denied,
        Mail.ABSENCE_DENIED_BUILDER: _absence_denied_builder,
        Mail.ABSENCE_DISMISSED: _absence_dismissed,
        Mail.ABSENCE_DISMISSED_BUILDER: _absence_dismissed_builder,
        Mail.NO_SHOW: _no_show,
        Mail.NO_SHOW_DENIED_BUILDER: _no_show_denied,
        Mail.NO_SHOW_KEPT: _no_show_kept,
        Mail.NO_SHOW_KEPT_BUILDER: _no_show_kept_builder,
        Mail.NO_SHOW_REMOVED: _no_show_removed,
    }
)
"""The mails of :data:`bookingapp.bookings.mail_triggers.ABOUT_ATTENDANCE`."""
