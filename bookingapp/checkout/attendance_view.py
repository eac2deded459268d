"""Who came, as a booking's page shows it: what was said, what it means for the client, and what they can say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bookingapp.bookings import absence_claims
from bookingapp.bookings.attendance import can_deny_no_show
from bookingapp.bookings.attention import is_flagged
from bookingapp.bookings.codes import AbsenceClaim, FlagCode
from bookingapp.bookings.models import Booking
from bookingapp.core import clock
from bookingapp.core.i18n import gettext as _

Words = tuple[str, str]
"""A headline and a sentence."""


@dataclass(frozen=True)
class AttendanceView:
    """``claim`` and ``no_show`` are what was said of the builder and of the client, None where nothing was. The client
    can say that the builder did not come (``can_claim``) or came after all (``can_withdraw``), and that they were there
    themselves (``can_answer``).
    """

    claim: Words | None
    no_show: Words | None
    can_claim: bool
    can_withdraw: bool
    can_answer: bool

    @property
    def is_in_doubt(self) -> bool:
        """Whether anybody says that somebody did not come."""
        return self.claim is not None or self.no_show is not None


def present_attendance(booking: Booking, *, now: datetime) -> AttendanceView:
    """What a booking's page shows at ``now``."""
    return AttendanceView(
        claim=_say_claim(booking),
        no_show=_say_no_show(booking),
        can_claim=absence_claims.can_claim(booking, now=now),
        can_withdraw=absence_claims.is_undecided(booking),
        can_answer=can_deny_no_show(booking),
    )


def _say_claim(booking: Booking) -> Words | None:
    who, until = booking.builder.display_name, absence_claims.answer_by(booking)
    if until is not None:
        return _("We have asked %(builder)s", builder=who), _say_asked(booking, until)
    if not absence_claims.took_place(booking):
        return None
    if booking.absence_claim is AbsenceClaim.DENIED:
        return _("%(builder)s says that they were there", builder=who), _(
            "A person of our team looks at it and writes to you. Until then, your payment stays where it is."
        )
    if booking.absence_claim is AbsenceClaim.DISMISSED:
        return _("We looked at what you told us"), _(
            "We decided that your session took place, so there is no refund. If you see it differently, please write "
            "to us."
        )
    return None


def _say_asked(booking: Booking, until: datetime) -> str:
    who, when = booking.builder.display_name, clock.day_time(until, booking.client_timezone)
    if booking.is_paid_in_calendly_alone:
        return _(
            "You told us that %(builder)s did not come. They can answer until %(time)s. If they don't, we end your "
            "booking. You paid in Calendly, so only %(builder)s can refund you, there.",
            builder=who,
            time=when,
        )
    if booking.paid_at is not None:
        return _(
            "You told us that %(builder)s did not come. They can answer until %(time)s. If they don't, you get "
            "everything back by itself; you don't need to do anything.",
            builder=who,
            time=when,
        )
    return _(
        "You told us that %(builder)s did not come. They can answer until %(time)s. You don't need to do anything.",
        builder=who,
        time=when,
    )


def _say_no_show(booking: Booking) -> Words | None:
    if booking.no_show_at is None:
        return None
    who = booking.builder.display_name
    headline = _("%(builder)s says that you did not come", builder=who)
    if is_flagged(booking, FlagCode.NO_SHOW_DENIED):
        return headline, _(
            "You told us that you were there. A person of our team looks at it and writes to you. Until then, nothing "
            "changes."
        )
    if booking.no_show_denied_at is not None:
        return headline, _(
            "We looked at it and decided that this stays as it is. If you see it differently, please write to us."
        )
    return headline, _(
        "There is no refund for a session that you missed. If you were there, tell us once: a person of our team looks "
        "at it."
    )
